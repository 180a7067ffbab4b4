//! What an event that its receiver cannot bear, an operator elsewhere and another partition do to the rest: nothing that lasts.

use serde_json::value::RawValue;

use super::*;
use crate::parking::Edited;
use crate::store::tx::Tx;

/// Who takes one at a time and puts the same one off again and again, as a circuit's probes do.
fn one_at_a_time() -> Bench {
    Bench { mailbox: Mailbox::of(1), ..Bench::new() }
}

#[tokio::test]
async fn an_event_that_is_put_off_each_time_keeps_no_other_waiting() {
    let bench = one_at_a_time();
    bench.mailbox.tell(|said| _ = said.put_off_keys.insert("x".to_owned()));
    let running = bench.start();
    bench.publish(1, &["x", "a", "b", "a"]).await;
    bench.mailbox.took("a", &[2, 4]).await;
    bench.mailbox.took("b", &[3]).await;
    bench.publish(5, &["a"]).await;
    bench.mailbox.took("a", &[2, 4, 5]).await;
    bench.mailbox.tell(|said| said.put_off_keys.clear());
    bench.caught_up(&running.control).await;
    running.stop().await;
    assert_eq!((bench.mailbox.taken("x"), bench.rows("parked").await), (vec![1], 0));
}

#[tokio::test]
async fn nor_does_a_parked_one_that_is_due() {
    let bench = one_at_a_time();
    bench.mailbox.tell(|said| said.failing = HashSet::from(["x", "y"].map(str::to_owned)));
    let running = bench.start();
    bench.publish(1, &["x", "y"]).await;
    bench.caught_up(&running.control).await;
    assert_eq!(bench.rows("parked").await, 2);
    bench.mailbox.tell(|said| {
        said.failing.clear();
        said.put_off_keys.insert("x".to_owned());
    });
    bench.clock.advance(PACE.backoff);
    bench.publish(3, &["a"]).await;
    bench.mailbox.took("y", &[2]).await;
    bench.mailbox.took("a", &[3]).await;
    bench.mailbox.tell(|said| said.put_off_keys.clear());
    bench.mailbox.took("x", &[1]).await;
    running.stop().await;
}

