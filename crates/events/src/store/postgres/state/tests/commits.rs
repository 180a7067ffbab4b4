//! A commit whose answer is lost is looked up, and one that stands still holds up nobody for long.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::proxy::{Next, Proxy};
use super::*;

async fn add_and_publish(tx: &mut Tx<'_>, name: &str) -> Result<(), Error> {
    add(tx, name).await?;
    tx.publish(Draft::new("Added", name, 1, &(), &Cause::default())).await?;
    Ok(())
}

#[tokio::test]
async fn a_connection_that_is_cut_at_the_commit_never_lies_about_what_stands() {
    let place = Place::fresh();
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
            assert!(answer.err().is_none_or(|error| error.is_environment()), "nothing was done");
            let published = waiting(&direct).await.iter().any(|it| it.1 == name);
            assert_eq!(published, stands, "{name}");
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
async fn an_instance_that_stands_still_before_its_commit_holds_up_nobody_for_long() {
    let place = Place::fresh();
    let direct = open(&place).await;
    let proxy = Proxy::before(&place).await;
    let stopped = open(&proxy.place).await;
    proxy.next(Next::HeldUp);
    let name = "stopped".to_owned();
    let held = stopped.write(name, |name, tx| Box::pin(add_and_publish(tx, name)));
    // It has its number, and with it the partition's lock.
    until(async || {
        let held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted
            AND objid < 1000000 AND objsubid = 2
            AND classid = 'yeoul_outbox'::REGCLASS";
        if place.execute(held) == "1" { Ok(()) } else { Err("the lock".to_owned()) }
    })
    .await;
    // Whoever waits is told after as long as the other may stand still: one of the two is first.
    let work = async || {
        let name = "other".to_owned();
        let work = direct.write(name, |name, tx| Box::pin(add_and_publish(tx, name)));
        let waited = tokio::time::timeout(Duration::from_secs(60), work).await;
        waited.expect("five seconds at most, and some")
    };
    match work().await {
        Err(refused) if refused.is_environment() => work().await.unwrap(),
        done => done.unwrap(),
    };
    assert!(held.await.unwrap_err().is_environment(), "it was given up by the server");
    assert_eq!(names(&direct).await, ["other"]);
    let published: Vec<String> = waiting(&direct).await.into_iter().map(|it| it.1).collect();
    assert_eq!(published, ["other"]);
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
    let place = Place::fresh();
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
