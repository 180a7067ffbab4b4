//! A server that says nothing holds up nobody for longer than the limits say, and one that took another's place is not
//! believed about what it never did.

use std::future::Future;

use tokio::task::JoinHandle;

use super::proxy::{Next, Proxy, Silence};
use super::*;
use crate::store::options::Served;
use crate::store::postgres::server::{Server, sql};
use crate::store::postgres::{connection, timeouts};

/// Ten times what the slowest of these takes: a limit that is missing is a wait without end.
async fn in_time<T>(waited: impl Future<Output = T>) -> T {
    let longest = timeouts::COMMIT + timeouts::LOOK_UP + timeouts::CLOSE;
    tokio::time::timeout(10 * longest, waited).await.expect("it is not waited for without an end")
}

async fn publish(database: &Database, name: &str) -> Result<Numbered, Error> {
    let work = database.write(name.to_owned(), |name, tx| {
        Box::pin(async move {
            add(tx, name).await?;
            tx.publish(Draft::new("Added", name, 1, &(), &Cause::default())).await
        })
    });
    work.await.map(|published| published.number())
}

#[tokio::test]
async fn a_beginning_that_is_not_answered_is_refused_in_time() {
    let place = TestSchema::fresh();
    let proxy = Proxy::before(&place).await;
    let database = open(&proxy.place).await;
    proxy.next_at(Next::Silent, "BEGIN; SELECT");
    let written = in_time(publish(&database, "late")).await;
    assert!(written.as_ref().is_err_and(Error::is_environment), "{written:?}");
    proxy.next_at(Next::Silent, "BEGIN ISOLATION");
    let select = "SELECT name FROM item";
    let read =
        database.read(&(), |(), rows| Box::pin(rows.all(select, &[], |row| row.get::<String>(0))));
    let read = in_time(read).await;
    assert!(read.as_ref().is_err_and(Error::is_environment), "{read:?}");
    in_time(publish(&database, "next")).await.unwrap();
    assert_eq!(names(&open(&place).await).await, ["next"]);
}

#[tokio::test]
async fn a_statement_that_is_not_answered_ends_its_work_and_closing_waits_for_no_more_than_its_limit()
 {
    let place = TestSchema::fresh();
    let proxy = Proxy::before(&place).await;
    let database = open(&proxy.place).await;
    let (begun, is_begun) = tokio::sync::oneshot::channel();
    let begun = std::sync::Mutex::new(Some(begun));
    let work = database.write((), move |(), tx| {
        let begun = begun.lock().unwrap().take();
        Box::pin(async move {
            add(tx, "half").await?;
            begun.map(|begun| begun.send(()));
            // It goes on when the server is silent, whatever it makes of that.
            for _ in 0..60 {
                let slept =
                    tx.one("SELECT CAST(pg_sleep(0.1) AS TEXT)", &[], |_| Ok::<_, Error>(()));
                if slept.await.is_err() {
                    break;
                }
            }
            for _ in 0..100 {
                _ = add(tx, "more").await;
            }
            Ok::<_, Error>(())
        })
    });
    let work = tokio::spawn(work);
    is_begun.await.unwrap();
    proxy.silence(Silence::Everybody);
    in_time(database.close()).await;
    let refused = in_time(work).await.unwrap();
    assert!(refused.as_ref().is_err_and(Error::is_environment), "{refused:?}");
    assert_eq!(names(&open(&place).await).await, [""; 0]);
}

#[tokio::test]
async fn a_commit_that_is_not_answered_is_looked_up_like_one_whose_connection_is_gone() {
    let place = TestSchema::fresh();
    let proxy = Proxy::before(&place).await;
    let database = open(&proxy.place).await;
    proxy.next(Next::Silent);
    assert_eq!(in_time(publish(&database, "once")).await.unwrap(), first(1));
    assert_eq!(waiting(&database).await, [(1, "once".to_owned())]);
}

/// Gives out so many ids of transactions.
fn burn(address: &str, count: u64) {
    let burn = format!(
        "DO $$ BEGIN FOR at IN 1 .. {count} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
    );
    sql(address, &burn).unwrap();
}

fn newest_id(address: &str) -> u64 {
    sql(address, "SELECT pg_current_xact_id()").unwrap().parse().unwrap()
}

/// Work whose commit the server of a place has, and whose answer is lost; it looks for one where the proxy leads.
async fn lose(
    place: &TestSchema,
    name: &'static str,
) -> (Proxy, JoinHandle<Result<Numbered, Error>>) {
    let proxy = Proxy::before(place).await;
    let publishes = Some(publishes(1));
    // One connection: the look goes where new ones go.
    let options = Served { connections: 1, ..proxy.place.options(SCHEMA, publishes, clock()) };
    let database = Database::connect(options).await.unwrap();
    proxy.next(Next::CutBehind);
    proxy.lead_to(None);
    let work = tokio::spawn(async move { publish(&database, name).await });
    let there = format!("SELECT count(*) FROM item WHERE name = '{name}'");
    until(async || match place.execute(&there).as_str() {
        "1" => Ok(()),
        others => Err(others.to_owned()),
    })
    .await;
    (proxy, work)
}

