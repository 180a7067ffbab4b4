//! From the commit that publishes to the commit that has handled, both in files, over the log: three syncs and what is between.

use std::future::pending;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use yeoul_events::store::{Database, Options, Publishes, Tx};
use yeoul_events::{
    Cause, Clock, Draft, Event, Failure, Handler, Log, Partitions, Relay, Retry, Subscription,
    Topic,
};

use crate::measured::now;
use crate::report;

/// Events a second, sent whether or not those before have arrived, and for how long.
const PER_SECOND: u64 = 1_000;
const SECONDS: u64 = 6;
/// The first of them are not counted: what is used for the first time is made then.
const WARM_UP: u64 = 500;
/// How long the last one may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Beside three syncs.
const BETWEEN_MS: f64 = 2.0;

const SOURCE: &[&str] = &["CREATE TABLE placed (id INTEGER PRIMARY KEY) STRICT;"];
const SINK: &[&str] =
    &["CREATE TABLE arrived (id INTEGER PRIMARY KEY, data TEXT NOT NULL) STRICT;"];

/// Microseconds since the beginning at which each was committed there and here; 0 is not yet.
struct Times {
    began: Instant,
    sent: Vec<AtomicU64>,
    arrived: Vec<AtomicU64>,
}

impl Times {
    fn of(events: u64) -> Arc<Times> {
        let none = || (0..events).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Times { began: now(), sent: none(), arrived: none() })
    }

    fn note(&self, of: &[AtomicU64], id: usize) {
        of[id].store(self.began.elapsed().as_micros() as u64, Ordering::Relaxed);
    }

    fn took(&self) -> Vec<u64> {
        let at = |it: &AtomicU64| it.load(Ordering::Relaxed);
        let both = self.sent.iter().zip(&self.arrived).skip(WARM_UP as usize);
        let mut took: Vec<u64> =
            both.map(|(sent, arrived)| at(arrived).saturating_sub(at(sent))).collect();
        took.sort_unstable();
        took
    }
}

struct Arrive(Arc<Times>);

impl Handler for Arrive {
    type Batch = Vec<usize>;

    async fn handle(
        &self,
        batch: &mut Vec<usize>,
        tx: &mut Tx<'_>,
        event: &Event,
    ) -> Result<(), Failure> {
        let id: i64 = event.subject.parse().map_err(|_| Failure::Handler("no id".to_owned()))?;
        let insert = "INSERT INTO arrived (id, data) VALUES (?1, ?2)";
        tx.execute(insert, &[&id, &event.data.get()]).await?;
        batch.push(id as usize);
        Ok(())
    }

    fn committed(&self, batch: Vec<usize>) {
        batch.into_iter().for_each(|id| self.0.note(&self.0.arrived, id));
    }
}

pub(crate) async fn measure(folder: &Path, sync: f64) -> Result<(), Box<dyn std::error::Error>> {
    let topic = Topic::parse("order")?;
    let clock: Clock = Arc::new(|| Timestamp::UNIX_EPOCH);
    let log = Arc::new(Log::open(folder, std::slice::from_ref(&topic), clock.clone())?);
    let publishes =
        Publishes { source: "order".into(), topic: topic.clone(), partitions: Partitions::ONE };
    let open = |name: &str, schema, publishes| {
        let path = folder.join(name);
        Database::open(Options { path, schema, publishes, clock: clock.clone() })
    };
    let source = open("source.db", SOURCE, Some(publishes))?;
    let sink = open("sink.db", SINK, None)?;
    let times = Times::of(PER_SECOND * SECONDS);
    let relay = tokio::spawn(Relay::new(source.clone(), log.clone()).run(pending()));
    let retry = Retry { attempts: 3, backoff: Duration::from_millis(100) };
    let handler = Arrive(Arc::clone(&times));
    let reader =
        Subscription::new("sink.order", topic, sink.clone(), log.clone(), handler, retry, clock);
    let reader = tokio::spawn(reader.run(pending()));
    send(&source, &times).await?;
    let took = arrived(&times).await?;
    relay.abort();
    reader.abort();
    let at = |share: f64| took[(took.len() as f64 * share) as usize] as f64 / 1e3;
    report("yeoul", "handled_median", at(0.5), "ms")?;
    report("yeoul", "handled_p99", at(0.99), "ms")?;
    report("ratio", "handled_bar", at(0.99) / (3.0 * sync / 1e3 + BETWEEN_MS), "x")?;
    source.close().await;
    sink.close().await;
    log.close().await;
    Ok(())
}

/// Commits an order and its event, so many a second.
async fn send(source: &Database, times: &Arc<Times>) -> Result<(), Box<dyn std::error::Error>> {
    let mut tick = tokio::time::interval(Duration::from_secs(1) / PER_SECOND as u32);
    let mut tasks = tokio::task::JoinSet::new();
    let data = "x".repeat(254);
    for id in 0..times.sent.len() {
        tick.tick().await;
        let draft = Draft::new("Placed", id, 1, &data, &Cause::default());
        let work = source.write((id, draft), |(id, draft), tx| {
            Box::pin(async move {
                let insert = "INSERT INTO placed (id) VALUES (?1)";
                tx.execute(insert, &[&(*id as i64)]).await?;
                tx.publish(draft.clone()).await.map(drop)
            })
        });
        let times = Arc::clone(times);
        tasks.spawn(async move {
            work.await?;
            times.note(&times.sent, id);
            Ok::<(), yeoul_events::Error>(())
        });
    }
    tasks.join_all().await.into_iter().collect::<Result<(), _>>()?;
    Ok(())
}

/// How long each took, once the last one is there.
async fn arrived(times: &Times) -> Result<Vec<u64>, String> {
    let missing = || times.arrived.iter().filter(|it| it.load(Ordering::Relaxed) == 0).count();
    let until = now() + PATIENCE;
    while missing() > 0 {
        if now() > until {
            return Err(format!("events did not arrive. missing=`{}`", missing()));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(times.took())
}
