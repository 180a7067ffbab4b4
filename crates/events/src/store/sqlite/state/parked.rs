//! The table of parked events: a queue per key, the first of each either due, or dead.
//!
//! The column `place`, in Rust a row's *turn*, orders a key's queue and not the offset, which may come again in a log that lost its
//! tail. What must stay true between any two transactions:
//!
//! 1. Exactly the first of a key has `next_at` (it will be tried) or `dead` (an operator is needed);
//!    those behind have neither. Whoever takes the first out makes the next one due, at once.
//! 2. A row is as good as its parts: one whose event no longer decodes keeps its key, its place and
//!    its offset, so that it can be shown, stepped over and dropped. Numbers that are none are read as
//!    the nearest that is one: nothing that is hurt here may stop a queue.
//!
//! When an event is parked and for how long is not decided here: see [`parking`].

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::broker::{Stored, Topic};
use crate::error::Error;
use crate::event::Event;
use crate::parking::{self, DeadLetter, Standing, Wait};
use crate::partition::{Numbered, Partition};
use crate::position::WritePosition;
use crate::store::sqlite::plumbing::versions::Tables;

use super::inbox::Assigned;

/// An index for each question: what of this key, what of this source up to here, what is due, what is
/// dead. The last two have only the rows that are: they stay small however many wait.
pub(super) const TABLES: Tables = Tables {
    name: "parked",
    steps: &[
        "CREATE TABLE IF NOT EXISTS parked (
            place INTEGER PRIMARY KEY, subscription TEXT NOT NULL, offset INTEGER NOT NULL,
            key TEXT NOT NULL, source TEXT NOT NULL, sequence INTEGER, event BLOB NOT NULL,
            attempts INTEGER NOT NULL, next_at INTEGER, dead INTEGER NOT NULL,
            reason TEXT NOT NULL, since INTEGER NOT NULL) STRICT;
        CREATE INDEX IF NOT EXISTS parked_key ON parked (subscription, key, place);
        CREATE INDEX IF NOT EXISTS parked_source ON parked (subscription, source, sequence);
        CREATE INDEX IF NOT EXISTS parked_due ON parked (subscription, next_at, place)
            WHERE next_at IS NOT NULL;
        CREATE INDEX IF NOT EXISTS parked_dead ON parked (subscription, place) WHERE dead = 1;",
        "ALTER TABLE parked ADD COLUMN partition INTEGER NOT NULL DEFAULT 0;
        DROP INDEX parked_source;
        CREATE INDEX parked_source ON parked (subscription, source, partition, sequence);
        DROP INDEX parked_due;
        CREATE INDEX parked_due ON parked (subscription, partition, next_at, place)
            WHERE next_at IS NOT NULL;",
    ],
};

/// A parked event that is due.
pub(crate) struct Parked {
    pub(crate) turn: i64,
    /// The key it waits under, whatever the event says.
    pub(crate) key: String,
    pub(crate) attempts: u32,
    /// The event, or why the row is none any more.
    pub(crate) event: Result<Event, Error>,
}

/// A parked row that is no event any more.
pub(crate) struct Hurt {
    pub(crate) turn: i64,
    pub(crate) at: Numbered,
    pub(crate) key: String,
    pub(crate) error: Error,
}

/// How many events a subscription has parked.
pub(crate) fn count(sql: &Connection, subscription: &str) -> Result<u64, Error> {
    let select = "SELECT count(*) FROM parked WHERE subscription = ?1";
    Ok(sql.prepare_cached(select)?.query_row([subscription], |row| row.get(0))?)
}

/// Whether anything of this key is parked. One look-up in an index; asked for each new event while
/// anything at all is parked.
pub(crate) fn has_key(sql: &Connection, subscription: &str, key: &str) -> Result<bool, Error> {
    let select = "SELECT 1 FROM parked WHERE subscription = ?1 AND key = ?2";
    Ok(sql.prepare_cached(select)?.exists([subscription, key])?)
}

