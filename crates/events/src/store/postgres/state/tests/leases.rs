//! A lease whose holder is not heard of any more is another instance's, and holds up nothing but the relay.

use std::sync::Arc;

use tempfile::TempDir;

use super::proxy::{Proxy, Silence};
use super::relayed::{log, publish, relay, relayed};
use super::*;
use crate::broker::Pending;
use crate::fixture::altered_log::AlteredLog;
use crate::local::Log;
use crate::topic::TopicPartition;

#[tokio::test]
async fn a_lease_whose_session_is_silent_is_given_up_and_holds_up_no_answer_meanwhile() {
    let (place, folder) = (TestSchema::fresh(), TempDir::new().unwrap());
    let proxy = Proxy::before(&place).await;
    let (holds, other) = (open(&proxy.place).await, open(&place).await);
    let log = log(&folder);
    let running = relay(&holds, &log);
    publish(&holds, 1).await;
    relayed(&log, &["1"]).await;
    // The log has it before the relay says so.
    until(async || match &*running.status.borrow() {
        status if status.relayed > 0 && !status.elsewhere => Ok(()),
        others => Err(format!("{others:?}")),
    })
    .await;
    let standing_by = relay(&other, &log);

    proxy.silence(Silence::Leases);
    let mut asked = tokio::spawn({
        let holds = holds.clone();
        async move { holds.check_leases().await }
    });
    tokio::select! {
        biased;
        newest = holds.newest("1") => assert_eq!(newest.unwrap(), first(1)),
        asked = &mut asked => panic!("nobody answered, and yet it is known: {asked:?}"),
    }
    let asked = tokio::time::timeout(Duration::from_secs(120), asked).await;
    let refused = asked.expect("ten seconds at most").unwrap().expect_err("nobody answered");
    assert!(refused.is_environment(), "{refused}");
    // Its session is over, and what it held is free: the other one goes on in its place.
    publish(&other, 2).await;
    relayed(&log, &["1", "2"]).await;
    proxy.silence(Silence::Nobody);
    running.stop().await;
    standing_by.stop().await;
}

#[tokio::test]
async fn a_lease_whose_session_was_ended_is_taken_anew_or_by_another_and_everything_is_published() {
    let (place, folder) = (TestSchema::fresh(), TempDir::new().unwrap());
    let (one, other) = (open(&place).await, open(&place).await);
    let log = log(&folder);
    let running = [relay(&one, &log), relay(&other, &log)];
    let mut subjects = Vec::new();
    for round in 1..=5 {
        publish(&one, round).await;
        subjects.push(round.to_string());
        let expected: Vec<&str> = subjects.iter().map(String::as_str).collect();
        relayed(&log, &expected).await;
        // As a server does that ends a session, or a network between.
        let ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_locks
            WHERE locktype = 'advisory' AND granted AND objsubid = 2
            AND classid = 'yeoul_outbox'::REGCLASS AND objid > 2147483647";
        until(async || match place.execute(ended).as_str() {
            "0" => Err("nobody holds it".to_owned()),
            _ => Ok(()),
        })
        .await;
    }
    for relay in running {
        relay.stop().await;
    }
}

#[tokio::test]
async fn a_server_looks_after_connections_whose_other_end_is_gone() {
    let database = open(&TestSchema::fresh()).await;
    for setting in ["tcp_keepalives_idle", "tcp_keepalives_interval"] {
        let select = format!("SELECT current_setting('{setting}')");
        let read = database.read(&select, |select, rows| {
            Box::pin(rows.one(select, &[], |row| row.get::<String>(0)))
        });
        let seconds: u32 = read.await.unwrap().parse().unwrap();
        assert!((1..=10).contains(&seconds), "{setting}: {seconds}");
    }
}

/// As an instance does whose look at the table took long: what it read is old by now.
#[tokio::test]
async fn what_a_relay_noted_never_goes_back() {
    let (place, folder) = (TestSchema::fresh(), TempDir::new().unwrap());
    let database = open(&place).await;
    let log: Arc<_> = log(&folder);
    let running = relay(&database, &log);
    for number in 1..=3 {
        publish(&database, number).await;
    }
    relayed(&log, &["1", "2", "3"]).await;
    until(async || match database.relayed_up_to(Partition::FIRST) {
        3 => Ok(()),
        other => Err(format!("{other}")),
    })
    .await;
    running.stop().await;
    // Its lease is given back, so what is in the table is taken for another's.
    place.execute("UPDATE outbox_relayed SET relayed = 1");
    database.follow().await.unwrap();
    assert_eq!(database.relayed_up_to(Partition::FIRST), 3);
    assert!(database.take_lease(Partition::FIRST).await.is_ok());
    assert_eq!(database.relayed_up_to(Partition::FIRST), 3);
    database.close().await;
}

/// A broker in which every publish is a mistake of the program.
struct Panics(Arc<Log>);

impl AlteredLog for Panics {
    fn log(&self) -> &Log {
        &self.0
    }

    fn publish<'a>(&'a self, _: &'a TopicPartition, _: Vec<Event>) -> Pending<'a, Offset> {
        panic!("a mistake of the broker's")
    }
}

/// Waits until it is this instance's to relay.
async fn takes_over(database: &Database) {
    until(async || match database.take_lease(Partition::FIRST).await.unwrap() {
        LeaseOutcome::Anothers => Err("another's".to_owned()),
        LeaseOutcome::New | LeaseOutcome::Had => Ok(()),
    })
    .await;
}

#[tokio::test]
async fn a_relay_that_panics_says_so_at_once_and_leaves_its_lease_to_another() {
    let (place, folder) = (TestSchema::fresh(), TempDir::new().unwrap());
    let (one, other) = (open(&place).await, open(&place).await);
    let running = relay(&one, &Arc::new(Panics(log(&folder))));
    publish(&one, 1).await;
    until(async || match running.status.borrow().stuck.clone() {
        Some(why) if why.contains("panicked") => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    takes_over(&other).await;
    running.stop().await;
}

#[tokio::test]
async fn a_relay_that_is_dropped_leaves_its_lease_to_another() {
    let (place, folder) = (TestSchema::fresh(), TempDir::new().unwrap());
    let (one, other) = (open(&place).await, open(&place).await);
    let log = log(&folder);
    let running = relay(&one, &log);
    publish(&one, 1).await;
    relayed(&log, &["1"]).await;
    // It rests, and its session with it.
    until(async || match running.status.borrow().settled {
        1 => Ok(()),
        other => Err(other.to_string()),
    })
    .await;
    running.task.abort();
    takes_over(&other).await;
    drop(one);
}
