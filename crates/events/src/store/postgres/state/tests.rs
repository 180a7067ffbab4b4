//! What many writers must never do to one another, on a real server; a proxy cuts the connection where it hurts.

mod announced;
mod commits;
mod epochs;
mod flushes;
mod inserted;
mod leases;
mod proxy;
mod relayed;
mod silence;
mod traps;
mod values;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::broker::{Broker, Offset, Stored};
use crate::error::Error;
use crate::event::{Cause, Draft, Event};
use crate::fixture::{clock, first, topic, until};
use crate::partition::{Numbered, Partition, Partitions};
use crate::store::database::Database;
use crate::store::options::{LeaseOutcome, Publishes};
use crate::store::postgres::fixture::TestSchema;
use crate::store::rows::Rows;
use crate::store::tx::Tx;

const SCHEMA: &[&str] =
    &["CREATE TABLE item (name TEXT PRIMARY KEY, stock BIGINT NOT NULL DEFAULT 0,
    parent TEXT REFERENCES item (name) DEFERRABLE INITIALLY DEFERRED)"];

fn publishes(partitions: u16) -> Publishes {
    let (source, topic) = ("order".to_owned(), topic("order"));
    Publishes { source, topic, partitions: Partitions::new(partitions).unwrap() }
}

async fn open(place: &TestSchema) -> Database {
    place.open(SCHEMA, Some(publishes(1)), clock()).await
}

fn draft(number: u64) -> Draft {
    Draft::new("Placed", number, 1, &number, &Cause::default())
}

async fn add(tx: &mut Tx<'_>, name: &str) -> Result<(), Error> {
    tx.execute("INSERT INTO item (name) VALUES (?1)", &[&name]).await?;
    Ok(())
}

async fn names(database: &Database) -> Vec<String> {
    let select = "SELECT name FROM item ORDER BY name";
    let read =
        database.read(&(), |(), rows| Box::pin(rows.all(select, &[], |row| row.get::<String>(0))));
    read.await.unwrap()
}

/// What is to be relayed, whoever committed it.
async fn waiting(database: &Database) -> Vec<(u64, String)> {
    database.follow().await.unwrap();
    let events = database.waiting_whole(first(0), 1_000).await.unwrap();
    let numbered = |event: Event| (event.outbox_sequence.unwrap(), event.subject);
    events.into_iter().map(numbered).collect()
}

/// Takes the last piece, if there is one.
async fn take(tx: &mut Tx<'_>) -> Result<bool, Error> {
    let select = "SELECT stock FROM item WHERE name = ?1 FOR UPDATE";
    let stock: u64 = tx.one(select, &[&"tv"], |row| row.get(0)).await?;
    if stock == 0 {
        return Ok(false);
    }
    tx.execute("UPDATE item SET stock = ?2 WHERE name = ?1", &[&"tv", &(stock - 1)]).await?;
    tx.publish(draft(stock)).await?;
    Ok(true)
}

#[tokio::test]
async fn of_two_instances_that_race_for_the_last_piece_one_gets_it() {
    let place = TestSchema::fresh();
    let (one, other) = (open(&place).await, open(&place).await);
    place.execute("INSERT INTO item (name) VALUES ('tv')");
    for round in 1..=20 {
        place.execute("UPDATE item SET stock = 1");
        let mine = one.write((), |(), tx| Box::pin(take(tx)));
        let theirs = other.write((), |(), tx| Box::pin(take(tx)));
        let (mine, theirs) = tokio::join!(mine, theirs);
        assert!(mine.unwrap() ^ theirs.unwrap(), "round {round}");
        assert_eq!(place.execute("SELECT stock FROM item"), "0");
    }
    assert_eq!(waiting(&one).await.len(), 20);
}

