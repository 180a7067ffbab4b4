//! Deliveries arrive at least once, of each key in order, whatever fails, stops or is moved; on files.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::*;
use crate::broker::Offset;
use crate::fixture::running::{self, Running};
use crate::fixture::{ManualClock, topic, until};
use crate::local::Log;
use crate::store::Options;
use crate::subscription::{BATCH_MAX, Destination};

mod paged;
mod shares;
mod trouble;

const PACE: Pace = Pace { attempts: 3, backoff: Duration::from_secs(1) };

/// Somebody who is delivered to, and does as a test says.
#[derive(Clone)]
struct Mailbox(Arc<Inside>);

struct Inside {
    said: Mutex<Said>,
    changed: Notify,
    slots: Arc<Semaphore>,
}

impl Default for Mailbox {
    fn default() -> Mailbox {
        Mailbox::of(Semaphore::MAX_PERMITS)
    }
}

#[derive(Default)]
struct Said {
    /// Keys whose events fail.
    failing: HashSet<String>,
    /// Keys whose events are not answered for.
    silent: HashSet<String>,
    /// Nobody is asked.
    is_away: bool,
    /// So many are put off before anything else.
    put_off: u32,
    /// Keys whose events are put off each time.
    put_off_keys: HashSet<String>,
    /// How often somebody began to wait for a permit.
    permits: u32,
    /// Attempts, in order.
    asked: Vec<u64>,
    /// What was acknowledged, in order, by key.
    taken: BTreeMap<String, Vec<u64>>,
    attempts: Vec<u32>,
    /// What was in the events of these.
    data: Vec<String>,
}

impl Mailbox {
    /// Who takes so many attempts at once.
    fn of(slots: usize) -> Mailbox {
        let slots = Arc::new(Semaphore::new(slots));
        Mailbox(Arc::new(Inside { said: Mutex::default(), changed: Notify::new(), slots }))
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.0.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, change: impl FnOnce(&mut Said)) {
        change(&mut self.said());
        self.0.changed.notify_waiters();
    }

    fn taken(&self, key: &str) -> Vec<u64> {
        self.said().taken.get(key).cloned().unwrap_or_default()
    }

    async fn took(&self, key: &str, expected: &[u64]) {
        until(async || {
            let taken = self.taken(key);
            if taken == expected { Ok(()) } else { Err(format!("{key}: {taken:?}")) }
        })
        .await;
    }

    /// Waits until a look at what was said gives something.
    async fn once<T>(&self, look: impl Fn(&Said) -> Option<T>) -> T {
        loop {
            let changed = self.0.changed.notified();
            if let Some(found) = look(&self.said()) {
                return found;
            }
            changed.await;
        }
    }
}

impl Receiver for Mailbox {
    type Permit = OwnedSemaphorePermit;

    async fn permit(&self) -> OwnedSemaphorePermit {
        self.said().permits += 1;
        self.once(|said| (!said.is_away).then_some(())).await;
        Arc::clone(&self.0.slots).acquire_owned().await.unwrap()
    }

    async fn deliver(&self, _permit: OwnedSemaphorePermit, event: &Event, attempt: u32) -> Answer {
        {
            let mut said = self.said();
            said.asked.push(event.sequence);
            said.attempts.push(attempt);
            said.data.push(event.data.get().to_owned());
            if said.put_off > 0 {
                said.put_off -= 1;
                return Answer::NotNow;
            }
            if said.put_off_keys.contains(&event.key) {
                return Answer::NotNow;
            }
        }
        self.once(|said| (!said.silent.contains(&event.key)).then_some(())).await;
        let mut said = self.said();
        if said.failing.contains(&event.key) {
            return Answer::Failed(format!("{} is broken", event.key));
        }
        said.taken.entry(event.key.clone()).or_default().push(event.sequence);
        Answer::Acknowledged
    }
}

struct Bench {
    folder: TempDir,
    log: Arc<Log>,
    database: Database,
    mailbox: Mailbox,
    clock: ManualClock,
    /// What tells apart whose turns they are.
    share: Option<&'static str>,
}

impl Bench {
    fn new() -> Bench {
        let folder = TempDir::new().unwrap();
        let clock = ManualClock::default();
        let log = Log::open(folder.path(), &[topic("order")], clock.component()).unwrap();
        let options = Options {
            path: folder.path().join("deliveries.db"),
            schema: TABLES.embedded,
            publishes: None,
            clock: clock.component(),
        };
        let database = Database::open(options).unwrap();
        let (log, mailbox) = (Arc::new(log), Mailbox::default());
        Bench { folder, log, database, mailbox, clock, share: None }
    }

