//! Pages say since when they do not follow the events, and stop saying it by themselves.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use events::store::Tx;
use events::subscription::{Control, Received};
use events::{Broker, Error, Event, Failure, Handler, Log, Retry, Subscription, Topic};
use jiff::Timestamp;
use serde_json::json;
use yeoul_views::{BEHIND_MAX, Fold, LATE_LOOKS, LOOK_EVERY, Look, Views};

use crate::mall::{definitions, event, order, settings};

const SOON: Duration = Duration::from_secs(30);

/// A read side whose `order` topic is folded by a subscription that can rest, fail and be late.
struct Running {
    views: Views,
    log: Arc<Log>,
    control: Control,
    paused: tokio::sync::watch::Sender<bool>,
    /// Whether events of key 1 fail.
    failing: Arc<AtomicBool>,
    /// Whether events of key 2 stop the fold: there is no room for what they change.
    no_room: Arc<AtomicBool>,
    /// Seconds.
    clock: Arc<AtomicI64>,
    _folder: tempfile::TempDir,
}

/// The fold, on a disk that can be full.
struct OnDisk {
    fold: Fold,
    no_room: Arc<AtomicBool>,
}

impl Handler for OnDisk {
    type Batch = <Fold as Handler>::Batch;

    const PASSES_EXPIRED: bool = <Fold as Handler>::PASSES_EXPIRED;

    async fn handle(
        &self,
        batch: &mut Self::Batch,
        tx: &mut Tx<'_>,
        event: &Event,
    ) -> Result<(), Failure> {
        if self.no_room.load(Ordering::SeqCst) && event.key == "2" {
            return Err(Failure::Environment(Error::environment("disk full")));
        }
        self.fold.handle(batch, tx, event).await
    }

    async fn flush(&self, batch: &mut Self::Batch, tx: &mut Tx<'_>) -> Result<(), Error> {
        self.fold.flush(batch, tx).await
    }

    fn committed(&self, batch: Self::Batch) {
        self.fold.committed(batch);
    }

    fn received(&self, received: &[Received]) {
        self.fold.received(received);
    }
}

impl Running {
    async fn start() -> Running {
        let folder = tempfile::tempdir().expect("a folder");
        let seconds = Arc::new(AtomicI64::new(event("order", 1, "x", json!({})).time.as_second()));
        let read = Arc::clone(&seconds);
        let clock: events::Clock =
            Arc::new(move || Timestamp::from_second(read.load(Ordering::SeqCst)).expect("a time"));
        let views = open(folder.path(), &clock);
        let topic = Topic::parse("order").expect("a topic");
        let log = Log::open(folder.path(), std::slice::from_ref(&topic), clock.clone());
        let log = Arc::new(log.expect("a log"));
        let (paused, resting) = tokio::sync::watch::channel(true);
        let failing = Arc::new(AtomicBool::new(false));
        let fails = Arc::clone(&failing);
        let fault = Arc::new(move |event: &Event| {
            let hit = fails.load(Ordering::SeqCst) && event.key == "1";
            if hit { Err("on purpose".to_owned()) } else { Ok(()) }
        });
        let no_room = Arc::new(AtomicBool::new(false));
        let fold = OnDisk { fold: views.fold(), no_room: Arc::clone(&no_room) };
        let retry = Retry { attempts: 1, backoff: Duration::from_millis(1) };
        let (database, broker) = (views.database().clone(), log.clone() as Arc<dyn Broker>);
        let subscription =
            Subscription::new("v.order", topic, database, broker, fold, retry, clock)
                .paused(resting)
                .fault(fault);
        let control = subscription.control();
        views.attach(control.clone()).await;
        tokio::spawn(subscription.run(std::future::pending()));
        let watched = views.clone();
        tokio::spawn(async move { watched.watch_folds().await });
        let clock = seconds;
        Running { views, log, control, paused, failing, no_room, clock, _folder: folder }
    }

    async fn publish(&self, id: u64, owner: &str) -> Timestamp {
        let placed = event("order", id, "OrderPlaced", order(id, owner, 1, 1));
        self.store(placed).await
    }

    async fn store(&self, placed: Event) -> Timestamp {
        let (topic, time) = (Topic::parse("order").expect("a topic"), placed.time);
        self.log.publish(&topic.first(), vec![placed]).await.expect("published");
        time
    }

    /// The same of one that nobody is to act on any more.
    async fn publish_expired(&self, id: u64) {
        let placed = event("order", id, "OrderPlaced", order(id, "a@b", 1, 1)).to_json();
        let mut said: serde_json::Value = serde_json::from_slice(&placed).expect("JSON");
        said["expirytime"] = json!("1970-01-01T00:00:00Z");
        let expired = Event::from_json(said.to_string().as_bytes()).expect("an event");
        assert!(expired.is_expired(expired.time));
        self.store(expired).await;
    }

    async fn has_row(&self, order: &str) -> bool {
        self.views.row("orders", order).await.expect("a read").is_some()
    }

