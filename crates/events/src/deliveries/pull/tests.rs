//! What is lent is nobody else's, of each key in order, whatever is answered, ends, stops or is moved.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::deliveries::{Pace, TABLES};
use crate::fixture::{ManualClock, stamped, topic, until};
use crate::local::Log;
use crate::partition::{Partition, Partitions};
use crate::store::Options;
use crate::topic::Declared;

mod late;
mod limits;
mod model;
mod parked;
mod pushed;
mod rejected;
mod shares;
mod unread;

const PACE: Pace = Pace { attempts: 4, backoff: Duration::from_secs(1) };
const LEASE: Duration = Duration::from_secs(30);

pub(super) struct Bench {
    folder: TempDir,
    log: Arc<Log>,
    database: Database,
    clock: ManualClock,
    tokens: Arc<AtomicU64>,
    /// What tells apart whose turns they are.
    share: Option<&'static str>,
}

/// An instance at work.
pub(super) struct Running {
    desk: Desk,
    control: Control,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    /// As a crash does: nothing is waited for.
    async fn kill(self) {
        self.task.abort();
        _ = self.task.await;
        drop(self.stop);
    }

    async fn lent(&self, limit: usize) -> Option<Lent> {
        let pull = Pull { limit, wait: Duration::ZERO, lease: LEASE };
        self.desk.pull(pull).await.unwrap()
    }

    /// The token and what there was.
    async fn pull(&self, limit: usize, expected: &[u64]) -> String {
        let lent = self.lent(limit).await;
        assert_eq!(numbers(lent.as_ref()), expected);
        lent.unwrap().token
    }

    async fn nothing(&self) {
        assert_eq!(numbers(self.lent(100).await.as_ref()), [0; 0]);
    }

    async fn acknowledge(&self, token: &str, numbers: &[u64]) -> Answered {
        self.desk.acknowledge(token, ids(numbers)).await.unwrap()
    }

    async fn reject(&self, token: &str, numbers: &[u64], again: Again) -> Answered {
        let why = Rejection { reason: "it is broken".to_owned(), again };
        self.desk.reject(token, ids(numbers), why).await.unwrap()
    }

    async fn lag(&self) -> u64 {
        self.control.status().await.unwrap().lag
    }
}

fn numbers(lent: Option<&Lent>) -> Vec<u64> {
    let events = lent.into_iter().flat_map(|lent| &lent.events);
    events.map(|given| given.event().sequence).collect()
}

fn ids(numbers: &[u64]) -> Named {
    Named::Ids(numbers.iter().map(|number| format!("id-{number}")).collect())
}

impl Bench {
    pub(super) fn new() -> Bench {
        Bench::of(Partitions::ONE)
    }

    fn of(partitions: Partitions) -> Bench {
        let folder = TempDir::new().unwrap();
        let clock = ManualClock::default();
        let declared = [Declared { topic: topic("order"), partitions }];
        let log = Log::open_declared(folder.path(), &declared, clock.component()).unwrap();
        let options = Options {
            path: folder.path().join("deliveries.db"),
            schema: TABLES.embedded,
            publishes: None,
            clock: clock.component(),
        };
        let database = Database::open(options).unwrap();
        Bench { folder, log: Arc::new(log), database, clock, tokens: Arc::default(), share: None }
    }

    /// The same with its rows on a server.
    async fn served() -> Bench {
        let bench = Bench::new();
        let place = crate::store::served::TestSchema::fresh();
        let database = place.open(TABLES.served, None, bench.clock.component()).await;
        Bench { database, ..bench }
    }

    pub(super) fn start(&self) -> Running {
        self.start_with(self.log.clone())
    }

    fn start_with(&self, broker: Arc<dyn Broker>) -> Running {
        let tokens = Arc::clone(&self.tokens);
        let leases = Leases::new(
            "mail.order",
            topic("order"),
            self.database.clone(),
            broker,
            Timing { pace: PACE, clock: self.clock.component(), jitter: Arc::new(|| 1.0) },
            Arc::new(move || format!("lease-{}", tokens.fetch_add(1, Ordering::SeqCst))),
        );
        let leases = match self.share {
            Some(by) => leases.by_share(by.parse().unwrap()),
            None => leases,
        };
        let (desk, control) = (leases.desk(), leases.control());
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(leases.run(async move { drop(stopped.await) }));
        Running { desk, control, stop, task }
    }

