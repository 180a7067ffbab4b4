//! Once, in order, in one transaction; trouble of the environment is no attempt.

use super::*;
use crate::fixture::first;
use crate::partition::Partition;
use crate::subscription::Destination;
use crate::subscription::delivery::{Read, RunMode};

#[tokio::test]
async fn every_event_has_its_effect_once_and_its_outbox_row_beside_it() {
    let bench = bench().await;
    bench.publish(1, &["a", "b"]).await;
    let running = bench.start();
    bench.caught_up(&running.control).await;
    bench.publish(3, &["a", "c", "a"]).await;
    bench.caught_up(&running.control).await;
    let expected = [("a", 1), ("b", 2), ("a", 3), ("c", 4), ("a", 5)];
    assert_eq!(bench.effects().await, expected.map(|(key, number)| (key.to_owned(), number)));
    let published = bench.database.waiting(first(0), 100).await.unwrap();
    assert_eq!(published.len(), 5);
    assert_eq!(published[4].cause.causation_id.as_deref(), Some("order/id-5"));
    assert_eq!(
        bench.database.received("product.order", &topic("order")).await.unwrap(),
        [("order".to_owned(), 5.into())].into()
    );
    let status = running.control.status().await.unwrap();
    let [only] = &status.partitions[..] else { panic!("one partition") };
    assert_eq!((only.position, only.end, &status.stuck), (Offset(5), Offset(5), &None));
    running.stop().await;
}

#[tokio::test]
async fn a_restart_goes_on_where_the_transaction_got_to() {
    let bench = bench().await;
    for round in 0..5 {
        bench.publish(round * 2 + 1, &["a", "b"]).await;
        let running = bench.start();
        bench.caught_up(&running.control).await;
        running.abort();
    }
    assert_eq!(bench.of_key("a").await, [1, 3, 5, 7, 9]);
    assert_eq!(bench.of_key("b").await, [2, 4, 6, 8, 10]);
    assert!((1..=10).all(|number| bench.orders.calls(number) == 1));
}

#[tokio::test]
async fn a_rewind_delivers_everything_again_and_changes_nothing() {
    let bench = bench().await;
    bench.orders.break_key("bad", Wrong::Fails);
    bench.publish(1, &["a", "bad", "b", "bad"]).await;
    let running = bench.start();
    bench.caught_up(&running.control).await;
    bench.dead(&running.control, 1).await;
    let before = bench.effects().await;
    running.control.rewind().await.unwrap();
    bench.caught_up(&running.control).await;
    bench.publish(5, &["c"]).await;
    bench.effects_are("c", &[5]).await;
    assert_eq!(bench.effects().await[..before.len()], before);
    assert_eq!(bench.effects().await.len(), before.len() + 1);
    assert_eq!(running.control.parked().await.unwrap(), 2, "what is parked is not parked twice");
    running.stop().await;
    // While nothing runs, too.
    let resting = bench.subscription(bench.orders.clone());
    resting.control().rewind().await.unwrap();
    assert_eq!(resting.control().status().await.unwrap().partitions[0].position, Offset(0));
    let running = start(resting);
    bench.caught_up(&running.control).await;
    assert_eq!(bench.effects().await.len(), before.len() + 1);
    running.stop().await;
}

/// Backwards nothing happens again, forwards what is passed is written down, and a place that there is not is refused.
#[tokio::test]
async fn it_reads_on_from_where_it_is_told_to() {
    let bench = bench().await;
    let resting = bench.subscription(bench.orders.clone());
    let control = resting.control();
    let position = async || control.status().await.unwrap().partitions[0].position;
    let to = async |text: &str| control.move_to(&text.parse().unwrap(), None, "tester").await;
    bench.publish(1, &["a", "b", "c", "d", "e"]).await;
    for (text, expected) in [
        ("t2.order", Offset(2)),
        ("end", Offset(5)),
        ("beginning", Offset(0)),
        ("1970-01-01T00:00:00Z", Offset(0)),
        ("2999-01-01T00:00:00Z", Offset(5)),
        ("t3.order", Offset(3)),
    ] {
        to(text).await.unwrap();
        assert_eq!(position().await, expected, "{text}");
    }
    for refused in ["t6.order", "t1.product"] {
        assert!(matches!(to(refused).await, Err(Error::Token { .. })), "{refused}");
    }
    let notes = control.skipped().await.unwrap();
    let passed: Vec<_> = notes.iter().map(|it| (it.first, it.last, it.kind.as_str())).collect();
    assert_eq!(passed, [(1, 2, "place"), (3, 5, "place"), (1, 5, "place")]);
    assert!(notes.iter().all(|note| note.by == "tester" && note.name == "product.order"));
    control.move_to(&Destination::End, Partition::new(1), "tester").await.unwrap();
    assert_eq!(position().await, Offset(3), "another partition's alone");

    let running = start(resting);
    bench.caught_up(&running.control).await;
    assert_eq!(bench.effects().await, [("d".to_owned(), 4), ("e".to_owned(), 5)]);
    running.control.move_to(&Destination::Beginning, None, "tester").await.unwrap();
    bench.publish(6, &["f"]).await;
    bench.effects_are("f", &[6]).await;
    assert_eq!(bench.effects().await.len(), 3, "what is below a mark was received");
    running.stop().await;
}

