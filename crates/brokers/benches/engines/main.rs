//! What the engines' promises cost: numbers in commit order on PostgreSQL, and the way over Kafka, each beside
//! the same without them.
//!
//! It starts the servers it needs, as the tests do, with their files below the folder it is run in, so that a
//! sync is one of that disk. `cargo xtask bench engines` runs it and reads what it prints,
//! `subject figure: value unit`, line by line; by itself it is `cargo bench -p yeoul-brokers --bench engines -- [seconds]`.

mod hops;
#[expect(dead_code, reason = "the tests do more with it")]
#[path = "../../tests/kafka/server.rs"]
mod kafka;
mod legs;
mod orders;
#[expect(dead_code, reason = "the tests do more with it")]
#[path = "../../../events/tests/postgres/server.rs"]
mod postgres;

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use events::store::{Database, Publishes, Served};
use events::{Clock, Error, Partitions, Topic};

/// Seconds of measuring, servers' starts apart, unless it is told otherwise.
const SECONDS: u64 = 36;
/// The part of them that orders take; events on their way take the rest.
const ORDERS_SHARE: f64 = 0.6;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // `cargo bench` says `--bench` before anything else; figures are the only arguments there are.
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let seconds: u64 = arguments.next().map_or(Ok(SECONDS), |text| text.parse())?;
    let orders = Duration::from_secs(seconds).mul_f64(ORDERS_SHARE);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let server = postgres::Server::start();
    runtime.block_on(async {
        orders::measure(&server, orders).await?;
        hops::measure(&server, Duration::from_secs(seconds) - orders).await
    })
}

/// A schema of its own on the server.
async fn connect(
    server: &postgres::Server,
    name: &str,
    schema: &'static [&'static str],
    partitions: Option<Partitions>,
) -> Result<Database, Error> {
    let publishes = partitions.map(|partitions| Publishes {
        source: "order".to_owned(),
        topic: topic(),
        partitions,
    });
    let (address, name) = (server.address(), name.to_owned());
    let connections = orders::CLIENTS;
    Database::connect(Served { address, name, schema, publishes, connections, clock: clock() })
        .await
}

fn topic() -> Topic {
    Topic::parse("order").expect("a name")
}

/// Stands still: what is measured is read from another one.
fn clock() -> Clock {
    Arc::new(|| jiff::Timestamp::UNIX_EPOCH)
}

/// A figure of a subject; of `ratio`, the figure of ours over that of the same without what is measured.
fn report(subject: &str, figure: &str, value: f64, unit: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{subject} {figure}: {value:.3} {unit}")
}

/// The middle one.
fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of.get(of.len() / 2).copied().unwrap_or(f64::NAN)
}

#[expect(clippy::disallowed_methods, reason = "a measurement is about the clock")]
fn now() -> Instant {
    Instant::now()
}
