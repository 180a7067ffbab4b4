//! Everything committed is published, in sequence, once, whatever happens between the two: whatever the store.

use super::*;

#[tokio::test]
async fn what_is_committed_is_published_in_sequence() {
    let (data, place) = (Place::new(), TempDir::new().unwrap());
    let (database, log) = (data.open().await, log(&place));
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
        passes: false,
        since: None,
        lost: None,
    };
    assert_eq!(done, expected);
    running.stop().await;
}

#[tokio::test]
async fn a_crash_between_commit_and_publish_loses_and_doubles_nothing() {
    let (data, place) = (Place::new(), TempDir::new().unwrap());
    let log = log(&place);
    for round in 0..4 {
        // The service dies with events committed: some were published, nobody noted it.
        let service = data.open().await;
        commit(&service, round * 10 + 1..=round * 10 + 10).await;
        let half = service.waiting(first(round * 10), 5).await.unwrap();
        log.publish(&topic("order").first(), half).await.unwrap();
        drop(service);
        let service = data.open().await;
        let running = Running::start(Relay::new(service, log.clone()));
        published(&*log, 1..=round * 10 + 10).await;
        running.task.abort();
    }
}

#[tokio::test]
async fn a_paused_relay_leaves_events_waiting_until_it_goes_on() {
    let (data, place) = (Place::new(), TempDir::new().unwrap());
    let (database, log) = (data.open().await, log(&place));
    let paused = watch::Sender::new(true);
    let running =
        Running::start(Relay::new(database.clone(), log.clone()).paused(paused.subscribe()));
    commit(&database, 1..=3).await;
    // Another outbox's relay, which does not rest, has had its turn by now, and this one before it.
    let (other, elsewhere) = (Place::new(), TempDir::new().unwrap());
    let other_log = self::log(&elsewhere);
    let other_database = other.open().await;
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
    let (data, place) = (Place::new(), TempDir::new().unwrap());
    let (service, events) = (data.open().await, log(&place));
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
    let (data, place) = (Place::new(), TempDir::new().unwrap());
    let (service, events) = (data.open().await, log(&place));
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

#[tokio::test]
async fn a_broker_that_is_away_is_waited_for_and_the_relay_says_so() {
    let (data, place) = (Place::new(), TempDir::new().unwrap());
    let (database, log) = (data.open().await, log(&place));
    let away = watch::Sender::new(false);
    let broker = self::away(&log, away.subscribe());
    let running = Running::start(Relay::new(database.clone(), broker));
    commit(&database, 1..=1).await;
    published(&*log, 1..=1).await;
    away.send(true).unwrap();
    commit(&database, 2..=5).await;
    let mut status = running.status.clone();
    let troubled = status.wait_for(|status| status.stuck.is_some()).await.unwrap().clone();
    assert!(troubled.passes, "{troubled:?}");
    away.send(false).unwrap();
    published(&*log, 1..=5).await;
    let well = status.wait_for(|status| status.stuck.is_none()).await.unwrap().clone();
    assert_eq!((well.passes, well.since), (false, None));
    running.stop().await;
}

#[tokio::test]
async fn events_of_the_largest_size_are_relayed_however_many_wait() {
    let (data, place) = (Place::new(), TempDir::new().unwrap());
    let (database, log) = (data.open().await, log(&place));
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

#[tokio::test]
async fn an_event_that_no_broker_takes_is_a_dead_letter_and_the_rest_goes_on() {
    let (data, place) = (Place::new(), TempDir::new().unwrap());
    let (service, log) = (data.open().await, log(&place));
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
    let service = data.open().await;
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
async fn what_was_relayed_is_dealt_with_before_the_relay_comes_to_rest() {
    let (data, place) = (Place::new(), TempDir::new().unwrap());
    let (service, log) = (data.open().await, log(&place));
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
    let (data, place) = (Place::new(), TempDir::new().unwrap());
    let clock = crate::fixture::ManualClock::default();
    let service = data.open_by(clock.component()).await;
    let paused = watch::Sender::new(false);
    let control = Control::of(service.clone(), log(&place), paused.subscribe()).unwrap();
    commit(&service, 1..=3).await;
    assert_eq!((control.status().lag, control.status().stuck), (3, None));
    clock.advance(crate::subscription::STUCK_AFTER);
    let status = control.status();
    assert!(status.stuck.is_some_and(|why| why.contains("no progress")) && !status.passes);
    paused.send(true).unwrap();
    assert_eq!(control.status().stuck, None);
}

/// What every event of the topic says, by the number that it was given.
async fn said(log: &Log) -> Vec<u64> {
    let mut said = numbers(log).await;
    said.sort_unstable();
    said
}

#[tokio::test]
async fn what_a_store_that_was_made_anew_took_before_its_first_look_is_no_copy_of_what_the_topic_has()
 {
    // Fewer than the topic has numbers, as many, and more.
    for taken in [3, 5, 7] {
        let (before, anew, place) = (Place::new(), Place::new(), TempDir::new().unwrap());
        let log = log(&place);
        let broker = || -> Arc<dyn Broker> { Arc::new(Uncounting(log.clone())) };
        let service = before.open().await;
        commit(&service, 1..=5).await;
        let running = Running::start(Relay::new(service.clone(), broker()));
        published(&*log, 1..=5).await;
        running.stop().await;

        let service = anew.open().await;
        commit(&service, 11..=10 + taken).await;
        let running = Running::start(Relay::new(service.clone(), broker()));
        until(async || match said(&log).await {
            said if said.len() as u64 == 5 + taken => Ok(()),
            said => Err(format!("{said:?} {:?}", *running.status.borrow())),
        })
        .await;
        commit(&service, 21..=22).await;
        let all: Vec<u64> = (1..=5).chain(11..=10 + taken).chain(21..=22).collect();
        until(async || match said(&log).await {
            said if said == all => Ok(()),
            said => Err(format!("{said:?}")),
        })
        .await;
        let chained = chained(&*log).await;
        assert!(chained.windows(2).all(|two| two[0].0 == two[1].1), "no gap: {chained:?}");
        assert!(running.status.borrow().lost.is_some(), "and it is said");
        running.stop().await;
    }
}

#[tokio::test]
async fn what_was_published_before_a_kill_keeps_its_number() {
    let (data, place) = (Place::new(), TempDir::new().unwrap());
    let log = log(&place);
    let service = data.open().await;
    commit(&service, 1..=5).await;
    let all = service.waiting(first(0), 5).await.unwrap();
    log.publish(&topic("order").first(), all).await.unwrap();
    drop(service);
    let service = data.open().await;
    let running = Running::start(Relay::new(service.clone(), Arc::new(Uncounting(log.clone()))));
    commit(&service, 6..=7).await;
    published(&*log, 1..=7).await;
    assert_eq!(running.status.borrow().lost, None);
    running.stop().await;
}
