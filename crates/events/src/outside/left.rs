//! Outboxes of topics that nobody takes events for any more: how much of what was acknowledged there no broker has.
//!
//! One that is not opened is not relayed. So whoever starts looks at those that are there, without opening any, and finds what
//! settings of today would leave behind. How far a relay got is as it was saved last: after a kill that is a little less.

use crate::Clock;
use crate::error::Error;
use crate::store::database::Database;
use crate::store::location::Location;
use crate::store::options::Host;
use crate::store::rows::Rows;
use crate::store::{outbox, upkeep};

/// Events that wait to be relayed in the outbox that is there, where nobody relays it now.
///
/// # Errors
/// [`Error::Environment`]: ask again later. [`Error::Damaged`]: it is hurt.
pub async fn unrelayed(location: Location, clock: Clock) -> Result<u64, Error> {
    let (host, name) = match location {
        Location::File(path) => return upkeep::unrelayed(&path),
        Location::Schema { host, name } => (host, name),
    };
    let database = Box::pin(Database::beside(&host, &name, clock)).await?;
    let counted = database.read(&(), |(), rows| Box::pin(abandoned(rows))).await;
    database.close().await;
    counted
}

/// The schemas on a server that have an outbox and whose names begin so, in order.
///
/// # Errors
/// [`Error::Environment`]: ask again later.
pub async fn schemas(host: &Host, beginning: &str, clock: Clock) -> Result<Vec<String>, Error> {
    let database = Box::pin(Database::beside(host, beginning, clock)).await?;
    let found = database.read(beginning, |beginning, rows| Box::pin(named(rows, beginning))).await;
    database.close().await;
    found
}

async fn named(rows: &mut Rows<'_>, beginning: &str) -> Result<Vec<String>, Error> {
    let select = "SELECT CAST(nspname AS TEXT) FROM pg_namespace
        JOIN pg_class ON relnamespace = pg_namespace.oid
        WHERE relname = 'outbox' AND starts_with(nspname, ?1) ORDER BY 1";
    rows.all(select, &[&beginning], |row| row.get(0)).await
}

/// An instance whose settings are others relays it, where one holds a lease: its lock has a negative number.
async fn abandoned(rows: &mut Rows<'_>) -> Result<u64, Error> {
    let held = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND classid = CAST(to_regclass('yeoul_outbox') AS OID)
        AND CAST(objid AS BIGINT) > 2147483647 LIMIT 1";
    let is_relayed = rows.find(held, &[], |_| Ok::<_, Error>(())).await?.is_some();
    if is_relayed { Ok(0) } else { rows.one(outbox::UNRELAYED, &[], |row| row.get(0)).await }
}
