//! A commit whose answer is lost is looked up, and an instance that stands still before its own holds up nobody.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use super::proxy::{Next, Proxy};
use super::*;
use crate::store::Published;
use crate::store::options::Served;
use crate::store::postgres::server::{Server, sql};

async fn add_and_publish(tx: &mut Tx<'_>, name: &str) -> Result<Published, Error> {
    add(tx, name).await?;
    tx.publish(Draft::new("Added", name, 1, &(), &Cause::default())).await
}

#[tokio::test]
async fn a_connection_that_is_cut_at_the_commit_never_lies_about_what_stands() {
    let place = TestSchema::fresh();
    let direct = open(&place).await;
    let proxy = Proxy::before(&place).await;
    let database = open(&proxy.place).await;
    for round in 0..10 {
        for (next, stands) in
            [(Next::CutBehind, true), (Next::CutBefore, false), (Next::Passes, true)]
        {
            let name = format!("{round}-{}", next as u8);
            proxy.next(next);
            let work = database.write(name.clone(), |name, tx| Box::pin(add_and_publish(tx, name)));
            let answer = work.await;
            let is_there = names(&direct).await.contains(&name);
            assert_eq!((answer.is_ok(), is_there), (stands, stands), "{name}: {answer:?}");
            let error = answer.as_ref().err();
            assert!(error.is_none_or(Error::is_environment), "nothing was done");
            let published: Vec<u64> = waiting(&direct)
                .await
                .into_iter()
                .filter_map(|(number, subject)| (subject == name).then_some(number))
                .collect();
            // Also where the answer that said the number was lost.
            let told: Vec<u64> = answer.iter().map(|it| it.number().number).collect();
            assert_eq!(published, told, "{name}");
        }
        // Work that publishes nothing has an id of its own all the same.
        proxy.next(Next::CutBehind);
        let name = format!("{round}-silent");
        let work = database.write(name.clone(), |name, tx| Box::pin(add(tx, name)));
        work.await.unwrap();
        assert!(names(&direct).await.contains(&name));
    }
    assert_eq!(database.newest("any").await.unwrap(), direct.newest("any").await.unwrap());
}

#[tokio::test]
async fn an_instance_that_stands_still_before_its_commit_holds_up_nobody() {
    let place = TestSchema::fresh();
    let direct = open(&place).await;
    let proxy = Proxy::before(&place).await;
    let stopped = open(&proxy.place).await;
    proxy.next(Next::HeldUp);
    let name = "stopped".to_owned();
    let held = stopped.write(name, |name, tx| Box::pin(add_and_publish(tx, name)));
    // All but its last message is done, and its transaction is open.
    let state = "SELECT count(*) FROM pg_stat_activity JOIN pg_locks USING (pid)
        WHERE state = 'idle in transaction' AND relation = 'item'::REGCLASS AND mode = 'RowExclusiveLock'";
    until(
        async || {
            if place.execute(state) == "1" { Ok(()) } else { Err("its last message".to_owned()) }
        },
    )
    .await;
    // Others number in the same partition meanwhile, and wait for nobody.
    let name = "other".to_owned();
    direct.write(name, |name, tx| Box::pin(add_and_publish(tx, name))).await.unwrap();
    assert_eq!(place.execute(state), "1", "it stands there still");
    assert!(held.await.unwrap_err().is_environment(), "it was given up by the server");
    assert_eq!(names(&direct).await, ["other"]);
    let published: Vec<String> = waiting(&direct).await.into_iter().map(|it| it.1).collect();
    assert_eq!(published, ["other"]);
}

/// Ten times as long as anybody holds, or waits for, what others need.
const HELD_BY: Duration = Duration::from_secs(50);

async fn stocked(tx: &mut Tx<'_>) -> Result<(), Error> {
    tx.execute("UPDATE item SET stock = stock + 1 WHERE name = 'tv'", &[]).await.map(drop)
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "how long one waits for a server is its own time")]
async fn a_row_of_an_instance_that_stands_still_before_its_commit_is_anothers_within_seconds() {
    let place = TestSchema::fresh();
    let direct = open(&place).await;
    let proxy = Proxy::before(&place).await;
    let stopped = open(&proxy.place).await;
    place.execute("INSERT INTO item (name) VALUES ('tv')");
    proxy.next(Next::HeldUp);
    let held = stopped.write((), |(), tx| Box::pin(stocked(tx)));
    let state = "SELECT count(*) FROM pg_stat_activity JOIN pg_locks USING (pid)
        WHERE state = 'idle in transaction' AND relation = 'item'::REGCLASS AND mode = 'RowExclusiveLock'";
    until(async || match place.execute(state).as_str() {
        "1" => Ok(()),
        _ => Err("its last message".to_owned()),
    })
    .await;
    let begun = std::time::Instant::now();
    // On a busy machine the lock may be waited for longer than its limit: who asks is told to come again, and does.
    until(async || {
        let wrote = direct.write((), |(), tx| Box::pin(stocked(tx))).await;
        wrote.map_err(
            |error| if error.is_environment() { error.to_string() } else { panic!("{error}") },
        )
    })
    .await;
    let waited = begun.elapsed();
    eprintln!("a row of one that stood still was another's after {waited:?}");
    assert!(waited < HELD_BY, "{waited:?}");
    assert!(held.await.unwrap_err().is_environment(), "it was given up by the server");
    assert_eq!(place.execute("SELECT stock FROM item"), "1", "of two one was done");
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "how long one waits for a server is its own time")]
async fn who_waits_for_a_row_longer_than_a_lock_is_waited_for_is_refused_for_now_alone() {
    let place = TestSchema::fresh();
    let database = open(&place).await;
    place.execute("INSERT INTO item (name) VALUES ('tv')");
    // Of another program, which nobody ends.
    let holds =
        format!("SET search_path = {}; BEGIN; SELECT name FROM item FOR UPDATE", place.name);
    let mut holder = crate::store::postgres::server::psql(&place.address);
    let sleeps = "SELECT pg_sleep(600)";
    let mut holder = holder.args(["-c", &holds, "-c", sleeps]).spawn().unwrap();
    let state =
        "SELECT count(*) FROM pg_locks WHERE relation = 'item'::REGCLASS AND mode = 'RowShareLock'";
    until(async || match place.execute(state).as_str() {
        "1" => Ok(()),
        _ => Err("its lock".to_owned()),
    })
    .await;
    let begun = std::time::Instant::now();
    let refused = database.write((), |(), tx| Box::pin(stocked(tx))).await.unwrap_err();
    let waited = begun.elapsed();
    eprintln!("a row that is held for ever was waited for {waited:?}");
    assert!(refused.is_environment() && refused.to_string().contains("lock timeout"), "{refused}");
    assert!(waited < HELD_BY, "{waited:?}");
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()";
    place.execute(end);
    holder.wait().unwrap();
    database.write((), |(), tx| Box::pin(stocked(tx))).await.unwrap();
    assert_eq!(place.execute("SELECT stock FROM item"), "1");
}