/// Whether anything up to `position` is parked: of its key where it names one, else of its source.
pub(crate) fn through(
    sql: &Connection,
    subscription: &str,
    position: &WritePosition,
) -> Result<bool, Error> {
    let parked = "SELECT 1 FROM parked
        WHERE subscription = ?1 AND source = ?2 AND partition = ?3 AND sequence <= ?4";
    for upto in position.sequences.iter() {
        let partition = upto.partition.index();
        // Sequences past the engine's range are past every stored one.
        let sequence = i64::try_from(upto.number).unwrap_or(i64::MAX);
        let WritePosition { source, key, .. } = position;
        let found =
            match key {
                None => sql.prepare_cached(parked)?.exists(params![
                    subscription,
                    source,
                    partition,
                    sequence
                ]),
                Some(key) => sql
                    .prepare_cached(&format!("{parked} AND key = ?5"))?
                    .exists(params![subscription, source, partition, sequence, key]),
            };
        if found? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Parks an event behind whatever of its key is parked.
pub(crate) fn park(
    sql: &Connection,
    of: Assigned<'_>,
    stored: &Stored,
    standing: Standing<'_>,
    now: Timestamp,
) -> Result<(), Error> {
    let Columns { next_at, dead } = Columns::of(standing.wait);
    let event = &stored.event;
    let insert =
        "INSERT INTO parked (subscription, partition, offset, key, source, sequence, event,
        attempts, next_at, dead, reason, since)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    sql.prepare_cached(insert)?.execute(params![
        of.subscription,
        of.partition.index(),
        stored.offset.0,
        event.key,
        event.source,
        event.outbox_sequence,
        event.to_json(),
        standing.attempts,
        next_at,
        dead,
        parking::shortened(standing.reason),
        now.as_microsecond(),
    ])?;
    Ok(())
}

/// Makes the first of every key due again where it waits for nothing, or for a time that no pause
/// reaches (after `latest`): a hurt row, or a clock that was set back, must not stop a key for ever.
pub(crate) fn mend(
    sql: &Connection,
    of: Assigned<'_>,
    now: Timestamp,
    latest: Timestamp,
) -> Result<usize, Error> {
    let update = "UPDATE parked SET next_at = ?3, dead = 0
        WHERE subscription = ?1 AND partition = ?2 AND dead <> 1
        AND (next_at IS NULL OR next_at > ?4) AND place IN
            (SELECT min(place) FROM parked WHERE subscription = ?1 AND partition = ?2 GROUP BY key)";
    Ok(sql.prepare_cached(update)?.execute(params![
        of.subscription,
        of.partition.index(),
        now.as_microsecond(),
        latest.as_microsecond()
    ])?)
}

/// When the next attempt is due; `None` if nothing waits for a time.
pub(crate) fn next_due(sql: &Connection, of: Assigned<'_>) -> Result<Option<Timestamp>, Error> {
    let select = "SELECT next_at FROM parked
        WHERE subscription = ?1 AND partition = ?2 AND next_at IS NOT NULL
        ORDER BY next_at LIMIT 1";
    let mut select = sql.prepare_cached(select)?;
    let whose = params![of.subscription, of.partition.index()];
    let due = select.query_row(whose, |row| row.get(0)).optional()?;
    Ok(due.map(time))
}

/// The first event that is due by `now`, longest due first.
pub(crate) fn due(
    sql: &Connection,
    of: Assigned<'_>,
    now: Timestamp,
) -> Result<Option<Parked>, Error> {
    let select = "SELECT place, attempts, event, key FROM parked
        WHERE subscription = ?1 AND partition = ?2 AND next_at IS NOT NULL AND next_at <= ?3
        ORDER BY next_at, place LIMIT 1";
    let mut select = sql.prepare_cached(select)?;
    let whose = params![of.subscription, of.partition.index(), now.as_microsecond()];
    let mut rows = select.query(whose)?;
    rows.next()?.map(parked).transpose()
}

/// Notes a failed attempt; the event stays the first of its key.
pub(crate) fn failed(sql: &Connection, turn: i64, standing: Standing<'_>) -> Result<(), Error> {
    let Columns { next_at, dead } = Columns::of(standing.wait);
    let update = "UPDATE parked SET attempts = ?2, next_at = ?3, dead = ?4, reason = ?5
        WHERE place = ?1";
    let reason = parking::shortened(standing.reason);
    sql.prepare_cached(update)?.execute(params![turn, standing.attempts, next_at, dead, reason])?;
    Ok(())
}

/// Takes a handled event out; the next of its key is due at once.
pub(crate) fn handled(
    sql: &Connection,
    subscription: &str,
    turn: i64,
    key: &str,
    now: Timestamp,
) -> Result<(), Error> {
    sql.prepare_cached("DELETE FROM parked WHERE place = ?1")?.execute([turn])?;
    // Whatever it waited for: with this it is the first of its key, and rule 1 holds again.
    let next = "UPDATE parked SET next_at = ?3 WHERE place =
        (SELECT min(place) FROM parked WHERE subscription = ?1 AND key = ?2)";
    sql.prepare_cached(next)?.execute(params![subscription, key, now.as_microsecond()])?;
    Ok(())
}

/// Makes the dead letter from this offset due now, as if it had never been tried.
pub(crate) fn redrive(
    sql: &Connection,
    subscription: &str,
    at: Numbered,
    now: Timestamp,
) -> Result<bool, Error> {
    let update = "UPDATE parked SET attempts = 0, dead = 0, next_at = ?3
        WHERE subscription = ?1 AND partition = ?4 AND offset & 0x7fffffffffffffff = ?2 AND dead = 1";
    let mut update = sql.prepare_cached(update)?;
    let whose = params![subscription, at.number, now.as_microsecond(), at.partition.index()];
    Ok(update.execute(whose)? > 0)
}

/// A dead letter that was taken out.
pub(crate) struct Discarded {
    pub(crate) key: String,
    pub(crate) event: Option<String>,
    pub(crate) reason: String,
}

/// Takes the dead letter from this offset out; the next of its key is due at once.
pub(crate) fn discard(
    sql: &Connection,
    subscription: &str,
    at: Numbered,
    now: Timestamp,
) -> Result<Option<Discarded>, Error> {
    let select = "SELECT place, key, reason, event FROM parked
        WHERE subscription = ?1 AND offset & 0x7fffffffffffffff = ?2 AND dead = 1 AND partition = ?3";
    let mut select = sql.prepare_cached(select)?;
    let mut rows = select.query(params![subscription, at.number, at.partition.index()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let (turn, event) = (row.get(0)?, event(row, 3).ok());
    let letter =
        Discarded { key: text(row, 1)?, reason: text(row, 2)?, event: event.map(|event| event.id) };
    handled(sql, subscription, turn, &letter.key, now)?;
    Ok(Some(letter))
}

/// The first of the dead letters that is no event any more.
pub(crate) fn first_hurt(sql: &Connection, subscription: &str) -> Result<Option<Hurt>, Error> {
    let select = "SELECT place, offset, key, event, partition FROM parked
        WHERE subscription = ?1 AND dead = 1 ORDER BY place";
    let mut select = sql.prepare_cached(select)?;
    let mut rows = select.query([subscription])?;
    while let Some(row) = rows.next()? {
        if let Err(error) = event(row, 3) {
            let (turn, at, key) = (row.get(0)?, number_of(row, 4, 1)?, text(row, 2)?);
            return Ok(Some(Hurt { turn, at, key, error }));
        }
    }
    Ok(None)
}

/// Up to `limit` dead letters, longest parked first.
pub(crate) fn dead(
    sql: &Connection,
    subscription: &str,
    topic: &Topic,
    limit: usize,
) -> Result<Vec<DeadLetter>, Error> {
    let select = "SELECT offset, attempts, reason, since, event,
            (SELECT count(*) FROM parked behind WHERE behind.subscription = parked.subscription
                AND behind.key = parked.key AND behind.place > parked.place), key,
            partition
        FROM parked WHERE subscription = ?1 AND dead = 1 ORDER BY place LIMIT ?2";
    let mut select = sql.prepare_cached(select)?;
    let mut rows = select.query(params![subscription, limit])?;
    let mut letters = Vec::new();
    while let Some(row) = rows.next()? {
        letters.push(letter(row, subscription, topic)?);
    }
    Ok(letters)
}

/// The event of the dead letter of this number; `None` if there is none, or the row is none any more.
pub(crate) fn dead_event(
    sql: &Connection,
    subscription: &str,
    at: Numbered,
) -> Result<Option<Event>, Error> {
    let select = "SELECT event FROM parked
        WHERE subscription = ?1 AND partition = ?3
            AND offset & 0x7fffffffffffffff = ?2 AND dead = 1";
    let mut select = sql.prepare_cached(select)?;
    let mut rows = select.query(params![subscription, at.number, at.partition.index()])?;
    Ok(rows.next()?.and_then(|row| event(row, 0).ok()))
}

/// Shows the events of up to `limit` dead letters, longest parked first, one at a time.
pub(crate) fn each_dead(
    sql: &Connection,
    subscription: &str,
    limit: usize,
    mut show: impl FnMut(Event),
) -> Result<(), Error> {
    let select = "SELECT event FROM parked WHERE subscription = ?1 AND dead = 1
        ORDER BY place LIMIT ?2";
    let mut select = sql.prepare_cached(select)?;
    let mut rows = select.query(params![subscription, limit])?;
    while let Some(row) = rows.next()? {
        event(row, 0).into_iter().for_each(&mut show);
    }
    Ok(())
}

/// A row as the letter that is shown; one whose event is hurt is a letter without it.
fn letter(row: &Row<'_>, subscription: &str, topic: &Topic) -> Result<DeadLetter, Error> {
    // One at a time, and let go: it is looked at for its type alone.
    let kind = event(row, 4).map(|event| event.kind).unwrap_or_default();
    Ok(DeadLetter {
        id: parking::id(subscription, number_of(row, 7, 0)?),
        subscription: subscription.to_owned(),
        topic: topic.clone(),
        key: text(row, 6)?,
        kind,
        attempts: count_of(row, 1)?,
        reason: text(row, 2)?,
        since: time(row.get(3)?),
        waiting: row.get(5)?,
    })
}

/// A row as it is tried.
fn parked(row: &Row<'_>) -> Result<Parked, Error> {
    let (turn, key) = (row.get(0)?, text(row, 3)?);
    Ok(Parked { turn, key, attempts: count_of(row, 1)?, event: event(row, 2) })
}

/// Attempts as far as they are a count: a hurt one must not stop a queue.
fn count_of(row: &Row<'_>, column: usize) -> Result<u32, Error> {
    let count: i64 = row.get(column)?;
    Ok(u32::try_from(count.max(0)).unwrap_or(u32::MAX))
}

/// Where it came from, the offset without its sign, which only a hurt one has: its letter needs a name to
/// be dropped by.
fn number_of(row: &Row<'_>, partition: usize, offset: usize) -> Result<Numbered, Error> {
    let (partition, offset): (u16, i64) = (row.get(partition)?, row.get(offset)?);
    let partition = Partition::new(partition).unwrap_or_default();
    Ok(Numbered { partition, number: (offset & i64::MAX).unsigned_abs() })
}

/// Text as far as it is text, for the same reason.
fn text(row: &Row<'_>, column: usize) -> Result<String, Error> {
    Ok(String::from_utf8_lossy(row.get_ref(column)?.as_bytes().unwrap_or_default()).into_owned())
}

/// The event of a row, or why it is none any more.
fn event(row: &Row<'_>, column: usize) -> Result<Event, Error> {
    Event::from_json(row.get_ref(column)?.as_blob().unwrap_or_default())
}

/// What an event waits for, as the table has it.
struct Columns {
    next_at: Option<i64>,
    dead: bool,
}

impl Columns {
    fn of(wait: Wait) -> Columns {
        match wait {
            Wait::Turn => Columns { next_at: None, dead: false },
            Wait::Until(at) => Columns { next_at: Some(at.as_microsecond()), dead: false },
            Wait::Operator => Columns { next_at: None, dead: true },
        }
    }
}

/// A time that is none any more is taken for the nearest that is one: it must not stop a queue.
fn time(microseconds: i64) -> Timestamp {
    let nearest = if microseconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_microsecond(microseconds).unwrap_or(nearest)
}
