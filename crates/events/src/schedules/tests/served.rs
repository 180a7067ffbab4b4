//! The same on a server, word for word; and which of several instances looks after them.

#![expect(clippy::duplicate_mod, reason = "one suite for every engine")]

use super::*;
use crate::store::options::Host;
use crate::store::served::TestSchema;

#[path = "suite.rs"]
mod suite;

/// A schema that their tables are in.
struct Place(TestSchema);

impl Place {
    fn new() -> Place {
        Place(TestSchema::fresh())
    }

    fn location(&self) -> Location {
        let TestSchema { address, name } = self.0.clone();
        let host = Host { address: address.parse().unwrap(), password: None, connections: 5 };
        Location::Schema { host, name }
    }

    async fn crash(&self, running: Running) {
        let database = running.schedules.database();
        drop(running);
        database.close().await;
    }

    async fn many(&self, clock: &ManualClock, count: usize) -> Schedules {
        super::many(self.location(), clock, count).await
    }
}

#[tokio::test]
async fn of_two_instances_one_publishes_and_the_other_once_that_is_silent_or_gone() {
    let (place, clock, received) = (Place::new(), ManualClock::default(), Arc::default());
    let first = Running::start(place.location(), &clock, &received).await;
    until(async || is_holder(&first)).await;
    let second = Running::start(place.location(), &clock, &received).await;
    // What one is asked the other one publishes.
    second.put("paid/a", "in 1000").await;
    clock.advance(Duration::from_secs(1));
    until(async || received.has(1)).await;
    assert!(is_holder(&second).is_err(), "one at a time");
    // As a crash: nobody says so.
    let database = first.schedules.database();
    drop(first);
    database.close().await;
    second.put("paid/b", "in 1000").await;
    clock.advance(Duration::from_secs(1));
    until(async || received.has(2)).await;
    assert!(is_holder(&second).is_ok());
    // At an end it is given back, and nobody waits.
    let third = Running::start(place.location(), &clock, &received).await;
    second.end().await;
    until(async || is_holder(&third)).await;
    third.end().await;
}

fn is_holder(running: &Running) -> Result<(), String> {
    if running.schedules.report().is_holder { Ok(()) } else { Err("it stands by".to_owned()) }
}

#[tokio::test]
async fn what_two_instances_put_under_one_key_at_once_is_counted_once() {
    let (place, clock) = (Place::new(), ManualClock::default());
    let instances = [open(place.location(), &clock).await, open(place.location(), &clock).await];
    for round in 0..10 {
        let mut put = Vec::new();
        for (at, one) in (0..8).zip(instances.iter().cycle()) {
            let one = one.clone();
            put.push(tokio::spawn(async move {
                one.put("paid/a", &said("paid/a", &format!("in {}", 1000 + at)))
                    .await
                    .unwrap()
                    .is_new
            }));
        }
        let mut new = 0;
        for put in put {
            new += usize::from(put.await.unwrap());
        }
        assert_eq!(new, 1, "in round {round}");
        assert!(instances[0].cancel("paid/a").await.unwrap());
    }
    assert_eq!(place.0.execute("SELECT sum(pending) FROM schedule_count").trim(), "0");
}
