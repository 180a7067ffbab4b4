//! Numbers of an outbox that were given and are not there: committed events that are lost.
//!
//! Numbers are given without a gap, but for a jump, and rows leave only behind the relay. So a row that
//! is missing before one that waits is damage, reported like a hurt one and stepped over like one. What is
//! missing behind the last row nobody can know.
//!
//! Looked for by the relay between the rows that it reads, which costs nothing where numbers follow one
//! another, and by a check of a resting file over everything that waits.

use rusqlite::{Connection, OptionalExtension};

use super::outbox::{lane, newest_jump};
use crate::error::Error;
use crate::event::Event;
use crate::partition::{Numbered, Partition, Partitions};
use crate::store::origin::Origin;
use crate::store::packed;
use crate::store::sqlite::plumbing::connection::has_table;
use crate::store::sqlite::plumbing::jump::Jump;

/// Rows after what was relayed that should be there and are not: numbers have no gap but a jump, and
/// what was stepped over. Of a file that an earlier program wrote and nobody opened since, too.
pub(in crate::store::sqlite) fn missing(connection: &Connection) -> Result<u64, Error> {
    let partitions = if has_table(connection, "outbox_relayed")? {
        let count = "SELECT partitions FROM outbox_state";
        Partitions::new(connection.query_row(count, [], |row| row.get(0))?)?
    } else {
        Partitions::ONE
    };
    partitions.each().map(|partition| missing_of(connection, partition)).sum()
}

fn missing_of(connection: &Connection, partition: Partition) -> Result<u64, Error> {
    let Known { relayed, jump } = known(connection, partition)?;
    let after = packed::pack(Numbered { partition, number: relayed });
    let waiting = "SELECT coalesce(max(sequence), 0), count(*) FROM outbox
        WHERE sequence > ?1 AND sequence <= ?2";
    let span = [after, packed::end(partition)];
    let (last, mut there): (u64, u64) =
        connection.query_row(waiting, span, |row| Ok((row.get(0)?, row.get(1)?)))?;
    if has_table(connection, "outbox_stepped")? {
        let passed = "SELECT count(*) FROM outbox_stepped WHERE sequence > ?1 AND sequence < ?2
            AND sequence NOT IN (SELECT sequence FROM outbox)";
        there += connection.query_row(passed, [after, last], |row| row.get::<_, u64>(0))?;
    }
    let last = if last == 0 { relayed } else { packed::unpack(last).number };
    Ok(jump.between(relayed, last).saturating_sub(there))
}

/// What the file says of a partition's numbers, in whichever version its tables are.
struct Known {
    /// How far the relay got.
    relayed: u64,
    /// What the numbers jumped over.
    jump: Jump,
}

fn known(connection: &Connection, partition: Partition) -> Result<Known, Error> {
    if has_table(connection, "outbox_relayed")? {
        let relayed = lane::relayed(connection, partition)?;
        return Ok(Known { relayed, jump: newest_jump(connection, partition)? });
    }
    let relayed = "SELECT relayed FROM outbox_state";
    let relayed = connection.query_row(relayed, [], |row| row.get(0))?;
    if !has_table(connection, "outbox_jump")? {
        return Ok(Known { relayed, jump: Jump::default() });
    }
    let jump = connection.query_row("SELECT base, floor FROM outbox_jump", [], |row| {
        Ok(Jump { base: row.get(0)?, floor: row.get(1)? })
    });
    Ok(Known { relayed, jump: jump.optional()?.unwrap_or_default() })
}

/// The events of consecutive numbers after `after`; what is missing, if that is the very next.
pub(super) fn whole(
    sql: &Connection,
    origin: Origin<'_>,
    after: Numbered,
    mut events: Vec<Event>,
) -> Result<Vec<Event>, Error> {
    let mut before = after;
    for at in 0..events.len() {
        let Some(sequence) = events[at].outbox_sequence else { continue };
        match first(sql, origin, before, sequence)? {
            None => before.number = sequence,
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
    before: Numbered,
    sequence: u64,
) -> Result<Option<Error>, Error> {
    if sequence == before.number + 1 {
        return Ok(None);
    }
    let at = |number| Numbered { number, ..before };
    let jump = newest_jump(sql, before.partition)?;
    let select = "SELECT sequence FROM outbox_stepped WHERE sequence > ?1 AND sequence < ?2
        ORDER BY sequence";
    let mut select = sql.prepare_cached(select)?;
    let mut stepped = select.query([packed::pack(before), packed::pack(at(sequence))])?;
    let mut from = jump.after(before.number);
    let mut to = sequence - 1;
    while let Some(row) = stepped.next()? {
        let passed = packed::unpack(row.get(0)?).number;
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
    Ok(Some(origin.damaged(at(from), to, "rows of the outbox are missing".to_owned())))
}
