//! Everything committed is published, in sequence, once, whatever happens between the two.

use tempfile::TempDir;

use super::fixture::Running;
use super::*;
use crate::broker::{Offset, Pending, READ_MAX, Stored};
use crate::error::Error;
use crate::event::{Cause, Draft, Event};
use crate::fixture::{clock, first, topic, until};
use crate::local::Log;
use crate::partition::numbers::Numbers;
use crate::store::options::Publishes;
use crate::store::tests::execute;
use crate::store::{OUTBOX_KEPT, Options, stepped, upkeep};
use crate::topic::{Topic, TopicPartition};

fn database(folder: &TempDir) -> Database {
    let publishes = Some(Publishes {
        source: "order".to_owned(),
        topic: topic("order"),
        partitions: Partitions::ONE,
    });
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

#[tokio::test]
async fn what_is_committed_is_published_in_sequence() {
    let (data, place) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (database, log) = (database(&data), log(&place));
    commit(&database, 1..=3).await;
    let running = Running::start(Relay::new(database.clone(), log.clone()));
    published(&*log, 1..=3).await;
    for number in 4..=20 {
        commit(&database, number..=number).await;
    }
    commit(&database, 21..=700).await;
    published(&*log, 1..=700).await;
    let mut status = running.status.clone();
    let done = status.wait_for(|status| status.settled == 700).await.unwrap().clone();
    let expected = Progress {
        relayed: 700,
        settled: 700,
        elsewhere: false,
        stuck: None,
        since: None,
        lost: None,
    };
    assert_eq!(done, expected);
    running.stop().await;
}

#[tokio::test]
async fn a_crash_between_commit_and_publish_loses_and_doubles_nothing() {
    let (data, place) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let log = log(&place);
    for round in 0..4 {
        // The service dies with events committed: some were published, nobody noted it.
        let service = database(&data);
        commit(&service, round * 10 + 1..=round * 10 + 10).await;
        let half = service.waiting(first(round * 10), 5).await.unwrap();
        log.publish(&topic("order").first(), half).await.unwrap();
        drop(service);
        let service = database(&data);
        let running = Running::start(Relay::new(service, log.clone()));
        published(&*log, 1..=round * 10 + 10).await;
        running.task.abort();
    }
}

#[tokio::test]
async fn a_paused_relay_leaves_events_waiting_until_it_goes_on() {
    let (data, place) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (database, log) = (database(&data), log(&place));
    let paused = watch::Sender::new(true);
    let running =
        Running::start(Relay::new(database.clone(), log.clone()).paused(paused.subscribe()));
    commit(&database, 1..=3).await;
    // Another outbox's relay, which does not rest, has had its turn by now, and this one before it.
    let (other, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let other_log = self::log(&elsewhere);
    let other_database = self::database(&other);
    let beside = Running::start(Relay::new(other_database.clone(), other_log.clone()));
    commit(&other_database, 1..=3).await;
    published(&*other_log, 1..=3).await;
    beside.stop().await;
    assert!(numbers(&*log).await.is_empty());
    paused.send(false).unwrap();
    published(&*log, 1..=3).await;
    running.stop().await;
}

#[tokio::test]
async fn a_log_that_lost_its_tail_is_mended_from_the_outbox() {
    let (data, place) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (service, events) = (database(&data), log(&place));
    commit(&service, 1..=20).await;
    let running = Running::start(Relay::new(service.clone(), events.clone()));
    published(&*events, 1..=20).await;
    running.stop().await;
    events.close().await;
    drop(events);
    let file = place.path().join("log.db");
    execute(&file, "DELETE FROM t1 WHERE offset > 12; UPDATE publisher SET sequence = 12");
    let events = log(&place);
    assert_eq!(numbers(&*events).await.len(), 12);
    let running = Running::start(Relay::new(service.clone(), events.clone()));
    published(&*events, 1..=20).await;
    commit(&service, 21..=22).await;
    published(&*events, 1..=22).await;
    assert_eq!(running.status.borrow().lost, None);
    assert!(events.check().damage.is_empty());
    running.stop().await;
}

#[tokio::test]
async fn what_the_outbox_keeps_no_more_is_reported_with_its_sequences() {
    let (data, place) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (service, events) = (database(&data), log(&place));
    commit(&service, 1..=OUTBOX_KEPT + 5).await;
    let running = Running::start(Relay::new(service.clone(), events.clone()));
    let mut status = running.status.clone();
    status.wait_for(|status| status.relayed == OUTBOX_KEPT + 5).await.unwrap();
    running.stop().await;
    drop(events);
    let empty = TempDir::new().unwrap();
    let events = log(&empty);
    let running = Running::start(Relay::new(service, events.clone()));
    let mut status = running.status.clone();
    let lost = status.wait_for(|status| status.relayed == OUTBOX_KEPT + 5).await.unwrap().clone();
    let lost = lost.lost.unwrap();
    assert!(lost.contains("from=`1`, to=`5`"), "{lost}");
    assert_eq!(events.end(&topic("order").first()).await.unwrap(), Offset(OUTBOX_KEPT));
    running.stop().await;
}

/// A broker that hands on to a log what it does not refuse: a batch, or being asked at all.
struct Refusing<R> {
    log: Arc<Log>,
    refuses: R,
}

/// What a broker is asked to take; nothing where it is only asked how far it is.
type Asked<'a> = Option<&'a [Event]>;

impl<R> Broker for Refusing<R>
where
    R: Fn(Asked<'_>) -> Result<(), Error> + Send + Sync + 'static,
{
    fn publish<'a>(&'a self, at: &'a TopicPartition, batch: Vec<Event>) -> Pending<'a, Offset> {
        Box::pin(async move {
            (self.refuses)(Some(&batch))?;
            self.log.publish(at, batch).await
        })
    }

    fn read<'a>(
        &'a self,
        of: &'a TopicPartition,
        at: Offset,
        limit: usize,
    ) -> Pending<'a, Vec<Stored>> {
        self.log.read(of, at, limit)
    }

    fn end<'a>(&'a self, at: &'a TopicPartition) -> Pending<'a, Offset> {
        self.log.end(at)
    }

    fn watch<'a>(&'a self, at: &'a TopicPartition) -> Pending<'a, watch::Receiver<Offset>> {
        self.log.watch(at)
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

/// A broker that is away while the switch is on.
fn away(log: &Arc<Log>, away: watch::Receiver<bool>) -> Arc<dyn Broker> {
    let refuses = move |_: Asked<'_>| match *away.borrow() {
        true => Err(Error::environment("the broker is away")),
        false => Ok(()),
    };
    Arc::new(Refusing { log: log.clone(), refuses })
}

#[tokio::test]
async fn a_broker_that_is_away_is_waited_for_and_the_relay_says_so() {
    let (data, place) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (database, log) = (database(&data), log(&place));
    let away = watch::Sender::new(false);
    let broker = self::away(&log, away.subscribe());
    let running = Running::start(Relay::new(database.clone(), broker));
    commit(&database, 1..=1).await;
    published(&*log, 1..=1).await;
    away.send(true).unwrap();
    commit(&database, 2..=5).await;
    let mut status = running.status.clone();
    status.wait_for(|status| status.stuck.is_some()).await.unwrap();
    away.send(false).unwrap();
    published(&*log, 1..=5).await;
    status.wait_for(|status| status.stuck.is_none()).await.unwrap();
    running.stop().await;
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

/// Rewrites the file of a service that does not run.
fn rewrite(data: &TempDir, statements: &str) {
    execute(&data.path().join("order.db"), statements);
}

async fn settled(running: &Running, at: u64) {
    let mut status = running.status.clone();
    let waited = status.wait_for(|status| status.settled == at && status.stuck.is_none());
    tokio::time::timeout(std::time::Duration::from_secs(30), waited).await.unwrap().unwrap();
}

async fn stuck(running: &Running, words: &str) {
    let mut status = running.status.clone();
    let names_it = |status: &Progress| status.stuck.as_ref().is_some_and(|why| why.contains(words));
    let waited = status.wait_for(names_it);
    tokio::time::timeout(std::time::Duration::from_secs(30), waited).await.unwrap().unwrap();
}

#[tokio::test]
async fn events_of_the_largest_size_are_relayed_however_many_wait() {
    let (data, place) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (database, log) = (database(&data), log(&place));
    commit_sized(&database, 9, crate::store::DATA_BYTES_MAX).await;
    assert_eq!(
        database.waiting(first(0), RELAY_BATCH_MAX).await.unwrap().len(),
        4,
        "bounded by bytes"
    );
    let running = Running::start(Relay::new(database.clone(), log.clone()));
    settled(&running, 9).await;
    assert_eq!(log.end(&topic("order").first()).await.unwrap(), Offset(9));
    running.stop().await;
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

#[tokio::test]
async fn an_event_that_no_broker_takes_is_a_dead_letter_and_the_rest_goes_on() {
    let (data, place) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (service, log) = (database(&data), log(&place));
    commit(&service, 1..=9).await;
    let relay = Relay::new(service.clone(), picky(&log, 5));
    let control = handle_on(&service, &log);
    let running = Running::start(relay);
    settled(&running, 9).await;
    assert_eq!(numbers(&*log).await, [1, 2, 3, 4, 6, 7, 8, 9]);
    let [letter] = &control.dead(10).await.unwrap()[..] else { panic!("one letter") };
    assert_eq!((letter.id.as_str(), letter.kind.as_str()), ("outbox.order.5", "Numbered"));
    let event = control.dead_event(&letter.id).await.unwrap().expect("its event");
    assert_eq!((letter.key.as_str(), event.data.get()), ("5", "5"));
    assert!(letter.reason.contains("over the limit"), "{}", letter.reason);
    assert_eq!((control.status().lag, control.status().stuck), (0, None));
    running.stop().await;

    // The last event of an outbox, too: nothing is missed in the broker at the next start.
    let relay = Relay::new(service.clone(), picky(&log, 10));
    commit(&service, 10..=10).await;
    let running = Running::start(relay);
    settled(&running, 10).await;
    running.stop().await;
    service.close().await;
    drop((service, control));
    let service = database(&data);
    let relay = Relay::new(service.clone(), log.clone());
    let control = handle_on(&service, &log);
    let running = Running::start(relay);
    settled(&running, 10).await;
    assert_eq!(running.status.borrow().lost, None);

    // Redriven, it is the newest event; dropped, it is written down.
    assert!(control.redrive("outbox.order.5").await.unwrap());
    assert!(!control.redrive("outbox.order.5").await.unwrap());
    settled(&running, 11).await;
    assert_eq!(numbers(&*log).await, [1, 2, 3, 4, 6, 7, 8, 9, 5]);
    // Each says which one was published before it, and letters were not.
    let chain = [(1, 0), (2, 1), (3, 2), (4, 3), (6, 4), (7, 6), (8, 7), (9, 8), (11, 9)];
    assert_eq!(chained(&*log).await, chain);
    let dropped = control.dead_event("outbox.order.10").await.unwrap().expect("its event").id;
    assert!(control.discard("outbox.order.10", "a test").await.unwrap());
    assert!(!control.discard("outbox.order.10", "a test").await.unwrap());
    assert!(control.dead(10).await.unwrap().is_empty());
    let [note] = &control.skipped().await.unwrap()[..] else { panic!("one note") };
    assert_eq!((note.kind.as_str(), note.first, note.by.as_str()), ("letter", 10, "a test"));
    assert_eq!(note.event.as_ref(), Some(&dropped));
    running.stop().await;
}

#[tokio::test]
async fn a_row_that_is_no_event_any_more_stops_the_relay_until_an_operator_steps_over_it() {
    for hurt in ["data = '{'", "time = 9223372036854775807", "data = CAST(x'22ff22' AS TEXT)"] {
        let (data, place) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let service = database(&data);
        commit(&service, 1..=9).await;
        let ids = service.waiting(first(0), 9).await.unwrap().into_iter().map(|it| it.id);
        let ids: Vec<String> = ids.collect();
        service.close().await;
        drop(service);
        rewrite(&data, &format!("UPDATE outbox SET {hurt} WHERE sequence IN (4, 6)"));
        let (service, log) = (database(&data), log(&place));
        let relay = Relay::new(service.clone(), log.clone());
        let control = handle_on(&service, &log);
        let running = Running::start(relay);
        for (at, before) in [(4, 3), (6, 5)] {
            stuck(&running, &format!("from=`{at}`, to=`{at}`")).await;
            stuck(&running, "`yeoul events skip outbox.order`").await;
            assert!(control.status().since.is_some());
            assert!(numbers(&*log).await.last().is_some_and(|last| *last == before), "{hurt}");
            let skipped = control.skip("a test").await.unwrap().expect("it is stuck");
            assert_eq!((skipped.first, skipped.kind.as_str()), (at, "outbox"));
            assert_eq!(skipped.event.as_ref(), Some(&ids[at as usize - 1]));
        }
        settled(&running, 9).await;
        assert_eq!(numbers(&*log).await, [1, 2, 3, 5, 7, 8, 9]);
        assert_eq!(control.skip("a test").await.unwrap(), None, "nothing is stuck");
        assert_eq!(control.skipped().await.unwrap().len(), 2);
        running.stop().await;
    }
}

#[tokio::test]
async fn rows_that_are_missing_stop_the_relay_until_an_operator_steps_over_them() {
    for (gone, stretches, left) in [
        ("= 1", vec![(1, 1)], vec![2, 3, 4, 5, 6, 7, 8, 9]),
        ("IN (4, 5, 7)", vec![(4, 5), (7, 7)], vec![1, 2, 3, 6, 8, 9]),
        ("< 9", vec![(1, 8)], vec![9]),
    ] {
        let (data, place) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let service = database(&data);
        commit(&service, 1..=9).await;
        service.close().await;
        drop(service);
        rewrite(&data, &format!("DELETE FROM outbox WHERE sequence {gone}"));
        let path = data.path().join("order.db");
        assert!(upkeep::check(&path).is_err(), "{gone}: a look at the resting file tells it");
        let (service, log) = (database(&data), log(&place));
        let relay = Relay::new(service.clone(), log.clone());
        let control = handle_on(&service, &log);
        let running = Running::start(relay);
        for (from, to) in stretches {
            stuck(&running, &format!("from=`{from}`, to=`{to}`")).await;
            let skipped = control.skip("a test").await.unwrap().expect("it is stuck");
            assert_eq!((skipped.first, skipped.last), (from, to));
        }
        settled(&running, 9).await;
        assert_eq!(numbers(&*log).await, left, "{gone}");
        assert_eq!(control.skip("a test").await.unwrap(), None, "nothing is stuck");
        commit(&service, 10..=10).await;
        settled(&running, 10).await;
        running.stop().await;
        service.close().await;
        drop((service, control));
        upkeep::check(&path).unwrap();
    }
}

#[tokio::test]
async fn a_stretch_that_is_longer_than_one_step_is_stepped_over_in_several() {
    const GONE: u64 = stepped::PASSED_MAX + 2;
    let (data, place) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let service = database(&data);
    commit(&service, 1..=GONE + 1).await;
    service.close().await;
    drop(service);
    rewrite(&data, &format!("DELETE FROM outbox WHERE sequence <= {GONE}"));
    let (service, log) = (database(&data), log(&place));
    let control = handle_on(&service, &log);
    let running = Running::start(Relay::new(service.clone(), log.clone()));
    for (from, to) in [(1, stepped::PASSED_MAX), (GONE - 1, GONE)] {
        stuck(&running, &format!("from=`{from}`, to=`{GONE}`")).await;
        let skipped = control.skip("a test").await.unwrap().expect("it is stuck");
        assert_eq!((skipped.first, skipped.last), (from, to));
    }
    settled(&running, GONE + 1).await;
    assert_eq!(numbers(&*log).await, [GONE + 1]);
    running.stop().await;
}

#[tokio::test]
async fn what_was_relayed_is_dealt_with_before_the_relay_comes_to_rest() {
    let (data, place) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (service, log) = (database(&data), log(&place));
    let control = handle_on(&service, &log);
    commit(&service, 1..=3).await;
    service.relay_progress(Partition::FIRST).send_modify(|status| status.relayed = 2);
    let report = control.status();
    assert_eq!((report.settled, report.lag), (Numbers::from(2), 1));
    service.relay_progress(Partition::FIRST).send_modify(|status| status.settled = 3);
    assert_eq!(control.status().settled, Numbers::from(3));
}

#[tokio::test]
async fn a_relay_without_progress_is_stuck_after_a_while_and_one_that_rests_is_not() {
    let (data, place) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let clock = crate::fixture::ManualClock::default();
    let publishes = Some(Publishes {
        source: "order".to_owned(),
        topic: topic("order"),
        partitions: Partitions::ONE,
    });
    let path = data.path().join("order.db");
    let options = Options { path, schema: &[], publishes, clock: clock.component() };
    let service = Database::open(options).unwrap();
    let paused = watch::Sender::new(false);
    let control = Control::of(service.clone(), log(&place), paused.subscribe()).unwrap();
    commit(&service, 1..=3).await;
    assert_eq!((control.status().lag, control.status().stuck), (3, None));
    clock.advance(crate::subscription::STUCK_AFTER);
    assert!(control.status().stuck.is_some_and(|why| why.contains("no progress")));
    paused.send(true).unwrap();
    assert_eq!(control.status().stuck, None);
}