#[tokio::test]
async fn what_can_be_seen_and_is_not_on_disk_yet_is_relayed_by_nobody() {
    let place = TestSchema::fresh();
    let database = open(&place).await;
    let seen = "SELECT count(*) FROM yeoul_outbox";
    // As an instance that dies between its COMMIT and the disk.
    place.execute(
        "BEGIN; SELECT yeoul_publish(0, gen_random_uuid(), 'k', 'T', 'k', 1, 0, NULL, NULL, NULL, 'null'); COMMIT",
    );
    assert_eq!(place.execute(seen), "1");
    assert_eq!(database.waiting_whole(first(0), 10).await.unwrap().len(), 0);
    assert_eq!(waiting(&database).await.len(), 1, "once that is on disk");
}

#[tokio::test]
async fn what_was_answered_outlives_a_server_that_is_killed_right_then() {
    // Nothing goes to the disk by itself meanwhile.
    let mut server = Server::start_with(&["wal_writer_delay = 10s"]);
    let place = TestSchema::on(&server.address());
    let rounds = ["one", "three", "two"];
    for name in rounds {
        let database = open(&place).await;
        let work = database.write(name, |name, tx| Box::pin(add_and_publish(tx, name)));
        work.await.unwrap();
        server.kill();
        server.start_again();
    }
    // As an instance that dies between its COMMIT and the disk, whose write is what others are answered.
    let committed = "BEGIN; INSERT INTO item (name) VALUES ('zero'); SELECT set_config('synchronous_commit', 'off', TRUE); COMMIT";
    let database = open(&place).await;
    place.execute(committed);
    let select = "SELECT name FROM item WHERE name = 'zero'";
    let work =
        database.write((), |(), tx| Box::pin(tx.one(select, &[], |row| row.get::<String>(0))));
    assert_eq!(work.await.unwrap(), "zero");
    server.kill();
    server.start_again();
    let database = open(&place).await;
    assert_eq!(names(&database).await, [&rounds[..], &["zero"]].concat());
    assert_eq!(waiting(&database).await.len(), rounds.len());
}

/// Drops `work` once it was asked so often, if it was not done before.
async fn given_up_after<T>(polls: u32, work: impl Future<Output = T>) {
    let (mut work, mut left) = (pin!(work), polls);
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        work.as_mut().poll(context).map(drop)
    })
    .await;
}

#[tokio::test]
async fn a_read_that_is_given_up_at_any_point_leaves_nothing_open_for_the_next_work() {
    let place = TestSchema::fresh();
    let database = open(&place).await;
    for polls in 1..=12 {
        let select = "SELECT name FROM item";
        let read = database
            .read(&(), |(), rows| Box::pin(rows.all(select, &[], |row| row.get::<String>(0))));
        given_up_after(polls, read).await;
        // Whichever connection of the pool it was, one of these gets it.
        for work in 0..16 {
            let name = format!("{polls}-{work}");
            let added = database.write(name, |name, tx| Box::pin(add(tx, name))).await;
            assert_eq!(added.err().map(|it| it.to_string()), None, "given up after {polls} polls");
        }
    }
}

#[tokio::test]
async fn what_a_server_promised_when_it_was_asked_holds_whatever_its_settings_become() {
    let server = Server::start_with(&["fsync = off"]);
    let place = TestSchema::on(&server.address());
    // One connection: another one would be opened after the change, and refused.
    let options = Served { connections: 1, ..place.options(SCHEMA, None, clock()) };
    let database = Database::connect(options).await.unwrap();
    let promised = async || {
        let shown = "SELECT current_setting('synchronous_commit')";
        let read = database
            .read(&(), |(), rows| Box::pin(rows.one(shown, &[], |row| row.get::<String>(0))));
        read.await.map_err(|error: Error| error).unwrap()
    };
    assert_eq!(promised().await, "on");
    for lowered in ["ALTER SYSTEM SET synchronous_commit = off", "SELECT pg_reload_conf()"] {
        sql(&server.address(), lowered).unwrap();
    }
    until(async || match sql(&server.address(), "SHOW synchronous_commit").unwrap().as_str() {
        "off" => Ok(()),
        others => Err(others.to_owned()),
    })
    .await;
    assert_eq!(promised().await, "on", "who has begun goes on as it began");
    let refused = Database::connect(place.options(SCHEMA, None, clock())).await.err().unwrap();
    assert!(refused.to_string().contains("synchronous_commit is `off`"), "{refused}");
}
