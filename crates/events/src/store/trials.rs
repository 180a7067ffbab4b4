//! The tables by which a subscription that begins knows what may have ended the process before it: how often it began at the
//! place where it is, and which events were being tried alone.
//!
//! | table | a row says | until |
//! |---|---|---|
//! | `start` | so many starts found this place, with something to do there; and which of them was the last | the next start, at another place, or a loop that ends well |
//! | `trial` | this run tries this event by itself, or ended with it | the event is handled or given up, or the run says that nobody died |
//!
//! A row of `trial` that is another run's is the sign that the process ended while the event was being tried: whoever was answered
//! has none. There are few: one for each death, and one for whoever is being tried. A run touches its own rows alone, so that one that lost
//! its partition and ends late takes nothing back of who has it now.

use crate::broker::Offset;
use crate::error::Error;
use crate::store::inbox::{Assigned, Place};
use crate::store::rows::Rows;
use crate::store::tx::Tx;
use crate::store::value::Bind;

/// What a start found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StartFound {
    /// Which run it begins.
    pub(crate) run: u64,
    /// How many starts found this place, this one included.
    pub(crate) starts: u64,
    /// Somebody was being tried when the process ended.
    pub(crate) is_any_tried: bool,
}

/// An event that a run tries by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trial {
    pub(crate) at: Offset,
    pub(crate) run: u64,
}

/// A start that was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CountedStart {
    pub(crate) place: Offset,
    pub(crate) run: u64,
}

/// Counts a start at this place, once whoever is at work there is done.
pub(crate) async fn count_start(
    tx: &mut Tx<'_>,
    of: Assigned<'_>,
    place: Offset,
) -> Result<CountedStart, Error> {
    Place::lock(tx, of).await?;
    let whose: [&dyn Bind; 3] = [&of.subscription, &of.partition.index(), &place.0];
    // What was stepped over, dropped or redriven elsewhere is nobody's to try any more, and neither is a dead letter.
    let settled =
        "DELETE FROM trial WHERE subscription = ?1 AND partition = ?2 AND \"offset\" <= ?3
        AND \"offset\" NOT IN (SELECT \"offset\" & 9223372036854775807 FROM parked
            WHERE subscription = ?1 AND partition = ?2 AND dead <> 1)";
    tx.execute(settled, &whose).await?;
    let lane = &whose[..2];
    let latest = "SELECT max(run) FROM (
            SELECT run FROM start WHERE subscription = ?1 AND partition = ?2
            UNION ALL SELECT run FROM trial WHERE subscription = ?1 AND partition = ?2) AS known";
    let latest: Option<u64> = tx.one(latest, lane, |row| row.get(0)).await?;
    let run = latest.unwrap_or(0) + 1;
    let upsert = "INSERT INTO start (subscription, partition, position, starts, run)
        VALUES (?1, ?2, ?3, 1, ?4)
        ON CONFLICT (subscription, partition) DO UPDATE SET position = excluded.position,
            run = excluded.run, starts =
            CASE WHEN start.position = excluded.position THEN start.starts + 1 ELSE 1 END";
    tx.execute(upsert, &[whose[0], whose[1], whose[2], &run]).await?;
    Ok(CountedStart { place, run })
}

/// What there is of it and of those before.
pub(crate) async fn found(
    rows: &mut Rows<'_>,
    of: Assigned<'_>,
    run: u64,
) -> Result<StartFound, Error> {
    let whose: [&dyn Bind; 3] = [&of.subscription, &of.partition.index(), &run];
    let select = "SELECT starts FROM start WHERE subscription = ?1 AND partition = ?2";
    let starts: Option<u64> = rows.find(select, &whose[..2], |row| row.get(0)).await?;
    let tried = "SELECT count(*) FROM trial
        WHERE subscription = ?1 AND partition = ?2 AND run <> ?3";
    let tried: u64 = rows.one(tried, &whose, |row| row.get(0)).await?;
    Ok(StartFound { run, starts: starts.unwrap_or(1), is_any_tried: tried > 0 })
}