    /// The same where shares have their turns.
    fn by_share(self, share: &'static str) -> Bench {
        Bench { share: Some(share), ..self }
    }

    /// Stores events numbered on from `first`, one per key given.
    pub(super) async fn publish(&self, first: u64, keys: &[&str]) {
        let batch = (first..).zip(keys).map(|(number, key)| stamped("order", key, number));
        self.log.publish(&topic("order").first(), batch.collect()).await.unwrap();
    }

    pub(super) async fn rows(&self, table: &str) -> u64 {
        let count = format!("SELECT count(*) FROM {table}");
        let read = self
            .database
            .read(&count, |count, rows| Box::pin(rows.one(count, &[], |row| row.get::<u64>(0))));
        read.await.unwrap()
    }
}

#[tokio::test]
async fn a_lease_has_a_key_s_events_in_order_and_nobody_else_has_any_of_it() {
    let bench = Bench::new();
    bench.publish(1, &["a", "b", "a", "c", "a", "b"]).await;
    let running = bench.start();
    let first = running.pull(3, &[1, 2, 3]).await;
    // What is left of a and b waits for the first lease.
    let second = running.pull(10, &[4]).await;
    running.nothing().await;
    assert_eq!(running.acknowledge(&first, &[2]).await.count, 1);
    let third = running.pull(10, &[6]).await;
    running.acknowledge(&first, &[1]).await;
    running.nothing().await;
    running.acknowledge(&first, &[3]).await;
    let fourth = running.pull(10, &[5]).await;
    for token in [second, third, fourth] {
        let answered = running.desk.acknowledge(&token, Named::All).await.unwrap();
        assert_eq!(answered, Answered { count: 1, unknown: Vec::new() });
    }
    assert_eq!((running.lag().await, bench.rows("settled_ahead").await), (0, 0));
    running.nothing().await;
}

#[tokio::test]
async fn of_a_paused_subscription_nothing_is_lent_and_what_is_lent_may_be_answered_for() {
    paused(Bench::new()).await;
}

#[tokio::test]
async fn on_a_server_too_nothing_is_lent_of_a_paused_subscription() {
    paused(Bench::served().await).await;
}

async fn paused(bench: Bench) {
    bench.publish(1, &["a"]).await;
    let running = bench.start();
    let token = running.pull(10, &[1]).await;
    // Whoever waits is not left waiting.
    let waits = Pull { limit: 1, wait: WAIT_MAX, lease: LEASE };
    let desk = running.desk.clone();
    let waiting = tokio::spawn(async move { desk.pull(waits).await });
    until(async || match running.desk.counts().waiting {
        1 => Ok(()),
        other => Err(format!("{other} wait")),
    })
    .await;
    let end = (bench.clock.component())() + Duration::from_secs(7200);
    running.control.pause(Some(end)).await.unwrap();
    let refused = waiting.await.unwrap();
    assert!(
        matches!(refused, Err(Refusal::Paused { until: Some(it) }) if it == end),
        "{refused:?}"
    );
    bench.publish(2, &["b"]).await;
    let refused = running.desk.pull(waits).await;
    assert!(matches!(refused, Err(Refusal::Paused { .. })), "{refused:?}");
    assert_eq!(running.acknowledge(&token, &[1]).await.count, 1);
    assert_eq!(running.lag().await, 1);
    running.control.resume().await.unwrap();
    running.pull(10, &[2]).await;
}

#[tokio::test]
async fn an_answer_counts_once_and_says_which_events_it_was_not_about() {
    let bench = Bench::new();
    bench.publish(1, &["a", "b"]).await;
    let running = bench.start();
    let token = running.pull(10, &[1, 2]).await;
    let answered = running.acknowledge(&token, &[2, 7]).await;
    assert_eq!(answered, Answered { count: 1, unknown: vec!["id-7".to_owned()] });
    let again = running.acknowledge(&token, &[2]).await;
    assert_eq!(again, Answered { count: 0, unknown: vec!["id-2".to_owned()] });
    running.acknowledge(&token, &[1]).await;
    // All was answered for, and to say so once more is no mistake while its time lasts.
    let all = running.desk.acknowledge(&token, Named::All).await.unwrap();
    assert_eq!(all, Answered { count: 0, unknown: Vec::new() });
    bench.clock.advance(LEASE);
    let late = running.desk.acknowledge(&token, Named::All).await;
    assert!(matches!(late, Err(Refusal::Ended)), "{late:?}");
    let strange = running.desk.acknowledge("lease-99", Named::All).await;
    assert!(matches!(strange, Err(Refusal::Ended)), "{strange:?}");
    assert_eq!(bench.rows("lease").await, 0, "a lease whose time is over is kept no more");
}

