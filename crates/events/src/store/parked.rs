//! The table of parked events: a queue per key, the first of each either due, or dead.
//!
//! The column `place`, in Rust a row's *turn*, orders a key's queue and not the offset, which may come again in a log
//! that lost its tail. What must stay true between any two transactions:
//!
//! 1. Exactly the first of a key has `next_at` (it will be tried) or `dead` (an operator is needed);
//!    those behind have neither. Whoever takes the first out makes the next one due, at once.
//! 2. A row is as good as its parts: one whose event no longer decodes keeps its key, its place and
//!    its offset, so that it can be shown, stepped over and dropped. Numbers that are none are read as
//!    the nearest that is one: nothing that is hurt here may stop a queue.
//!
//! When an event is parked and for how long is not decided here: see [`parking`].

pub(crate) mod shown;

use std::collections::HashMap;

use crate::broker::{Offset, Stored};
use crate::error::Error;
use crate::event::Event;
use crate::parking::{self, Standing, Wait};
use crate::partition::{Numbered, Partition};
use crate::position::WritePosition;
use crate::share::ShareName;
use crate::store::inbox::Assigned;
use crate::store::rows::{Row, Rows};
use crate::store::trials;
use crate::store::value::{Bind, Value};
use crate::topic::Topic;
use jiff::Timestamp;

/// A parked event that is due.
pub(crate) struct Parked {
    pub(crate) turn: i64,
    /// Where it came from.
    pub(crate) at: Numbered,
    /// The key it waits under, whatever the event says.
    pub(crate) key: String,
    pub(crate) attempts: u32,
    /// The event, or why the row is none any more.
    pub(crate) event: Result<Event, Error>,
}

/// A parked row that is no event any more.
pub(crate) struct DamagedRow {
    pub(crate) turn: i64,
    pub(crate) at: Numbered,
    pub(crate) key: String,
    pub(crate) error: Error,
}

/// How many events a subscription has parked.
pub(crate) async fn count(rows: &mut Rows<'_>, subscription: &str) -> Result<u64, Error> {
    let select = "SELECT count(*) FROM parked WHERE subscription = ?1";
    rows.one(select, &[&subscription], |row| row.get(0)).await
}

/// Whether anything of this key is parked. One look-up in an index; asked for each new event while
/// anything at all is parked.
pub(crate) async fn has_key(
    rows: &mut Rows<'_>,
    subscription: &str,
    key: &str,
) -> Result<bool, Error> {
    let select = "SELECT 1 FROM parked WHERE subscription = ?1 AND key = ?2 LIMIT 1";
    is_any(rows, select, &[&subscription, &key]).await
}

async fn is_any(rows: &mut Rows<'_>, select: &str, values: &[&dyn Bind]) -> Result<bool, Error> {
    Ok(rows.find(select, values, |_| Ok::<_, Error>(())).await?.is_some())
}

