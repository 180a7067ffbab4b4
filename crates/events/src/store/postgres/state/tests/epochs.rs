//! Numbers that a server forgot are not given again: whoever finds it started anew begins another epoch.

use std::sync::Arc;

use tempfile::TempDir;

use super::relayed::{Running, log, publish, relayed};
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
    let running = Running::start(&database, &log);
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
    let running = Running::start(&database, &log);
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
