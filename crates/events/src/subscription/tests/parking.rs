//! A failing key waits by itself, in order, as often as it may and no oftener.

use std::sync::OnceLock;

use serde_json::value::RawValue;

use super::*;
use crate::parking::Edited;
use crate::partition::Numbered;
use crate::position::WritePosition;
use crate::subscription::trial::Died;

#[tokio::test]
async fn a_failing_event_is_tried_exactly_three_times_while_other_keys_go_on() {
    let bench = bench().await;
    bench.orders.break_key("bad", Wrong::Fails);
    bench.publish(1, &["a", "bad", "b", "bad", "a"]).await;
    let running = bench.start();
    bench.caught_up(&running.control).await;
    assert_eq!(bench.of_key("a").await, [1, 5]);
    assert_eq!(bench.of_key("b").await, [3]);
    assert_eq!(bench.orders.calls(2), 1, "the second attempt waits for its time");
    assert!(running.control.dead(10).await.unwrap().is_empty());
    let retried = running.control.retried(10).await.unwrap();
    let [first] = &retried[..] else { panic!("{retried:?}") };
    assert_eq!((first.id.as_str(), first.key.as_str()), ("product.order.2", "bad"));
    assert_eq!((first.attempts, first.waiting), (1, 1));
    assert_eq!(first.reason, "bad is broken");
    assert_eq!(first.next_attempt, (bench.clock.component())() + RETRY.backoff);
    bench.dead(&running.control, 1).await;
    assert!(running.control.retried(10).await.unwrap().is_empty(), "a letter waits for no time");
    bench.clock.advance(RETRY.backoff * 10);
    bench.publish(6, &["bad", "b"]).await;
    bench.effects_are("b", &[3, 7]).await;
    assert_eq!(bench.orders.calls(2), RETRY.attempts);
    assert_eq!((bench.orders.calls(4), bench.orders.calls(6)), (0, 0), "later ones wait unseen");
    let letters = running.control.dead(10).await.unwrap();
    let [letter] = &letters[..] else { panic!("{letters:?}") };
    assert_eq!(letter.id, "product.order.2");
    assert_eq!((letter.subscription.as_str(), letter.topic.as_str()), ("product.order", "order"));
    assert_eq!((letter.key.as_str(), letter.kind.as_str()), ("bad", "Numbered"));
    assert_eq!((letter.attempts, letter.waiting), (3, 2));
    assert_eq!(letter.reason, "bad is broken");
    let event = running.control.dead_event(&letter.id).await.unwrap().expect("its event");
    assert_eq!(event.sequence, 2);
    running.stop().await;
}

#[tokio::test]
async fn an_event_that_recovers_is_handled_before_the_later_ones_of_its_key() {
    let bench = bench().await;
    bench.orders.break_key("bad", Wrong::Fails);
    bench.publish(1, &["bad", "bad", "a", "bad"]).await;
    let running = bench.start();
    bench.caught_up(&running.control).await;
    let parked = async |position| running.control.parked_through(&position).await.unwrap();
    let of_key = async |key| parked(WritePosition::new("order", u64::MAX).for_key(key)).await;
    assert!(of_key("bad").await);
    assert!(!of_key("a").await);
    assert!(parked(WritePosition::new("order", 1)).await);
    assert!(parked(WritePosition::new("order", 4).for_key("bad")).await);
    assert!(!parked(WritePosition::new("order", 4).for_key("a")).await, "another key");
    assert!(!parked(WritePosition::new("order", 0)).await);
    assert!(!parked(WritePosition::new("delivery", 9)).await, "another source");
    bench.orders.repair("bad");
    bench.clock.advance(RETRY.backoff);
    bench.effects_are("bad", &[1, 2, 4]).await;
    bench.publish(5, &["bad"]).await;
    bench.effects_are("bad", &[1, 2, 4, 5]).await;
    assert!(!of_key("bad").await);
    assert_eq!(bench.orders.calls(1), 2);
    running.stop().await;
}