#[tokio::test]
async fn what_a_lease_ended_with_comes_again_with_its_attempt_and_the_late_answer_is_refused() {
    let bench = Bench::new();
    bench.publish(1, &["a", "b", "a"]).await;
    let running = bench.start();
    let token = running.pull(2, &[1, 2]).await;
    running.acknowledge(&token, &[2]).await;
    bench.clock.advance(LEASE - Duration::from_micros(1));
    running.nothing().await;
    bench.clock.advance(Duration::from_micros(1));
    let lent = running.lent(10).await.expect("it comes again");
    let given: Vec<_> = lent.events.iter().map(|it| (it.event().sequence, it.attempt)).collect();
    assert_eq!(given, [(1, 2), (3, 1)], "what was behind it comes with it");
    let late = running.desk.acknowledge(&token, ids(&[1])).await;
    assert!(matches!(late, Err(Refusal::Ended)), "{late:?}");
    running.desk.acknowledge(&lent.token, Named::All).await.unwrap();
    let Counts { given, again, acknowledged, ended, open, .. } = running.desk.counts();
    assert_eq!((given, again, acknowledged, ended, open), (4, 1, 3, 1, 0));
    assert_eq!((running.lag().await, bench.rows("parked").await), (0, 0));
}

#[tokio::test]
async fn a_rejected_event_takes_what_is_behind_it_of_its_key_and_counts_after_what_is_before_it() {
    let bench = Bench::new();
    bench.publish(1, &["a", "a", "a", "b", "a"]).await;
    let running = bench.start();
    let token = running.pull(4, &[1, 2, 3, 4]).await;
    running.reject(&token, &[2], Again::Backoff).await;
    assert_eq!(bench.rows("parked").await, 0, "the first of its key is not answered for");
    running.acknowledge(&token, &[1]).await;
    assert_eq!(bench.rows("parked").await, 3);
    let answered = running.acknowledge(&token, &[3, 4]).await;
    assert_eq!(answered, Answered { count: 1, unknown: vec!["id-3".to_owned()] });
    running.nothing().await;
    bench.clock.advance(PACE.backoff);
    let lent = running.lent(10).await.expect("its pause is over");
    assert_eq!(numbers(Some(&lent)), [2, 3, 5]);
    assert_eq!(lent.events[0].attempt, 2);
    // One that is asked for later than its turn waits that long.
    running.reject(&lent.token, &[2], Again::After(PACE.backoff * 9)).await;
    bench.clock.advance(PACE.backoff * 8);
    running.nothing().await;
    bench.clock.advance(PACE.backoff);
    let token = running.pull(10, &[2]).await;
    running.acknowledge(&token, &[2]).await;
    let token = running.pull(10, &[3, 5]).await;
    running.desk.acknowledge(&token, Named::All).await.unwrap();
    assert_eq!(bench.rows("parked").await, 0);
}

#[tokio::test]
async fn what_nobody_had_time_for_comes_again_at_once_and_no_attempt_is_used_up() {
    let bench = Bench::new();
    bench.publish(1, &["a", "b", "a"]).await;
    let running = bench.start();
    for _ in 0..2 * PACE.attempts {
        let lent = running.lent(10).await.expect("it is open");
        let mut given = numbers(Some(&lent));
        given.sort_unstable();
        assert_eq!(given, [1, 2, 3]);
        assert!(lent.events.iter().all(|it| it.attempt == 1));
        let why = Rejection { reason: String::new(), again: Again::Uncounted };
        running.desk.reject(&lent.token, Named::All, why).await.unwrap();
    }
    assert_eq!(bench.rows("parked").await, 0);
}

