//! The table of notes on what was stepped over; see [`skipped`](crate::store::skipped) for what they are.

use jiff::Timestamp;

use crate::error::Error;
use crate::parking;
use crate::partition::Partition;
use crate::skipped::{BY_CHARS_MAX, SKIPPED_MAX, Skipped};
use crate::store::rows::{Row, Rows};
use crate::store::value::Bind;

/// Writes one down.
pub(crate) async fn note(rows: &mut Rows<'_>, one: &Skipped) -> Result<(), Error> {
    let count = rows.one("SELECT count(*) FROM skipped", &[], |row| row.get::<u64>(0));
    let notes = count.await?;
    if notes >= SKIPPED_MAX {
        return Err(Error::Limit { field: "skipped", value: notes + 1, limit: SKIPPED_MAX });
    }
    let insert =
        "INSERT INTO skipped (name, kind, first, last, event, key, reason, at, by, partition)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    let by: String = one.by.chars().take(BY_CHARS_MAX).collect();
    let reason = parking::shortened(&one.reason);
    let Skipped { name, kind, partition, first, last, event, key, at, .. } = one;
    let (at, partition) = (at.as_microsecond(), partition.index());
    let row: [&dyn Bind; 10] = [name, kind, first, last, event, key, &reason, &at, &by, &partition];
    rows.execute(insert, &row).await?;
    Ok(())
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
