//! The reader of this test: a subscription, or deliveries, that dies of an event; and what it left, for whoever looks.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use yeoul_events::deliveries::{self, Answer, Deliveries, Pace, Receiver, Timing};
use yeoul_events::store::{Database, Options, Served, Tables, Tx};
use yeoul_events::{
    Clock, Control, DeadLetter, Error, Event, Failure, Handler, Log, Retry, Subscription, Topic,
};

/// Attempts that an event may have.
pub(crate) const ATTEMPTS: u32 = 3;
/// Between two of them.
const BACKOFF: Duration = Duration::from_millis(20);
/// How long a reader may take to be done.
const DEADLINE: Duration = Duration::from_secs(60);
const SUBSCRIPTION: &str = "product.order";
/// Where deliveries are noted.
const DELIVERED: &str = "delivered";
/// Made when the event that ends the process later failed for the first time.
const FAILED: &str = "failed";

/// Some tens of milliseconds.
const SLOW: &str =
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)
    SELECT count(*) FROM n";

const TABLES: Tables = Tables {
    embedded: &["CREATE TABLE effect (number INTEGER NOT NULL) STRICT"],
    served: &["CREATE TABLE effect (number BIGINT NOT NULL)"],
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// A handler that dies, and one of another database beside it that does not.
    Handlers,
    Pushed,
}

pub(crate) enum Store {
    File,
    Server(String),
}

impl Store {
    pub(crate) fn argument(&self) -> &str {
        match self {
            Store::File => "",
            Store::Server(address) => address,
        }
    }

    fn parse(argument: &str) -> Store {
        if argument.is_empty() { Store::File } else { Store::Server(argument.to_owned()) }
    }

    async fn open(&self, folder: &Path, tables: Tables) -> Database {
        let opened = match self {
            Store::File => file(folder, "product", tables),
            Store::Server(address) => {
                let (address, name) = (address.clone(), "product".to_owned());
                let schema = tables.served;
                let served = Served {
                    address,
                    name,
                    schema,
                    publishes: None,
                    connections: 4,
                    clock: clock(),
                };
                Database::connect(served).await
            }
        };
        opened.expect("a database")
    }
}

fn file(folder: &Path, name: &str, tables: Tables) -> Result<Database, Error> {
    let path = folder.join(format!("{name}.db"));
    Database::open(Options { path, schema: tables.embedded, publishes: None, clock: clock() })
}

pub(crate) fn clock() -> Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this program is the edge: what is due has to become so"
    )]
    Arc::new(jiff::Timestamp::now)
}

pub(crate) fn topic() -> Topic {
    Topic::parse("order").expect("a topic")
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

impl Reader {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Reader::Handlers => "handlers",
            Reader::Pushed => "pushed",
        }
    }

    pub(crate) fn parse(name: &str) -> Reader {
        if name == "pushed" { Reader::Pushed } else { Reader::Handlers }
    }

    fn tables(self) -> Tables {
        match self {
            Reader::Handlers => TABLES,
            Reader::Pushed => deliveries::TABLES,
        }
    }

    /// Reads until there is nothing left to do; dies of what kills it before.
    pub(crate) fn run(self, folder: &Path, store: &str) {
        runtime().block_on(async {
            let log = Arc::new(Log::open(folder, &[topic()], clock()).expect("a log"));
            let database = Store::parse(store).open(folder, self.tables()).await;
            match self {
                Reader::Handlers => handlers(folder, &database, &log).await,
                Reader::Pushed => pushed(folder, &database, &log).await,
            }
        });
    }

    pub(crate) async fn letters(self, folder: &Path, store: &Store) -> Vec<DeadLetter> {
        let log = Arc::new(Log::open(folder, &[topic()], clock()).expect("a log"));
        let database = store.open(folder, self.tables()).await;
        let control = Control::resting(SUBSCRIPTION, topic(), database.clone(), log, clock());
        let letters = control.dead(10).await.expect("read");
        database.close().await;
        letters
    }

    /// The numbers of what was handled, as often as it was.
    pub(crate) async fn handled(self, folder: &Path, store: &Store) -> Vec<u64> {
        match self {
            Reader::Handlers => numbers(&store.open(folder, TABLES).await).await,
            Reader::Pushed => {
                let text = fs::read_to_string(folder.join(DELIVERED)).expect("delivered");
                text.lines().map(|line| line.parse().expect("a number")).collect()
            }
        }
    }
}

