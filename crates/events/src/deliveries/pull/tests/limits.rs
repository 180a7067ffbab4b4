//! Whatever grows has its limit, and what is lent is nobody's fault.

use super::*;
use crate::fixture::stamped;
use crate::stillness::STUCK_AFTER;

#[tokio::test]
async fn a_lease_has_no_more_bytes_than_the_limit_but_where_one_event_alone_has_more() {
    let bench = Bench::new();
    let large = |number: u64| {
        let text = format!("\"{}\"", "x".repeat(1000 * 1000));
        let data = serde_json::value::RawValue::from_string(text).expect("JSON");
        Event { data, ..stamped("order", &number.to_string(), number) }
    };
    for number in 1..=10 {
        bench.log.publish(&topic("order").first(), vec![large(number)]).await.unwrap();
    }
    let running = bench.start();
    running.pull(100, &[1, 2, 3, 4, 5, 6, 7, 8]).await;
    running.pull(100, &[9, 10]).await;
}

#[tokio::test]
async fn a_partition_of_which_something_is_lent_is_not_stuck_and_one_that_nobody_asks_for_is() {
    let bench = Bench::new();
    bench.publish(1, &["a", "b"]).await;
    let running = bench.start();
    let pull = Pull { limit: 1, wait: Duration::ZERO, lease: LEASE_MAX };
    let lent = running.desk.pull(pull).await.unwrap().expect("it is there");
    let stuck = async || running.control.status().await.unwrap().stuck;
    assert_eq!(stuck().await, None);
    bench.clock.advance(STUCK_AFTER * 3);
    assert_eq!(stuck().await, None, "it is in somebody's hands");
    running.desk.acknowledge(&lent.token, Named::All).await.unwrap();
    assert_eq!(stuck().await, None);
    bench.clock.advance(STUCK_AFTER);
    let says = stuck().await.expect("nobody asks for the second");
    assert!(says.contains("no progress"), "{says}");
}

/// What failed is no lag any more, and is somebody's work all the same.
#[tokio::test]
async fn what_is_parked_and_due_and_fetched_by_nobody_is_stuck_too() {
    let bench = Bench::new();
    bench.publish(1, &["a"]).await;
    let running = bench.start();
    let stuck = async || running.control.status().await.unwrap().stuck;
    let token = running.pull(10, &[1]).await;
    running.reject(&token, &[1], Again::Backoff).await;
    assert_eq!((running.lag().await, stuck().await), (0, None));
    bench.clock.advance(PACE.backoff);
    assert_eq!(stuck().await, None, "it is due since now");
    bench.clock.advance(STUCK_AFTER);
    let says = stuck().await.expect("nobody fetches it");
    assert!(says.contains("due to be tried again"), "{says}");
    let token = running.pull(10, &[1]).await;
    assert_eq!(stuck().await, None, "it is in somebody's hands");
    running.reject(&token, &[1], Again::Never).await;
    bench.clock.advance(STUCK_AFTER * 2);
    assert_eq!(stuck().await, None, "a dead letter is an operator's");
}
