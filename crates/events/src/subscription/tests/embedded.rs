//! What every engine keeps, in a file; and what is seen here alone: that work waits for something else, and a
//! limit that takes long to reach elsewhere.

use super::*;
use crate::parking::PARKED_MAX;

#[path = "delivery.rs"]
mod delivery;
#[path = "dying.rs"]
mod dying;
#[path = "model.rs"]
mod model;
#[path = "opened.rs"]
mod opened;
#[path = "parking.rs"]
mod parking;

/// Rows that only this engine can have.
const HURTS_OF_ITS_OWN: &[&str] = &[
    "reason = CAST(x'ff' AS TEXT)",
    "event = CAST(replace(CAST(event AS TEXT), '\"bad\"', '\"sad\"') AS BLOB)",
];

async fn bench() -> Bench {
    Bench::new()
}

/// Waits for what nobody sends, on an event of this key.
struct Waiting;

impl Handler for Waiting {
    type Batch = ();

    async fn handle(&self, (): &mut (), tx: &mut Tx<'_>, event: &Event) -> Result<(), Failure> {
        effect(tx, &event.key, event.sequence).await?;
        if event.key == "waits" {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_handler_that_waits_for_something_else_parks_its_key_alone() {
    let bench = bench().await;
    bench.publish(1, &["a", "waits", "b"]).await;
    let running = start(bench.subscription(Waiting));
    bench.dead(&running.control, 1).await;
    let letter = &running.control.dead(1).await.unwrap()[0];
    assert_eq!(letter.key, "waits");
    assert!(letter.reason.contains("waited for something else"), "{}", letter.reason);
    let effects = [("a".to_owned(), 1), ("b".to_owned(), 3)];
    assert_eq!(bench.effects().await, effects, "its own were taken back");
    assert_eq!(running.control.status().await.unwrap().stuck, None);
    running.stop().await;
}

#[tokio::test]
async fn parking_is_bounded_and_a_full_lot_stops_new_events_until_there_is_room() {
    let bench = bench().await;
    bench.orders.break_key("bad", Wrong::Fails);
    let all = PARKED_MAX + 3;
    for first in (1..=all).step_by(500) {
        let keys = vec!["bad"; 500.min(all + 1 - first) as usize];
        bench.publish(first, &keys).await;
    }
    bench.publish(all + 1, &["a"]).await;
    let running = bench.start();
    until(async || {
        let parked = running.control.parked().await.unwrap();
        if parked == PARKED_MAX { Ok(()) } else { Err(format!("{parked} parked")) }
    })
    .await;
    until(async || match running.control.status().await.unwrap().stuck {
        Some(why) if why.contains("parked") => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert_eq!(running.control.status().await.unwrap().partitions[0].position, Offset(PARKED_MAX));
    bench.dead(&running.control, 1).await;
    assert!(bench.of_key("a").await.is_empty());
    bench.orders.repair("bad");
    assert!(running.control.redrive("product.order.1").await.unwrap());
    bench.effects_are("a", &[all + 1]).await;
    until(async || {
        let parked = running.control.parked().await.unwrap();
        if parked == 0 { Ok(()) } else { Err(format!("{parked} parked")) }
    })
    .await;
    assert_eq!(bench.of_key("bad").await, (1..=all).collect::<Vec<_>>());
    running.stop().await;
}
