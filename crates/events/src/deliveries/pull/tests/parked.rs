//! What is parked comes to its end, whatever an operator does beside it, and however large or hurt it is.

use std::collections::HashSet;

use super::*;
use crate::deliveries::pull::due::Wanted;
use crate::deliveries::pull::lease::Line;
use crate::fixture::running;
use crate::subscription::context::Context;

impl Bench {
    /// An operator elsewhere: nobody here is woken by what he does.
    fn elsewhere(&self) -> Control {
        let (database, broker) = (self.database.clone(), self.log.clone());
        Control::resting("mail.order", topic("order"), database, broker, self.clock.component())
    }

    /// How many parked rows are read for those who can take so many, while somebody has these keys.
    async fn due_rows(&self, limit: usize, out: HashSet<Line>) -> usize {
        let (name, order) = ("mail.order", topic("order"));
        let (database, log) = (self.database.clone(), self.log.clone());
        let context = Context::new(name, order, database, log, self.clock.component());
        let (lanes, now) = (context.lanes().collect(), (context.clock)());
        let wanted = Wanted { lanes, out, now, limit, attempts: PACE.attempts };
        let read = self.database.read(&wanted, |wanted, rows| Box::pin(wanted.read(rows)));
        read.await.unwrap().due.iter().map(|due| due.rows.len()).sum()
    }

    async fn harm(&self, statement: &'static str) {
        let work =
            self.database.write(statement, |statement, tx| Box::pin(tx.execute(statement, &[])));
        assert_eq!(work.await.unwrap(), 1);
    }
}

/// Whoever lends does not know of it when he reads the next event of that key.
#[tokio::test]
async fn a_key_whose_dead_letter_was_dropped_elsewhere_goes_on() {
    let bench = Bench::new();
    bench.publish(1, &["a", "a"]).await;
    let running = bench.start();
    let token = running.pull(2, &[1, 2]).await;
    running.reject(&token, &[1], Again::Never).await;
    assert!(bench.elsewhere().discard("mail.order.1", "a test").await.unwrap());
    let token = running.pull(10, &[2]).await;
    running.reject(&token, &[2], Again::Never).await;
    assert!(bench.elsewhere().discard("mail.order.2", "a test").await.unwrap());
    bench.publish(3, &["a"]).await;
    let token = running.pull(10, &[3]).await;
    running.acknowledge(&token, &[3]).await;
    assert_eq!((running.lag().await, bench.rows("parked").await), (0, 0));
}

#[tokio::test]
async fn a_parked_row_that_is_no_event_any_more_is_a_dead_letter_and_no_other_key_waits_for_it() {
    let bench = Bench::new();
    bench.publish(1, &["a", "b"]).await;
    let running = bench.start();
    let token = running.pull(2, &[1, 2]).await;
    running.reject(&token, &[1], Again::After(Duration::from_secs(1))).await;
    running.reject(&token, &[2], Again::After(Duration::from_secs(2))).await;
    bench.harm("UPDATE parked SET event = substr(event, 2) WHERE \"offset\" = 1").await;
    bench.clock.advance(Duration::from_secs(2));
    let token = running.pull(1, &[2]).await;
    running.acknowledge(&token, &[2]).await;
    let dead = running.control.dead(10).await.unwrap();
    let [letter] = &*dead else { panic!("{dead:?}") };
    assert!(letter.reason.contains("no event any more"), "{}", letter.reason);
    assert!(letter.reason.contains("yeoul events skip"), "{}", letter.reason);
    assert!(running.control.skip("a test").await.unwrap().is_some());
    assert_eq!(bench.rows("parked").await, 0);
}

#[tokio::test]
async fn of_parked_events_no_more_bytes_are_read_than_a_lease_may_have_and_a_few() {
    const DATA: usize = 500 * 1000;
    let bench = Bench::new();
    let large = |number: u64| {
        let text = format!("\"{}\"", "x".repeat(DATA));
        let data = serde_json::value::RawValue::from_string(text).expect("JSON");
        let key = if number <= 40 { "a".to_owned() } else { number.to_string() };
        Event { data, ..stamped("order", &key, number) }
    };
    for number in 1..=60 {
        bench.log.publish(&topic("order").first(), vec![large(number)]).await.unwrap();
    }
    let running = bench.start();
    until(async || {
        while let Some(lent) = running.lent(100).await {
            let why = Rejection { reason: String::new(), again: Again::After(LEASE) };
            running.desk.reject(&lent.token, Named::All, why).await.unwrap();
        }
        let parked = bench.rows("parked").await;
        if parked == 60 { Ok(()) } else { Err(format!("{parked} are parked")) }
    })
    .await;
    bench.clock.advance(LEASE);
    let events = bench.due_rows(100, HashSet::new()).await;
    let fit = ANSWER_BYTES_MAX / DATA;
    assert!((fit..=fit + 10).contains(&events), "{events} of {fit}");
}