#[tokio::test]
async fn a_second_copy_at_another_offset_changes_nothing() {
    let bench = bench().await;
    // Another broker might store twice: the copy has its own offset and the same stamp.
    let copy = |number, offset| crate::broker::Stored {
        offset: Offset(offset),
        event: stamped("order", "a", number),
    };
    let handler = bench.orders.clone();
    let name = "p".to_owned();
    let dispatcher = Dispatcher { name, handler, retry: RETRY, fault: None, opener: None };
    let events = [copy(1, 1), copy(2, 2), copy(1, 3), copy(2, 4), copy(3, 5)];
    let given = (dispatcher, events, RunMode::shared(false));
    let work = bench.database.write(given, |(dispatcher, events, mode), tx| {
        let read = Read { after: Offset(0), events, mode };
        Box::pin(dispatcher.deliver(tx, Partition::FIRST, read))
    });
    assert_eq!(work.await.unwrap().position, Offset(5));
    assert_eq!(bench.of_key("a").await, [1, 2, 3]);
}

/// It read what the other one has handled since: what is behind the place it expects is not there to be handled.
#[tokio::test]
async fn who_lost_a_partition_without_hearing_of_it_commits_nothing_late() {
    let bench = bench().await;
    let (slow, other) = (bench.orders.clone(), Orders::default());
    let deliver = |handler: &Orders, after: u64, numbers: std::ops::RangeInclusive<u64>| {
        let (name, handler) = ("product.order".to_owned(), handler.clone());
        let dispatcher = Dispatcher { name, handler, retry: RETRY, fault: None, opener: None };
        let events: Vec<_> = numbers
            .map(|number| crate::broker::Stored {
                offset: Offset(number),
                event: stamped("order", "a", number),
            })
            .collect();
        let given = (dispatcher, events, RunMode::shared(false));
        bench.database.write(given, move |(dispatcher, events, mode), tx| {
            let read = Read { after: Offset(after), events, mode };
            Box::pin(dispatcher.deliver(tx, Partition::FIRST, read))
        })
    };
    assert_eq!(deliver(&other, 0, 1..=3).await.unwrap().position, Offset(3));
    // It stood still between its read and its transaction, and goes on from where it is told the place is.
    for numbers in [1..=2, 1..=5] {
        let late = deliver(&slow, 0, numbers).await.unwrap();
        assert_eq!(late.position, Offset(3), "nothing was handled");
    }
    assert_eq!(bench.of_key("a").await, [1, 2, 3]);
    assert!((1..=5).all(|number| slow.calls(number) == 0), "no handler was asked");
}

#[tokio::test]
async fn an_event_without_an_outbox_sequence_is_known_by_its_offset() {
    let bench = bench().await;
    let plain = |number| Event { outbox_sequence: None, ..stamped("sensor", "a", number) };
    for number in [7, 7, 8] {
        bench.log.publish(&topic("order").first(), vec![plain(number)]).await.unwrap();
    }
    let running = bench.start();
    bench.caught_up(&running.control).await;
    running.control.rewind().await.unwrap();
    bench.caught_up(&running.control).await;
    assert_eq!(bench.of_key("a").await, [7, 7, 8]);
    running.stop().await;
}

#[tokio::test]
async fn what_was_published_and_is_not_in_the_topic_is_written_down_once_and_gaps_are_not() {
    let bench = bench().await;
    let chained = |(number, previous)| Event {
        outbox_previous: previous,
        ..stamped("order", if number == 12 { "broken" } else { "a" }, number)
    };
    // Its chain is anchored at 5; 7 and 8 were never given, 10 and 11 were; what is not chained says nothing.
    let events =
        [(5, Some(4)), (6, Some(5)), (9, Some(6)), (12, Some(11)), (15, None), (16, Some(15))];
    bench.orders.break_key("broken", Wrong::Fails);
    bench.log.publish(&topic("order").first(), events.map(chained).to_vec()).await.unwrap();
    let running = bench.start();
    bench.caught_up(&running.control).await;
    assert_eq!(bench.of_key("a").await, [5, 6, 9, 15, 16], "it goes on");
    running.control.rewind().await.unwrap();
    bench.caught_up(&running.control).await;
    let [gap] = &running.control.skipped().await.unwrap()[..] else { panic!("one note") };
    assert_eq!((gap.name.as_str(), gap.kind.as_str()), ("product.order", "gap"));
    assert_eq!((gap.partition, gap.first, gap.last), (Partition::FIRST, 10, 11));
    assert!(gap.reason.contains("`order`"), "{gap:?}");
    running.stop().await;
}

