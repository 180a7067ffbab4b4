//! What is remembered, how long, and what a crash leaves.

use std::future::Future;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chassis::clock;
use events::store::Options;
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

    fn now(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
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
    (wait(Memory::open(folder, &ended, hand.clock())).expect("it opens"), ended)
}

fn ending(session: &str, until: i64) -> Vec<Ending> {
    vec![Ending { session: session.to_owned(), until: at(until) }]
}

fn renewing(token: &str, session: &str) -> Owed {
    Owed { token: token.to_owned(), session: Some(session.to_owned()), renews: true }
}

fn opening(token: &str, session: &str) -> Owed {
    Owed { renews: false, ..renewing(token, session) }
}

fn is_owed(memory: &Memory, token: &str) -> bool {
    wait(memory.is_owed(token, None)).expect("read")
}

fn rows(memory: &Memory) -> u64 {
    let count = "SELECT count(*) FROM ended_session";
    let read =
        memory.database.read(&(), |(), rows| Box::pin(rows.one(count, &[], |row| row.get(0))));
    wait(read).map_err(|error: Error| error).expect("a count")
}

fn tokens(memory: &Memory) -> Vec<String> {
    wait(memory.debts(0, 10)).expect("read").into_iter().map(|debt| debt.token).collect()
}

#[test]
fn what_ended_outlives_the_process_until_its_tokens_do() {
    let (place, hand) = (tempfile::tempdir().expect("a place"), Hand::default());
    let (memory, ended) = open(place.path(), &hand);
    let owed = vec![renewing("refresh", "a"), opening("access", "a")];
    wait(memory.end(ending("a", 10), owed)).expect("written");
    assert!(ended.contains("a"));
    // As after kill -9: nobody closes it.
    std::mem::forget(memory);
    let (memory, ended) = open(place.path(), &hand);
    assert!(ended.contains("a"));
    assert_eq!(tokens(&memory), ["refresh", "access"]);
    assert!(is_owed(&memory, "refresh") && !is_owed(&memory, "other"));
    wait(memory.pay("refresh")).expect("written");
    wait(memory.pay("refresh")).expect("twice is as good");
    assert_eq!(tokens(&memory), ["access"]);
    hand.set(10);
    let (_, ended) = open(place.path(), &hand);
    assert!(!ended.contains("a"), "its last token has expired");
    wait(memory.end(ending("b", 20), Vec::new())).expect("written");
    assert_eq!(rows(&memory), 1, "what has expired is removed");
}

#[test]
fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;

    let (place, hand) = (tempfile::tempdir().expect("a place"), Hand::default());
    let (memory, _) = open(place.path(), &hand);
    wait(memory.owe("secret".to_owned())).expect("written");
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
    let fill = memory.database.write((), |(), tx| {
        Box::pin(async move {
            for number in 0..OWED_MAX {
                let owed = Owed { token: number.to_string(), session: None, renews: true };
                store::owe(tx, &owed, digest(&owed.token), at(0)).await?;
            }
            Ok::<_, Error>(())
        })
    });
    wait(fill).expect("written");
    let owe = |token: &str| wait(memory.owe(token.to_owned())).expect("decided");
    assert_eq!(owe("one more"), DebtOutcome::TooMany);
    wait(memory.end(ending("a", 10), vec![renewing("known", "a")])).expect("written");
    assert!(is_owed(&memory, "known"));
    wait(memory.pay("0")).expect("written");
    assert_eq!((owe("one more"), owe("two more")), (DebtOutcome::Noted, DebtOutcome::TooMany));
    // One that its giver would not take back has had its time; one of a sign-in that is known stays.
    wait(memory.give_up("known")).expect("written");
    assert_eq!(owe("two more"), DebtOutcome::TooMany);
    wait(memory.give_up("1")).expect("written");
    assert_eq!((owe("two more"), owe("three more")), (DebtOutcome::Noted, DebtOutcome::TooMany));
    assert!(is_owed(&memory, "known") && !is_owed(&memory, "1"));
    hand.set(OWED_FOR.as_secs() + 1);
    assert_eq!(owe("much later"), DebtOutcome::Noted);
}

