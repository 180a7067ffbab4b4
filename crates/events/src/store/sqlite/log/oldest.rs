//! The oldest rows of a partition that are not to be kept: how far they can go together.
//!
//! Only behind a row that is proven does the chain go on: a stretch that ended with a hurt one would sign the damage as
//! sound. So a hurt row goes with the next sound ones behind it, and where a slice has none, nothing goes: an operator is
//! told of it as of any damage.

use rusqlite::{Connection, params};

use super::rows::PartitionRows;
use super::walk::{Begun, Step, StoredRow, Walk};
use crate::error::Error;

/// An event that goes, with its record where somebody asks for it.
pub(super) struct Expired {
    pub(super) offset: u64,
    pub(super) record: Vec<u8>,
}

/// Rows that can go together.
pub(super) struct Oldest {
    /// Up to which place; where nothing can go, the place that was begun after.
    pub(super) last: u64,
    /// Bytes of those of them that were counted.
    pub(super) bytes: u64,
    pub(super) events: Vec<Expired>,
}

/// What is asked of a slice.
pub(super) struct Asked {
    /// Behind which place.
    pub(super) after: u64,
    /// Up to which place bytes are counted.
    pub(super) counted: u64,
    pub(super) with_records: bool,
    /// Rows that are looked at, at most.
    pub(super) rows: usize,
}

impl Oldest {
    /// Rows behind a place for as long as each `goes`, by its offset and the bytes that went before it.
    pub(super) fn find(
        sql: &Connection,
        of: &PartitionRows,
        asked: &Asked,
        goes: impl Fn(u64, u64) -> bool,
    ) -> Result<Oldest, Error> {
        let &Asked { after, counted, with_records, .. } = asked;
        let chain = of.chain_at(sql, after)?;
        let Begun { mut walk, .. } = Walk::from(&of.jumps, of.chain(), after, chain);
        let mut found = Oldest { last: after, bytes: 0, events: Vec::new() };
        let (mut bytes, mut was_sound) = (0, true);
        let mut select = sql.prepare_cached(&of.select())?;
        let mut rows = select.query(params![after, asked.rows])?;
        while let Some(row) = rows.next()? {
            let row = StoredRow::read(row)?;
            if !goes(row.offset, bytes) {
                break;
            }
            let Step { gap, row: hurt, .. } = walk.step(&row);
            if row.removed_from().is_none() {
                let is_counted = row.offset <= counted;
                bytes += if is_counted { row.record.len() as u64 } else { 0 };
                let record = if with_records { row.record.to_vec() } else { Vec::new() };
                found.events.push(Expired { offset: row.offset, record });
            }
            // The first one behind a damage stands for itself alone: what it hands on the next one proves.
            let is_sound = hurt.is_none() && gap.is_none();
            if is_sound && was_sound {
                (found.last, found.bytes) = (row.offset, bytes);
            }
            was_sound = is_sound;
        }
        found.events.retain(|it| it.offset <= found.last);
        Ok(found)
    }
}
