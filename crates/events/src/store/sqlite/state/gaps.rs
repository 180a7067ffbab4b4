//! Numbers of an outbox that were given and are not there: committed events that are lost.
//!
//! Numbers are given without a gap, but for a jump, and rows leave only behind the relay. So a row that
//! is missing before one that waits is damage, reported like a hurt one and stepped over like one. What is
//! missing behind the last row nobody can know.

use rusqlite::Connection;

use super::outbox::newest_jump;
use super::outbox::row::Origin;
use crate::error::Error;
use crate::event::Event;
use crate::store::sqlite::plumbing::connection::has_table;
use crate::store::sqlite::plumbing::jump::Jump;

/// Rows after what was relayed that should be there and are not: numbers have no gap but a jump, and
/// what was stepped over.
pub(in crate::store::sqlite) fn missing(connection: &Connection) -> Result<u64, Error> {
    let relayed: u64 =
        connection.query_row("SELECT relayed FROM outbox_state", [], |row| row.get(0))?;
    let jump = if has_table(connection, "outbox_jump")? {
        newest_jump(connection)?
    } else {
        Jump::default()
    };
    let waiting = "SELECT coalesce(max(sequence), 0), count(*) FROM outbox WHERE sequence > ?1";
    let (last, mut there): (u64, u64) =
        connection.query_row(waiting, [relayed], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if has_table(connection, "outbox_stepped")? {
        let passed = "SELECT count(*) FROM outbox_stepped WHERE sequence > ?1 AND sequence < ?2
            AND sequence NOT IN (SELECT sequence FROM outbox)";
        there += connection.query_row(passed, [relayed, last], |row| row.get::<_, u64>(0))?;
    }
    Ok(jump.between(relayed, last).saturating_sub(there))
}

/// The events of consecutive numbers after `after`; what is missing, if that is the very next.
pub(super) fn whole(
    sql: &Connection,
    origin: Origin<'_>,
    after: u64,
    mut events: Vec<Event>,
) -> Result<Vec<Event>, Error> {
    let mut before = after;
    for at in 0..events.len() {
        let Some(sequence) = events[at].outbox_sequence else { continue };
        match first(sql, origin, before, sequence)? {
            None => before = sequence,
            Some(gap) if at == 0 => return Err(gap),
            Some(_) => {
                events.truncate(at);
                break;
            }
        }
    }
    Ok(events)
}

/// The first numbers between `before` and `sequence` that were given, are not there and were not
/// stepped over: committed events that are lost. Nothing between two neighbours, as nearly always.
fn first(
    sql: &Connection,
    origin: Origin<'_>,
    before: u64,
    sequence: u64,
) -> Result<Option<Error>, Error> {
    if sequence == before + 1 {
        return Ok(None);
    }
    let jump = newest_jump(sql)?;
    let select = "SELECT sequence FROM outbox_stepped WHERE sequence > ?1 AND sequence < ?2
        ORDER BY sequence";
    let mut select = sql.prepare_cached(select)?;
    let mut stepped = select.query([before, sequence])?;
    let mut from = jump.after(before);
    let mut to = sequence - 1;
    while let Some(row) = stepped.next()? {
        let passed: u64 = row.get(0)?;
        if passed > from {
            to = passed - 1;
            break;
        }
        from = jump.after(passed);
    }
    if from >= sequence {
        return Ok(None);
    }
    // Numbers that were never given are not lost.
    let to = if from <= jump.base { to.min(jump.base) } else { to };
    let what = "rows of the outbox are missing".to_owned();
    Ok(Some(Error::Damaged { topic: origin.source.to_owned(), from, to, what }))
}