    fn since(&self, owner: Option<&str>) -> Option<Timestamp> {
        let page = self.views.pages().next().expect("one page");
        self.views.stale_since(page, owner)
    }

    async fn says(&self, owner: Option<&str>, expected: Option<Timestamp>) {
        let until = async {
            while self.since(owner) != expected {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let reached = tokio::time::timeout(SOON, until).await;
        assert!(reached.is_ok(), "{owner:?} says {:?}, not {expected:?}", self.since(owner));
    }

    /// Waits until everything that is there was taken.
    async fn takes_all(&self) {
        let until = async {
            while self.control.status().await.expect("a status").lag > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(SOON, until).await.expect("taken in time");
    }

    fn set_clock(&self, time: Timestamp, late: Duration) {
        let seconds = time.as_second() + late.as_secs().cast_signed();
        self.clock.store(seconds, Ordering::SeqCst);
    }
}

fn open(folder: &Path, clock: &events::Clock) -> Views {
    let look = Look { locales: vec!["ko".to_owned()], ..Look::default() };
    Views::open(folder, definitions(&settings()), look, clock.clone()).expect("views open")
}

#[tokio::test]
async fn a_page_says_that_it_is_behind_once_its_first_missing_event_is_old_and_clears() {
    let running = Running::start().await;
    let time = running.publish(1, "a@b").await;
    let second = Duration::from_secs(1);
    for _ in 0..2 {
        running.set_clock(time, BEHIND_MAX + second);
        running.says(Some("a@b"), Some(time)).await;
        running.says(Some("anybody@b"), Some(time)).await;
        running.says(None, Some(time)).await;
        running.set_clock(time, BEHIND_MAX);
        running.says(Some("a@b"), None).await;
    }
    running.set_clock(time, BEHIND_MAX + second);
    running.says(None, Some(time)).await;
    running.paused.send_replace(false);
    running.says(None, None).await;
}

#[tokio::test]
async fn an_event_that_was_given_up_is_said_to_its_owner_alone_until_it_is_done_after_all() {
    let running = Running::start().await;
    running.failing.store(true, Ordering::SeqCst);
    running.paused.send_replace(false);
    let time = running.publish(1, "a@b").await;
    running.publish(2, "c@b").await;
    running.set_clock(time, Duration::from_secs(3600));
    running.says(Some("a@b"), Some(time)).await;
    running.says(Some("c@b"), None).await;
    running.says(None, None).await;
    running.failing.store(false, Ordering::SeqCst);
    let dead = running.control.dead(9).await.expect("a read");
    assert!(running.control.redrive(&dead[0].id).await.expect("redriven"));
    running.says(Some("a@b"), None).await;
}

#[tokio::test]
async fn a_fold_that_is_stuck_on_an_event_is_as_old_as_that_event_at_once_and_goes_on_by_itself() {
    let running = Running::start().await;
    running.paused.send_replace(false);
    running.publish(1, "c@b").await;
    running.takes_all().await;
    running.no_room.store(true, Ordering::SeqCst);
    let time = running.publish(2, "a@b").await;
    // By the clock nothing is late: it is the standing still that is said, to whoever reads.
    running.set_clock(time, Duration::ZERO);
    for owner in [Some("a@b"), Some("c@b"), None] {
        running.says(owner, Some(time)).await;
    }
    let stuck = running.control.status().await.expect("a status").stuck;
    assert!(stuck.is_some_and(|why| why.contains("disk full")));
    running.no_room.store(false, Ordering::SeqCst);
    for owner in [Some("a@b"), Some("c@b"), None] {
        running.says(owner, None).await;
    }
    assert!(running.control.dead(9).await.expect("a read").is_empty(), "nothing was given up");
}

#[tokio::test]
async fn a_missing_event_as_old_as_the_limit_is_not_late_and_one_that_is_older_is() {
    let running = Running::start().await;
    let time = running.publish(1, "a@b").await;
    running.set_clock(time, BEHIND_MAX);
    // It is looked several times before it counts: nothing may be said in any of them.
    for _ in 0..(LATE_LOOKS + 2) {
        tokio::time::sleep(LOOK_EVERY).await;
        assert_eq!(running.since(Some("a@b")), None, "at the limit");
    }
    running.set_clock(time, BEHIND_MAX + Duration::from_secs(1));
    running.says(Some("a@b"), Some(time)).await;
}

#[tokio::test]
async fn a_view_has_what_an_event_said_however_late_it_is_folded() {
    let running = Running::start().await;
    running.failing.store(true, Ordering::SeqCst);
    running.paused.send_replace(false);
    running.publish_expired(1).await;
    running.publish_expired(2).await;
    running.takes_all().await;
    assert!(running.has_row("2").await, "rebuilt, it is the same view");
    running.failing.store(false, Ordering::SeqCst);
    let dead = running.control.dead(9).await.expect("a read");
    assert!(running.control.redrive(&dead[0].id).await.expect("redriven"));
    let until = async {
        while !running.has_row("1").await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SOON, until).await.expect("a parked one is folded too");
    assert_eq!(running.control.expired().await.expect("a read"), 0);
}