#[tokio::test]
async fn a_redriven_dead_letter_is_applied_once_and_in_order_with_what_waited_behind_it() {
    let bench = bench().await;
    bench.orders.break_key("bad", Wrong::Panics);
    bench.publish(1, &["bad", "a", "bad", "bad"]).await;
    let running = bench.start();
    bench.dead(&running.control, 1).await;
    assert_eq!(running.control.dead(1).await.unwrap()[0].reason, "panicked: bad panics");
    for unknown in ["product.order.2", "product.order.3", "product.order.99", "x", ""] {
        assert!(!running.control.redrive(unknown).await.unwrap(), "{unknown:?}");
    }
    // Not repaired: it has all its attempts again, and is dead again.
    assert!(running.control.redrive("product.order.1").await.unwrap());
    bench.dead(&running.control, 1).await;
    assert_eq!(bench.orders.calls(1), 2 * RETRY.attempts);
    bench.orders.repair("bad");
    assert!(running.control.redrive("product.order.1").await.unwrap());
    bench.effects_are("bad", &[1, 3, 4]).await;
    assert!(running.control.dead(10).await.unwrap().is_empty());
    assert!(!running.control.redrive("product.order.1").await.unwrap());
    running.stop().await;
}

/// Has effects of small numbers alone.
struct Picky;

impl Handler for Picky {
    type Batch = ();

    async fn handle(&self, (): &mut (), tx: &mut Tx<'_>, event: &Event) -> Result<(), Failure> {
        let number = event.decode()?;
        effect(tx, &event.key, number).await?;
        let reason = format!("{number} is too many");
        if number > 100 { Err(Failure::Handler(reason)) } else { Ok(()) }
    }
}

fn data(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}

#[tokio::test]
async fn a_letter_is_tried_with_other_data_without_a_trace_and_redriven_with_them() {
    let bench = bench().await;
    bench.publish(500, &["bad", "bad", "a"]).await;
    let running = start(bench.subscription(Picky));
    bench.dead(&running.control, 2).await;
    let control = &running.control;
    let ids = control.dead(9).await.unwrap();
    assert_eq!((ids[0].key.as_str(), ids[0].waiting), ("bad", 1));
    let (id, fails) = ("product.order.1", |why: &str| Edited::Fails(why.to_owned()));
    assert_eq!(control.rehearse(id, None).await.unwrap(), fails("500 is too many"));
    assert_eq!(control.rehearse(id, Some(data("501"))).await.unwrap(), fails("501 is too many"));
    assert_eq!(control.rehearse(id, Some(data("7"))).await.unwrap(), Edited::Done);
    assert_eq!((bench.effects().await, control.dead(9).await.unwrap().len()), (vec![], 2));
    // It is as it came.
    assert!(control.edited(id).await.unwrap().is_none());
    let large = data(&format!("\"{}\"", "x".repeat(crate::event::EVENT_BYTES_MAX)));
    let refused = control.redrive_with(id, large, "me").await.unwrap_err();
    assert!(matches!(refused, Error::Limit { field: "event", .. }), "{refused}");
    for unknown in ["product.order.2", "product.order.99", "x"] {
        assert_eq!(control.redrive_with(unknown, data("7"), "me").await.unwrap(), Edited::NoLetter);
        assert_eq!(control.rehearse(unknown, None).await.unwrap(), Edited::NoLetter);
    }

    // Edited badly, it is a letter again that shows what came; edited again, what came is what it was.
    assert_eq!(control.redrive_with(id, data("600"), "he").await.unwrap(), Edited::Done);
    bench.dead(control, 2).await;
    let edited = control.edited(id).await.unwrap().expect("it was edited");
    let original = edited.original.expect("an event");
    assert_eq!((original.data.get(), edited.by.as_str()), ("500", "he"));
    let event = control.dead_event(id).await.unwrap().expect("an event");
    assert_eq!((event.data.get(), &event.id, event.sequence), ("600", &original.id, 500));
    assert_eq!(control.redrive_with(id, data("601"), "she").await.unwrap(), Edited::Done);
    let again = control.edited(id).await.unwrap().expect("it was edited");
    assert_eq!((again.original.expect("an event").data.get(), again.by.as_str()), ("500", "she"));
    bench.dead(control, 2).await;
    assert_eq!(control.redrive_with(id, data("7"), "she").await.unwrap(), Edited::Done);
    bench.effects_are("bad", &[7]).await;
    // What waited behind it fails by itself.
    bench.dead(control, 2).await;
    assert_eq!(bench.hurt("DELETE FROM edit").await, 0, "nothing is left of it");
    let notes = control.skipped().await.unwrap();
    let told: Vec<_> =
        notes.iter().map(|it| (it.kind.as_str(), it.by.as_str(), it.first)).collect();
    assert_eq!(told, [("edited", "he", 1), ("edited", "she", 1), ("edited", "she", 1)]);
    let stored = bench.log.read(&topic("order").first(), Offset(0), 1).await.unwrap();
    assert_eq!(stored[0].event.data.get(), "500", "the topic has what came");
    running.stop().await;
}