#[tokio::test]
async fn environment_trouble_takes_the_batch_back_is_no_attempt_and_says_stuck() {
    let bench = bench().await;
    bench.orders.break_key("b", Wrong::HasNoDisk);
    bench.publish(1, &["a", "b", "c"]).await;
    let running = bench.start();
    until(async || {
        let tried = bench.orders.calls(2);
        if tried > RETRY.attempts { Ok(()) } else { Err(format!("tried {tried} times")) }
    })
    .await;
    let status = running.control.status().await.unwrap();
    assert!(status.stuck.is_some_and(|why| why.contains("disk full")) && status.passes);
    assert!(bench.effects().await.is_empty());
    assert_eq!(bench.database.waiting(first(0), 10).await.unwrap().len(), 0);
    assert_eq!(running.control.parked().await.unwrap(), 0);
    bench.orders.repair("b");
    bench.caught_up(&running.control).await;
    assert_eq!(bench.effects().await.len(), 3);
    until(async || running.control.status().await.unwrap().stuck.map_or(Ok(()), Err)).await;
    running.stop().await;
}

#[tokio::test]
async fn a_paused_subscription_rests_and_is_not_stuck() {
    let bench = bench().await;
    let paused = watch::Sender::new(true);
    let subscription = bench.subscription(bench.orders.clone()).paused(paused.subscribe());
    bench.publish(1, &["a"]).await;
    let running = start(subscription);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    for _ in 0..2 {
        let status = running.control.status().await.unwrap();
        assert_eq!((status.lag, status.stuck), (1, None));
        bench.clock.advance(STUCK_AFTER);
    }
    paused.send(false).unwrap();
    bench.effects_are("a", &[1]).await;
    running.stop().await;
}

#[tokio::test]
async fn what_an_operator_pauses_takes_nothing_after_a_restart_either_until_it_is_resumed() {
    let bench = bench().await;
    let running = bench.start();
    bench.publish(1, &["a"]).await;
    bench.effects_are("a", &[1]).await;
    running.control.pause(None).await.unwrap();
    bench.publish(2, &["a"]).await;
    nothing_is_taken(&bench, &running.control).await;
    running.stop().await;
    let running = bench.start();
    nothing_is_taken(&bench, &running.control).await;
    running.control.resume().await.unwrap();
    bench.effects_are("a", &[1, 2]).await;
    assert_eq!(running.control.status().await.unwrap().paused, None);
    running.stop().await;
}

/// It is behind by one event, paused and not stuck, however often one looks.
async fn nothing_is_taken(bench: &Bench, control: &Control) {
    for _ in 0..20 {
        let status = control.status().await.unwrap();
        assert_eq!((status.lag, status.stuck), (1, None));
        assert!(status.paused.is_some());
        bench.clock.advance(STUCK_AFTER);
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.of_key("a").await, [1]);
}

#[tokio::test]
async fn a_pause_that_has_an_end_is_over_by_itself_and_begins_when_it_was_first_said() {
    let bench = bench().await;
    let running = bench.start();
    let (now, hour) = (bench.clock.component(), Duration::from_secs(3600));
    let begun = now();
    running.control.pause(Some(begun + hour)).await.unwrap();
    bench.clock.advance(hour / 2);
    // Said once more it ends later, and did not begin now.
    running.control.pause(Some(begun + 2 * hour)).await.unwrap();
    let paused = running.control.status().await.unwrap().paused;
    assert_eq!(paused, Some(Pause { since: begun, until: Some(begun + 2 * hour) }));
    bench.publish(1, &["a"]).await;
    bench.clock.advance(hour);
    assert!(running.control.status().await.unwrap().paused.is_some());
    assert!(bench.of_key("a").await.is_empty());
    bench.clock.advance(hour / 2);
    bench.effects_are("a", &[1]).await;
    assert_eq!(running.control.status().await.unwrap().paused, None);
    // The next one is another.
    running.control.pause(None).await.unwrap();
    let paused = running.control.status().await.unwrap().paused;
    assert_eq!(paused, Some(Pause { since: now(), until: None }));
    running.stop().await;
}