    /// The same where shares have their turns.
    fn by_share(self, share: &'static str) -> Bench {
        Bench { share: Some(share), ..self }
    }

    /// The same with its rows on a server.
    async fn served() -> Bench {
        let bench = Bench::new();
        let place = crate::store::served::TestSchema::fresh();
        let database = place.open(TABLES.served, None, bench.clock.component()).await;
        Bench { database, ..bench }
    }

    fn deliveries(&self, broker: Arc<dyn Broker>) -> Deliveries<Mailbox> {
        self.deliveries_to(self.mailbox.clone(), broker)
    }

    fn deliveries_to(&self, mailbox: Mailbox, broker: Arc<dyn Broker>) -> Deliveries<Mailbox> {
        let deliveries = Deliveries::new(
            "mail.order",
            topic("order"),
            self.database.clone(),
            broker,
            mailbox,
            Timing { pace: PACE, clock: self.clock.component(), jitter: Arc::new(|| 1.0) },
        );
        match self.share {
            Some(by) => deliveries.by_share(by.parse().unwrap()),
            None => deliveries,
        }
    }

    /// A handle as another instance has one: whom it wakes is not who runs here.
    fn elsewhere(&self) -> Control {
        self.deliveries(self.log.clone()).control()
    }

    fn start(&self) -> Running {
        self.start_with(self.log.clone())
    }

    fn start_with(&self, broker: Arc<dyn Broker>) -> Running {
        let deliveries = self.deliveries(broker);
        Running::start(deliveries.control(), |stop| deliveries.run(stop))
    }

    /// Stores events numbered on from `first`, one per key given.
    async fn publish(&self, first: u64, keys: &[&str]) {
        running::publish(&*self.log, first, keys).await;
    }

    async fn caught_up(&self, control: &Control) {
        self.caught_up_to(control, 0).await;
    }

    /// Waits until it is so many events behind.
    async fn caught_up_to(&self, control: &Control, lag: u64) {
        until(async || {
            let status = control.status().await.unwrap();
            if status.lag == lag { Ok(()) } else { Err(format!("{status:?}")) }
        })
        .await;
    }

    async fn dead(&self, control: &Control, letters: usize) {
        running::dead(control, &self.clock, Duration::from_secs(4), letters).await;
    }

    /// Waits until so many attempts were made.
    async fn asked(&self, count: usize) {
        until(async || {
            let asked = self.mailbox.said().asked.len();
            if asked == count { Ok(()) } else { Err(format!("{asked} asked")) }
        })
        .await;
    }

    async fn rows(&self, table: &str) -> u64 {
        let count = format!("SELECT count(*) FROM {table}");
        let read = self
            .database
            .read(&count, |count, rows| Box::pin(rows.one(count, &[], |row| row.get::<u64>(0))));
        read.await.unwrap()
    }
}

#[tokio::test]
async fn a_paused_subscriber_is_asked_nothing_new_and_what_was_under_way_counts() {
    paused(Bench::new()).await;
}

#[tokio::test]
async fn on_a_server_too_a_paused_subscriber_is_asked_nothing_new() {
    paused(Bench::served().await).await;
}

async fn paused(bench: Bench) {
    bench.mailbox.tell(|said| _ = said.silent.insert("a".to_owned()));
    let running = bench.start();
    bench.publish(1, &["a"]).await;
    bench.asked(1).await;
    running.control.pause(None).await.unwrap();
    bench.publish(2, &["b"]).await;
    bench.mailbox.tell(|said| said.silent.clear());
    bench.mailbox.took("a", &[1]).await;
    // What was answered is written, and nothing else is begun.
    bench.caught_up_to(&running.control, 1).await;
    for _ in 0..20 {
        let status = running.control.status().await.unwrap();
        assert_eq!((status.lag, status.stuck), (1, None));
        bench.clock.advance(Duration::from_secs(60));
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.mailbox.said().asked, [1]);
    running.control.resume().await.unwrap();
    bench.mailbox.took("b", &[2]).await;
    bench.caught_up(&running.control).await;
    running.stop().await;
}

#[tokio::test]
async fn events_are_delivered_in_order_per_key_while_one_key_fails_and_then_it_follows() {
    one_key_fails(Bench::new()).await;
}

