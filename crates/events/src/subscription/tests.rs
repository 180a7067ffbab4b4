//! Effects happen once, in order per key, and a failing key holds up only itself.

mod compacted;
mod damage;
mod embedded;
mod retained;
mod served;

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::broker::Offset;
use crate::event::{Cause, Draft};
use crate::fixture::running::{self, Running};
use crate::fixture::{ManualClock, stamped, topic, until};
use crate::local::Log;
use crate::store::{Options, Publishes};

const SCHEMA: &[&str] = &[
    "CREATE TABLE effect (place INTEGER PRIMARY KEY, key TEXT NOT NULL, number INTEGER NOT NULL)",
];

/// As it is on a server.
const SERVED: &[&str] = &["CREATE TABLE effect (
    place BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY, key TEXT NOT NULL, number BIGINT NOT NULL)"];

const RETRY: Retry = Retry { attempts: 3, backoff: Duration::from_secs(1) };

/// What a handler shall do with events of a key, and how often it was asked.
#[derive(Clone, Default)]
struct Orders {
    wrong: Arc<Mutex<HashMap<String, Wrong>>>,
    calls: Arc<Mutex<HashMap<u64, u32>>>,
    committed: Arc<Mutex<Vec<u64>>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Wrong {
    Fails,
    Panics,
    HasNoDisk,
}

impl Orders {
    fn break_key(&self, key: &str, wrong: Wrong) {
        self.wrong.lock().unwrap().insert(key.to_owned(), wrong);
    }

    fn repair(&self, key: &str) {
        self.wrong.lock().unwrap().remove(key);
    }

    fn calls(&self, number: u64) -> u32 {
        self.calls.lock().unwrap().get(&number).copied().unwrap_or(0)
    }

    /// Stores the effect first, so that only a roll-back keeps it from standing.
    async fn apply(&self, tx: &mut Tx<'_>, event: &Event) -> Result<(), Failure> {
        *self.calls.lock().unwrap().entry(event.sequence).or_default() += 1;
        effect(tx, &event.key, event.sequence).await?;
        let cause = Cause::of(event);
        tx.publish(Draft::new("Handled", &event.key, event.sequence, &(), &cause)).await?;
        let wrong = self.wrong.lock().unwrap().get(&event.key).copied();
        match wrong {
            None => Ok(()),
            Some(Wrong::Fails) => Err(Failure::Handler(format!("{} is broken", event.key))),
            Some(Wrong::Panics) => panic!("{} panics", event.key),
            Some(Wrong::HasNoDisk) => Err(Failure::Environment(Error::environment("disk full"))),
        }
    }
}

impl Handler for Orders {
    type Batch = ();

    async fn handle(&self, (): &mut (), tx: &mut Tx<'_>, event: &Event) -> Result<(), Failure> {
        self.apply(tx, event).await
    }
}

/// Stores an effect.
async fn effect(tx: &mut Tx<'_>, key: &str, number: u64) -> Result<(), Error> {
    tx.execute("INSERT INTO effect (key, number) VALUES (?1, ?2)", &[&key, &number]).await?;
    Ok(())
}

/// A log, a consumer's database and what its handler is told to do.
struct Bench {
    _folder: TempDir,
    log: Arc<Log>,
    database: Database,
    orders: Orders,
    clock: ManualClock,
}

impl Bench {
    fn new() -> Bench {
        let folder = TempDir::new().unwrap();
        let clock = ManualClock::default();
        let log = Log::open(folder.path(), &[topic("order")], clock.component()).unwrap();
        let database = open(&folder, &clock);
        let orders = Orders::default();
        Bench { log: Arc::new(log), database, orders, clock, _folder: folder }
    }

    async fn served() -> Bench {
        let folder = TempDir::new().unwrap();
        let clock = ManualClock::default();
        let log = Log::open(folder.path(), &[topic("order")], clock.component()).unwrap();
        let place = crate::store::served::TestSchema::fresh();
        let database = place.open(SERVED, Some(publishes()), clock.component()).await;
        let orders = Orders::default();
        Bench { log: Arc::new(log), database, orders, clock, _folder: folder }
    }

    fn subscription<H: Handler>(&self, handler: H) -> Subscription<H> {
        let (database, log) = (self.database.clone(), self.log.clone());
        let clock = self.clock.component();
        Subscription::new("product.order", topic("order"), database, log, handler, RETRY, clock)
    }

    fn start(&self) -> Running {
        start(self.subscription(self.orders.clone()))
    }

    /// Stores events numbered on from `first`, one per key given.
    async fn publish(&self, first: u64, keys: &[&str]) {
        running::publish(&*self.log, first, keys).await;
    }

    async fn effects(&self) -> Vec<(String, u64)> {
        let select = "SELECT key, number FROM effect ORDER BY place";
        let read = self.database.read(&(), |(), rows| {
            Box::pin(rows.all(select, &[], |row| Ok::<_, Error>((row.get(0)?, row.get(1)?))))
        });
        read.await.unwrap()
    }

    async fn of_key(&self, key: &str) -> Vec<u64> {
        self.effects().await.into_iter().filter(|it| it.0 == key).map(|it| it.1).collect()
    }

    /// Changes rows as nothing of the crate would; how many.
    async fn hurt(&self, statement: &str) -> u64 {
        let work = self
            .database
            .write(statement.to_owned(), |statement, tx| Box::pin(tx.execute(statement, &[])));
        work.await.unwrap()
    }

    /// Waits until everything stored is taken.
    async fn caught_up(&self, control: &Control) {
        until(async || {
            let status = control.status().await.unwrap();
            if status.lag == 0 && status.partitions.iter().any(|one| one.end > Offset(0)) {
                Ok(())
            } else {
                Err(format!("{status:?}"))
            }
        })
        .await;
    }

    /// Moves the clock until there are so many dead letters.
    async fn dead(&self, control: &Control, letters: usize) {
        running::dead(control, &self.clock, RETRY.backoff, letters).await;
    }

    async fn effects_are(&self, key: &str, expected: &[u64]) {
        until(async || {
            let there = self.of_key(key).await;
            if there == expected { Ok(()) } else { Err(format!("{key}: {there:?}")) }
        })
        .await;
    }
}

fn publishes() -> Publishes {
    Publishes {
        source: "product".to_owned(),
        topic: topic("product"),
        partitions: crate::partition::Partitions::ONE,
    }
}

fn open(folder: &TempDir, clock: &ManualClock) -> Database {
    let publishes = Some(publishes());
    let path = folder.path().join("product.db");
    Database::open(Options { path, schema: SCHEMA, publishes, clock: clock.component() }).unwrap()
}

fn start<H: Handler>(subscription: Subscription<H>) -> Running {
    Running::start(subscription.control(), |stop| subscription.run(stop))
}