#[test]
fn a_renewal_is_refused_by_its_token_or_by_its_sign_in_until_the_giver_has_heard() {
    let (place, hand) = (tempfile::tempdir().expect("a place"), Hand::default());
    let (memory, _) = open(place.path(), &hand);
    let owed = || vec![renewing("second", "a"), opening("access", "a")];
    let renews = |memory: &Memory, token: &str, of| !wait(memory.is_owed(token, of)).expect("read");
    wait(memory.end(ending("a", 10), owed())).expect("written");
    assert!(!renews(&memory, "second", None) && !renews(&memory, "first", Some("a")));
    assert!(renews(&memory, "first", None) && renews(&memory, "first", Some("b")));
    for token in ["second", "access"] {
        wait(memory.pay(token)).expect("written");
    }
    assert!(renews(&memory, "first", Some("a")), "its giver refuses it");

    // A giver that takes nothing back is not asked again, and renews nothing here all the same.
    wait(memory.end(ending("a", 10), owed())).expect("written");
    for token in ["second", "access"] {
        wait(memory.give_up(token)).expect("written");
    }
    let kept = memory.database.read(&9, |&limit, rows| Box::pin(store::count(rows, limit)));
    let kept = wait(kept).expect("read");
    assert_eq!((tokens(&memory), kept), (Vec::new(), 1));
    std::mem::forget(memory);
    let (memory, _) = open(place.path(), &hand);
    assert!(!renews(&memory, "second", None) && !renews(&memory, "first", Some("a")));
    hand.set(OWED_FOR.as_secs() + 1);
    wait(memory.end(ending("c", hand.now() + 1), Vec::new())).expect("written");
    assert!(renews(&memory, "second", Some("a")), "no browser has it any more");
}

#[test]
fn past_so_many_debts_no_sign_in_should_be_taken_and_none_is_forgotten() {
    let (place, hand) = (tempfile::tempdir().expect("a place"), Hand::default());
    let (memory, _) = open(place.path(), &hand);
    assert!(!wait(memory.is_full()).expect("read"));
    let fill = memory.database.write((), |(), tx| {
        Box::pin(async move {
            let mut digest = [0; 32];
            for number in 1..DEBTS_MAX {
                digest[..8].copy_from_slice(&number.to_be_bytes());
                store::owe(tx, &renewing("x", "s"), digest, at(0)).await?;
            }
            Ok::<_, Error>(())
        })
    });
    wait(fill).expect("written");
    memory.expect_debts();
    assert!(!wait(memory.is_full()).expect("read"));
    wait(memory.end(ending("a", 10), vec![renewing("last", "a")])).expect("written");
    assert!(wait(memory.is_full()).expect("read"));
    wait(memory.end(ending("b", 10), vec![renewing("one more", "b")])).expect("written");
    assert!(is_owed(&memory, "last") && is_owed(&memory, "one more"));
}

#[test]
fn an_event_of_a_service_is_remembered_by_everybody_who_subscribes() {
    let place = tempfile::tempdir().expect("a place");
    let (topic, clock) = (Topic::parse("account").expect("a topic"), clock::component());
    let log = Log::open(place.path(), std::slice::from_ref(&topic), clock.clone());
    let log: Arc<dyn Broker> = Arc::new(log.expect("a log"));
    let publishes = events::store::Publishes {
        source: "account".into(),
        topic,
        partitions: events::Partitions::ONE,
    };
    let topic = publishes.topic.clone();
    let path = place.path().join("account.db");
    let options = Options { path, schema: &[], publishes: Some(publishes), clock: clock.clone() };
    let account = Database::open(options).expect("it opens");
    let ended = Ended::new(LIMIT);
    let folder = place.path().join("gateway");
    let memory = wait(Memory::open(&folder, &ended, clock.clone())).expect("it opens");
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
        let publish = account.write([other, draft], |drafts, tx| {
            Box::pin(async move {
                for draft in drafts {
                    tx.publish(draft.clone()).await?;
                }
                Ok::<_, Error>(())
            })
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
    wait(crate::load(memory.database(), &again, clock())).expect("read");
    assert!(again.contains(sid), "on disk before it was told");
}