/// Whoever dies of one event is lent it again and again; those that were lent with it are not to suffer.
#[tokio::test]
async fn a_poison_event_is_a_dead_letter_alone_and_redriven_the_rest_follows() {
    let bench = Bench::new();
    bench.publish(1, &["a", "poison", "b", "poison"]).await;
    let running = bench.start();
    let mut lent_together = 0;
    until(async || {
        if let Some(lent) = running.lent(10).await {
            let given = numbers(Some(&lent));
            if given.contains(&2) {
                // He dies of it, whatever he has beside it.
                bench.clock.advance(LEASE);
            } else {
                running.desk.acknowledge(&lent.token, Named::All).await.unwrap();
            }
        }
        let dead = running.control.dead(10).await.unwrap();
        if dead.is_empty() { Err(String::new()) } else { Ok(()) }
    })
    .await;
    let dead = running.control.dead(10).await.unwrap();
    let letter = &dead[0];
    assert_eq!((letter.id.as_str(), letter.attempts), ("mail.order.2", PACE.attempts));
    assert_eq!((letter.waiting, dead.len()), (1, 1), "{dead:?}");
    assert_eq!(letter.reason, "the lease ended before anybody answered for it");
    while let Some(lent) = running.lent(10).await {
        assert!(!numbers(Some(&lent)).iter().any(|number| [2, 4].contains(number)));
        lent_together += running.desk.acknowledge(&lent.token, Named::All).await.unwrap().count;
    }
    assert!(lent_together <= 2);
    assert!(running.control.redrive("mail.order.2").await.unwrap());
    // What was lent with it each time goes alone too.
    for number in [2, 4] {
        let token = running.pull(10, &[number]).await;
        running.desk.acknowledge(&token, Named::All).await.unwrap();
    }
    assert_eq!((running.lag().await, bench.rows("parked").await), (0, 0));
}

#[tokio::test]
async fn one_that_is_never_to_be_tried_again_is_a_dead_letter_at_once() {
    let bench = Bench::new();
    bench.publish(1, &["a"]).await;
    let running = bench.start();
    let token = running.pull(1, &[1]).await;
    running.reject(&token, &[1], Again::Never).await;
    let dead = running.control.dead(10).await.unwrap();
    assert_eq!((dead[0].attempts, dead[0].reason.as_str()), (1, "it is broken"));
}

#[tokio::test]
async fn whoever_waits_is_given_what_comes_and_whoever_gives_up_is_given_nothing() {
    let bench = Bench::new();
    let running = bench.start();
    let wait = |wait| Pull { limit: 10, wait, lease: LEASE };
    let none = running.desk.pull(wait(Duration::from_millis(20))).await.unwrap();
    assert!(none.is_none());
    let desk = running.desk.clone();
    let waiting = tokio::spawn(async move { desk.pull(wait(WAIT_MAX)).await.unwrap() });
    until(async || {
        let waiting = running.desk.counts().waiting;
        if waiting == 1 { Ok(()) } else { Err(format!("{waiting} wait")) }
    })
    .await;
    bench.publish(1, &["a"]).await;
    let lent = waiting.await.unwrap().expect("it is given what comes");
    assert_eq!(numbers(Some(&lent)), [1]);
    // He is gone before the next of its key is open.
    let desk = running.desk.clone();
    let gone = tokio::spawn(async move { desk.pull(wait(WAIT_MAX)).await });
    until(async || {
        let waiting = running.desk.counts().waiting;
        if waiting == 1 { Ok(()) } else { Err(format!("{waiting} wait")) }
    })
    .await;
    gone.abort();
    _ = gone.await;
    bench.publish(2, &["b"]).await;
    let lent = running.lent(10).await.expect("nobody else was given it");
    assert_eq!((numbers(Some(&lent)), lent.events[0].attempt), (vec![2], 1));
}

#[tokio::test]
async fn what_is_lent_stays_so_over_a_crash_and_an_answer_after_it_counts() {
    crash(Bench::new()).await;
}

#[tokio::test]
async fn on_a_server_too_what_is_lent_stays_so_over_a_crash() {
    crash(Bench::served().await).await;
}

async fn crash(bench: Bench) {
    bench.publish(1, &["a", "b", "a", "c"]).await;
    let running = bench.start();
    let token = running.pull(3, &[1, 2, 3]).await;
    running.acknowledge(&token, &[2]).await;
    running.kill().await;
    let running = bench.start();
    let other = running.pull(10, &[4]).await;
    assert_eq!(running.acknowledge(&token, &[1, 3]).await.count, 2);
    bench.publish(5, &["b", "a"]).await;
    let rest = running.pull(10, &[5, 6]).await;
    running.kill().await;
    bench.clock.advance(LEASE);
    let running = bench.start();
    for token in [other, rest] {
        let late = running.desk.acknowledge(&token, Named::All).await;
        assert!(matches!(late, Err(Refusal::Ended)), "{late:?}");
    }
    let token = running.pull(10, &[4, 5, 6]).await;
    running.desk.acknowledge(&token, Named::All).await.unwrap();
    assert_eq!((running.lag().await, bench.rows("settled_ahead").await), (0, 0));
}