#[tokio::test]
async fn work_that_meets_another_in_a_deadlock_runs_again_and_both_are_done() {
    /// Locks two rows in the order that is given, the wrong way round for one of two.
    async fn both(
        tx: &mut Tx<'_>,
        order: [&'static str; 2],
        runs: &AtomicU32,
    ) -> Result<(), Error> {
        // Whoever runs again takes them as the other one does, and waits for it with nothing in its hands: it would be
        // at its own first row before the other one has woken, and meet it a second time.
        let is_again = runs.fetch_add(1, Ordering::SeqCst) >= 2;
        for name in if is_again { [order[1], order[0]] } else { order } {
            let update = "UPDATE item SET stock = stock + 1 WHERE name = ?1";
            tx.execute(update, &[&name]).await?;
            tx.one("SELECT CAST(pg_sleep(0.3) AS TEXT)", &[], |_| Ok::<_, Error>(())).await?;
        }
        tx.publish(draft(1)).await?;
        Ok(())
    }
    let place = TestSchema::fresh();
    let database = open(&place).await;
    place.execute("INSERT INTO item (name) VALUES ('a'), ('b')");
    let runs = std::sync::Arc::new(AtomicU32::new(0));
    let start = |order| {
        let given = (order, runs.clone());
        database.write(given, |(order, runs), tx| Box::pin(both(tx, *order, runs)))
    };
    let (one, other) = tokio::join!(start(["a", "b"]), start(["b", "a"]));
    one.unwrap();
    other.unwrap();
    assert_eq!(runs.load(Ordering::SeqCst), 3, "one of them ran twice");
    assert_eq!(place.execute("SELECT string_agg(stock::TEXT, ',') FROM item"), "2,2");
    assert_eq!(waiting(&database).await.len(), 2, "nothing of the first run was published");
}

#[tokio::test]
async fn an_instance_opens_what_another_one_is_at_work_on_and_waits_for_nobody() {
    let place = TestSchema::fresh();
    let one = open(&place).await;
    let is_open = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let work = one.write(is_open.clone(), |is_open, tx| {
        Box::pin(async move {
            // As whoever publishes: the rows, then their topic.
            tx.execute("LOCK TABLE yeoul_outbox IN ROW EXCLUSIVE MODE", &[]).await?;
            let count = "SELECT count(*) FROM yeoul_outbox_topic";
            tx.one(count, &[], |row| row.get::<u64>(0)).await?;
            for _ in 0..500 {
                if is_open.load(Ordering::SeqCst) {
                    return Ok(true);
                }
                tx.one("SELECT CAST(pg_sleep(0.05) AS TEXT)", &[], |_| Ok::<_, Error>(())).await?;
            }
            Ok::<_, Error>(false)
        })
    });
    let work = tokio::spawn(work);
    until(async || {
        let held = "SELECT count(*) FROM pg_locks WHERE relation = 'yeoul_outbox_topic'::regclass
            AND mode = 'AccessShareLock'";
        match place.execute(held).as_str() {
            "0" => Err("not under way".to_owned()),
            _ => Ok(()),
        }
    })
    .await;
    let other = open(&place).await;
    other.write((), |(), tx| Box::pin(add(tx, "second"))).await.unwrap();
    is_open.store(true, Ordering::SeqCst);
    assert!(work.await.unwrap().unwrap(), "it was open while the other one was at work");
    assert_eq!(names(&one).await, ["second"]);
}

/// Whether it is there is for whoever makes it.
#[tokio::test]
async fn a_schema_that_is_opened_to_read_is_not_made() {
    let place = TestSchema::fresh();
    let address = place.address.parse().unwrap();
    let host = crate::store::options::Host { address, password: None, connections: 4 };
    let beside = Database::beside(&host, &place.name, clock()).await.unwrap();
    let there = format!("SELECT to_regnamespace('{}') IS NULL", place.name);
    assert_eq!(place.execute(&there), "t");
    // Once it is made it is read.
    open(&place).await.write((), |(), tx| Box::pin(add(tx, "later"))).await.unwrap();
    assert_eq!(names(&beside).await, ["later"]);
}

#[tokio::test]
async fn work_that_is_in_the_way_of_others_every_time_is_refused_after_its_last_run() {
    let place = TestSchema::fresh();
    let database = open(&place).await;
    let runs = std::sync::Arc::new(AtomicU32::new(0));
    let work = database.write(runs.clone(), |runs, tx| {
        Box::pin(async move {
            runs.fetch_add(1, Ordering::SeqCst);
            add(tx, "never").await?;
            // As the server says it where one transaction is in another's way.
            let raise = "DO $$ BEGIN RAISE EXCEPTION 'in the way' USING ERRCODE = '40001'; END $$";
            tx.execute(raise, &[]).await
        })
    });
    assert!(work.await.unwrap_err().is_environment());
    assert_eq!(runs.load(Ordering::SeqCst), super::server::RUNS_MAX);
    assert_eq!(names(&database).await, [""; 0]);
}

#[tokio::test]
async fn a_refusal_a_panic_and_a_failed_statement_leave_nothing_behind() {
    let place = TestSchema::fresh();
    let database = open(&place).await;
    let refused = database.write((), |(), tx| {
        Box::pin(async move {
            add(tx, "refused").await?;
            tx.publish(draft(1)).await?;
            Err::<(), _>(Error::UnknownTopic)
        })
    });
    assert!(matches!(refused.await, Err(Error::UnknownTopic)));
    let panics = database.write((), |(), tx| {
        Box::pin(async move {
            add(tx, "panics").await?;
            if tx.now() == clock()() {
                panic!("on purpose");
            }
            Ok::<_, Error>(())
        })
    });
    assert!(matches!(panics.await, Err(Error::Panicked { what }) if what == "on purpose"));
    let goes_on = database.write((), |(), tx| {
        Box::pin(async move {
            add(tx, "twice").await?;
            assert!(add(tx, "twice").await.is_err());
            Ok::<_, Error>(())
        })
    });
    assert!(matches!(goes_on.await, Err(Error::Statement { what }) if what.contains("went on")));
    assert_eq!(names(&database).await, [""; 0]);
    assert!(waiting(&database).await.is_empty());
}

#[tokio::test]
async fn parts_are_taken_back_alone_with_their_events_and_there_are_so_many_and_no_more() {
    let place = TestSchema::fresh();
    let database = open(&place).await;
    let work = database.write((), |(), tx| {
        Box::pin(async move {
            add(tx, "whole").await?;
            let outer = tx.savepoint().await?;
            add(tx, "outer").await?;
            tx.publish(draft(1)).await?;
            let inner = tx.savepoint().await?;
            tx.publish(draft(2)).await?;
            assert!(add(tx, "outer").await.is_err(), "a broken constraint is the part's own");
            tx.settle(inner, false).await?;
            tx.settle(outer, true).await?;
            tx.publish(draft(3)).await
        })
    });
    assert_eq!(work.await.unwrap().number(), first(2));
    assert_eq!(names(&database).await, ["outer", "whole"]);
    let subjects: Vec<String> = waiting(&database).await.into_iter().map(|it| it.1).collect();
    assert_eq!(subjects, ["1", "3"]);
    let many = database.write((), |(), tx| {
        Box::pin(async move {
            for _ in 0..super::tx::PARTS_MAX {
                let taken_back = tx.savepoint().await?;
                tx.settle(taken_back, false).await?;
                let stands = tx.savepoint().await?;
                tx.settle(stands, true).await?;
            }
            Ok::<_, Error>(tx.savepoint().await.is_err())
        })
    });
    assert!(many.await.unwrap(), "one past the limit");
}

#[tokio::test]
async fn a_number_that_an_aborted_transaction_took_is_a_gap_that_is_read_over() {
    let place = TestSchema::fresh();
    let database = open(&place).await;
    let publish = |number: u64, parent: Option<&'static str>| {
        database.write((number, parent), |(number, parent), tx| {
            Box::pin(async move {
                let insert = "INSERT INTO item (name, parent) VALUES (?1, ?2)";
                tx.execute(insert, &[&number.to_string(), parent]).await?;
                tx.publish(draft(*number)).await
            })
        })
    };
    publish(1, None).await.unwrap();
    // Numbered, and refused by the commit itself.
    assert!(publish(2, Some("nobody")).await.unwrap_err().is_environment());
    assert_eq!(publish(3, None).await.unwrap().number(), first(3));
    assert_eq!(waiting(&database).await, [(1, "1".to_owned()), (3, "3".to_owned())]);
    assert_eq!(database.newest("any").await.unwrap(), first(3));

    // The relay takes it for no damage, now and after a log that has less.
    let folder = tempfile::TempDir::new().unwrap();
    let log = std::sync::Arc::new(
        crate::local::Log::open(folder.path(), &[topic("order")], clock()).unwrap(),
    );
    let relay = crate::relay::Relay::new(database.clone(), log.clone());
    let mut status = relay.progress(Partition::FIRST);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(relay.run(async move { drop(stopped.await) }));
    let done = status.wait_for(|status| status.settled >= 3 && status.relayed == 3);
    let done = tokio::time::timeout(Duration::from_secs(60), done).await;
    let status = done.expect("in time").expect("it runs").clone();
    assert_eq!((status.lost, status.stuck), (None, None));
    drop(stop);
    running.await.unwrap();
    let stored = log.read(&topic("order").first(), Offset::BEGINNING, 10).await.unwrap();
    let numbers: Vec<_> = stored.iter().filter_map(|it| it.event.outbox_sequence).collect();
    assert_eq!(numbers, [1, 3]);
}

