//! Topics that answer, that do not, and that have what another folder published.

use chassis::clock;
use events::broker::{NumberedId, Offset, Pending, Stored};
use events::local::Log;
use events::store::Location;
use events::{Declared, Error, Event, Offer, Partitions, TopicPartition, relay};
use tempfile::TempDir;

use super::*;

/// More than ten times how long it takes until something is relayed.
const BY: Duration = Duration::from_secs(60);

/// A log that counts nothing, as a broker elsewhere; of `silent`/1 it says nothing while that lasts, and `strange` is another
/// folder's.
struct Elsewhere {
    log: Log,
    is_silent: watch::Sender<bool>,
}

impl Elsewhere {
    fn newest(&self, at: &TopicPartition) -> Result<Vec<NumberedId>, Error> {
        let other = || NumberedId { number: 9, source: "/other".into(), id: "9".into() };
        match (at.topic.as_str(), at.partition.index()) {
            ("silent", 1) if *self.is_silent.borrow() => {
                Err(Error::environment("no server leads it"))
            }
            ("strange", 0) => Ok(vec![other()]),
            _ => Ok(Vec::new()),
        }
    }
}

impl Broker for Elsewhere {
    fn publish<'a>(&'a self, at: &'a TopicPartition, batch: Vec<Event>) -> Pending<'a, Offset> {
        self.log.publish(at, batch)
    }

    fn read<'a>(
        &'a self,
        at: &'a TopicPartition,
        after: Offset,
        limit: usize,
    ) -> Pending<'a, Vec<Stored>> {
        self.log.read(at, after, limit)
    }

    fn end<'a>(&'a self, at: &'a TopicPartition) -> Pending<'a, Offset> {
        self.log.end(at)
    }

    fn watch<'a>(&'a self, at: &'a TopicPartition) -> Pending<'a, watch::Receiver<Offset>> {
        self.log.watch(at)
    }

    fn newest_ids<'a>(
        &'a self,
        at: &'a TopicPartition,
        _: &'a str,
    ) -> Pending<'a, Vec<NumberedId>> {
        Box::pin(async move { self.newest(at) })
    }

    fn topics(&self) -> Vec<Topic> {
        self.log.topics()
    }

    fn partitions(&self, topic: &Topic) -> Result<Partitions, Error> {
        self.log.partitions(topic)
    }

    fn promise(&self) -> String {
        self.log.promise()
    }
}

/// A start without the broker, which is there by now.
struct Started {
    broker: Arc<Elsewhere>,
    taking: Taking,
    readiness: Readiness,
    controls: Vec<relay::Control>,
    stop: Stop,
    _folder: TempDir,
}

impl Started {
    async fn with(topics: &[&str]) -> Started {
        let folder = TempDir::new().unwrap();
        let declared = |name: &&str| Declared {
            topic: Topic::parse(name).unwrap(),
            partitions: Partitions::new(2).unwrap(),
        };
        let declared: Vec<Declared> = topics.iter().map(declared).collect();
        let log = Log::open_declared(folder.path(), &declared, clock::component()).unwrap();
        let broker = Arc::new(Elsewhere { log, is_silent: watch::Sender::new(true) });
        let mut all = Vec::new();
        for it in declared {
            let path = folder.path().join(format!("{}.db", it.topic));
            let opened = Outbox::open(Location::File(path), it, clock::component()).await;
            all.push(opened.unwrap());
        }
        let taking = Taking::of(&Takers::Outboxes(all), false);
        let databases: Vec<_> = taking.databases().collect();
        let engine: Arc<dyn Broker> = broker.clone();
        let controls = outboxes::relays(&databases, &engine);
        let (readiness, stop) = (Readiness::new(), Stop::new());
        let started = Started { broker, taking, readiness, controls, stop, _folder: folder };
        started.taking.relays(&engine, &started.stop).into_iter().for_each(run);
        let keep = started.taking.keep(&engine, &started.readiness, &started.stop);
        keep.into_iter().for_each(run);
        started
    }

    /// Has each topic's outbox take an event.
    async fn publish(&self) {
        let paid = br#"{"specversion":"1.0","id":"1","source":"/a","type":"Paid","subject":"k","time":"2024-05-01T12:00:00Z","data":1}"#;
        let event = Event::from_json(paid).unwrap();
        for outbox in self.taking.outboxes() {
            // One whose topic is another folder's takes none.
            _ = outbox.offer(Offer::new(std::slice::from_ref(&event)).unwrap()).await;
        }
    }

    async fn until(&self, what: &str, is: impl Fn(&[relay::Status]) -> bool) {
        let seen = || self.controls.iter().map(relay::Control::status).collect::<Vec<_>>();
        let wait = async {
            while !is(&seen()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let came = tokio::time::timeout(BY, wait).await;
        assert!(came.is_ok(), "{what}: {:?}", seen());
    }
}

fn run(it: Loop) {
    tokio::spawn(it);
}

fn is_relayed(status: &relay::Status) -> bool {
    status.relayed.iter().map(|one| one.number).sum::<u64>() == 1 && status.stuck.is_none()
}

fn says(status: &relay::Status, words: &[&str]) -> bool {
    let stuck = status.stuck.as_deref().unwrap_or_default();
    status.since.is_some() && words.iter().all(|it| stuck.contains(it))
}

#[tokio::test]
async fn a_topic_that_does_not_answer_holds_up_its_own_relay_alone_and_says_why() {
    let started = Started::with(&["silent", "well"]).await;
    started.publish().await;
    started.until("the other goes on", |all| is_relayed(&all[1])).await;
    let why = ["rests", "`silent/1`", "no server leads it"];
    started.until("it says why", |all| says(&all[0], &why) && all[0].lag == 1).await;
    started.broker.is_silent.send_replace(false);
    started.until("both went on", |all| all.iter().all(is_relayed)).await;
    assert!(started.readiness.report().ready);
}

#[tokio::test]
async fn what_another_folder_published_has_all_rest_whatever_answered_before() {
    let started = Started::with(&["well", "strange"]).await;
    let why = ["rests", "another folder publishes to `strange`"];
    started.until("both say why", |all| all.iter().all(|it| says(it, &why))).await;
    started.publish().await;
    let report = started.readiness.report();
    let missing = report.shown["missing"]["strange"].as_str().unwrap();
    assert!(!report.ready && missing.contains("number=`9`"), "{missing}");
    let lags: Vec<u64> = started.controls.iter().map(|it| it.status().lag).collect();
    assert_eq!(lags, [1, 0], "what is taken waits, and of the other's topic nothing is taken");
}