#[tokio::test]
async fn what_is_past_its_deadline_or_ended_the_process_is_not_tried_to_see_what_would_come_of_it()
{
    const UNTIL: &str = "1970-01-01T09:30:00+09:00";
    let bench = bench().await;
    for key in ["late", "deadly"] {
        bench.orders.break_key(key, Wrong::Fails);
    }
    running::publish_until(&*bench.log, 1, &["late"], UNTIL).await;
    bench.publish(2, &["deadly"]).await;
    let running = bench.start();
    let control = &running.control;
    bench.dead(control, 2).await;
    for key in ["late", "deadly"] {
        bench.orders.repair(key);
    }
    let [late, deadly] = ["product.order.1", "product.order.2"];
    for id in [late, deadly] {
        assert_eq!(control.rehearse(id, None).await.unwrap(), Edited::Done, "{id}");
    }
    bench.clock.advance(Duration::from_secs(3600));
    assert_eq!(control.rehearse(late, None).await.unwrap(), Edited::Expired);
    let reason = Died { deaths: 3, attempts: 3 }.reason();
    let becomes = format!("UPDATE parked SET reason = '{reason}' WHERE \"offset\" = 2");
    assert_eq!(bench.hurt(&becomes).await, 1);
    let calls = bench.orders.calls(2);
    for data in [None, Some(RawValue::from_string("7".to_owned()).unwrap())] {
        let came = control.rehearse(deadly, data).await.unwrap();
        assert_eq!(came, Edited::Deadly(reason.clone()));
    }
    assert_eq!(bench.orders.calls(2), calls, "nobody tried it");
    running.stop().await;
}

#[tokio::test]
async fn an_event_whose_deadline_comes_before_its_turn_is_passed_and_counted() {
    const UNTIL: &str = "1970-01-01T09:00:10+09:00";
    let bench = bench().await;
    bench.orders.break_key("bad", Wrong::Fails);
    running::publish_until(&*bench.log, 1, &["a", "bad", "bad"], UNTIL).await;
    let running = bench.start();
    bench.caught_up(&running.control).await;
    assert_eq!((bench.of_key("a").await, bench.orders.calls(2)), (vec![1], 1), "in time");
    // Of what is parked, too, nobody is asked any more.
    bench.clock.advance(Duration::from_secs(10));
    running::publish_until(&*bench.log, 4, &["a", "b"], UNTIL).await;
    bench.publish(6, &["bad"]).await;
    bench.orders.repair("bad");
    bench.effects_are("bad", &[6]).await;
    assert_eq!(running.control.expired().await.unwrap(), 4);
    assert_eq!((running.control.parked().await.unwrap(), bench.orders.calls(2)), (0, 1));
    assert_eq!((bench.of_key("a").await, bench.orders.calls(4)), (vec![1], 0));
    let all = (1..=6).map(|number| Numbered { partition: Default::default(), number }).collect();
    let mut marked = running.control.expired_at(&all).await.unwrap();
    marked.sort_by_key(|at| at.number);
    assert_eq!(marked.iter().map(|at| at.number).collect::<Vec<_>>(), [2, 3, 4, 5]);
    // A clock that was set back does no harm beyond that: what was passed stays so, and what comes is in time.
    bench.clock.step_back(Duration::from_secs(1));
    running::publish_until(&*bench.log, 7, &["a"], UNTIL).await;
    bench.effects_are("a", &[1, 7]).await;
    assert_eq!(running.control.expired().await.unwrap(), 4);
    running.stop().await;
}

