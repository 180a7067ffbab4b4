//! The table of who delivers a partition: a number that each run raises when it begins, so that only the latest one writes.
//!
//! The place fences only as far as it moves: while the first event of a window is not answered for, it stands, and one who
//! hung, lost the partition and comes back would find it as he knows it. The number moves with each run. It is read and
//! raised where the place is locked, which is the lock of all that is a partition's.

use crate::error::Error;
use crate::store::inbox::{Assigned, Place};
use crate::store::rows::Rows;
use crate::store::tx::Tx;
use crate::store::value::Bind;

/// Begins a run: its number. Whatever began before writes nothing any more.
pub(crate) async fn begin(tx: &mut Tx<'_>, of: Assigned<'_>) -> Result<u64, Error> {
    Place::lock(tx, of).await?;
    let run = latest(tx, of).await? + 1;
    let upsert = "INSERT INTO delivery_run (subscription, partition, run) VALUES (?1, ?2, ?3)
        ON CONFLICT (subscription, partition) DO UPDATE SET run = excluded.run";
    tx.execute(upsert, &[&of.subscription, &of.partition.index(), &run]).await?;
    Ok(run)
}

/// The run that began last, 0 before the first.
pub(crate) async fn latest(rows: &mut Rows<'_>, of: Assigned<'_>) -> Result<u64, Error> {
    let select = "SELECT run FROM delivery_run WHERE subscription = ?1 AND partition = ?2";
    let whose: [&dyn Bind; 2] = [&of.subscription, &of.partition.index()];
    Ok(rows.find(select, &whose, |row| row.get(0)).await?.unwrap_or(0))
}
