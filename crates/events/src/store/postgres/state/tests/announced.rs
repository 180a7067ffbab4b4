//! What one instance announces and another hears.

use std::time::Duration;

use super::{add, names, open};
use crate::error::Error;
use crate::store::announcements::Announcements;
use crate::store::database::Database;
use crate::store::postgres::fixture::TestSchema;

const SOON: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(30);

async fn hears(announced: &mut Announcements, within: Duration) -> bool {
    tokio::time::timeout(within, announced.next()).await.is_ok()
}

/// Adds an item and announces it; taken back where it is told to fail.
async fn announce(database: &Database, name: &'static str, fails: bool) -> Result<(), Error> {
    let work = database.write((name, fails), |&(name, fails), tx| {
        Box::pin(async move {
            add(tx, name).await?;
            tx.announce().await?;
            if fails { Err(Error::environment("on purpose")) } else { Ok(()) }
        })
    });
    work.await
}

#[tokio::test]
async fn what_is_committed_is_heard_elsewhere_and_what_is_taken_back_or_of_another_schema_is_not() {
    let (place, elsewhere) = (TestSchema::fresh(), TestSchema::fresh());
    let (writer, reader, other) = (open(&place).await, open(&place).await, open(&elsewhere).await);
    let (mut heard, mut others) = (reader.announcements(), other.announcements());
    // That it listens is news too.
    assert!(hears(&mut heard, LONG).await && hears(&mut others, LONG).await);
    announce(&writer, "gone", true).await.unwrap_err();
    assert!(!hears(&mut heard, SOON).await);
    announce(&writer, "tv", false).await.unwrap();
    assert!(hears(&mut heard, LONG).await);
    assert_eq!(names(&reader).await, ["tv"]);
    assert!(!hears(&mut others, SOON).await);
}

#[tokio::test]
async fn a_listener_whose_connection_is_lost_says_that_it_may_have_missed_something() {
    let place = TestSchema::fresh();
    let database = open(&place).await;
    let mut heard = database.announcements();
    assert!(hears(&mut heard, LONG).await);
    // Of this schema alone: other tests listen beside it.
    let end = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN \"{}\"'",
        place.name
    );
    assert_eq!(place.execute(&end), "t");
    assert!(hears(&mut heard, LONG).await);
    // It listens again in its own time: until then nothing that is announced reaches it.
    for _ in 0..100 {
        database.write((), |(), tx| Box::pin(tx.announce())).await.unwrap();
        if hears(&mut heard, SOON).await {
            return;
        }
    }
    panic!("it does not listen again");
}