/// Whether anything up to `position` is parked: of its key where it names one, else of its source. Events that nobody
/// numbers are compared by their place in the subscription's `topic`.
pub(crate) async fn through(
    rows: &mut Rows<'_>,
    subscription: &str,
    topic: &Topic,
    position: &WritePosition,
) -> Result<bool, Error> {
    let WritePosition { source, key, .. } = position;
    let [of_key, of_any] = if *source == WritePosition::source_in(topic) {
        [
            "SELECT 1 FROM parked WHERE subscription = ?1 AND sequence IS NULL AND ?2 <> ''
            AND partition = ?3 AND \"offset\" <= ?4 AND key = ?5 LIMIT 1",
            "SELECT 1 FROM parked WHERE subscription = ?1 AND sequence IS NULL AND ?2 <> ''
            AND partition = ?3 AND \"offset\" <= ?4 LIMIT 1",
        ]
    } else {
        [
            "SELECT 1 FROM parked WHERE subscription = ?1 AND source = ?2
            AND partition = ?3 AND sequence <= ?4 AND key = ?5 LIMIT 1",
            "SELECT 1 FROM parked WHERE subscription = ?1 AND source = ?2
            AND partition = ?3 AND sequence <= ?4 LIMIT 1",
        ]
    };
    // A position may span partitions, and one that waits in any of them is reason enough.
    for upto in position.sequences.iter() {
        let partition = upto.partition.index();
        // Sequences past the engine's range are past every stored one.
        let sequence = i64::try_from(upto.number).unwrap_or(i64::MAX);
        let found = match key {
            None => is_any(rows, of_any, &[&subscription, source, &partition, &sequence]).await,
            Some(key) => {
                let whose: [&dyn Bind; 5] = [&subscription, source, &partition, &sequence, key];
                is_any(rows, of_key, &whose).await
            }
        };
        if found? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Parks an event behind whatever of its key is parked.
pub(crate) async fn park(
    rows: &mut Rows<'_>,
    of: Assigned<'_>,
    stored: &Stored,
    standing: Standing<'_>,
    share: &ShareName,
    now: Timestamp,
) -> Result<(), Error> {
    let WaitColumns { next_at, dead } = WaitColumns::of(standing.wait);
    let event = &stored.event;
    let insert =
        // Its place is the table's own count: behind whatever of its key is parked already.
        "INSERT INTO parked (subscription, partition, \"offset\", key, source, sequence, event,
        attempts, next_at, dead, reason, since, share)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    let row: [&dyn Bind; 13] = [
        &of.subscription,
        &of.partition.index(),
        &stored.offset.0,
        &event.key,
        &event.publisher(),
        &event.outbox_sequence,
        &event.to_json(),
        &standing.attempts,
        &next_at,
        &dead,
        &parking::shortened(standing.reason),
        &now.as_microsecond(),
        &share.value(),
    ];
    rows.execute(insert, &row).await?;
    Ok(())
}

/// Makes the first of every key due again where it waits for nothing, or for a time that no pause
/// reaches (after `latest`): a hurt row, or a clock that was set back, must not stop a key for ever.
pub(crate) async fn mend(
    rows: &mut Rows<'_>,
    of: Assigned<'_>,
    now: Timestamp,
    latest: Timestamp,
) -> Result<u64, Error> {
    let update = "UPDATE parked SET next_at = ?3, dead = 0
        WHERE subscription = ?1 AND partition = ?2 AND dead <> 1
        AND (next_at IS NULL OR next_at > ?4) AND place IN
            (SELECT min(place) FROM parked WHERE subscription = ?1 AND partition = ?2 GROUP BY key)";
    let (now, latest) = (now.as_microsecond(), latest.as_microsecond());
    rows.execute(update, &[&of.subscription, &of.partition.index(), &now, &latest]).await
}

/// When the next attempt is due; `None` if nothing waits for a time.
pub(crate) async fn next_due(
    rows: &mut Rows<'_>,
    of: Assigned<'_>,
) -> Result<Option<Timestamp>, Error> {
    let select = "SELECT next_at FROM parked
        WHERE subscription = ?1 AND partition = ?2 AND next_at IS NOT NULL
        ORDER BY next_at LIMIT 1";
    let whose: [&dyn Bind; 2] = [&of.subscription, &of.partition.index()];
    rows.find(select, &whose, |row| row.get(0).map(time)).await
}

/// The first event that is due by `now`, longest due first.
pub(crate) async fn due(
    rows: &mut Rows<'_>,
    of: Assigned<'_>,
    now: Timestamp,
) -> Result<Option<Parked>, Error> {
    let select = "SELECT place, attempts, event, key, partition, \"offset\" FROM parked
        WHERE subscription = ?1 AND partition = ?2 AND next_at IS NOT NULL AND next_at <= ?3
        ORDER BY next_at, place LIMIT 1";
    let now = now.as_microsecond();
    rows.find(select, &[&of.subscription, &of.partition.index(), &now], parked).await
}

/// A parked event that is due, without itself.
pub(crate) struct DueTurn {
    pub(crate) turn: i64,
    pub(crate) key: String,
    /// Its share, where these have their turns.
    pub(crate) share: ShareName,
}

/// The first `limit` that are due by `now`, longest due first; where shares have their turns, of each share the first before
/// the second of any.
pub(crate) async fn due_turns(
    rows: &mut Rows<'_>,
    of: Assigned<'_>,
    now: Timestamp,
    limit: usize,
    order: DueOrder,
) -> Result<Vec<DueTurn>, Error> {
    let select = match order {
        DueOrder::Time => {
            "SELECT place, key, NULL FROM parked
            WHERE subscription = ?1 AND partition = ?2 AND next_at IS NOT NULL AND next_at <= ?3
            ORDER BY next_at, place LIMIT ?4"
        }
        DueOrder::Shares => {
            "SELECT place, key, share FROM (SELECT place, key, share, next_at,
                row_number() OVER (PARTITION BY share ORDER BY next_at, place) AS nth FROM parked
                WHERE subscription = ?1 AND partition = ?2 AND next_at IS NOT NULL
                AND next_at <= ?3) AS of_share
            ORDER BY nth, next_at, place LIMIT ?4"
        }
    };
    let whose: [&dyn Bind; 4] =
        [&of.subscription, &of.partition.index(), &now.as_microsecond(), &limit];
    let row = |row: &Row<'_>| {
        Ok(DueTurn { turn: row.get(0)?, key: text(row, 1)?, share: share(row, 2)? })
    };
    rows.all(select, &whose, row).await
}

