//! What is remembered, how long, and what a crash leaves: the same in a file and on a server.
//!
//! Against a real PostgreSQL: `cargo xtask services install postgres`.

mod suite;

use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use chassis::clock;
use events::store::{Host, Options};
use events::{Broker, Cause, Draft, Log, Relay, Retry, Subscription, Topic};

use self::suite::Fixture;
use super::*;
use crate::follow::tests::server::Server;
use crate::{SESSION_ENDED, SessionEnded};

const LIMIT: usize = 100;

/// A clock that the test sets.
#[derive(Clone, Default)]
struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
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

fn ending(session: &str, until: i64) -> Vec<Ending> {
    vec![Ending { session: session.to_owned(), until: at(until) }]
}

fn renewing(token: &str, session: &str) -> Owed {
    Owed { token: token.to_owned(), session: Some(session.to_owned()), renews: true }
}

fn opening(token: &str, session: &str) -> Owed {
    Owed { renews: false, ..renewing(token, session) }
}

#[tokio::test]
async fn a_file_keeps_what_a_memory_promises() {
    suite::suite(|| async {
        let folder = tempfile::tempdir().expect("a folder");
        let location = Location::File(folder.path().join("sessions.db"));
        Fixture { location, bytes: "CAST(CAST(number AS TEXT) AS BLOB)", _kept: Some(folder) }
    })
    .await;
}

#[tokio::test]
async fn a_schema_keeps_what_a_memory_promises() {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let address = Server::shared().database("memory").parse().expect("an address");
    let host = Host { address, password: None, connections: 3 };
    suite::suite(|| async {
        let name = format!("gateway_{}", MADE.fetch_add(1, Ordering::Relaxed));
        let location = Location::Schema { host: host.clone(), name };
        Fixture { location, bytes: "int8send(number)", _kept: None }
    })
    .await;
}

#[tokio::test]
async fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;

    let (place, manual) = (tempfile::tempdir().expect("a place"), ManualClock::default());
    let memory = Memory::open(place.path(), &Ended::new(LIMIT), manual.clock()).await;
    memory.expect("it opens").owe("secret".to_owned()).await.expect("written");
    for entry in std::fs::read_dir(place.path()).expect("a folder") {
        let entry = entry.expect("an entry");
        let mode = entry.metadata().expect("there").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?}", entry.file_name());
    }
}