#[tokio::test]
async fn any_of_two_instances_lends_and_takes_answers_and_neither_lends_what_the_other_did() {
    let bench = Bench::served().await;
    let (one, other) = (bench.start(), bench.start());
    bench.publish(1, &["a", "b", "a", "b"]).await;
    let first = one.pull(1, &[1]).await;
    let second = other.pull(10, &[2, 4]).await;
    one.nothing().await;
    assert_eq!(other.acknowledge(&first, &[1]).await.count, 1);
    let third = one.pull(10, &[3]).await;
    other.nothing().await;
    // Who waits there is given what becomes open here.
    bench.publish(5, &["b"]).await;
    let desk = other.desk.clone();
    let pull = Pull { limit: 10, wait: WAIT_MAX, lease: LEASE };
    let waiting = tokio::spawn(async move { desk.pull(pull).await.unwrap() });
    assert_eq!(one.acknowledge(&second, &[2, 4]).await.count, 2);
    let lent = waiting.await.unwrap().expect("it became open");
    assert_eq!(numbers(Some(&lent)), [5]);
    for token in [third, lent.token] {
        one.desk.acknowledge(&token, Named::All).await.unwrap();
    }
    assert_eq!((one.lag().await, bench.rows("settled_ahead").await), (0, 0));
}

#[tokio::test]
async fn of_two_events_with_one_id_only_one_is_in_a_lease() {
    let bench = Bench::new();
    let named = |source: &str, number: u64| Event {
        id: "same".to_owned(),
        ..stamped(source, &number.to_string(), number)
    };
    let batch = vec![named("one", 1), named("other", 2)];
    bench.log.publish(&topic("order").first(), batch).await.unwrap();
    let running = bench.start();
    let one = running.pull(10, &[1]).await;
    let other = running.pull(10, &[2]).await;
    for token in [one, other] {
        let named = Named::Ids(vec!["same".to_owned()]);
        assert_eq!(running.desk.acknowledge(&token, named).await.unwrap().count, 1);
    }
    assert_eq!(running.lag().await, 0);
}

#[tokio::test]
async fn a_place_that_an_operator_moves_is_gone_on_from_and_what_is_passed_leaves_its_lease() {
    let bench = Bench::new();
    bench.publish(1, &["a", "b", "a"]).await;
    let running = bench.start();
    let token = running.pull(1, &[1]).await;
    let end = crate::subscription::Destination::End;
    running.control.move_to(&end, None, "a test").await.unwrap();
    running.nothing().await;
    assert_eq!(running.acknowledge(&token, &[1]).await.count, 0);
    running.control.rewind().await.unwrap();
    bench.publish(4, &["a"]).await;
    until(async || {
        let lent = running.lent(10).await;
        if let Some(lent) = &lent {
            running.desk.acknowledge(&lent.token, Named::All).await.unwrap();
        }
        if running.lag().await == 0 { Ok(()) } else { Err(format!("{:?}", numbers(lent.as_ref()))) }
    })
    .await;
    drop(bench.folder);
}

/// He is gone in the moment between the answer and his look at it.
#[tokio::test]
async fn what_was_answered_and_nobody_looked_at_is_lent_again_at_once() {
    let bench = Bench::new();
    bench.publish(1, &["a"]).await;
    let running = bench.start();
    let pull = Pull { limit: 10, wait: WAIT_MAX, lease: LEASE };
    {
        let mut asked = std::pin::pin!(running.desk.pull(pull));
        // It asks, and is not looked at again until it was answered.
        let is_pending = std::future::poll_fn(|context| {
            std::task::Poll::Ready(asked.as_mut().poll(context).is_pending())
        });
        assert!(is_pending.await);
        until(async || {
            let given = running.desk.counts().given;
            if given == 1 { Ok(()) } else { Err(format!("{given} are given")) }
        })
        .await;
    }
    let lent = running.lent(10).await.expect("nobody has it");
    assert_eq!((numbers(Some(&lent)), lent.events[0].attempt), (vec![1], 1));
}