/// When the next is due after `now`; `None` if nothing waits for a time.
pub(crate) async fn due_after(
    rows: &mut Rows<'_>,
    of: Assigned<'_>,
    now: Timestamp,
) -> Result<Option<Timestamp>, Error> {
    let select = "SELECT next_at FROM parked
        WHERE subscription = ?1 AND partition = ?2 AND next_at IS NOT NULL AND next_at > ?3
        ORDER BY next_at LIMIT 1";
    let whose: [&dyn Bind; 3] = [&of.subscription, &of.partition.index(), &now.as_microsecond()];
    rows.find(select, &whose, |row| row.get(0).map(time)).await
}

/// The first `limit` events behind this turn of its key.
pub(crate) async fn behind(
    rows: &mut Rows<'_>,
    of: Assigned<'_>,
    first: &Parked,
    limit: usize,
) -> Result<Vec<Parked>, Error> {
    let select = "SELECT place, attempts, event, key, partition, \"offset\" FROM parked
        WHERE subscription = ?1 AND key = ?2 AND partition = ?3 AND place > ?4
        ORDER BY place LIMIT ?5";
    let whose: [&dyn Bind; 5] =
        [&of.subscription, &first.key, &of.partition.index(), &first.turn, &limit];
    rows.all(select, &whose, parked).await
}

/// When a parked event is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upcoming {
    pub(crate) turn: i64,
    pub(crate) next_at: Timestamp,
    /// Its share, where these have their turns.
    pub(crate) share: ShareName,
}

/// Which of those that are due, or will be, are looked at where there are more than are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DueOrder {
    /// The earliest.
    Time,
    /// Of each share the earliest, before the second of any: one that has thousands does not hide the others'.
    Shares,
}

/// The first `limit` of those that wait for a time.
pub(crate) async fn upcoming(
    rows: &mut Rows<'_>,
    of: Assigned<'_>,
    limit: usize,
    order: DueOrder,
) -> Result<Vec<Upcoming>, Error> {
    let select = match order {
        DueOrder::Time => {
            "SELECT place, next_at, NULL FROM parked
            WHERE subscription = ?1 AND partition = ?2 AND next_at IS NOT NULL
            ORDER BY next_at, place LIMIT ?3"
        }
        DueOrder::Shares => {
            "SELECT place, next_at, share FROM (SELECT place, next_at, share,
                row_number() OVER (PARTITION BY share ORDER BY next_at, place) AS nth FROM parked
                WHERE subscription = ?1 AND partition = ?2 AND next_at IS NOT NULL) AS of_share
            ORDER BY nth, next_at, place LIMIT ?3"
        }
    };
    let whose: [&dyn Bind; 3] = [&of.subscription, &of.partition.index(), &limit];
    let row = |row: &Row<'_>| {
        Ok(Upcoming { turn: row.get(0)?, next_at: time(row.get(1)?), share: share(row, 2)? })
    };
    rows.all(select, &whose, row).await
}