#[tokio::test]
async fn whoever_reads_on_from_the_highest_number_misses_none_whose_commit_came_later() {
    const WRITES: u64 = 60;
    let place = TestSchema::fresh();
    let partitions = || Some(publishes(3));
    let instances = [
        place.open(SCHEMA, partitions(), clock()).await,
        place.open(SCHEMA, partitions(), clock()).await,
    ];
    let mut writers = tokio::task::JoinSet::new();
    for (at, database) in instances.iter().enumerate() {
        for lane in 0..3_u64 {
            let database = database.clone();
            writers.spawn(async move {
                for round in 0..WRITES {
                    let fails = round % 7 == 3;
                    let seed = (at as u64 * 3 + lane) * WRITES + round;
                    let work = database.write((seed, fails), |(seed, fails), tx| {
                        Box::pin(async move {
                            // Two of them, in either order of their partitions.
                            for key in [*seed, seed.wrapping_mul(31) % 17] {
                                tx.publish(draft(key)).await?;
                            }
                            let parent = fails.then_some("nobody");
                            let insert = "INSERT INTO item (name, parent) VALUES (?1, ?2)";
                            tx.execute(insert, &[&seed.to_string(), &parent]).await
                        })
                    });
                    assert_eq!(work.await.is_ok(), !fails, "{seed}");
                }
            });
        }
    }
    let (mut seen, mut last) = (0, [0_u64; 3]);
    let mut look = async || {
        instances[0].follow().await.unwrap();
        for (partition, last) in Partitions::new(3).unwrap().each().zip(&mut last) {
            let after = Numbered { partition, number: *last };
            let events = instances[0].waiting(after, 1_000).await.unwrap();
            seen += events.len();
            *last = events.last().and_then(|it| it.outbox_sequence).unwrap_or(*last);
        }
        seen
    };
    while !writers.is_empty() {
        look().await;
        while let Some(ended) = writers.try_join_next() {
            ended.unwrap();
        }
    }
    let all = look().await.to_string();
    assert_eq!(all, place.execute("SELECT count(*) FROM yeoul_outbox"), "a reader missed some");
    assert_eq!(all, (6 * (WRITES - 8 - u64::from(WRITES % 7 > 3)) * 2).to_string());
}