/// In both partitions, with others out.
#[tokio::test]
async fn of_parked_events_no_more_are_read_than_can_be_taken() {
    let bench = Bench::of(Partitions::new(2).unwrap());
    for partition in [0, 1] {
        let at = topic("order").at(Partition::new(partition).unwrap());
        let first = u64::from(partition) * 30;
        let batch = (first + 1..=first + 30)
            .map(|number| stamped(&format!("source-{partition}"), &number.to_string(), number));
        bench.log.publish(&at, batch.collect()).await.unwrap();
    }
    let running = bench.start();
    while let Some(lent) = running.lent(100).await {
        let why = Rejection { reason: String::new(), again: Again::After(LEASE) };
        running.desk.reject(&lent.token, Named::All, why).await.unwrap();
    }
    assert_eq!(bench.rows("parked").await, 60);
    bench.clock.advance(LEASE);
    let out = (51..=60).map(|key| Line { partition: 1, key: key.to_string() });
    assert_eq!(bench.due_rows(5, out.clone().collect()).await, 5);
    assert_eq!(bench.due_rows(40, out.collect()).await, 40);
}

/// Which has a clock that is ahead.
#[tokio::test]
async fn what_another_instance_was_told_to_try_again_in_an_hour_is_not_due_at_once() {
    let bench = Bench::new();
    bench.publish(1, &["a"]).await;
    let running = bench.start();
    let token = running.pull(10, &[1]).await;
    running.reject(&token, &[1], Again::After(crate::deliveries::PAUSE_MAX)).await;
    running.kill().await;
    bench.clock.step_back(Duration::from_secs(600));
    let running = bench.start();
    running.nothing().await;
}

#[tokio::test]
async fn what_nobody_fetched_in_time_is_lent_to_nobody() {
    const UNTIL: &str = "1970-01-01T00:00:10Z";
    let bench = Bench::new();
    running::publish_until(&*bench.log, 1, &["a", "bad", "bad"], UNTIL).await;
    let running = bench.start();
    let token = running.pull(10, &[1, 2, 3]).await;
    running.reject(&token, &[2], Again::Backoff).await;
    running.acknowledge(&token, &[1]).await;
    bench.clock.advance(Duration::from_secs(10));
    running::publish_until(&*bench.log, 4, &["a", "b", "a"], UNTIL).await;
    bench.publish(7, &["b", "bad"]).await;
    let token = running.pull(10, &[7, 8]).await;
    running.acknowledge(&token, &[7, 8]).await;
    running.nothing().await;
    assert_eq!((running.control.expired().await.unwrap(), running.lag().await), (5, 0));
    assert_eq!(running.control.parked().await.unwrap(), 0);
}

#[tokio::test]
async fn what_is_lent_and_what_is_lent_again_is_counted() {
    let bench = Bench::new();
    bench.publish(1, &["a", "bad", "b"]).await;
    let running = bench.start();
    let counted = || (running.control.in_flight(), running.control.retries());
    let token = running.pull(10, &[1, 2, 3]).await;
    assert_eq!(counted(), (3, 0));
    running.acknowledge(&token, &[1]).await;
    assert_eq!(counted(), (2, 0));
    running.reject(&token, &[2], Again::Backoff).await;
    assert_eq!(counted(), (1, 0));
    bench.clock.advance(PACE.backoff * 2);
    let again = running.pull(10, &[2]).await;
    assert_eq!(counted(), (2, 1));
    running.acknowledge(&again, &[2]).await;
    running.acknowledge(&token, &[3]).await;
    assert_eq!(counted(), (0, 1));
}

#[tokio::test]
async fn a_backlog_that_nobody_fetched_in_time_is_passed_a_batch_at_a_time() {
    let bench = Bench::new();
    running::watch_passing(&bench.database).await;
    for first in [1, 201, 401] {
        running::publish_until(&*bench.log, first, &["k"; 200], "1970-01-01T00:00:00Z").await;
    }
    bench.publish(601, &["a"]).await;
    let running = bench.start();
    let token = running.pull(10, &[601]).await;
    running.acknowledge(&token, &[601]).await;
    assert_eq!((running.control.expired().await.unwrap(), running.lag().await), (600, 0));
    assert_eq!(running::passed_beyond_a_batch(&bench.database).await, 0);
}