/// The parked event of this turn.
pub(crate) async fn of_turn(rows: &mut Rows<'_>, turn: i64) -> Result<Option<Parked>, Error> {
    let select =
        "SELECT place, attempts, event, key, partition, \"offset\" FROM parked WHERE place = ?1";
    rows.find(select, &[&turn], parked).await
}

/// How many events of each key of a partition are parked.
pub(crate) async fn keys(
    rows: &mut Rows<'_>,
    of: Assigned<'_>,
) -> Result<HashMap<String, u64>, Error> {
    let select = "SELECT key, count(*) FROM parked
        WHERE subscription = ?1 AND partition = ?2 GROUP BY key";
    let mut keys = HashMap::new();
    let add = |row: &Row<'_>| {
        keys.insert(text(row, 0)?, row.get(1)?);
        Ok::<_, Error>(())
    };
    rows.each(select, &[&of.subscription, &of.partition.index()], add).await?;
    Ok(keys)
}

/// Notes a failed attempt; the event stays the first of its key.
pub(crate) async fn failed(
    rows: &mut Rows<'_>,
    turn: i64,
    standing: Standing<'_>,
) -> Result<(), Error> {
    let WaitColumns { next_at, dead } = WaitColumns::of(standing.wait);
    let update = "UPDATE parked SET attempts = ?2, next_at = ?3, dead = ?4, reason = ?5
        WHERE place = ?1";
    let reason = parking::shortened(standing.reason);
    rows.execute(update, &[&turn, &standing.attempts, &next_at, &dead, &reason]).await?;
    Ok(())
}

/// Takes a handled event out; the next of its key is due at once.
pub(crate) async fn handled(
    rows: &mut Rows<'_>,
    subscription: &str,
    turn: i64,
    key: &str,
    now: Timestamp,
) -> Result<(), Error> {
    // Together with the next one's turn in one transaction: a key is never without one that is due, dead, or
    // waited for.
    rows.execute("DELETE FROM parked WHERE place = ?1", &[&turn]).await?;
    // With it what it was before somebody edited it.
    rows.execute("DELETE FROM edit WHERE place = ?1", &[&turn]).await?;
    // Whatever it waited for: with this it is the first of its key, and rule 1 holds again.
    let next = "UPDATE parked SET next_at = ?3 WHERE place =
        (SELECT min(place) FROM parked WHERE subscription = ?1 AND key = ?2)";
    rows.execute(next, &[&subscription, &key, &now.as_microsecond()]).await?;
    Ok(())
}

/// Makes the dead letter from this offset due now, as if it had never been tried.
pub(crate) async fn redrive(
    rows: &mut Rows<'_>,
    subscription: &str,
    at: Numbered,
    now: Timestamp,
) -> Result<bool, Error> {
    // The sign is masked: a hurt row has an offset below 0, and its letter is named without the sign.
    let update = "UPDATE parked SET attempts = 0, dead = 0, next_at = ?4 WHERE subscription = ?1
        AND partition = ?2 AND \"offset\" & 9223372036854775807 = ?3 AND dead = 1";
    let (partition, now) = (at.partition.index(), now.as_microsecond());
    let which: [&dyn Bind; 4] = [&subscription, &partition, &at.number, &now];
    if rows.execute(update, &which).await? > 0 {
        let of = Assigned { subscription, partition: at.partition };
        trials::forget(rows, of, Offset(at.number)).await?;
        return Ok(true);
    }
    // One that is tried again by itself keeps the attempts behind it: it is not given up yet.
    let hurry = "UPDATE parked SET next_at = ?4 WHERE subscription = ?1 AND partition = ?2
        AND \"offset\" & 9223372036854775807 = ?3 AND dead <> 1 AND next_at IS NOT NULL";
    Ok(rows.execute(hurry, &which).await? > 0)
}

/// A dead letter that was taken out.
pub(crate) struct Discarded {
    turn: i64,
    pub(crate) key: String,
    pub(crate) event: Option<String>,
    pub(crate) reason: String,
}

