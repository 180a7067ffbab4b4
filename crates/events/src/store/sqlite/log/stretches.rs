//! Where a partition's events were removed: the rows that stand for stretches of them, found in its table.

use rusqlite::{Connection, OptionalExtension};

use super::chain::Chain;
use super::removed;
use super::walk::{COLUMNS, StoredRow};
use crate::error::Error;

/// Places whose events were removed, as their row has them.
#[derive(Clone, Copy)]
pub(super) struct Stretch {
    pub(super) first: u64,
    pub(super) last: u64,
    /// The checksum of the last one, behind which the chain goes on.
    pub(super) crc: u32,
}

/// The table of a partition, by the id of its topic's row.
#[derive(Clone, Copy)]
pub(super) struct Stretches<'s> {
    pub(super) sql: &'s Connection,
    pub(super) table: i64,
    /// The partition's chain before its first row.
    pub(super) seed: Chain,
}

impl Stretches<'_> {
    /// The stretch whose row is the next before a place.
    pub(super) fn before(self, place: u64) -> Result<Option<Stretch>, Error> {
        self.find("offset < ?1 ORDER BY offset DESC", place)
    }

    /// The stretch whose row is the next behind a place.
    pub(super) fn behind(self, place: u64) -> Result<Option<Stretch>, Error> {
        self.find("offset > ?1 ORDER BY offset", place)
    }

    /// The stretch that a place is in.
    pub(super) fn over(self, place: u64) -> Result<Option<Stretch>, Error> {
        let next = self.find("offset >= ?1 ORDER BY offset", place)?;
        Ok(next.filter(|it| it.first <= place))
    }

    /// Up to which place everything was removed; 0 where the first event is there.
    pub(super) fn floor(self) -> Result<u64, Error> {
        let oldest = self.behind(0)?;
        Ok(oldest.filter(|it| it.first <= 1).map_or(0, |it| it.last))
    }

    /// The stretch of the first row that is found, if it is one's. One whose own checksum does not fit says nothing.
    fn find(self, place: &str, at: u64) -> Result<Option<Stretch>, Error> {
        let select = format!("SELECT {COLUMNS} FROM t{} WHERE {place} LIMIT 1", self.table);
        let mut select = self.sql.prepare_cached(&select)?;
        let stretch = select.query_row([at], |row| {
            let row = StoredRow::read(row)?;
            let first = removed::first(row.record).filter(|_| row.stands_alone(self.seed));
            Ok(first.map(|first| Stretch { first, last: row.offset, crc: row.crc }))
        });
        Ok(stretch.optional()?.flatten())
    }
}
