//! Everything committed is published, in sequence, once, whatever happens between the two, on every engine.

mod embedded;
mod served;

use tempfile::TempDir;

use super::fixture::Running;
use super::*;
use crate::Clock;
use crate::broker::{Offset, Pending, READ_MAX, Stored};
use crate::error::Error;
use crate::event::{Cause, Draft, Event};
use crate::fixture::altered_log::{AlteredLog, Uncounting};
use crate::fixture::{clock, first, topic, until};
use crate::local::Log;
use crate::partition::numbers::Numbers;
use crate::store::options::Publishes;
use crate::store::tests::execute;
use crate::store::{OUTBOX_KEPT, Options, stepped, upkeep};
use crate::topic::TopicPartition;

fn publishes() -> Publishes {
    let (source, topic) = ("order".to_owned(), topic("order"));
    Publishes { source, topic, partitions: Partitions::ONE }
}

fn database(folder: &TempDir) -> Database {
    let publishes = Some(publishes());
    let path = folder.path().join("order.db");
    Database::open(Options { path, schema: &[], publishes, clock: clock() }).unwrap()
}

fn log(folder: &TempDir) -> Arc<Log> {
    Arc::new(Log::open(folder.path(), &[topic("order")], clock()).unwrap())
}

async fn commit(database: &Database, numbers: std::ops::RangeInclusive<u64>) {
    let work = database.write(numbers, |numbers, tx| {
        Box::pin(async move {
            for number in numbers.clone() {
                let draft = Draft::new("Numbered", number, 1, &number, &Cause::default());
                tx.publish(draft).await?;
            }
            Ok::<_, Error>(())
        })
    });
    work.await.unwrap();
}

async fn numbers(broker: &dyn Broker) -> Vec<u64> {
    let events = broker.read(&topic("order").first(), Offset::BEGINNING, READ_MAX).await.unwrap();
    events.iter().map(|stored| stored.event.decode().unwrap()).collect()
}

/// What each event was numbered, and what it says was published before it.
async fn chained(broker: &dyn Broker) -> Vec<(u64, u64)> {
    let events = broker.read(&topic("order").first(), Offset::BEGINNING, READ_MAX).await.unwrap();
    let of = |Stored { event, .. }: &Stored| event.outbox_sequence.zip(event.outbox_previous);
    events.iter().map(|stored| of(stored).expect("chained")).collect()
}

/// Waits until the broker holds exactly these.
async fn published(broker: &dyn Broker, expected: std::ops::RangeInclusive<u64>) {
    let expected: Vec<u64> = expected.collect();
    until(async || {
        let there = numbers(broker).await;
        if there == expected { Ok(()) } else { Err(format!("{there:?}")) }
    })
    .await;
}

/// A broker that hands on to a log what it does not refuse: a batch, or being asked at all.
struct Refusing<R> {
    log: Arc<Log>,
    refuses: R,
}

/// What a broker is asked to take; nothing where it is only asked how far it is.
type Asked<'a> = Option<&'a [Event]>;

impl<R> AlteredLog for Refusing<R>
where
    R: Fn(Asked<'_>) -> Result<(), Error> + Send + Sync + 'static,
{
    fn log(&self) -> &Log {
        &self.log
    }

    fn publish<'a>(&'a self, at: &'a TopicPartition, batch: Vec<Event>) -> Pending<'a, Offset> {
        Box::pin(async move {
            (self.refuses)(Some(&batch))?;
            self.log.publish(at, batch).await
        })
    }

    fn published<'a>(
        &'a self,
        at: &'a TopicPartition,
        source: &'a str,
    ) -> Pending<'a, Option<u64>> {
        Box::pin(async move {
            (self.refuses)(None)?;
            self.log.published(at, source).await
        })
    }
}

/// A broker that is away while the switch is on.
fn away(log: &Arc<Log>, away: watch::Receiver<bool>) -> Arc<dyn Broker> {
    let refuses = move |_: Asked<'_>| match *away.borrow() {
        true => Err(Error::environment("the broker is away")),
        false => Ok(()),
    };
    Arc::new(Refusing { log: log.clone(), refuses })
}

/// Commits events whose data have so many bytes.
async fn commit_sized(database: &Database, events: u64, bytes: usize) {
    for number in 1..=events {
        let draft = Draft::new("Sized", number, 1, &"x".repeat(bytes - 2), &Cause::default());
        let work = database.write(draft, |draft, tx| Box::pin(tx.publish(draft.clone())));
        work.await.unwrap();
    }
}

fn handle_on(database: &Database, log: &Arc<Log>) -> Control {
    let never = watch::Sender::new(false).subscribe();
    Control::of(database.clone(), log.clone(), never).unwrap()
}

async fn settled(running: &Running, at: u64) {
    let mut status = running.status.clone();
    let waited = status.wait_for(|status| status.settled == at && status.stuck.is_none());
    tokio::time::timeout(std::time::Duration::from_secs(30), waited).await.unwrap().unwrap();
}

/// A broker that takes no batch of more than two, and no event of this number.
fn picky(log: &Arc<Log>, never: u64) -> Arc<dyn Broker> {
    let refuses = move |batch: Asked<'_>| {
        let Some(batch) = batch else { return Ok(()) };
        Error::check("batch", batch.len(), 2)?;
        if batch.iter().any(|event| event.outbox_sequence == Some(never)) {
            return Err(Error::Limit { field: "event", value: 2, limit: 1 });
        }
        Ok(())
    };
    Arc::new(Refusing { log: log.clone(), refuses })
}
