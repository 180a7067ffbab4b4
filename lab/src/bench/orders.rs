//! Orders, the whole way: taken durably through the gateway, then followed to the last effect.
//!
//! Client and program share the machine's cores, as the measured curriculum's shop did. CPU per order
//! is read when every order is through, so that what an order costs later is counted too. Afterwards
//! the books must balance: as many pieces left the stock as orders were taken, or nothing holds.

use std::path::Path;
use std::time::Duration;

use super::{Bench, folder, spring_is_not_run};
use crate::error::{Error, environment};
use crate::load::{CONNECTIONS, Generator, Outcome};
use crate::mall::{self, Mall};
use crate::program::{Cores, Program};
use crate::report::{Report, YEOUL};
use crate::schedule::WARM_UP;
use crate::{bars, clock};

/// More than any run takes.
const STOCK: u64 = 1_000_000_000;
/// Of the seconds of a run, those kept for the start, for catching up and for the end.
const REST: u64 = 26;

pub(super) fn run(bench: &Bench, program: &Path, mut report: Report<'_>) -> Result<bool, Error> {
    let folder = folder()?;
    let settings = Some(mall::LIMITS_ABOVE_THE_LOAD);
    let ours = Program::start(program, &["mall"], settings, Cores::All, folder.path())?;
    let mall = Mall::open(&ours.address("gateway")?)?;
    let seconds = bench.seconds.saturating_sub(REST).max(1);
    let taken = take(&mall, seconds, folder.path(), || ours.server.usage().cpu)?;
    let Taken { outcome, orders, caught_up, used: [before, after] } = taken;
    let cpu_ms = after.saturating_sub(before).as_secs_f64() * 1e3 / orders as f64;
    report.figure(YEOUL, "orders_per_second", outcome.per_second(), "1/s")?;
    report.figure(YEOUL, "cpu_ms_per_order", cpu_ms, "ms")?;
    report.figure(YEOUL, "p50_ms", outcome.p50.as_secs_f64() * 1e3, "ms")?;
    report.figure(YEOUL, "p99_ms", outcome.p99.as_secs_f64() * 1e3, "ms")?;
    report.figure(YEOUL, "orders_with_stock_taken", orders as f64, "1")?;
    report.figure(YEOUL, "caught_up_ms", caught_up.as_secs_f64() * 1e3, "ms")?;
    report.ratio("orders_bar", outcome.per_second() / bars::ORDERS_PER_SECOND);
    report.ratio("cpu_bar", cpu_ms / bars::ORDER_CPU_MS);
    spring_is_not_run(bench, &mut report);
    Ok(report.end(bars::ORDERS, true)?)
}

/// A run of orders, all of them through.
pub(super) struct Taken<U> {
    pub(super) outcome: Outcome,
    /// With their piece taken from the stock.
    pub(super) orders: u64,
    pub(super) caught_up: Duration,
    /// What was used before and after.
    pub(super) used: [U; 2],
}

/// Has customers order for so long, and waits for the last effect; `used` says what was used so far.
pub(super) fn take<U>(
    mall: &Mall,
    seconds: u64,
    folder: &Path,
    used: impl Fn() -> U,
) -> Result<Taken<U>, Error> {
    let product = mall.register(STOCK)?;
    let request = mall.order(&mall.customer()?, product);
    let generator = Generator::find();
    // The warm-up orders too; it is left to be served to the end before anything is counted.
    generator.run(&request, WARM_UP, folder)?;
    let before = settle(mall, product)?;
    let used_before = used();
    let outcome = generator.run(&request, seconds, folder)?;
    let ended = clock::now();
    // Only now is the work of the last order done: CPU read earlier would leave out what is owed.
    let after = settle(mall, product)?;
    let caught_up = ended.elapsed();
    let used = [used_before, used()];

    let orders = after - before;
    let accepted = outcome.requests.saturating_sub(outcome.refused);
    let answered = outcome.requests > 0 && outcome.refused == 0;
    if !answered || !balances(accepted, orders) {
        return Err(environment(format!(
            "not every order was taken as it was answered. \
             answered=`{}`, refused=`{}`, orders=`{orders}`",
            outcome.requests, outcome.refused
        )));
    }
    Ok(Taken { outcome, orders, caught_up, used })
}

/// Whether `orders` can be the orders of a run in which `accepted` answers were counted.
///
/// A client that stops leaves an order in flight on every connection: taken, and not counted by it.
/// So does the warm-up, whose last orders may arrive after the count that the run begins with.
fn balances(accepted: u64, orders: u64) -> bool {
    (accepted..=accepted + 2 * CONNECTIONS as u64).contains(&orders)
}

/// Waits until every order has taken its piece from the stock; how many orders there are.
fn settle(mall: &Mall, product: u64) -> Result<u64, Error> {
    let through = || {
        let orders = mall.orders().ok()?;
        (mall.stock(product).ok()? + orders == STOCK).then_some(orders)
    };
    mall.wait_for(through, "every order has taken its piece from the stock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_in_flight_at_either_end_of_a_run_are_no_imbalance() {
        let both = 2 * CONNECTIONS as u64;
        let cases = [(0, true), (1, true), (both, true), (both + 1, false)];
        for (more, balanced) in cases {
            assert_eq!(balances(1_000, 1_000 + more), balanced, "{more} more");
        }
        assert!(!balances(1_000, 999), "an answered order is missing");
    }
}
