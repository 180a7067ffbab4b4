//! A projection: a subscription that keeps a table of its own, so that a question is one look-up.
//!
//! Orders come as events; the question is how many pieces of each product are on order. Each reader
//! of the topic may keep its own answer to its own question, in its own database, at its own pace.
//!
//! ```text
//! cargo run -p yeoul-events --example projection
//! ```
//!
//! The story: a batch of orders is counted; the service stops and one is cancelled; it starts and
//! counts that; everything is delivered once more and nothing changes; an event that makes no sense
//! waits with its key while others go on, and is dropped; and a second reader begins at the first
//! event there is, with a table of its own.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use yeoul_events::store::{Database, Options, Tx};
use yeoul_events::{
    Broker, Clock, Control, Error, Event, Failure, Handler, Log, Retry, Subscription, Topic,
};

const SCHEMA: &[&str] = &["CREATE TABLE on_order (
    product TEXT PRIMARY KEY, pieces INTEGER NOT NULL) STRICT, WITHOUT ROWID"];

/// Pieces on order, by product.
type Pieces = BTreeMap<String, i64>;

/// What this reader wants of an order; whatever else is in it may change.
#[derive(Deserialize)]
struct Order {
    product: String,
    pieces: u32,
}

/// Counts pieces by product. A batch may have hundreds of orders of one product: they are gathered
/// in memory and written once, in the batch's own transaction.
struct OnOrder {
    /// How many events were counted since the start, for whoever shows the table somewhere.
    counted: watch::Sender<u64>,
}

/// What one batch gathered.
#[derive(Default)]
struct Gathered {
    pieces: Pieces,
    events: u64,
}

impl Handler for OnOrder {
    type Batch = Gathered;

    async fn handle(
        &self,
        batch: &mut Gathered,
        _tx: &mut Tx<'_>,
        event: &Event,
    ) -> Result<(), Failure> {
        let sign = match event.kind.as_str() {
            "OrderPlaced" => 1,
            "OrderCancelled" => -1,
            // Other readers want these.
            _ => return Ok(()),
        };
        let order: Order = event.decode()?;
        if order.pieces == 0 {
            return Err(Failure::Handler("an order of nothing. pieces=`0`".to_owned()));
        }
        *batch.pieces.entry(order.product).or_default() += sign * i64::from(order.pieces);
        batch.events += 1;
        Ok(())
    }

    async fn flush(&self, batch: &mut Gathered, tx: &mut Tx<'_>) -> Result<(), Error> {
        let upsert = "INSERT INTO on_order VALUES (?1, ?2)
            ON CONFLICT (product) DO UPDATE SET pieces = pieces + excluded.pieces";
        for (product, pieces) in &batch.pieces {
            tx.execute(upsert, &[product, pieces]).await?;
        }
        Ok(())
    }

    fn committed(&self, batch: Gathered) {
        // After the sync and not before: who is woken by this sees it in the table.
        self.counted.send_modify(|events| *events += batch.events);
    }
}

/// A reader at work.
struct Running {
    control: Control,
    counted: watch::Receiver<u64>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    /// Its name is what it is known by: what it received, and where it goes on.
    fn start(name: &str, database: &Database, log: &Arc<Log>, clock: &Clock) -> Running {
        let counted = watch::Sender::new(0);
        let seen = counted.subscribe();
        let database = database.clone();
        let log = Arc::clone(log);
        let clock = Arc::clone(clock);
        let retry = Retry { attempts: 2, backoff: Duration::from_millis(10) };
        let handler = OnOrder { counted };
        let subscription = Subscription::new(name, orders(), database, log, handler, retry, clock);
        let control = subscription.control();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(subscription.run(async { _ = stopped.await }));
        Running { control, counted: seen, stop, task }
    }

    /// Until so many events were counted since the start.
    async fn counted(&mut self, events: u64) -> Result<(), Error> {
        let reached = self.counted.wait_for(|counted| *counted >= events).await;
        reached.map(|_| ()).map_err(|_| Error::Closed)
    }