/// It ended well: the next one begins anew, and who began at the same place since has one start less before him.
pub(crate) async fn forget_start(
    tx: &mut Tx<'_>,
    of: Assigned<'_>,
    start: CountedStart,
) -> Result<(), Error> {
    let CountedStart { place, run } = start;
    let whose: [&dyn Bind; 4] = [&of.subscription, &of.partition.index(), &run, &place.0];
    let own = "DELETE FROM start WHERE subscription = ?1 AND partition = ?2 AND run = ?3";
    tx.execute(own, &whose[..3]).await?;
    let later = "UPDATE start SET starts = starts - 1 WHERE subscription = ?1 AND partition = ?2
        AND run > ?3 AND position = ?4 AND starts > 1";
    tx.execute(later, &whose).await.map(drop)
}

/// How many runs before this one have tried the event there by itself and came to no answer.
pub(crate) async fn deaths(
    rows: &mut Rows<'_>,
    of: Assigned<'_>,
    Trial { at, run }: Trial,
) -> Result<u32, Error> {
    let select = "SELECT CAST(sum(attempts) AS BIGINT) FROM trial
        WHERE subscription = ?1 AND partition = ?2 AND \"offset\" = ?3 AND run <> ?4";
    let whose: [&dyn Bind; 4] = [&of.subscription, &of.partition.index(), &at.0, &run];
    let attempts: Option<i64> = rows.one(select, &whose, |row| row.get(0)).await?;
    Ok(u32::try_from(attempts.unwrap_or(0).max(0)).unwrap_or(u32::MAX))
}

/// Notes that it is about to be tried.
pub(crate) async fn note(
    rows: &mut Rows<'_>,
    of: Assigned<'_>,
    Trial { at, run }: Trial,
) -> Result<(), Error> {
    let insert = "INSERT INTO trial (subscription, partition, \"offset\", run, attempts)
        VALUES (?1, ?2, ?3, ?4, 1) ON CONFLICT (subscription, partition, \"offset\", run) DO NOTHING";
    let whose: [&dyn Bind; 4] = [&of.subscription, &of.partition.index(), &at.0, &run];
    rows.execute(insert, &whose).await.map(drop)
}

/// It was answered, and what became of it is written. Of one that waits for its next attempt its deaths stay, and count with the
/// attempts that it had.
pub(crate) async fn answered(
    rows: &mut Rows<'_>,
    of: Assigned<'_>,
    trial: Trial,
) -> Result<(), Error> {
    let waits = "SELECT 1 FROM parked WHERE subscription = ?1 AND partition = ?2
        AND \"offset\" & 9223372036854775807 = ?3 AND dead <> 1 LIMIT 1";
    let whose: [&dyn Bind; 3] = [&of.subscription, &of.partition.index(), &trial.at.0];
    let waits = rows.find(waits, &whose, |row| row.get::<i64>(0)).await?;
    if waits.is_some() { withdraw(rows, of, trial).await } else { forget(rows, of, trial.at).await }
}

/// It is handled or given up, or its attempts begin anew.
pub(crate) async fn forget(rows: &mut Rows<'_>, of: Assigned<'_>, at: Offset) -> Result<(), Error> {
    let delete = "DELETE FROM trial WHERE subscription = ?1 AND partition = ?2 AND \"offset\" = ?3";
    let whose: [&dyn Bind; 3] = [&of.subscription, &of.partition.index(), &at.0];
    rows.execute(delete, &whose).await.map(drop)
}

/// It was not tried to an end, and nobody died of it: it stands as before [`note`].
pub(crate) async fn withdraw(
    rows: &mut Rows<'_>,
    of: Assigned<'_>,
    Trial { at, run }: Trial,
) -> Result<(), Error> {
    let delete = "DELETE FROM trial WHERE subscription = ?1 AND partition = ?2 AND \"offset\" = ?3
        AND run = ?4";
    let whose: [&dyn Bind; 4] = [&of.subscription, &of.partition.index(), &at.0, &run];
    rows.execute(delete, &whose).await.map(drop)
}