#[tokio::test]
async fn on_a_server_too_a_key_that_fails_holds_up_only_itself() {
    one_key_fails(Bench::served().await).await;
}

async fn one_key_fails(bench: Bench) {
    bench.mailbox.tell(|said| _ = said.failing.insert("a".to_owned()));
    let running = bench.start();
    bench.publish(1, &["a", "b", "a", "b", "c"]).await;
    bench.mailbox.took("b", &[2, 4]).await;
    bench.mailbox.took("c", &[5]).await;
    // The place moves over what is parked.
    bench.caught_up(&running.control).await;
    bench.publish(6, &["a", "b"]).await;
    bench.mailbox.took("b", &[2, 4, 7]).await;
    assert_eq!(bench.mailbox.taken("a"), [0; 0]);
    bench.mailbox.tell(|said| said.failing.clear());
    until(async || {
        bench.clock.advance(PACE.backoff);
        let taken = bench.mailbox.taken("a");
        if taken == [1, 3, 6] { Ok(()) } else { Err(format!("{taken:?}")) }
    })
    .await;
    // With nothing parked, what comes is delivered at once.
    bench.publish(8, &["a"]).await;
    bench.mailbox.took("a", &[1, 3, 6, 8]).await;
    running.stop().await;
    assert_eq!(bench.rows("parked").await, 0);
}

#[tokio::test]
async fn after_the_last_attempt_it_is_a_dead_letter_and_redriven_the_rest_follows() {
    let bench = Bench::new();
    bench.mailbox.tell(|said| _ = said.failing.insert("a".to_owned()));
    let running = bench.start();
    bench.publish(1, &["a", "a"]).await;
    bench.dead(&running.control, 1).await;
    let letters = running.control.dead(10).await.unwrap();
    assert_eq!((letters[0].id.as_str(), letters[0].attempts), ("mail.order.1", PACE.attempts));
    assert_eq!((letters[0].reason.as_str(), letters[0].waiting), ("a is broken", 1));
    assert_eq!(bench.mailbox.said().attempts, [1, 2, 3]);
    bench.mailbox.tell(|said| said.failing.clear());
    assert!(running.control.redrive("mail.order.1").await.unwrap());
    bench.mailbox.took("a", &[1, 2]).await;
    running.stop().await;
}

#[tokio::test]
async fn what_was_acknowledged_beyond_the_place_is_not_delivered_again_after_a_crash() {
    let bench = Bench::new();
    bench.mailbox.tell(|said| _ = said.silent.insert("slow".to_owned()));
    let running = bench.start();
    bench.publish(1, &["slow", "a", "b", "a", "slow"]).await;
    until(async || {
        let ahead = bench.rows("settled_ahead").await;
        if ahead == 3 { Ok(()) } else { Err(format!("{ahead} are remembered")) }
    })
    .await;
    running.kill().await;
    bench.mailbox.tell(|said| said.silent.clear());
    let running = bench.start();
    bench.mailbox.took("slow", &[1, 5]).await;
    bench.caught_up(&running.control).await;
    running.stop().await;
    assert_eq!((bench.mailbox.taken("a"), bench.mailbox.taken("b")), (vec![2, 4], vec![3]));
    assert_eq!(bench.rows("settled_ahead").await, 0, "the place is past them");
    let first = bench.mailbox.said().asked.iter().filter(|number| **number == 1).count();
    assert_eq!(first, 2, "the one that was under way is delivered again");
}

#[tokio::test]
async fn whenever_it_is_killed_everything_arrives_and_of_each_key_in_order() {
    killed(Bench::new()).await;
}

#[tokio::test]
async fn on_a_server_too_everything_arrives_whenever_it_is_killed() {
    killed(Bench::served().await).await;
}