#[tokio::test]
async fn lag_without_progress_is_stuck_after_a_while_and_not_before() {
    let bench = bench().await;
    let control = bench.subscription(bench.orders.clone()).control();
    bench.publish(1, &["a"]).await;
    assert_eq!(control.status().await.unwrap().stuck, None);
    bench.clock.advance(STUCK_AFTER - Duration::from_micros(1));
    assert_eq!(control.status().await.unwrap().stuck, None);
    bench.clock.advance(Duration::from_micros(1));
    assert!(control.status().await.unwrap().stuck.is_some());
}

#[tokio::test]
async fn a_fault_is_asked_first_and_counts_as_the_handlers_failure() {
    let bench = bench().await;
    let fault: Fault =
        Arc::new(|event| if event.key == "b" { Err("on purpose".to_owned()) } else { Ok(()) });
    bench.publish(1, &["a", "b"]).await;
    let running = start(bench.subscription(bench.orders.clone()).fault(fault));
    bench.dead(&running.control, 1).await;
    assert_eq!(running.control.dead(1).await.unwrap()[0].reason, "on purpose");
    assert_eq!(bench.orders.calls(2), 0);
    assert_eq!(bench.of_key("a").await, [1]);
    running.stop().await;
}

/// Gathers numbers and writes them in one go; a poisoned batch cannot be written.
#[derive(Clone, Default)]
struct Gathering(Orders);

impl Handler for Gathering {
    type Batch = Vec<(String, u64)>;

    async fn handle(
        &self,
        batch: &mut Self::Batch,
        _: &mut Tx<'_>,
        event: &Event,
    ) -> Result<(), Failure> {
        *self.0.calls.lock().unwrap().entry(event.sequence).or_default() += 1;
        batch.push((event.key.clone(), event.sequence));
        if event.key == "late" { Err(Failure::Handler("late".to_owned())) } else { Ok(()) }
    }

    async fn flush(&self, batch: &mut Self::Batch, tx: &mut Tx<'_>) -> Result<(), Error> {
        for (key, number) in &*batch {
            if key == "poison" {
                return Err(Error::Statement { what: "poisoned".to_owned() });
            }
            effect(tx, key, *number).await?;
        }
        Ok(())
    }

    fn committed(&self, batch: Self::Batch) {
        self.0.committed.lock().unwrap().extend(batch.iter().map(|(_, number)| number));
    }
}

#[tokio::test]
async fn scratch_of_a_failed_event_is_thrown_away_and_it_is_tried_exactly_as_often_as_it_may() {
    let bench = bench().await;
    let gathering = Gathering(bench.orders.clone());
    bench.publish(1, &["a", "late", "b"]).await;
    let running = start(bench.subscription(gathering));
    bench.dead(&running.control, 1).await;
    assert_eq!(bench.effects().await, [("a".to_owned(), 1), ("b".to_owned(), 3)]);
    assert_eq!(bench.orders.calls(2), RETRY.attempts);
    assert_eq!(*bench.orders.committed.lock().unwrap(), [1, 3]);
    running.stop().await;
}

#[tokio::test]
async fn an_event_that_poisons_the_flush_is_found_and_parked_alone() {
    let bench = bench().await;
    bench.publish(1, &["a", "poison", "b", "poison"]).await;
    let running = start(bench.subscription(Gathering(bench.orders.clone())));
    bench.dead(&running.control, 1).await;
    let letter = &running.control.dead(1).await.unwrap()[0];
    assert_eq!((letter.key.as_str(), letter.waiting), ("poison", 1));
    assert!(letter.reason.contains("poisoned"));
    assert_eq!(bench.effects().await, [("a".to_owned(), 1), ("b".to_owned(), 3)]);
    running.stop().await;
}

/// Handles as [`Orders`] do, in transactions that it is allowed to begin.
struct Leased {
    orders: Orders,
    held: tokio::sync::watch::Receiver<bool>,
}

impl Handler for Leased {
    type Batch = ();

    async fn begin(&self, _: &mut Tx<'_>) -> Result<(), Error> {
        if *self.held.borrow() { Ok(()) } else { Err(Error::environment("not ours")) }
    }

    async fn handle(&self, (): &mut (), tx: &mut Tx<'_>, event: &Event) -> Result<(), Failure> {
        self.orders.apply(tx, event).await
    }
}