#[tokio::test]
async fn what_a_handler_has_in_hand_and_what_it_tries_again_is_counted() {
    let bench = bench().await;
    bench.orders.break_key("bad", Wrong::Fails);
    let (seen, asked) = (Arc::new(Mutex::new(Vec::new())), Arc::new(OnceLock::<Control>::new()));
    let look: Fault = {
        let (seen, asked) = (Arc::clone(&seen), Arc::clone(&asked));
        Arc::new(move |_| {
            seen.lock().unwrap().push(asked.get().map(Control::in_flight));
            Ok(())
        })
    };
    let subscription = bench.subscription(bench.orders.clone()).fault(look);
    _ = asked.set(subscription.control());
    bench.publish(1, &["a", "bad"]).await;
    let running = start(subscription);
    bench.caught_up(&running.control).await;
    assert_eq!(running.control.retries(), 0, "a first attempt is none");
    bench.dead(&running.control, 1).await;
    bench.effects_are("a", &[1]).await;
    // The letter is there before the loop behind it has counted: of three attempts two are retries.
    until(async || match (running.control.in_flight(), running.control.retries()) {
        (0, 2) => Ok(()),
        other => Err(format!("{other:?} are counted")),
    })
    .await;
    let seen = seen.lock().unwrap().clone();
    // Both of the batch, each time it is taken, and one by one what is tried again.
    let (batch, again) = seen.split_at(seen.len() - 2);
    assert!(batch.len() >= 2 && batch.iter().all(|it| *it == Some(2)), "{seen:?}");
    assert_eq!(again, [Some(1), Some(1)]);
    running.stop().await;
}

#[tokio::test]
async fn what_is_parked_survives_a_restart_of_the_consumer() {
    let bench = bench().await;
    bench.orders.break_key("bad", Wrong::Fails);
    bench.publish(1, &["bad", "bad"]).await;
    let running = bench.start();
    bench.dead(&running.control, 1).await;
    running.stop().await;
    bench.orders.repair("bad");
    let running = bench.start();
    assert!(running.control.redrive("product.order.1").await.unwrap());
    bench.effects_are("bad", &[1, 2]).await;
    running.stop().await;
}

#[tokio::test]
async fn a_parked_row_that_is_no_event_any_more_holds_up_its_own_key_until_it_is_skipped() {
    let bench = bench().await;
    bench.orders.break_key("bad", Wrong::Fails);
    bench.orders.break_key("other", Wrong::Fails);
    bench.publish(1, &["bad", "other", "bad", "a"]).await;
    let running = bench.start();
    bench.caught_up(&running.control).await;
    assert_eq!(
        bench.hurt("UPDATE parked SET event = substr(event, 2) WHERE \"offset\" = 1").await,
        1
    );
    bench.orders.repair("other");
    bench.orders.repair("bad");
    bench.clock.advance(RETRY.backoff);
    bench.effects_are("other", &[2]).await;
    let letters = running.control.dead(10).await.unwrap();
    let [letter] = &letters[..] else { panic!("one letter: {letters:?}") };
    assert_eq!((letter.id.as_str(), letter.key.as_str()), ("product.order.1", "bad"));
    assert!(letter.reason.contains("`yeoul events skip product.order`"), "{}", letter.reason);
    assert!(running.control.dead_event(&letter.id).await.unwrap().is_none() && letter.waiting == 1);
    assert!(bench.of_key("bad").await.is_empty());
    let skipped = running.control.skip("a test").await.unwrap().expect("it is stuck");
    assert_eq!((skipped.kind.as_str(), skipped.first), ("parked", 1));
    assert_eq!((skipped.key.as_deref(), skipped.by.as_str()), (Some("bad"), "a test"));
    bench.effects_are("bad", &[3]).await;
    assert_eq!(running.control.skip("a test").await.unwrap(), None, "nothing is stuck");
    assert_eq!(running.control.skipped().await.unwrap(), [skipped]);
    running.stop().await;
}

