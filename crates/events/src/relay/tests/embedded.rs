//! What every store keeps, in a file; and rows that are hurt there, or gone.

use super::*;

#[path = "suite.rs"]
mod suite;

/// A folder that a service's file is in.
struct Place(TempDir);

impl Place {
    fn new() -> Place {
        Place(TempDir::new().unwrap())
    }

    async fn open(&self) -> Database {
        database(&self.0)
    }

    async fn open_by(&self, clock: Clock) -> Database {
        let path = self.0.path().join("order.db");
        let publishes = Some(publishes());
        Database::open(Options { path, schema: &[], publishes, clock }).unwrap()
    }
}

/// Rewrites the file of a service that does not run.
fn rewrite(data: &TempDir, statements: &str) {
    execute(&data.path().join("order.db"), statements);
}

async fn stuck(running: &Running, words: &str) {
    let mut status = running.status.clone();
    let names_it = |status: &Progress| status.stuck.as_ref().is_some_and(|why| why.contains(words));
    let waited = status.wait_for(names_it);
    let limit = std::time::Duration::from_secs(30);
    let found = tokio::time::timeout(limit, waited).await.unwrap().unwrap().clone();
    assert!(!found.passes, "an operator has to come: {found:?}");
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