    /// Until `is_so` of its control.
    async fn until(
        &self,
        is_so: impl AsyncFn(&Control) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        while !is_so(&self.control).await? {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    async fn stop(self) {
        drop(self.stop);
        self.task.await.expect("a subscription does not panic");
    }
}

async fn caught_up(control: &Control) -> Result<bool, Error> {
    Ok(control.status().await?.lag == 0)
}

async fn has_a_dead_letter(control: &Control) -> Result<bool, Error> {
    Ok(!control.dead(1).await?.is_empty())
}

async fn has_nothing_parked(control: &Control) -> Result<bool, Error> {
    Ok(control.parked().await? == 0)
}

fn orders() -> Topic {
    Topic::parse("order").expect("a topic's name")
}

/// The question that the table is for.
async fn on_order(database: &Database) -> Result<Pieces, Error> {
    let select = "SELECT product, pieces FROM on_order";
    let read = database.read(&(), |(), rows| {
        Box::pin(rows.all(select, &[], |row| Ok::<_, Error>((row.get(0)?, row.get(1)?))))
    });
    Ok(read.await?.into_iter().collect())
}

/// An event as a publisher's outbox would stamp it. Here there is no publisher, only its log.
fn event(number: u64, kind: &str, order: &str, data: &str) -> Result<Event, Error> {
    let text = format!(
        r#"{{"specversion":"1.0", "id":"{number}", "source":"shop", "type":"{kind}",
        "subject":"{order}", "time":"2024-05-01T12:00:00Z", "outboxsequence":"{number}",
        "data":{data}}}"#
    );
    Event::from_json(text.as_bytes())
}

/// What happened, and what the table has then.
#[derive(Debug)]
struct Chapter {
    what: &'static str,
    pieces: Pieces,
}

async fn story(folder: &Path, clock: Clock) -> Result<Vec<Chapter>, Error> {
    let log = Arc::new(Log::open(folder, &[orders()], clock.clone())?);
    let open = |name: &str| {
        let path = folder.join(name);
        Database::open(Options { path, schema: SCHEMA, publishes: None, clock: clock.clone() })
    };
    let placed = |number, order, data| event(number, "OrderPlaced", order, data);
    let mut chapters = Vec::new();
    let mut tell = async |what, database: &Database| -> Result<(), Error> {
        chapters.push(Chapter { what, pieces: on_order(database).await? });
        Ok(())
    };

    let three = vec![
        placed(1, "o-1", r#"{"product":"tv", "pieces":3}"#)?,
        placed(2, "o-2", r#"{"product":"radio", "pieces":1}"#)?,
        placed(3, "o-3", r#"{"product":"tv", "pieces":2, "gift":true}"#)?,
    ];
    log.publish(&orders().first(), three).await?;
    let database = open("on-order.db")?;
    let mut running = Running::start("on-order.order", &database, &log, &clock);
    running.counted(3).await?;
    tell("three orders are counted", &database).await?;

    running.stop().await;
    let cancelled = event(4, "OrderCancelled", "o-1", r#"{"product":"tv", "pieces":3}"#)?;
    log.publish(&orders().first(), vec![cancelled]).await?;
    let mut running = Running::start("on-order.order", &database, &log, &clock);
    running.counted(1).await?;
    tell("one was cancelled while nobody counted", &database).await?;

    running.control.rewind().await?;
    running.until(caught_up).await?;
    tell("everything is delivered once more", &database).await?;

    let with_a_wrong_one = vec![
        placed(5, "o-4", r#"{"product":"tv", "pieces":0}"#)?,
        placed(6, "o-4", r#"{"product":"tv", "pieces":9}"#)?,
        placed(7, "o-5", r#"{"product":"radio", "pieces":4}"#)?,
    ];
    log.publish(&orders().first(), with_a_wrong_one).await?;
    running.until(has_a_dead_letter).await?;
    // What follows of its order waits behind it; another order does not.
    tell("one makes no sense and holds up its own order", &database).await?;

    // It was read, and there is nothing to mend: its effect is not wanted.
    let letter = running.control.dead(1).await?.remove(0);
    running.control.discard(&letter.id, "the story").await?;
    running.until(has_nothing_parked).await?;
    tell("it is dropped, and what waited behind it follows", &database).await?;
    running.stop().await;

    let second = open("second.db")?;
    let running = Running::start("second.order", &second, &log, &clock);
    running.until(has_a_dead_letter).await?;
    tell("a second reader has its own table, and its own dead letter", &second).await?;
    running.stop().await;
    Ok(chapters)
}

#[expect(clippy::disallowed_methods, reason = "the edge of a program is where the clock is read")]
fn wall() -> Clock {
    Arc::new(jiff::Timestamp::now)
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "an example shows what it does")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    for Chapter { what, pieces } in story(folder.path(), wall()).await? {
        println!("{what}: {pieces:?}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_table_is_right_in_every_chapter() {
        let folder = tempfile::tempdir().unwrap();
        let deadline = Duration::from_secs(60);
        let chapters = tokio::time::timeout(deadline, story(folder.path(), wall())).await;
        let chapters = chapters.expect("in time").unwrap();
        let expected = [(1, 5), (1, 2), (1, 2), (5, 2), (5, 11), (5, 2)]
            .map(|(radio, tv)| Pieces::from([("radio".to_owned(), radio), ("tv".to_owned(), tv)]));
        let tables: Vec<&Pieces> = chapters.iter().map(|chapter| &chapter.pieces).collect();
        assert_eq!(tables, expected.iter().collect::<Vec<_>>(), "{chapters:?}");
    }
}