#[tokio::test]
async fn who_lost_the_place_to_another_writes_nothing_of_what_he_is_told() {
    let bench = Bench::new();
    bench.mailbox.tell(|said| _ = said.silent.insert("a".to_owned()));
    let running = bench.start();
    bench.publish(1, &["a"]).await;
    bench.asked(1).await;
    // Another instance has handled it meanwhile.
    let place = "INSERT INTO inbox (subscription, partition, position, source, event)
        VALUES ('mail.order', 0, 1, 'order', 'id-1')";
    let work = bench.database.write(place, |place, tx| Box::pin(tx.execute(place, &[])));
    work.await.unwrap();
    bench.mailbox.tell(|said| {
        said.failing.insert("a".to_owned());
        said.silent.clear();
    });
    bench.publish(2, &["b"]).await;
    // What had been read ahead when the place was lost is read once more, and may be delivered once more.
    until(async || {
        let taken = bench.mailbox.taken("b");
        if taken == [2] || taken == [2, 2] { Ok(()) } else { Err(format!("b: {taken:?}")) }
    })
    .await;
    bench.caught_up(&running.control).await;
    running.stop().await;
    assert_eq!(bench.rows("parked").await, 0);
    let asked = bench.mailbox.said().asked.clone();
    assert_eq!(asked.iter().filter(|number| **number == 1).count(), 1, "{asked:?}");
}

/// Its first event keeps the place where it is, so that the place says nothing.
#[tokio::test]
async fn who_lost_the_partition_parks_nothing_of_what_its_owner_delivered() {
    owner_delivers(Bench::new()).await;
}

#[tokio::test]
async fn on_a_server_too_who_lost_the_partition_parks_nothing() {
    owner_delivers(Bench::served().await).await;
}

async fn owner_delivers(bench: Bench) {
    let keep_waiting = |mailbox: &Mailbox, keys: &[&str]| {
        mailbox.tell(|said| said.silent = keys.iter().map(|&key| key.to_owned()).collect());
    };
    keep_waiting(&bench.mailbox, &["slow", "a"]);
    let hung = bench.start();
    // It has begun elsewhere than the next: two starts at one place would be taken for a death.
    bench.publish(1, &["before"]).await;
    bench.caught_up(&hung.control).await;
    bench.publish(2, &["slow", "a"]).await;
    bench.asked(3).await;
    let owner = Mailbox::default();
    keep_waiting(&owner, &["slow"]);
    let deliveries = bench.deliveries_to(owner.clone(), bench.log.clone());
    let owning = Running::start(deliveries.control(), |stop| deliveries.run(stop));
    owner.took("a", &[3]).await;
    until(async || {
        let ahead = bench.rows("settled_ahead").await;
        if ahead == 1 { Ok(()) } else { Err(format!("{ahead} are settled ahead")) }
    })
    .await;
    bench.mailbox.tell(|said| {
        said.failing.insert("a".to_owned());
        said.silent.remove("a");
    });
    // It begins anew, with what the owner has done.
    bench.asked(4).await;
    assert_eq!(bench.rows("parked").await, 0);
    for mailbox in [&owner, &bench.mailbox] {
        keep_waiting(mailbox, &[]);
    }
    bench.caught_up(&owning.control).await;
    for running in [hung, owning] {
        running.stop().await;
    }
    assert_eq!((bench.rows("parked").await, owner.taken("a")), (0, vec![3]));
}

#[tokio::test]
async fn two_that_deliver_under_one_name_move_the_place_past_nothing() {
    let bench = Bench::served().await;
    let running = [bench.start(), bench.start()];
    for batch in 0..20 {
        bench.publish(batch * 4 + 1, &["a", "b", "c", "d"]).await;
    }
    bench.caught_up(&running[0].control).await;
    for one in running {
        one.stop().await;
    }
    assert_eq!(bench.rows("settled_ahead").await, 0);
    for key in ["a", "b", "c", "d"] {
        let taken: HashSet<u64> = bench.mailbox.taken(key).into_iter().collect();
        assert_eq!(taken.len(), 20, "{key}");
    }
}

async fn killed(bench: Bench) {
    let keys = ["a", "b", "c", "d"];
    for batch in 0..20 {
        bench.publish(batch * 4 + 1, &keys).await;
    }
    for life in 0..30 {
        let running = bench.start();
        // At another moment each time: after so many more attempts.
        let before = bench.mailbox.said().asked.len();
        until(async || {
            let asked = bench.mailbox.said().asked.len();
            let is_over = asked >= before + life || bench.mailbox.taken("d").last() == Some(&80);
            if is_over { Ok(()) } else { Err(format!("{asked} asked")) }
        })
        .await;
        running.kill().await;
    }
    let running = bench.start();
    bench.caught_up(&running.control).await;
    running.stop().await;
    for (at, key) in (1..).zip(keys) {
        // Of each the first copy: what was delivered again came once before.
        let mut seen = Vec::new();
        for number in bench.mailbox.taken(key) {
            if !seen.contains(&number) {
                seen.push(number);
            }
        }
        let all: Vec<u64> = (0..20).map(|batch| batch * 4 + at).collect();
        assert_eq!(seen, all, "{key}");
    }
}