/// As many as may be parked, by another partition.
async fn park_elsewhere(tx: &mut Tx<'_>) -> Result<(), crate::Error> {
    let insert = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
        INSERT INTO parked
            (subscription, partition, \"offset\", key, source, event, attempts, dead, reason, since)
        SELECT 'mail.order', 1, i, 'k' || i, 'order', x'7b7d', 1, 1, 'broken', 0 FROM n";
    tx.execute(insert, &[]).await?;
    Ok(())
}

#[tokio::test]
async fn a_partition_that_takes_nothing_because_of_another_goes_on_when_that_has_room() {
    let bench = Bench::new();
    let work = bench.database.write((), |(), tx| Box::pin(park_elsewhere(tx)));
    work.await.unwrap();
    let running = bench.start();
    bench.publish(1, &["a"]).await;
    until(async || {
        let stuck = running.control.status().await.unwrap().stuck.unwrap_or_default();
        if stuck.contains("are parked") { Ok(()) } else { Err(stuck) }
    })
    .await;
    assert_eq!(bench.mailbox.taken("a"), [0; 0]);
    let work = bench.database.write((), |(), tx| {
        Box::pin(async { tx.execute("DELETE FROM parked WHERE key = 'k1'", &[]).await.map(drop) })
    });
    work.await.unwrap();
    bench.mailbox.took("a", &[1]).await;
    bench.caught_up(&running.control).await;
    assert_eq!(running.control.status().await.unwrap().stuck, None);
    running.stop().await;
}

#[tokio::test]
async fn what_an_operator_asks_for_at_another_instance_is_done_here() {
    let bench = Bench::new();
    bench.mailbox.tell(|said| _ = said.failing.insert("a".to_owned()));
    let running = bench.start();
    let elsewhere = bench.elsewhere();
    bench.publish(1, &["a", "a"]).await;
    bench.dead(&running.control, 1).await;
    bench.mailbox.tell(|said| said.failing.clear());
    assert!(elsewhere.redrive("mail.order.1").await.unwrap());
    bench.mailbox.took("a", &[1, 2]).await;
    // A letter that is dropped there: what comes of its key is delivered again.
    bench.mailbox.tell(|said| _ = said.failing.insert("a".to_owned()));
    bench.publish(3, &["a"]).await;
    bench.dead(&running.control, 1).await;
    bench.mailbox.tell(|said| said.failing.clear());
    assert!(elsewhere.discard("mail.order.3", "a test").await.unwrap());
    bench.publish(4, &["a"]).await;
    bench.mailbox.took("a", &[1, 2, 4]).await;
    // And a place that is moved there.
    bench.caught_up(&running.control).await;
    let mut before = bench.mailbox.said().permits;
    bench.mailbox.tell(|said| said.is_away = true);
    let asked_for_a_permit = async |before: u32| {
        until(async || {
            let permits = bench.mailbox.said().permits;
            if permits > before { Ok(()) } else { Err(format!("{permits} permits")) }
        })
        .await;
        bench.mailbox.said().permits
    };
    bench.publish(5, &["a"]).await;
    before = asked_for_a_permit(before).await;
    elsewhere.move_to(&Destination::End, None, "a test").await.unwrap();
    bench.publish(6, &["b"]).await;
    // Who reads anew from there asks for a permit anew.
    asked_for_a_permit(before).await;
    bench.mailbox.tell(|said| said.is_away = false);
    bench.mailbox.took("b", &[6]).await;
    bench.caught_up(&running.control).await;
    assert_eq!(bench.mailbox.taken("a"), [1, 2, 4], "what was passed is not delivered");
    running.stop().await;
}

#[tokio::test]
async fn a_redrive_does_not_deliver_again_what_somebody_is_slow_with() {
    let bench = Bench::new();
    bench.mailbox.tell(|said| {
        said.silent.insert("slow".to_owned());
        said.failing.insert("a".to_owned());
    });
    let running = bench.start();
    bench.publish(1, &["slow", "a"]).await;
    bench.dead(&running.control, 1).await;
    bench.mailbox.tell(|said| said.failing.clear());
    assert!(running.control.redrive("mail.order.2").await.unwrap());
    bench.mailbox.took("a", &[2]).await;
    bench.mailbox.tell(|said| said.silent.clear());
    bench.caught_up(&running.control).await;
    running.stop().await;
    let asked = bench.mailbox.said().asked.clone();
    assert_eq!(asked.iter().filter(|number| **number == 1).count(), 1, "{asked:?}");
}

#[tokio::test]
async fn who_waits_for_a_permit_keeps_his_place_whatever_else_happens() {
    let bench = Bench::new();
    bench.mailbox.tell(|said| _ = said.silent.insert("slow".to_owned()));
    let running = bench.start();
    bench.publish(1, &["slow"]).await;
    bench.asked(1).await;
    bench.mailbox.tell(|said| said.is_away = true);
    bench.publish(2, &["a"]).await;
    until(async || {
        let permits = bench.mailbox.said().permits;
        if permits == 2 { Ok(()) } else { Err(format!("{permits} permits")) }
    })
    .await;
    // Another one is stored, and one is answered for and noted.
    bench.publish(3, &["b"]).await;
    bench.mailbox.tell(|said| said.silent.clear());
    bench.caught_up_to(&running.control, 2).await;
    assert_eq!(bench.mailbox.said().permits, 2);
    bench.mailbox.tell(|said| said.is_away = false);
    bench.asked(3).await;
    bench.caught_up(&running.control).await;
    running.stop().await;
}

#[tokio::test]
async fn a_letter_is_delivered_with_other_data_and_nobody_tries_it_without_delivering() {
    let bench = Bench::new();
    bench.mailbox.tell(|said| _ = said.failing.insert("a".to_owned()));
    let running = bench.start();
    bench.publish(1, &["a"]).await;
    bench.dead(&running.control, 1).await;
    let (control, id) = (&running.control, "mail.order.1");
    assert_eq!(control.rehearse(id, None).await.unwrap(), Edited::NotHere);
    bench.mailbox.tell(|said| said.failing.clear());
    let data = RawValue::from_string("7".to_owned()).unwrap();
    assert_eq!(control.redrive_with(id, data, "me").await.unwrap(), Edited::Done);
    bench.mailbox.took("a", &[1]).await;
    assert_eq!(bench.mailbox.said().data.last().map(String::as_str), Some("7"));
    running.stop().await;
}

#[tokio::test]
async fn nobody_is_asked_about_an_event_whose_deadline_came_before_its_turn() {
    const UNTIL: &str = "1970-01-01T00:00:10Z";
    let bench = Bench::new();
    bench.mailbox.tell(|said| _ = said.failing.insert("bad".to_owned()));
    running::publish_until(&*bench.log, 1, &["a", "bad", "bad"], UNTIL).await;
    let running = bench.start();
    bench.caught_up(&running.control).await;
    assert_eq!(bench.mailbox.said().asked, [1, 2]);
    bench.clock.advance(Duration::from_secs(10));
    bench.mailbox.tell(|said| said.failing.clear());
    running::publish_until(&*bench.log, 4, &["a", "b"], UNTIL).await;
    bench.publish(6, &["bad"]).await;
    bench.mailbox.took("bad", &[6]).await;
    bench.caught_up(&running.control).await;
    // What was asked last is written after its answer.
    let counts = async || {
        (running.control.expired().await.unwrap(), running.control.parked().await.unwrap())
    };
    until(async || match counts().await {
        (4, 0) => Ok(()),
        (passed, parked) => Err(format!("{passed} passed, {parked} parked")),
    })
    .await;
    assert_eq!(bench.mailbox.said().asked, [1, 2, 6]);
    running.stop().await;
}

#[tokio::test]
async fn what_is_under_way_and_what_is_tried_again_is_counted() {
    let bench = Bench::new();
    bench.mailbox.tell(|said| {
        said.silent.insert("slow".to_owned());
        said.failing.insert("bad".to_owned());
    });
    let running = bench.start();
    bench.publish(1, &["a", "bad", "slow"]).await;
    let stands = async |in_flight, retries| {
        until(async || match (running.control.in_flight(), running.control.retries()) {
            counted if counted == (in_flight, retries) => Ok(()),
            other => Err(format!("{other:?} are counted")),
        })
        .await;
    };
    bench.caught_up_to(&running.control, 1).await;
    stands(1, 0).await;
    running::dead(&running.control, &bench.clock, PACE.backoff, 1).await;
    stands(1, 2).await;
    bench.mailbox.tell(|said| said.silent.clear());
    bench.caught_up(&running.control).await;
    stands(0, 2).await;
    running.stop().await;
}

#[tokio::test]
async fn a_backlog_past_its_deadline_is_passed_a_batch_at_a_time() {
    let bench = one_at_a_time();
    running::watch_passing(&bench.database).await;
    for first in [1, 201, 401] {
        running::publish_until(&*bench.log, first, &["k"; 200], "1970-01-01T00:00:00Z").await;
    }
    bench.mailbox.tell(|said| said.is_away = true);
    let running = bench.start();
    // All of it is read before anybody may be asked.
    for _ in 0..100 {
        running.control.status().await.unwrap();
    }
    bench.mailbox.tell(|said| said.is_away = false);
    bench.publish(601, &["a"]).await;
    bench.mailbox.took("a", &[601]).await;
    bench.caught_up(&running.control).await;
    assert_eq!(running.control.expired().await.unwrap(), 600);
    assert_eq!(running::passed_beyond_a_batch(&bench.database).await, 0);
    running.stop().await;
}

#[tokio::test]
async fn an_answer_that_could_not_be_written_does_not_count_as_an_end_of_the_process() {
    let bench = Bench::new();
    bench.publish(1, &["a"]).await;
    // Two starts ended while it was tried, of the three that may.
    for statement in [
        "INSERT INTO start (subscription, partition, position, starts) VALUES ('mail.order', 0, 0, 2)",
        "INSERT INTO trial (subscription, partition, offset, run, attempts) VALUES ('mail.order', 0, 1, 0, 2)",
        "CREATE TRIGGER away BEFORE DELETE ON trial WHEN old.run = 0 BEGIN SELECT RAISE(ABORT, 'away'); END",
    ] {
        running::change(&bench.database, statement).await;
    }
    let running = bench.start();
    until(async || match bench.mailbox.said().asked.len() {
        0 | 1 => Err("it is not asked again".to_owned()),
        _ => Ok(()),
    })
    .await;
    running::change(&bench.database, "DROP TRIGGER away").await;
    bench.caught_up(&running.control).await;
    running.stop().await;
    assert_eq!((bench.rows("parked").await, bench.rows("trial").await), (0, 0));
}

/// That it may have died of the first event once.
const DIED: &str = "INSERT INTO trial (subscription, partition, offset, run, attempts) VALUES ('mail.order', 0, 1, 0, 1)";

#[tokio::test]
async fn one_is_tried_by_itself_until_its_answer_stands_and_no_other_in_the_process_meanwhile() {
    let (first, second) = (Bench::new(), Bench::new());
    for bench in [&first, &second] {
        bench.publish(1, &["a"]).await;
        running::change(&bench.database, DIED).await;
    }
    // Neither the answer nor that it was none can be written.
    let away = "CREATE TRIGGER away BEFORE DELETE ON trial BEGIN SELECT RAISE(ABORT, 'away'); END";
    running::change(&first.database, away).await;
    let running = first.start();
    first.asked(1).await;
    let beside = second.start();
    // It has asked for a permit: what it makes with it is an attempt, unless it has to wait for its turn.
    until(async || {
        let permits = second.mailbox.said().permits;
        if permits > 0 { Ok(()) } else { Err("it has not begun".to_owned()) }
    })
    .await;
    // Behind whatever it may have begun to write.
    for _ in 0..20 {
        running::change(&second.database, "UPDATE trial SET attempts = attempts").await;
        beside.control.status().await.unwrap();
    }
    assert_eq!(second.mailbox.said().asked.len(), 0, "the first one's end is not written");
    running::change(&first.database, "DROP TRIGGER away").await;
    for (bench, running) in [(first, running), (second, beside)] {
        bench.caught_up(&running.control).await;
        running.stop().await;
    }
}

#[tokio::test]
async fn an_attempt_that_cannot_be_noted_is_trouble_and_not_asked_for_at_once_again() {
    let bench = Bench::new();
    bench.publish(1, &["a"]).await;
    running::change(&bench.database, DIED).await;
    let away = "CREATE TRIGGER away BEFORE INSERT ON trial BEGIN SELECT RAISE(ABORT, 'away'); END";
    running::change(&bench.database, away).await;
    let running = bench.start();
    until(async || {
        let stuck = running.control.status().await.unwrap().stuck.unwrap_or_default();
        if stuck.contains("away") { Ok(()) } else { Err(format!("it is stuck: `{stuck}`")) }
    })
    .await;
    assert_eq!(bench.mailbox.said().asked.len(), 0, "nobody is asked");
    running::change(&bench.database, "DROP TRIGGER away").await;
    bench.mailbox.took("a", &[1]).await;
    running.stop().await;
}
