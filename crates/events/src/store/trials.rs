//! The tables by which a subscription that begins knows what may have ended the process before it: how often it began at the
//! place where it is, and which events were being tried alone.
//!
//! | table | a row says | until |
//! |---|---|---|
//! | `start` | so many starts found this place, with something to do there | the next start, at another place, or a loop that ends well |
//! | `trial` | so many starts have tried this event by itself | its answer is written, whatever that is |
//!
//! A row of `trial` that a start finds is the sign that the process ended while the event was being tried: whoever was answered
//! has none. There are few: one for each death, and one for whoever is being tried.

use crate::broker::Offset;
use crate::error::Error;
use crate::store::inbox::Assigned;
use crate::store::rows::Rows;
use crate::store::tx::Tx;
use crate::store::value::Bind;

/// What a start found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StartFound {
    /// How many starts found this place, this one included.
    pub(crate) starts: u64,
    /// Somebody was being tried when the process ended.
    pub(crate) is_any_tried: bool,
}

/// Counts a start at this place.
pub(crate) async fn count_start(
    tx: &mut Tx<'_>,
    of: Assigned<'_>,
    place: Offset,
) -> Result<StartFound, Error> {
    let whose: [&dyn Bind; 3] = [&of.subscription, &of.partition.index(), &place.0];
    // What was stepped over, dropped or redriven elsewhere is nobody's to try any more.
    let settled =
        "DELETE FROM trial WHERE subscription = ?1 AND partition = ?2 AND \"offset\" <= ?3
        AND \"offset\" NOT IN
            (SELECT \"offset\" FROM parked WHERE subscription = ?1 AND partition = ?2)";
    tx.execute(settled, &whose).await?;
    let upsert =
        "INSERT INTO start (subscription, partition, position, starts) VALUES (?1, ?2, ?3, 1)
        ON CONFLICT (subscription, partition) DO UPDATE SET position = excluded.position, starts =
            CASE WHEN start.position = excluded.position THEN start.starts + 1 ELSE 1 END";
    tx.execute(upsert, &whose).await?;
    let lane = &whose[..2];
    let select = "SELECT starts FROM start WHERE subscription = ?1 AND partition = ?2";
    let starts = tx.one(select, lane, |row| row.get(0)).await?;
    let tried = "SELECT count(*) FROM trial WHERE subscription = ?1 AND partition = ?2";
    let tried: u64 = tx.one(tried, lane, |row| row.get(0)).await?;
    Ok(StartFound { starts, is_any_tried: tried > 0 })
}

/// It ended well: the next one begins anew.
pub(crate) async fn forget_start(rows: &mut Rows<'_>, of: Assigned<'_>) -> Result<(), Error> {
    let delete = "DELETE FROM start WHERE subscription = ?1 AND partition = ?2";
    rows.execute(delete, &[&of.subscription, &of.partition.index()]).await?;
    Ok(())
}

/// How many starts have tried the event there by itself and came to no answer.
pub(crate) async fn deaths(
    rows: &mut Rows<'_>,
    of: Assigned<'_>,
    at: Offset,
) -> Result<u32, Error> {
    let select = "SELECT attempts FROM trial
        WHERE subscription = ?1 AND partition = ?2 AND \"offset\" = ?3";
    let whose: [&dyn Bind; 3] = [&of.subscription, &of.partition.index(), &at.0];
    let attempts: Option<i64> = rows.find(select, &whose, |row| row.get(0)).await?;
    Ok(u32::try_from(attempts.unwrap_or(0).max(0)).unwrap_or(u32::MAX))
}

/// Notes that it is about to be tried.
pub(crate) async fn note(rows: &mut Rows<'_>, of: Assigned<'_>, at: Offset) -> Result<(), Error> {
    let upsert = "INSERT INTO trial (subscription, partition, \"offset\", attempts)
        VALUES (?1, ?2, ?3, 1)
        ON CONFLICT (subscription, partition, \"offset\") DO UPDATE SET attempts = trial.attempts + 1";
    let whose: [&dyn Bind; 3] = [&of.subscription, &of.partition.index(), &at.0];
    rows.execute(upsert, &whose).await?;
    Ok(())
}

/// It was answered.
pub(crate) async fn forget(rows: &mut Rows<'_>, of: Assigned<'_>, at: Offset) -> Result<(), Error> {
    let delete = "DELETE FROM trial WHERE subscription = ?1 AND partition = ?2 AND \"offset\" = ?3";
    let whose: [&dyn Bind; 3] = [&of.subscription, &of.partition.index(), &at.0];
    rows.execute(delete, &whose).await?;
    Ok(())
}

/// It was not tried to an end, and nobody died of it: it stands as before [`note`].
pub(crate) async fn withdraw(
    rows: &mut Rows<'_>,
    of: Assigned<'_>,
    at: Offset,
) -> Result<(), Error> {
    let whose: [&dyn Bind; 3] = [&of.subscription, &of.partition.index(), &at.0];
    let last = "DELETE FROM trial WHERE subscription = ?1 AND partition = ?2 AND \"offset\" = ?3
        AND attempts <= 1";
    let fewer = "UPDATE trial SET attempts = attempts - 1
        WHERE subscription = ?1 AND partition = ?2 AND \"offset\" = ?3";
    rows.execute(last, &whose).await?;
    rows.execute(fewer, &whose).await?;
    Ok(())
}
