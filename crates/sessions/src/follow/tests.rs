//! What one process ends and another sees, on a real server: `cargo xtask services install postgres`.

#[expect(dead_code, reason = "the store's own tests use the rest")]
#[path = "../../../events/tests/postgres/server.rs"]
pub(crate) mod server;

use events::store::{Host, Location};
use jiff::{SignedDuration, Timestamp};

use self::server::{Server, sql};
use super::*;
use crate::debt::Owed;
use crate::memory::{Ending, Memory};

const NAME: &str = "gateway";
/// Ten times what is promised.
const SOON: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(60);

fn time() -> Clock {
    std::sync::Arc::new(|| Timestamp::UNIX_EPOCH)
}

fn host(address: &str) -> Host {
    Host { address: address.parse().expect("an address"), password: None, connections: 3 }
}

async fn memory(host: &Host, ended: &Ended) -> Memory {
    let place = Location::Schema { host: host.clone(), name: NAME.to_owned() };
    Memory::at(place, ended, time()).await.expect("a memory")
}

async fn end(memory: &Memory, session: &str) {
    let until = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1);
    let ending = Ending { session: session.to_owned(), until };
    memory.end(vec![ending], Vec::new()).await.expect("it ends");
}

/// Begins to follow, as another process does.
async fn begun(host: &Host) -> (Ended, Follower) {
    let (ended, database) = (Ended::new(10_000), Database::beside(host, NAME, time()).await);
    let database = database.expect("the schema");
    let follower = Follower::begin(database, ended.clone(), time()).await;
    (ended, follower.expect("it can be read"))
}

/// Follows as another process does, until it is dropped.
async fn another(host: &Host) -> (Ended, tokio::task::JoinHandle<()>) {
    let (ended, mut follower) = begun(host).await;
    (ended, tokio::spawn(async move { follower.follow().await }))
}

async fn until(within: Duration, is: impl Fn() -> bool) {
    let looking = async {
        while !is() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(within, looking).await.expect("in time");
}

#[tokio::test]
async fn what_one_process_ends_another_refuses_soon_by_its_announcement_or_by_the_next_look() {
    let host = host(&Server::shared().database("ended"));
    let here = Ended::new(10_000);
    let memory = memory(&host, &here).await;
    end(&memory, "before").await;
    let (there, mut follower) = begun(&host).await;
    assert!(there.contains("before"), "from the first token on that is verified there");
    // So long that only an announcement makes it look.
    let following = tokio::spawn(async move { follower.follow_every(LONG * 60).await });
    for round in 0..20 {
        let session = format!("announced-{round}");
        end(&memory, &session).await;
        assert!(here.contains(&session), "at once where it was asked");
        until(SOON, || there.contains(&session)).await;
    }
    following.abort();
    let (there, following) = another(&host).await;
    let address = host.whole_address();
    let silent = format!(
        "SET search_path = {NAME}; CREATE OR REPLACE FUNCTION count_ended() RETURNS TRIGGER
            LANGUAGE plpgsql SET search_path FROM CURRENT AS $count$
         BEGIN
            UPDATE ended_count SET number = number + 1 RETURNING number INTO NEW.number;
            RETURN NEW;
         END $count$"
    );
    sql(&address, &silent).expect("replaced");
    for round in 0..4 {
        let session = format!("polled-{round}");
        end(&memory, &session).await;
        until(SOON, || there.contains(&session)).await;
    }
    assert!(!there.is_unknown());
    following.abort();
}

#[tokio::test]
async fn none_is_missed_whose_commits_cross_nor_among_more_than_one_look_reads() {
    let host = host(&Server::shared().database("ended"));
    let memory = memory(&host, &Ended::new(10_000)).await;
    let many = "SET search_path = gateway; INSERT INTO ended_session (sid, until)
        SELECT 'many-' || one, 9999 FROM generate_series(1, 2500) AS one";
    sql(&host.whole_address(), many).expect("inserted");
    let (there, following) = another(&host).await;
    let ends = (0..60).map(|round| {
        let memory = memory.clone();
        tokio::spawn(async move { end(&memory, &format!("crossing-{round}")).await })
    });
    for ending in ends.collect::<Vec<_>>() {
        ending.await.expect("no panic");
    }
    until(LONG, || there.len() == 2_560).await;
    following.abort();
}

#[tokio::test]
async fn while_it_cannot_be_read_nobody_knows_and_afterwards_what_was_missed_is_seen() {
    let mut server = Server::start();
    let host = host(&server.address());
    let memory = memory(&host, &Ended::new(10_000)).await;
    let (there, following) = another(&host).await;
    end(&memory, "one").await;
    until(SOON, || there.contains("one")).await;
    server.kill();
    until(LONG, || there.is_unknown()).await;
    server.start_again();
    until(LONG, || !there.is_unknown()).await;
    end(&memory, "two").await;
    until(SOON, || there.contains("two")).await;
    // One that stands still answers nothing, and is as good as away.
    server.signal("-STOP");
    until(LONG, || there.is_unknown()).await;
    server.signal("-CONT");
    until(LONG, || !there.is_unknown()).await;
    server.kill();
    until(LONG, || there.is_unknown()).await;
    following.abort();
    assert!(following.await.is_err_and(|error| error.is_cancelled()));
    assert!(!there.is_unknown(), "who ends follows nothing");
}

#[tokio::test]
async fn a_store_that_was_put_back_is_read_from_its_beginning_however_far_it_counts_by_then() {
    for ends_since in 1..=5 {
        let host = host(&Server::shared().database("ended"));
        let memory = memory(&host, &Ended::new(10_000)).await;
        for session in ["a", "b", "c"] {
            end(&memory, session).await;
        }
        let (there, mut follower) = begun(&host).await;
        assert_eq!(there.len(), 3);
        // As a dump is played back: tables are made anew, and what has ended since is counted on.
        let put_back = "SET search_path = gateway; DELETE FROM ended_session;
            CREATE TABLE anew AS SELECT one, CAST(1 AS BIGINT) AS number FROM ended_count;
            DROP TABLE ended_count; ALTER TABLE anew RENAME TO ended_count;";
        sql(&host.whole_address(), put_back).expect("put back");
        for since in 0..ends_since {
            end(&memory, &format!("since-{since}")).await;
        }
        assert!(!follower.look().await.expect("it can be read"));
        for since in 0..ends_since {
            assert!(there.contains(&format!("since-{since}")), "{since} of {ends_since}");
        }
    }
}

#[tokio::test]
async fn what_one_memory_owes_another_on_the_same_place_knows() {
    let host = host(&Server::shared().database("owed"));
    // Both were there before anything was owed.
    let (one, other) = (memory(&host, &Ended::new(10)).await, memory(&host, &Ended::new(10)).await);
    assert!(one.is_shared() && !other.is_owed("a", Some("family")).await.expect("readable"));
    let owed = Owed { token: "a".to_owned(), session: Some("family".to_owned()), renews: true };
    let until = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1);
    one.end(vec![Ending { session: "family".to_owned(), until }], vec![owed]).await.expect("ends");
    assert!(other.is_owed("a", None).await.expect("readable"), "by its token");
    assert!(other.is_owed("b", Some("family")).await.expect("readable"), "by its sign-in");
    assert!(!other.is_owed("b", Some("another")).await.expect("readable"));
    assert_eq!(other.debts(0, 10).await.expect("readable").len(), 1);
}
