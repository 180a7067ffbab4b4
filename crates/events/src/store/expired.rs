//! The tables of events that a subscription passed because their deadline had passed: how many, and the newest of them.
//!
//! Written in the transaction that passes them, at its end: the count is one row for all partitions of a subscription, and who
//! has it has others wait until he commits. Rows take turns in [`EXPIRED_KEPT`] slots, so that what is shown is bounded and
//! costs the same however many there were.

use std::collections::HashSet;

use crate::broker::{Offset, Stored};
use crate::error::Error;
use crate::partition::{Numbered, Partition};
use crate::store::inbox::Assigned;
use crate::store::rows::{Row, Rows};
use crate::store::tx::Tx;
use crate::store::value::Bind;

/// Events of a subscription of which is kept that they were passed; all of them are counted.
pub(crate) const EXPIRED_KEPT: u64 = 1_000;

/// An event whose deadline came before its turn.
#[derive(Debug)]
pub(crate) struct Passed {
    pub(crate) at: Offset,
    /// The event's id.
    pub(crate) id: String,
}

impl Passed {
    pub(crate) fn of(stored: &Stored) -> Passed {
        Passed { at: stored.offset, id: stored.event.id.clone() }
    }
}

/// Notes that these events of a partition were passed: the last that a transaction writes of what others write too.
pub(crate) async fn mark(
    tx: &mut Tx<'_>,
    of: Assigned<'_>,
    passed: &[Passed],
) -> Result<(), Error> {
    if passed.is_empty() {
        return Ok(());
    }
    let more = "INSERT INTO expired_count (subscription, count) VALUES (?1, ?2)
        ON CONFLICT (subscription) DO UPDATE SET count = expired_count.count + excluded.count";
    let added = passed.len() as u64;
    tx.execute(more, &[&of.subscription, &added]).await?;
    let before = count(tx, of.subscription).await?.saturating_sub(added);
    for (number, passed) in (before..).zip(passed) {
        keep(tx, of, number % EXPIRED_KEPT, passed).await?;
    }
    Ok(())
}

async fn keep(
    tx: &mut Tx<'_>,
    of: Assigned<'_>,
    slot: u64,
    Passed { at, id }: &Passed,
) -> Result<(), Error> {
    let upsert = "INSERT INTO expired (subscription, slot, partition, \"offset\", event, at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        ON CONFLICT (subscription, slot) DO UPDATE SET partition = excluded.partition,
            \"offset\" = excluded.\"offset\", event = excluded.event, at = excluded.at";
    let now = tx.now().as_microsecond();
    let row: [&dyn Bind; 6] = [&of.subscription, &slot, &of.partition.index(), &at.0, id, &now];
    tx.execute(upsert, &row).await?;
    Ok(())
}

/// How many were passed.
pub(crate) async fn count(rows: &mut Rows<'_>, subscription: &str) -> Result<u64, Error> {
    let select = "SELECT count FROM expired_count WHERE subscription = ?1";
    let count: Result<_, Error> = rows.find(select, &[&subscription], |row| row.get(0)).await;
    Ok(count?.unwrap_or(0))
}

/// Which of these places were passed, of those that are kept.
pub(crate) async fn at(
    rows: &mut Rows<'_>,
    subscription: &str,
    wanted: &HashSet<Numbered>,
) -> Result<Vec<Numbered>, Error> {
    let select = "SELECT partition, \"offset\" FROM expired WHERE subscription = ?1";
    let mut found = Vec::new();
    let add = |row: &Row<'_>| {
        let partition = Partition::new(row.get(0)?).unwrap_or_default();
        let at = Numbered { partition, number: row.get(1)? };
        found.extend(wanted.contains(&at).then_some(at));
        Ok::<_, Error>(())
    };
    rows.each(select, &[&subscription], add).await?;
    Ok(found)
}