#[tokio::test]
async fn a_partition_is_relayed_by_one_instance_at_a_time_and_by_another_when_that_one_ends() {
    let place = TestSchema::fresh();
    let (one, other) = (open(&place).await, open(&place).await);
    assert_eq!(one.take_lease(Partition::FIRST).await.unwrap(), LeaseOutcome::New);
    assert_eq!(other.take_lease(Partition::FIRST).await.unwrap(), LeaseOutcome::Anothers);
    one.relayed(first(7));
    one.save_relayed().await.unwrap();
    let again = one.take_lease(Partition::FIRST).await.unwrap();
    assert_eq!(again, LeaseOutcome::Had, "asked again it is still its own");
    one.release_leases().await;
    until(async || match other.take_lease(Partition::FIRST).await.unwrap() {
        LeaseOutcome::New => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert_eq!(other.relayed_up_to(Partition::FIRST), 7, "it goes on where the other one got");
    assert_eq!(one.take_lease(Partition::FIRST).await.unwrap(), LeaseOutcome::Anothers);
}

#[tokio::test]
async fn a_schema_is_migrated_once_and_a_newer_one_is_refused() {
    const LATER: &[&str] = &[SCHEMA[0], "ALTER TABLE item ADD COLUMN note TEXT"];
    let place = TestSchema::fresh();
    let connect = |schema| Database::connect(place.options(schema, None, clock()));
    let (one, other) = tokio::join!(connect(SCHEMA), connect(SCHEMA));
    one.unwrap();
    other.unwrap();
    connect(LATER).await.unwrap();
    connect(LATER).await.unwrap();
    assert_eq!(place.execute("SELECT count(note) FROM item"), "0");
    assert!(matches!(connect(SCHEMA).await, Err(Error::Newer { known: 1, .. })));
    let other = place.options(LATER, Some(publishes(1)), clock());
    Database::connect(other).await.unwrap();
    let grown = || place.options(LATER, Some(publishes(2)), clock());
    assert!(matches!(
        Database::connect(grown()).await,
        Err(Error::Partitions { has: 1, asked: 2, .. })
    ));
    // As whoever asked for more is told: at rest, and by hand.
    place.execute(
        "UPDATE yeoul_outbox_topic SET partitions = 2 WHERE topic = 'order';
        SELECT yeoul_outbox_declare('order', 2)",
    );
    let grown = Database::connect(grown()).await.unwrap();
    let key = (0..)
        .find(|key: &u64| Partitions::new(2).unwrap().of(&key.to_string()) != Partition::FIRST);
    let work = grown.write(key.unwrap(), |key, tx| Box::pin(tx.publish(draft(*key))));
    assert_eq!(work.await.unwrap().number().number, 1, "the first of the new one");
    place.execute("UPDATE yeoul_version SET version = version + 1 WHERE tables = 'yeoul_outbox'");
    let older = place.options(LATER, Some(publishes(2)), clock());
    assert!(matches!(Database::connect(older).await, Err(Error::Newer { .. })));
}

#[tokio::test]
async fn a_server_that_refuses_or_promises_too_little_is_told_at_the_start() {
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let nobody = TestSchema::on(&format!("postgres://postgres@{free}/postgres"));
    let refused = Database::connect(nobody.options(SCHEMA, None, clock())).await.err().unwrap();
    assert!(refused.is_environment() && refused.to_string().contains("refused"), "{refused}");
    let place = TestSchema::fresh();
    let careless = TestSchema::on(&format!("{}?options[synchronous_commit]=local", place.address));
    let refused = Database::connect(careless.options(SCHEMA, None, clock())).await.err().unwrap();
    assert!(refused.is_environment(), "{refused}");
    assert!(refused.to_string().contains("synchronous_commit is `local`"), "{refused}");
    let nonsense = TestSchema::on("file:///nowhere");
    let refused = Database::connect(nonsense.options(SCHEMA, None, clock())).await.err();
    assert!(matches!(refused, Some(Error::Decode { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_dropped_future_does_not_take_its_work_back_and_closing_waits_for_it() {
    let place = TestSchema::fresh();
    let database = open(&place).await;
    drop(database.write((), |(), tx| Box::pin(add(tx, "dropped"))));
    database.close().await;
    assert_eq!(names(&database).await, ["dropped"], "reading goes on");
    let late = database.write((), |(), tx| Box::pin(add(tx, "late")));
    assert!(matches!(late.await, Err(Error::Closed)));
}

#[tokio::test]
async fn a_read_cannot_write_and_sees_one_moment() {
    async fn count(rows: &mut Rows<'_>) -> Result<u64, Error> {
        rows.one("SELECT count(*) FROM item", &[], |row| row.get(0)).await
    }
    let place = TestSchema::fresh();
    let database = open(&place).await;
    let refused = database.read(&(), |(), rows| Box::pin(rows.execute("DELETE FROM item", &[])));
    assert!(refused.await.is_err());
    let same = database.read(&place, |place, rows| {
        Box::pin(async move {
            let before = count(rows).await?;
            place.execute("INSERT INTO item (name) VALUES ('second')");
            Ok::<_, Error>((before, count(rows).await?))
        })
    });
    assert_eq!(same.await.unwrap(), (0, 0));
    assert_eq!(names(&database).await, ["second"]);
}