#[tokio::test]
async fn a_parked_row_that_is_hurt_elsewhere_stops_nobody() {
    let everywhere =
        ["attempts = -1", "since = 9223372036854775807", "next_at = -9223372036854775807"];
    for hurt in everywhere.iter().chain(HURTS_OF_ITS_OWN) {
        let bench = bench().await;
        bench.orders.break_key("bad", Wrong::Fails);
        bench.publish(1, &["bad", "bad", "other"]).await;
        let running = bench.start();
        bench.caught_up(&running.control).await;
        let statement = format!("UPDATE parked SET {hurt} WHERE \"offset\" = 1");
        assert_eq!(bench.hurt(&statement).await, 1);
        bench.orders.repair("bad");
        bench.clock.advance(RETRY.backoff);
        until(async || match running.control.parked().await.unwrap() {
            0 => Ok(()),
            some => Err(format!("{hurt}: {some} wait: {:?}", running.control.dead(10).await)),
        })
        .await;
        assert_eq!(bench.effects().await.len(), 3, "{hurt}");
        running.stop().await;
    }
}

#[tokio::test]
async fn a_key_that_waits_for_nothing_is_tried_again_at_the_next_start() {
    for hurt in ["next_at = 9223372036854775807", "next_at = NULL", "next_at = NULL, dead = 7"] {
        let bench = bench().await;
        bench.orders.break_key("bad", Wrong::Fails);
        bench.publish(1, &["bad", "bad", "other"]).await;
        let running = bench.start();
        bench.caught_up(&running.control).await;
        running.stop().await;
        let statement = format!("UPDATE parked SET {hurt} WHERE \"offset\" = 1");
        assert_eq!(bench.hurt(&statement).await, 1);
        bench.orders.repair("bad");
        let running = bench.start();
        bench.effects_are("bad", &[1, 2]).await;
        running.stop().await;
    }
}

#[tokio::test]
async fn a_dead_letter_whose_offset_is_hurt_is_listed_and_dropped_like_any_other() {
    for offset in ["-3", "-9223372036854775808"] {
        let bench = bench().await;
        bench.orders.break_key("bad", Wrong::Fails);
        bench.publish(1, &["bad", "bad"]).await;
        let running = bench.start();
        bench.dead(&running.control, 1).await;
        let statement = format!("UPDATE parked SET \"offset\" = {offset} WHERE dead = 1");
        assert_eq!(bench.hurt(&statement).await, 1);
        bench.orders.repair("bad");
        let letters = running.control.dead(10).await.unwrap();
        let [letter] = &letters[..] else { panic!("one letter: {letters:?}") };
        assert!(running.control.discard(&letter.id, "a test").await.unwrap(), "{}", letter.id);
        bench.effects_are("bad", &[2]).await;
        running.stop().await;
    }
}

#[tokio::test]
async fn a_dropped_letter_is_written_down_and_what_waits_behind_it_follows() {
    let bench = bench().await;
    bench.orders.break_key("bad", Wrong::Fails);
    bench.publish(1, &["bad", "bad"]).await;
    let running = bench.start();
    bench.dead(&running.control, 1).await;
    bench.orders.repair("bad");
    assert!(!running.control.discard("product.order.2", "a test").await.unwrap(), "no letter");
    assert!(running.control.discard("product.order.1", "a test").await.unwrap());
    bench.effects_are("bad", &[2]).await;
    let notes = running.control.skipped().await.unwrap();
    let [note] = &notes[..] else { panic!("one note: {notes:?}") };
    assert_eq!((note.kind.as_str(), note.event.as_deref()), ("letter", Some("id-1")));
    running.stop().await;
}