#[tokio::test]
async fn a_transaction_that_may_not_begin_takes_nothing_and_comes_again_and_rest_is_no_trouble() {
    let bench = bench().await;
    let (allow, held) = tokio::sync::watch::channel(false);
    let (rest, rests) = tokio::sync::watch::channel(false);
    bench.publish(1, &["a", "b"]).await;
    let handler = Leased { orders: bench.orders.clone(), held };
    let running = start(bench.subscription(handler).paused(rests));
    let stuck = async |wanted: bool| {
        until(async || {
            let stuck = running.control.status().await.unwrap().stuck;
            if stuck.is_some() == wanted { Ok(()) } else { Err(format!("{stuck:?}")) }
        })
        .await;
    };
    stuck(true).await;
    rest.send_replace(true);
    stuck(false).await;
    assert_eq!((bench.effects().await, bench.orders.calls(1)), (vec![], 0));
    allow.send_replace(true);
    rest.send_replace(false);
    bench.effects_are("b", &[2]).await;
    assert_eq!(bench.of_key("a").await, [1]);
    running.stop().await;
}

/// Gathers as [`Gathering`] does; a flush of this key's events panics, and so does its commit.
struct Panicking;

impl Handler for Panicking {
    type Batch = Vec<(String, u64)>;

    async fn handle(
        &self,
        batch: &mut Self::Batch,
        _: &mut Tx<'_>,
        event: &Event,
    ) -> Result<(), Failure> {
        batch.push((event.key.clone(), event.sequence));
        Ok(())
    }

    async fn flush(&self, batch: &mut Self::Batch, tx: &mut Tx<'_>) -> Result<(), Error> {
        for (key, number) in &*batch {
            effect(tx, key, *number).await?;
            assert!(key != "poison", "a poisoned flush");
        }
        Ok(())
    }

    fn committed(&self, batch: Self::Batch) {
        assert!(batch.iter().all(|(key, _)| key != "b"), "after the commit");
    }
}

#[tokio::test]
async fn a_panic_in_a_flush_parks_its_key_and_one_after_the_commit_stops_nothing() {
    let bench = bench().await;
    bench.publish(1, &["a", "poison", "b", "poison"]).await;
    let running = start(bench.subscription(Panicking));
    bench.dead(&running.control, 1).await;
    let letter = &running.control.dead(1).await.unwrap()[0];
    assert_eq!((letter.key.as_str(), letter.waiting), ("poison", 1));
    assert!(letter.reason.contains("a poisoned flush"), "{}", letter.reason);
    bench.publish(5, &["c"]).await;
    bench.effects_are("c", &[5]).await;
    let effects = [("a".to_owned(), 1), ("b".to_owned(), 3), ("c".to_owned(), 5)];
    assert_eq!(bench.effects().await, effects);
    assert_eq!(running.control.status().await.unwrap().stuck, None);
    running.stop().await;
}

#[tokio::test]
async fn a_fault_that_panics_is_a_failure_like_any_other() {
    let bench = bench().await;
    let fault: Fault = Arc::new(|event| {
        assert!(event.key != "b", "a fault's own");
        Ok(())
    });
    bench.publish(1, &["a", "b"]).await;
    let running = start(bench.subscription(bench.orders.clone()).fault(fault));
    bench.dead(&running.control, 1).await;
    assert!(running.control.dead(1).await.unwrap()[0].reason.contains("a fault's own"));
    assert_eq!(bench.of_key("a").await, [1]);
    running.stop().await;
}

/// Does half of its work, and panics inside a part of it.
struct Half;

impl Handler for Half {
    type Batch = ();

    async fn handle(&self, (): &mut (), tx: &mut Tx<'_>, event: &Event) -> Result<(), Failure> {
        effect(tx, &event.key, event.sequence).await?;
        let draft = Draft::new("Handled", &event.key, event.sequence, &(), &Cause::of(event));
        tx.publish(draft).await?;
        let part = tx.savepoint().await?;
        effect(tx, "part", event.sequence).await?;
        let part_of_it = tx.savepoint().await?;
        effect(tx, "part of a part", event.sequence).await?;
        assert!(event.key != "bad", "in the middle");
        tx.settle(part_of_it, true).await?;
        tx.settle(part, true).await?;
        Ok(())
    }
}

#[tokio::test]
async fn a_panic_inside_a_part_takes_the_whole_handler_back() {
    let bench = bench().await;
    bench.publish(1, &["bad", "a"]).await;
    let running = start(bench.subscription(Half));
    bench.dead(&running.control, 1).await;
    let keys: Vec<String> = bench.effects().await.into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["a", "part", "part of a part"]);
    assert_eq!(bench.database.waiting(first(0), 10).await.unwrap().len(), 1);
    running.stop().await;
}
