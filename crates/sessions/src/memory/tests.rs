//! What is remembered, how long, and what a crash leaves.

use std::future::Future;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chassis::clock;
use events::{Broker, Cause, Draft, Log, Relay, Retry, Subscription, Topic};

use super::*;
use crate::{SESSION_ENDED, SessionEnded};

const LIMIT: usize = 100;

/// A clock set by hand.
#[derive(Clone, Default)]
struct Hand(Arc<AtomicI64>);

impl Hand {
    fn clock(&self) -> Clock {
        let second = self.0.clone();
        Arc::new(move || at(second.load(Ordering::SeqCst)))
    }

    fn set(&self, second: i64) {
        self.0.store(second, Ordering::SeqCst);
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a second")
}

fn wait<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

fn open(folder: &Path, hand: &Hand) -> (Memory, Ended) {
    let ended = Ended::new(LIMIT);
    (Memory::open(folder, &ended, hand.clock()).expect("it opens"), ended)
}

fn rows(memory: &Memory) -> u64 {
    let count = "SELECT count(*) FROM ended_session";
    let count = |sql: &rusqlite::Connection| Ok(sql.query_row(count, [], |row| row.get(0))?);
    memory.database.read::<u64, Error>(count).expect("a count")
}

fn tokens(memory: &Memory) -> Vec<String> {
    memory.debts(0, 10).expect("read").into_iter().map(|debt| debt.token).collect()
}

#[test]
fn what_ended_outlives_the_process_until_its_tokens_do() {
    let (place, hand) = (tempfile::tempdir().expect("a place"), Hand::default());
    let (memory, ended) = open(place.path(), &hand);
    let owed = vec!["refresh".to_owned(), "access".to_owned()];
    wait(memory.end("a", at(10), owed.clone())).expect("written");
    assert!(ended.contains("a"));
    // As after kill -9: nobody closes it.
    std::mem::forget(memory);
    let (memory, ended) = open(place.path(), &hand);
    assert!(ended.contains("a"));
    assert_eq!(tokens(&memory), owed);
    assert!(memory.is_owed("refresh").expect("read") && !memory.is_owed("other").expect("read"));
    wait(memory.pay("refresh")).expect("written");
    wait(memory.pay("refresh")).expect("twice is as good");
    assert_eq!(tokens(&memory), ["access"]);
    hand.set(10);
    let (_, ended) = open(place.path(), &hand);
    assert!(!ended.contains("a"), "its last token has expired");
    wait(memory.end("b", at(20), Vec::new())).expect("written");
    assert_eq!(rows(&memory), 1, "what has expired is removed");
}

#[test]
fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;

    let (place, hand) = (tempfile::tempdir().expect("a place"), Hand::default());
    let (memory, _) = open(place.path(), &hand);
    wait(memory.owe("secret".to_owned())).expect("written").expect("room");
    for entry in std::fs::read_dir(place.path()).expect("a folder") {
        let entry = entry.expect("an entry");
        let mode = entry.metadata().expect("there").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?}", entry.file_name());
    }
}

#[test]
fn debts_for_unknown_tokens_are_bounded_and_those_for_known_ones_are_not() {
    let (place, hand) = (tempfile::tempdir().expect("a place"), Hand::default());
    let (memory, _) = open(place.path(), &hand);
    let fill = memory.database.write(|write| {
        for number in 0..OWED_MAX {
            let token = number.to_string();
            store::owe(write.sql(), &token, digest(&token), at(0))?;
        }
        Ok::<_, Error>(())
    });
    wait(fill).expect("written");
    assert_eq!(wait(memory.owe("one more".to_owned())).expect("decided"), Err(TooMany));
    wait(memory.end("a", at(10), vec!["known".to_owned()])).expect("written");
    assert!(memory.is_owed("known").expect("read"));
    wait(memory.pay("0")).expect("written");
    wait(memory.pay("1")).expect("written");
    assert_eq!(wait(memory.owe("one more".to_owned())).expect("decided"), Ok(()));
    let late = OWED_FOR.as_secs() + 1;
    hand.set(late);
    assert_eq!(wait(memory.owe("much later".to_owned())).expect("decided"), Ok(()));
}

#[test]
fn an_event_of_a_service_is_remembered_by_everybody_who_subscribes() {
    let place = tempfile::tempdir().expect("a place");
    let (topic, clock) = (Topic::parse("account").expect("a topic"), clock::component());
    let log = Log::open(place.path(), std::slice::from_ref(&topic), clock.clone());
    let log: Arc<dyn Broker> = Arc::new(log.expect("a log"));
    let publishes = events::store::Publishes { source: "account".into(), topic };
    let topic = publishes.topic.clone();
    let path = place.path().join("account.db");
    let options = Options { path, schema: &[], publishes: Some(publishes), clock: clock.clone() };
    let account = Database::open(options).expect("it opens");
    let ended = Ended::new(LIMIT);
    let memory = Memory::open(&place.path().join("gateway"), &ended, clock.clone());
    let memory = memory.expect("it opens");
    let retry = Retry { attempts: 3, backoff: Duration::from_secs(1) };
    let subscription = Subscription::new(
        "gateway.account",
        topic,
        memory.database().clone(),
        log.clone(),
        memory.handler(),
        retry,
        clock.clone(),
    );
    let (until, sid) = (clock() + SignedDuration::from_hours(1), "s");
    wait(async {
        let data = SessionEnded::new(sid, until);
        let other = Draft::new("UserRegistered", "a@b", 1, &1, &Cause::default());
        let draft = Draft::new(SESSION_ENDED, sid, 1, &data, &Cause::default());
        let publish = account.write(move |write| {
            write.publish(other)?;
            write.publish(draft)
        });
        publish.await.expect("committed");
        let heard = async {
            while !ended.contains(sid) {
                tokio::task::yield_now().await;
            }
        };
        let relay = Relay::new(account.clone(), log).run(std::future::pending());
        tokio::select! {
            () = relay => {}
            () = subscription.run(std::future::pending()) => {}
            done = tokio::time::timeout(Duration::from_secs(30), heard) => {
                done.expect("in time");
            }
        }
    });
    let again = Ended::new(LIMIT);
    crate::load(memory.database(), &again, clock()).expect("read");
    assert!(again.contains(sid), "on disk before it was told");
}
