//! Many that commit at a time wait for the disk together, and nobody is told what is not so.

use super::proxy::{Next, Proxy};
use super::*;
use crate::store::Published;
use crate::store::postgres::server::Server;

/// How many commit at a time.
const MANY: usize = 8;
/// What is said on the connection that waits for the disk for all, and not with a COMMIT.
const FOR_ALL: &str = "'yeoul', 'all'";
/// Rounds in which nobody may wait for others.
const AGAIN_MAX: usize = 100;
/// Kills in a row that may come later than the server's own writing, which is 10 s.
const LATE_MAX: usize = 5;

/// Adds and publishes these, all at once; what each was answered.
async fn add_all(database: &Database, names: &[String]) -> Vec<Result<Published, Error>> {
    let start = |name: &String| {
        database.write(name.clone(), |name, tx| {
            Box::pin(async move {
                add(tx, name).await?;
                tx.publish(Draft::new("Added", name, 1, &(), &Cause::default())).await
            })
        })
    };
    // Each is begun by the call.
    let started: Vec<_> = names.iter().map(start).collect();
    let mut answers = Vec::new();
    for work in started {
        answers.push(work.await);
    }
    answers
}

fn named(round: &str) -> Vec<String> {
    (0..MANY).map(|one| format!("{round}-{one}")).collect()
}

/// Has them commit until so many connections wait for the disk for all.
async fn together(database: &Database, place: &TestSchema, before: &str, connections: u32) {
    let stand = "SELECT count(*) FROM pg_stat_activity
        WHERE query = 'SELECT pg_logical_emit_message(TRUE, ''yeoul'', ''all'')'";
    for round in 0.. {
        for answer in add_all(database, &named(&format!("before-{before}-{round}"))).await {
            answer.unwrap();
        }
        if place.execute(stand).parse::<u32>().unwrap() >= connections {
            return;
        }
        assert!(round < AGAIN_MAX, "nobody waits for others");
    }
}

/// Each that was answered well is there with the number that it was told, and no other is.
async fn check(database: &Database, names: &[String], answers: Vec<Result<Published, Error>>) {
    let waiting = waiting(database).await;
    for (name, answer) in names.iter().zip(answers) {
        let is_there: Vec<u64> = waiting
            .iter()
            .filter(|(_, subject)| subject == name)
            .map(|(number, _)| *number)
            .collect();
        let told: Vec<u64> = answer.iter().map(|it| it.number().number).collect();
        assert_eq!(is_there, told, "{name}: {answer:?}");
        assert!(answer.err().is_none_or(|it| it.is_environment()), "{name}");
    }
}

#[tokio::test]
async fn what_many_were_answered_together_outlives_a_server_that_is_killed_right_then() {
    // Nothing goes to the disk by itself meanwhile.
    let mut server = Server::start_with(&["wal_writer_delay = 10s"]);
    let place = TestSchema::on(&server.address());
    for round in ["one", "two"] {
        let database = open(&place).await;
        together(&database, &place, round, 1).await;
        let names = named(round);
        let answers = add_all(&database, &names).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        server.kill();
        server.start_again();
        check(&open(&place).await, &names, answers).await;
    }
}

#[tokio::test]
async fn who_waited_by_a_connection_that_is_lost_finds_out_what_stands() {
    let place = TestSchema::fresh();
    let direct = open(&place).await;
    let proxy = Proxy::before(&place).await;
    let database = open(&proxy.place).await;
    for (round, next) in [Next::CutBehind, Next::CutBefore, Next::CutBehind].into_iter().enumerate()
    {
        // Each has its record with its COMMIT, and nobody waits for another's, until the connection that was cut before
        // is followed by one that stands.
        for again in 0..AGAIN_MAX {
            let round = format!("{round}-{again}");
            together(&database, &place, &round, 1).await;
            proxy.next_at(next, FOR_ALL);
            let names = named(&round);
            let answers = add_all(&database, &names).await;
            assert!(answers.iter().all(Result::is_ok), "all of it stands: {answers:?}");
            check(&direct, &names, answers).await;
            if proxy.has_met() {
                break;
            }
            assert!(again + 1 < AGAIN_MAX, "nobody waits for another's record");
        }
    }
}

#[tokio::test]
async fn who_waited_while_the_server_was_killed_is_not_told_that_it_stands() {
    // Whoever fills a page of what is to be written wakes who writes it: whole pages of tables would, each time.
    let mut server = Server::start_with(&["wal_writer_delay = 10s", "full_page_writes = off"]);
    let place = TestSchema::on(&server.address());
    // Where the kill comes late, the server has written everything by itself before it.
    for round in 0..LATE_MAX {
        if is_lost_by_a_kill(&mut server, &place, &format!("lost-{round}")).await {
            return;
        }
    }
    panic!("no kill came before the server had written what was seen");
}

/// Whether something that could be seen already is gone after a kill; whoever waited for it is not told that it stands.
async fn is_lost_by_a_kill(server: &mut Server, place: &TestSchema, round: &str) -> bool {
    let proxy = Proxy::before(place).await;
    let database = open(&proxy.place).await;
    together(&database, place, round, 1).await;
    proxy.next_at(Next::HeldUp, FOR_ALL);
    let names = named(round);
    let answers = tokio::spawn({
        let names = names.clone();
        async move { add_all(&database, &names).await }
    });
    let seen = format!("SELECT count(*) FROM item WHERE name LIKE '{round}-%'");
    until(async || match place.execute(&seen).parse::<usize>() {
        Ok(MANY) => Ok(()),
        others => Err(format!("{others:?} of {MANY} can be seen")),
    })
    .await;
    server.kill();
    server.start_again();
    let answers = answers.await.unwrap();
    let is_lost = answers.iter().any(Result::is_err);
    check(&open(place).await, &names, answers).await;
    is_lost
}

#[tokio::test]
async fn a_slow_disk_is_waited_for_by_more_than_one() {
    let slow = ["commit_delay = 20000", "commit_siblings = 0", "wal_writer_delay = 10s"];
    let mut server = Server::start_with(&slow);
    let place = TestSchema::on(&server.address());
    let database = open(&place).await;
    together(&database, &place, "slow", 2).await;
    let names = named("two");
    let answers = add_all(&database, &names).await;
    server.kill();
    server.start_again();
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    check(&open(&place).await, &names, answers).await;
}
