//! `kill -9` of any process at a random moment under load, two instances of every part: after each my page is whole soon,
//! and the books balance.
//!
//! `YEOUL_CLUSTER_KILLS` sets how often one dies (3), `YEOUL_SEED` repeats a run's random choices; the seed is printed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use super::support::books::{self, Client};
use super::support::{Done, Mall, Random, pause, setting, timed, within};
use super::{AWAY, Cluster};

const KILLS: u64 = 3;
/// Instances beside the first of their parts.
const SECONDS: [&str; 6] =
    ["account-2", "product-2", "delivery-2", "order-2", "mypage-2", "gateway-2"];
/// How long there is load before a death, in milliseconds.
const LIFE_MS: (u64, u64) = (200, 1_500);
/// What is answered while some are away: nobody to ask, one that went while it was asked, one that does not answer.
const REFUSALS: [u16; 3] = [502, 503, 504];
/// Between two things that a customer does.
const BREATH: Duration = Duration::from_millis(20);
/// What is promised: by then everything that was committed is on my page, whoever was killed.
const WHOLE_BY: Duration = Duration::from_secs(20);
/// Looks in a row that find nothing under way: what one part has just published another has not seen yet.
const CALM_LOOKS: u32 = 3;
const LOOK_EVERY: Duration = Duration::from_millis(100);

#[test]
fn whichever_is_killed_my_page_is_whole_soon_and_no_effect_is_missing_or_there_twice() {
    let mut random = Random::announced();
    let kills: u64 = setting("YEOUL_CLUSTER_KILLS")
        .map_or(KILLS, |text| text.parse().expect("YEOUL_CLUSTER_KILLS is a whole number"));
    let Some(mut cluster) = Cluster::served(&SECONDS) else { return };
    let mall = cluster.mall();
    let shelves = books::shelves(&mall);
    let mut clients = books::clients(&mall, &mut random, &REFUSALS);
    let mut slowest = Duration::ZERO;
    for kill in 1..=kills {
        let before = taken(&clients);
        let killed = kill_under_load(&mut cluster, &mall, &mut clients, &shelves, &mut random);
        // From here on nothing is ordered: what is under way is what the death left. How long the machine takes to
        // start a process is not what is promised: others go on meanwhile.
        cluster.run(killed);
        let (took, ()) = timed(|| cluster.await_calm(&mall));
        slowest = slowest.max(took + AWAY);
        let orders = taken(&clients) - before;
        eprintln!("{kill}: {killed} was killed amid {orders} orders; whole after {took:?}");
        assert!(took + AWAY < WHOLE_BY, "my page was not whole for {took:?}");
        assert!(orders > 0, "there was load");
        books::balance(&mall, &clients, &shelves);
    }
    let unanswered: u64 = clients.iter().map(|client| client.book.unanswered).sum();
    let taken = taken(&clients);
    eprintln!("{kills} kills, {taken} orders, {unanswered} unanswered, whole after {slowest:?}");
    for instance in cluster.parts.keys() {
        assert_eq!(cluster.admin(instance, "/admin/dead"), Value::Array(Vec::new()), "{instance}");
    }
}

/// Orders that were answered.
pub(super) fn taken(clients: &[Client]) -> usize {
    clients.iter().map(|client| client.book.taken.len()).sum()
}

/// Kills any of them while customers do what they do, which goes on a moment longer; which it was.
fn kill_under_load(
    cluster: &mut Cluster,
    mall: &Mall,
    clients: &mut [Client],
    shelves: &[books::Shelf],
    random: &mut Random,
) -> &'static str {
    under_load(mall, clients, shelves, || {
        pause(Duration::from_millis(random.between(LIFE_MS.0, LIFE_MS.1)));
        let all: Vec<&'static str> = cluster.parts.keys().copied().collect();
        let killed = all[random.between(0, all.len() as u64 - 1) as usize];
        cluster.kill(killed);
        pause(AWAY);
        killed
    })
}

/// What happens while customers do what they do.
pub(super) fn under_load<T>(
    mall: &Mall,
    clients: &mut [Client],
    shelves: &[books::Shelf],
    happens: impl FnOnce() -> T,
) -> T {
    let (admin, gateway) = (mall.admin(), mall.base("gateway"));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for client in clients {
            let over = &over;
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let acted = client.act(gateway, shelves, admin);
                    client.book.unanswered += u64::from(acted.is_err());
                    pause(BREATH);
                }
            });
        }
        let _done = Done(&over);
        happens()
    })
}

impl Cluster {
    /// Waits until nothing waits to be published, taken or decided.
    pub(super) fn await_calm(&self, mall: &Mall) {
        let mut calm = 0;
        within(2 * WHOLE_BY, "all has come to rest", || {
            calm = if self.is_calm() { calm + 1 } else { 0 };
            pause(LOOK_EVERY);
            (calm >= CALM_LOOKS && !books::is_pending(mall)).then_some(())
        });
    }

    pub(super) fn is_calm(&self) -> bool {
        let is_empty = |instance: &&'static str, path| {
            let answer = self.asked(instance, path);
            // A broker that divides its partitions anew may not say where they end.
            answer.status == 200
                && answer.value().as_array().is_some_and(|all| all.iter().all(|it| it["lag"] == 0))
        };
        let lists = ["/admin/relays", "/admin/subscriptions"];
        self.parts.keys().all(|instance| lists.iter().all(|path| is_empty(instance, path)))
    }
}