/// Takes the dead letter from this offset out; the next of its key is due at once.
pub(crate) async fn discard(
    rows: &mut Rows<'_>,
    subscription: &str,
    at: Numbered,
    now: Timestamp,
) -> Result<Option<Discarded>, Error> {
    let select = "SELECT place, key, reason, event FROM parked WHERE subscription = ?1
        AND partition = ?2 AND \"offset\" & 9223372036854775807 = ?3 AND dead = 1";
    let whose: [&dyn Bind; 3] = [&subscription, &at.partition.index(), &at.number];
    let found = rows.find(select, &whose, |row| {
        let event = event(row, 3).ok().map(|event| event.id);
        let turn = row.get(0)?;
        let key = text(row, 1)?;
        Ok::<_, Error>(Discarded { turn, key, reason: text(row, 2)?, event })
    });
    let Some(letter) = found.await? else { return Ok(None) };
    // As if it had been handled: what waits behind it goes on.
    handled(rows, subscription, letter.turn, &letter.key, now).await?;
    Ok(Some(letter))
}

/// The first of the dead letters that is no event any more.
pub(crate) async fn first_hurt(
    rows: &mut Rows<'_>,
    subscription: &str,
) -> Result<Option<DamagedRow>, Error> {
    let select = "SELECT place, \"offset\", key, event, partition FROM parked
        WHERE subscription = ?1 AND dead = 1 ORDER BY place";
    let mut first = None;
    let look = |row: &Row<'_>| {
        if first.is_none()
            && let Err(error) = event(row, 3)
        {
            let turn = row.get(0)?;
            let at = number_of(row, 4, 1)?;
            let key = text(row, 2)?;
            first = Some(DamagedRow { turn, at, key, error });
        }
        Ok::<_, Error>(())
    };
    rows.each(select, &[&subscription], look).await?;
    Ok(first)
}

/// A row as it is tried.
fn parked(row: &Row<'_>) -> Result<Parked, Error> {
    let (turn, key, at) = (row.get(0)?, text(row, 3)?, number_of(row, 4, 5)?);
    Ok(Parked { turn, at, key, attempts: count_of(row, 1)?, event: event(row, 2) })
}

/// Attempts as far as they are a count: a hurt one must not stop a queue.
fn count_of(row: &Row<'_>, column: usize) -> Result<u32, Error> {
    let count: i64 = row.get(column)?;
    Ok(u32::try_from(count.max(0)).unwrap_or(u32::MAX))
}

/// Where it came from, the offset without its sign, which only a hurt one has: its letter needs a name to
/// be dropped by.
fn number_of(row: &Row<'_>, partition: usize, offset: usize) -> Result<Numbered, Error> {
    let partition: u16 = row.get(partition)?;
    let offset: i64 = row.get(offset)?;
    let partition = Partition::new(partition).unwrap_or_default();
    Ok(Numbered { partition, number: (offset & i64::MAX).unsigned_abs() })
}

/// Text as far as it is text, for the same reason.
fn text(row: &Row<'_>, column: usize) -> Result<String, Error> {
    Ok(String::from_utf8_lossy(row.bytes(column)?).into_owned())
}

/// The share that an event was parked in; what is no text any more is in none.
fn share(row: &Row<'_>, column: usize) -> Result<ShareName, Error> {
    Ok(match row.value(column)? {
        Value::Text(name) => ShareName::of(name),
        _ => ShareName::none(),
    })
}

/// The event of a row, or why it is none any more.
pub(crate) fn event(row: &Row<'_>, column: usize) -> Result<Event, Error> {
    match row.value(column)? {
        Value::Blob(json) => Event::from_json(json),
        _ => Event::from_json(&[]),
    }
}

/// What an event waits for, as the table has it.
struct WaitColumns {
    next_at: Option<i64>,
    dead: bool,
}

impl WaitColumns {
    fn of(wait: Wait) -> WaitColumns {
        match wait {
            Wait::Turn => WaitColumns { next_at: None, dead: false },
            Wait::Until(at) => WaitColumns { next_at: Some(at.as_microsecond()), dead: false },
            Wait::Operator => WaitColumns { next_at: None, dead: true },
        }
    }
}

/// A time that is none any more is taken for the nearest that is one: it must not stop a queue.
fn time(microseconds: i64) -> Timestamp {
    let nearest = if microseconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_microsecond(microseconds).unwrap_or(nearest)
}