#[tokio::test]
async fn who_could_not_be_asked_has_used_up_no_attempt() {
    let bench = Bench::new();
    bench.mailbox.tell(|said| said.put_off = 10);
    let running = bench.start();
    bench.publish(1, &["a"]).await;
    bench.mailbox.took("a", &[1]).await;
    bench.caught_up(&running.control).await;
    assert_eq!(bench.mailbox.said().attempts, [1; 11]);
    assert_eq!(bench.rows("parked").await, 0);
    // Nor has who gets no permit.
    bench.mailbox.tell(|said| said.is_away = true);
    bench.publish(2, &["a"]).await;
    until(async || {
        let lag = running.control.status().await.unwrap().lag;
        if lag == 1 { Ok(()) } else { Err(format!("{lag} behind")) }
    })
    .await;
    assert_eq!(bench.mailbox.said().asked.len(), 11);
    bench.mailbox.tell(|said| said.is_away = false);
    bench.mailbox.took("a", &[1, 2]).await;
    running.stop().await;
}

#[tokio::test]
async fn a_second_copy_is_not_delivered_and_a_place_that_was_moved_is_followed() {
    let bench = Bench::new();
    let running = bench.start();
    bench.publish(1, &["a", "b"]).await;
    bench.publish(1, &["a", "b", "a"]).await;
    bench.mailbox.took("a", &[1, 3]).await;
    bench.caught_up(&running.control).await;
    // What was received once stays so.
    running.control.move_to(&Destination::Beginning, None, "a test").await.unwrap();
    bench.caught_up(&running.control).await;
    assert_eq!((bench.mailbox.taken("a"), bench.mailbox.taken("b")), (vec![1, 3], vec![2]));
    // What nobody takes is passed where an operator says so, and what comes behind it arrives.
    bench.mailbox.tell(|said| said.is_away = true);
    bench.publish(4, &["a"]).await;
    running.control.move_to(&Destination::End, None, "a test").await.unwrap();
    bench.caught_up(&running.control).await;
    bench.mailbox.tell(|said| said.is_away = false);
    bench.publish(5, &["a"]).await;
    bench.mailbox.took("a", &[1, 3, 5]).await;
    running.stop().await;
}

#[tokio::test]
async fn with_one_that_is_not_answered_for_no_more_than_a_window_is_delivered() {
    let bench = Bench::new();
    bench.mailbox.tell(|said| _ = said.silent.insert("slow".to_owned()));
    let running = bench.start();
    bench.publish(1, &["slow"]).await;
    let others = WINDOW_EVENTS_MAX as u64 + 1_000;
    for first in (2..others).step_by(500) {
        let count = usize::try_from(500.min(others - first)).unwrap();
        bench.publish(first, &vec!["a"; count]).await;
    }
    until(async || {
        let taken = bench.mailbox.taken("a").len();
        let is_nearly_full = taken + BATCH_MAX >= WINDOW_EVENTS_MAX;
        if is_nearly_full { Ok(()) } else { Err(format!("{taken} were taken")) }
    })
    .await;
    // More would come within this time if nothing kept it.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(bench.mailbox.taken("a").len() < WINDOW_EVENTS_MAX);
    assert_eq!(running.control.status().await.unwrap().partitions[0].position, Offset::BEGINNING);
    bench.mailbox.tell(|said| said.silent.clear());
    bench.caught_up(&running.control).await;
    assert_eq!(bench.mailbox.taken("a").len() as u64, others - 2);
    running.stop().await;
    drop(bench.folder);
}

#[tokio::test]
async fn what_is_under_way_at_the_end_is_waited_for_and_noted() {
    let bench = Bench::new();
    bench.mailbox.tell(|said| _ = said.silent.insert("a".to_owned()));
    let running = bench.start();
    bench.publish(1, &["a"]).await;
    bench.asked(1).await;
    let stopping = tokio::spawn(running.stop());
    // Longer than one waits who has lost the partition.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert!(!stopping.is_finished());
    bench.mailbox.tell(|said| said.silent.clear());
    stopping.await.unwrap();
    let running = bench.start();
    bench.caught_up(&running.control).await;
    running.stop().await;
    assert_eq!(bench.mailbox.said().asked, [1]);
}
