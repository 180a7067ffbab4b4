//! Numbers that a server forgot are not given again: whoever finds it started anew begins another epoch.

use std::sync::Arc;

use tempfile::TempDir;

use super::relayed::{log, publish, relay, relayed};
use super::*;
use crate::store::epoch;
use crate::store::postgres::server::Server;

/// Its rows after these are gone, and nobody noted them: what a power cut leaves where what was acknowledged was not on
/// disk.
const FORGOTTEN: &str = "DELETE FROM yeoul_outbox WHERE number > 3;
    SELECT setval('yeoul_outbox_1_0', 3); UPDATE outbox_relayed SET relayed = 3";

#[tokio::test]
async fn a_server_that_forgot_what_it_acknowledged_numbers_above_it_and_loses_nothing_new() {
    let mut server = Server::start_with(&["fsync = off"]);
    let (place, folder) = (TestSchema::on(&server.address()), TempDir::new().unwrap());
    let log: Arc<_> = log(&folder);
    let database = open(&place).await;
    for number in 1..=5 {
        publish(&database, number).await;
    }
    let running = relay(&database, &log);
    relayed(&log, &["1", "2", "3", "4", "5"]).await;
    running.stop().await;
    database.close().await;
    drop(database);
    place.execute(FORGOTTEN);
    server.kill();
    server.start_again();

    // Two at once find it started anew, before any relay looked.
    let database = open(&place).await;
    let other = open(&place).await;
    let (one, two) = tokio::join!(publish(&database, 6), publish(&other, 7));
    let (one, two) = (one.number().number, two.number().number);
    let above = epoch::after(5).unwrap();
    assert_eq!([one.min(two), one.max(two)], [above + 1, above + 2], "one epoch for both");
    // What the other one committed it learns by looking; nothing runs here that would.
    database.follow().await.unwrap();
    assert_eq!(database.lag(first(3)), 2, "what was left out is no backlog");
    let running = relay(&database, &log);
    let in_order = if one < two { ["6", "7"] } else { ["7", "6"] };
    relayed(&log, &["1", "2", "3", "4", "5", in_order[0], in_order[1]]).await;
    running.stop().await;
}

#[tokio::test]
async fn numbers_go_on_where_neither_the_server_nor_the_table_is_another_one() {
    let place = TestSchema::fresh();
    let database = open(&place).await;
    publish(&database, 1).await;
    database.close().await;
    let database = open(&place).await;
    assert_eq!(publish(&database, 2).await.number(), first(2));
    // As a dump has it that is read in again, and as an outbox of before there were epochs is.
    for another in ["of = 1", "started = NULL, of = NULL"] {
        let before = publish(&database, 3).await.number().number;
        place.execute(&format!("UPDATE yeoul_outbox_topic SET {another}"));
        let after = publish(&database, 4).await.number().number;
        assert_eq!(after, epoch::after(before).unwrap() + 1, "{another}");
    }
    // What came before a jump is kept, and nothing is missed behind it.
    assert_eq!(waiting(&database).await.len(), 6);
}

#[tokio::test]
async fn an_epoch_that_was_taken_back_is_begun_again_and_one_that_was_committed_never_is() {
    let place = TestSchema::fresh();
    let database = place.open(SCHEMA, Some(publishes(2)), clock()).await;
    let key_of = |index: u16| {
        let of = |key: &u64| Partitions::new(2).unwrap().of(&key.to_string()).index() == index;
        (0..100).find(of).unwrap()
    };
    let (one, other) = (key_of(0), key_of(1));
    place.execute("UPDATE yeoul_outbox_topic SET started = NULL");
    for _ in 0..3 {
        let taken_back = database.write(one, |number, tx| {
            Box::pin(async move {
                tx.publish(draft(*number)).await?;
                // Refused by the commit itself, behind the number.
                let insert = "INSERT INTO item (name, parent) VALUES ('child', 'nobody')";
                tx.execute(insert, &[]).await
            })
        });
        assert!(taken_back.await.unwrap_err().is_environment());
    }
    let first_epoch = epoch::after(0).unwrap();
    let number = publish(&database, one).await.number().number;
    assert_eq!(number - epoch::count(number), first_epoch, "three cost no epoch each");
    // Nothing was numbered in the other partition: what is put back may know of it no more.
    place.execute("UPDATE yeoul_outbox_topic SET started = NULL");
    let number = publish(&database, other).await.number().number;
    assert_eq!(number, epoch::after(first_epoch).unwrap() + 1, "begun and committed, it is over");
}