#[tokio::test]
async fn what_another_server_says_of_a_lost_commit_is_believed_as_far_as_it_can_know() {
    let mut another = Server::start_with(&["fsync = off"]);
    let place = TestSchema::fresh();
    let there = TestSchema { address: another.address(), name: place.name.clone() };
    drop(open(&there).await);
    burn(&place.address, 1_000);

    // Its id was never given there, so it was never done there.
    let (proxy, work) = lose(&place, "never").await;
    assert!(newest_id(&there.address) + 100 < newest_id(&place.address));
    proxy.lead_to(Some(&there.address));
    let answer = in_time(work).await.unwrap();
    assert!(answer.as_ref().is_err_and(Error::is_environment), "{answer:?}");

    // Its id is somebody's by now, and its row may have been there and gone.
    let (proxy, work) = lose(&place, "somebodys").await;
    burn(&there.address, newest_id(&place.address) - newest_id(&there.address) + 10);
    proxy.lead_to(Some(&there.address));
    let answer = in_time(work).await.unwrap();
    assert!(matches!(answer, Err(Error::Unknown { .. })), "{answer:?}");

    // Started anew, and its row is there.
    let (proxy, work) = lose(&there, "own").await;
    // Who sees it flushes it.
    there.execute("SELECT pg_logical_emit_message(TRUE, '', '')");
    another.kill();
    another.start_again();
    proxy.lead_to(Some(&there.address));
    assert_eq!(in_time(work).await.unwrap().unwrap(), first(1));
}

/// The id of the transaction that has said all but its last word, and the process that has it.
fn half_done(place: &TestSchema) -> Option<(u64, String)> {
    let half = "SELECT backend_xid, pid FROM pg_stat_activity
        WHERE state = 'idle in transaction' AND query LIKE '%INSERT INTO item%'";
    let said = place.execute(half);
    let (id, pid) = said.split_once('|')?;
    Some((id.parse().unwrap(), pid.to_owned()))
}

#[tokio::test]
async fn a_server_one_of_whose_processes_was_killed_is_believed_no_more_than_another() {
    // Nothing goes to the disk by itself meanwhile.
    let server = Server::start_with(&["wal_writer_delay = 10s"]);
    let place = TestSchema::on(&server.address());
    let proxy = Proxy::before(&place).await;
    let options = Served { connections: 1, ..proxy.place.options(SCHEMA, None, clock()) };
    let database = Database::connect(options).await.unwrap();
    let start = || sql(&place.address, "SELECT pg_postmaster_start_time()");
    let started = start().unwrap();

    // Its process is killed before it has the commit, and what took its place knows nothing of it.
    proxy.next(Next::HeldUp);
    proxy.lead_to(None);
    let work = database.write((), |(), tx| Box::pin(add(tx, "lost")));
    let work = tokio::spawn(work);
    until(async || if proxy.has_met() { Ok(()) } else { Err("its commit".to_owned()) }).await;
    let (id, pid) = half_done(&place).expect("all but its commit is done");
    let killed = std::process::Command::new("kill").args(["-KILL", &pid]).status();
    assert!(killed.unwrap().success());
    until(async || start().map(drop)).await;
    assert_eq!(start().unwrap(), started, "it does not call that a start");
    burn(&place.address, id.saturating_sub(newest_id(&place.address)) + 10);
    let status = format!("SELECT pg_xact_status('{id}'::XID8)");
    assert_eq!(sql(&place.address, &status).unwrap(), "committed", "its id is somebody's");
    proxy.lead_to(Some(&place.address));

    let answer = in_time(work).await.unwrap();
    assert!(matches!(answer, Err(Error::Unknown { .. })), "{answer:?}");
    assert_eq!(names(&database).await, [""; 0]);
}

#[tokio::test]
async fn a_connection_whose_promise_is_not_said_is_not_waited_for_without_an_end() {
    let place = TestSchema::fresh();
    let proxy = Proxy::before(&place).await;
    let pool = connection::pool(&proxy.place.address, &place.name, 1).await.unwrap();
    for words in ["synchronous_commit", "nothing that is said"] {
        proxy.next_at(Next::Silent, words);
        let opened = in_time(connection::to_flush(&pool)).await;
        assert_eq!(opened.is_err(), words == "synchronous_commit", "{words}");
        assert!(opened.err().is_none_or(|error| error.is_environment()), "{words}");
    }
}
