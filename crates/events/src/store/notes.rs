//! The table of notes on what was stepped over; see [`skipped`](crate::skipped) for what they are.

use jiff::Timestamp;

use crate::error::Error;
use crate::parking;
use crate::partition::Partition;
use crate::skipped::{BY_CHARS_MAX, SKIPPED_MAX, Skipped};
use crate::store::rows::{Row, Rows};
use crate::store::value::Bind;

/// How many notes there are.
pub(crate) const COUNT: &str = "SELECT count(*) FROM skipped";

/// Writes one down, from [`Note::values`].
pub(crate) const INSERT: &str =
    "INSERT INTO skipped (name, kind, first, last, event, key, reason, at, by, partition)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

/// A note as its row has it: times as numbers, texts at their limits.
pub(crate) struct Note<'n> {
    skipped: &'n Skipped,
    reason: &'n str,
    at: i64,
    by: String,
    partition: u16,
}

impl<'n> Note<'n> {
    pub(crate) fn of(skipped: &'n Skipped) -> Note<'n> {
        Note {
            skipped,
            reason: parking::shortened(&skipped.reason),
            at: skipped.at.as_microsecond(),
            by: skipped.by.chars().take(BY_CHARS_MAX).collect(),
            partition: skipped.partition.index(),
        }
    }

    /// In the order of [`INSERT`].
    pub(crate) fn values(&self) -> [&dyn Bind; 10] {
        let Note { skipped, reason, at, by, partition } = self;
        let Skipped { name, kind, first, last, event, key, .. } = skipped;
        [name, kind, first, last, event, key, reason, at, by, partition]
    }
}

/// Refuses one more where as many are kept as may be.
pub(crate) fn check_room(notes: u64) -> Result<(), Error> {
    if notes >= SKIPPED_MAX {
        return Err(Error::Limit { field: "skipped", value: notes + 1, limit: SKIPPED_MAX });
    }
    Ok(())
}

/// Writes one down in a transaction of a service's.
pub(crate) async fn note(rows: &mut Rows<'_>, one: &Skipped) -> Result<(), Error> {
    check_room(rows.one(COUNT, &[], |row| row.get(0)).await?)?;
    rows.execute(INSERT, &Note::of(one).values()).await.map(drop)
}

/// Every note of this name, oldest first.
pub(crate) async fn all(rows: &mut Rows<'_>, name: &str) -> Result<Vec<Skipped>, Error> {
    let select =
        "SELECT name, kind, first, last, event, key, reason, at, by, partition FROM skipped
        WHERE name = ?1 ORDER BY number";
    rows.all(select, &[&name], skipped).await
}

/// A row in the order of that statement.
pub(crate) fn skipped(row: &Row<'_>) -> Result<Skipped, Error> {
    Ok(Skipped {
        name: row.get(0)?,
        kind: row.get(1)?,
        partition: Partition::new(row.get(9)?).unwrap_or_default(),
        first: row.get(2)?,
        last: row.get(3)?,
        event: row.get(4)?,
        key: row.get(5)?,
        reason: row.get(6)?,
        at: Timestamp::from_microsecond(row.get(7)?).unwrap_or(Timestamp::UNIX_EPOCH),
        by: row.get(8)?,
    })
}