/// How many events the handler had that runs beside the one that dies.
pub(crate) async fn beside(folder: &Path) -> usize {
    numbers(&file(folder, "beside", TABLES).expect("a database")).await.len()
}

async fn numbers(database: &Database) -> Vec<u64> {
    let select = "SELECT number FROM effect ORDER BY number";
    let read =
        database.read(&(), |(), rows| Box::pin(rows.all(select, &[], |row| row.get::<u64>(0))));
    let numbers = read.await.expect("read");
    database.close().await;
    numbers
}

/// Dies of an event, or is slow.
struct Effects {
    poison: Option<Deadly>,
}

/// Where it is noted that an event failed once.
struct Deadly {
    failed: PathBuf,
}

impl Deadly {
    fn within(folder: &Path) -> Deadly {
        Deadly { failed: folder.join(FAILED) }
    }

    /// Ends the process, or fails, or neither.
    fn taste(&self, event: &Event) -> Result<(), String> {
        match event.key.as_str() {
            "kills" => std::process::abort(),
            "kills-later" if self.failed.exists() => std::process::abort(),
            "kills-later" => {
                fs::write(&self.failed, "").expect("noted");
                Err("not yet".to_owned())
            }
            _ => Ok(()),
        }
    }
}

impl Handler for Effects {
    type Batch = ();

    async fn handle(&self, (): &mut (), tx: &mut Tx<'_>, event: &Event) -> Result<(), Failure> {
        tx.execute("INSERT INTO effect (number) VALUES (?1)", &[&event.sequence]).await?;
        let Some(poison) = &self.poison else {
            // Slow enough to be at work when the other one dies.
            tx.one(SLOW, &[], |row| row.get::<u64>(0)).await?;
            return Ok(());
        };
        poison.taste(event).map_err(Failure::Handler)
    }
}

impl Receiver for Deadly {
    type Permit = ();

    async fn permit(&self) {}

    async fn deliver(&self, (): (), event: &Event, _attempt: u32) -> Answer {
        if let Err(reason) = self.taste(event) {
            return Answer::Failed(reason);
        }
        let path = self.failed.with_file_name(DELIVERED);
        let file = fs::OpenOptions::new().create(true).append(true).open(path);
        writeln!(file.expect("a file"), "{}", event.sequence).expect("written");
        Answer::Acknowledged
    }
}

async fn handlers(folder: &Path, database: &Database, log: &Arc<Log>) {
    let retry = Retry { attempts: ATTEMPTS, backoff: BACKOFF };
    let beside = file(folder, "beside", TABLES).expect("a database");
    let subscription = |name: &str, database: &Database, poison| {
        let (database, log) = (database.clone(), Arc::clone(log));
        Subscription::new(name, topic(), database, log, Effects { poison }, retry, clock())
    };
    let innocent = subscription("mypage.order", &beside, None);
    let deadly = subscription(SUBSCRIPTION, database, Some(Deadly::within(folder)));
    let done = [innocent.control(), deadly.control()].map(done);
    tokio::select! {
        () = innocent.run(std::future::pending()) => {}
        () = deadly.run(std::future::pending()) => {}
        () = all(done) => {}
    }
}

async fn pushed(folder: &Path, database: &Database, log: &Arc<Log>) {
    let pace = Pace { attempts: ATTEMPTS, backoff: BACKOFF };
    let timing = Timing { pace, clock: clock(), jitter: Arc::new(|| 1.0) };
    let (database, log) = (database.clone(), Arc::clone(log));
    let receiver = Deadly::within(folder);
    let deliveries = Deliveries::new(SUBSCRIPTION, topic(), database, log, receiver, timing);
    let done = done(deliveries.control());
    tokio::select! {
        () = deliveries.run(std::future::pending()) => {}
        () = done => {}
    }
}

async fn all(done: [impl Future<Output = ()>; 2]) {
    for one in done {
        one.await;
    }
}

/// Resolves once it has taken everything, and nothing is tried again by itself.
async fn done(control: Control) {
    let polled = async {
        loop {
            let status = control.status().await.expect("a status");
            if status.lag == 0 && control.retried(1).await.expect("read").is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, polled).await.expect("in time");
}
