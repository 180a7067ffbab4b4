//! What other processes remember: where several share a database, each has to learn what one of them has noted.
//!
//! An event of a topic comes to one instance of a service, which writes it down for all of them.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use chassis::identity::Ended;
use events::{Clock, Database, Error};
use jiff::Timestamp;

use crate::store;

/// How late one that ended elsewhere is known here at most.
const READ_EVERY: Duration = Duration::from_millis(500);
/// In a row that could not be read before all is read again: what is read lately is of the last minutes.
const MISSED_MAX: u32 = 60;

/// Keeps a verifier's memory as new as `database`, where others write to that, until the stop.
pub async fn follow(
    database: Database,
    ended: Ended,
    clock: Clock,
    stopped: impl Future<Output = ()>,
) {
    if !database.is_shared() {
        return;
    }
    let reads = async {
        let mut missed = 0;
        loop {
            tokio::time::sleep(READ_EVERY).await;
            missed = match read(&database, &ended, clock(), missed).await {
                Ok(()) => 0,
                // The store is away: whoever asks for anything is told so.
                Err(_) => missed + 1,
            };
        }
    };
    tokio::select! {
        () = stopped => {}
        () = pin!(reads) => {}
    }
}

async fn read(
    database: &Database,
    ended: &Ended,
    now: Timestamp,
    missed: u32,
) -> Result<(), Error> {
    if missed > MISSED_MAX {
        return store::load(database, ended, now).await;
    }
    store::load_lately(database, ended, now).await
}
