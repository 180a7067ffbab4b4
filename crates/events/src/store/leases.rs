//! The tables of events that are out under leases: who fetched what, and until when he has it.
//!
//! A lease is one row, whatever it holds: an event for an event would be written and deleted for each that is handled.
//! What a row holds says its reader ([`pull`](crate::deliveries::pull)).
//!
//! Who changes anything of a subscription's leases raises its *revision* in the same transaction, and does so from the one
//! that he knows: so whatever he decided by is as he knows it, or nothing of it is written.

use jiff::Timestamp;

use crate::error::Error;
use crate::store::rows::{Row, Rows};
use crate::store::tx::Tx;

/// A lease as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LeaseRow {
    pub(crate) token: String,
    pub(crate) until: Timestamp,
    pub(crate) entries: Vec<u8>,
}

/// What is kept of a lease from now on.
pub(crate) struct LeaseChange {
    pub(crate) token: String,
    /// `None` where it is kept no more.
    pub(crate) row: Option<LeaseRow>,
}

/// All of a subscription.
pub(crate) async fn all(rows: &mut Rows<'_>, subscription: &str) -> Result<Vec<LeaseRow>, Error> {
    let select = "SELECT token, until, entries FROM lease WHERE subscription = ?1";
    let read = |row: &Row<'_>| {
        // A time that is none ends it.
        let until = Timestamp::from_microsecond(row.get(1)?).unwrap_or(Timestamp::MIN);
        Ok::<_, Error>(LeaseRow { token: row.get(0)?, until, entries: row.bytes(2)?.to_vec() })
    };
    rows.all(select, &[&subscription], read).await
}

/// Writes what changed.
pub(crate) async fn change(
    rows: &mut Rows<'_>,
    subscription: &str,
    changes: &[LeaseChange],
) -> Result<(), Error> {
    let upsert = "INSERT INTO lease (subscription, token, until, entries) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (subscription, token) DO UPDATE SET until = excluded.until,
            entries = excluded.entries";
    let delete = "DELETE FROM lease WHERE subscription = ?1 AND token = ?2";
    for LeaseChange { token, row } in changes {
        match row {
            Some(LeaseRow { until, entries, .. }) => {
                let until = until.as_microsecond();
                rows.execute(upsert, &[&subscription, token, &until, entries]).await?;
            }
            None => _ = rows.execute(delete, &[&subscription, token]).await?,
        }
    }
    Ok(())
}

/// How often they were changed.
pub(crate) async fn revision(rows: &mut Rows<'_>, subscription: &str) -> Result<u64, Error> {
    let select = "SELECT revision FROM lease_revision WHERE subscription = ?1";
    let found = rows.find(select, &[&subscription], |row| row.get(0)).await?;
    Ok::<_, Error>(found.unwrap_or(0))
}

/// Raises the revision from this one; whether it is this one. Until the transaction is over nobody else raises it.
pub(crate) async fn raise(tx: &mut Tx<'_>, subscription: &str, from: u64) -> Result<bool, Error> {
    // Made where it is missing, so that there is a row to change.
    let make = "INSERT INTO lease_revision (subscription, revision) VALUES (?1, 0)
        ON CONFLICT (subscription) DO NOTHING";
    let raise = "UPDATE lease_revision SET revision = revision + 1
        WHERE subscription = ?1 AND revision = ?2";
    if from == 0 {
        tx.execute(make, &[&subscription]).await?;
    }
    Ok(tx.execute(raise, &[&subscription, &from]).await? == 1)
}
