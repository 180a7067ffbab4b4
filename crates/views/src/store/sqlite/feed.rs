//! Page versions and the feed: one count of changes for all owners, so that a page's position is a
//! place in it.
//!
//! An owner's version and position change together and only with what the owner sees, so that two
//! readings of one version are the same bytes. Each change names the owner's one before it, so that
//! an owner's changes are found from the newest back without an index to keep up.

use std::collections::VecDeque;

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value as Json;

use super::execute;
use crate::feed::FEED_KEPT;

/// Where the feed stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The newest change.
    pub(crate) sequence: u64,
    /// Changes at or under it are forgotten.
    pub(crate) floor: u64,
}

/// A page's version and the newest change that is in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) version: u64,
    pub(crate) position: u64,
}

/// A change as it is kept.
pub(crate) struct Kept {
    pub(crate) sequence: u64,
    pub(crate) kind: String,
    pub(crate) row: Json,
}

pub(crate) fn mark(sql: &Connection) -> Result<Mark, events::Error> {
    let mut select = sql.prepare_cached("SELECT sequence, floor FROM meta")?;
    Ok(select.query_row([], |row| {
        let [sequence, floor]: [i64; 2] = [row.get(0)?, row.get(1)?];
        Ok(Mark { sequence: sequence.cast_unsigned(), floor: floor.cast_unsigned() })
    })?)
}

impl Mark {
    /// Adds a change.
    pub(crate) fn append(
        &mut self,
        sql: &Connection,
        owner: &str,
        version: &mut Version,
        (kind, row): (&str, &str),
    ) -> Result<(), events::Error> {
        self.sequence += 1;
        let [sequence, before] = [self.sequence, version.position].map(u64::cast_signed);
        version.position = self.sequence;
        let insert = "INSERT INTO change VALUES (?1, ?2, ?3, ?4, ?5)";
        execute(sql, insert, params![sequence, before, owner, kind, row])?;
        Ok(())
    }

    /// Forgets everything so far: too much changed at once to be told one by one.
    pub(crate) fn forget(&mut self) {
        self.sequence += 1;
        self.floor = self.sequence;
    }

    /// Forgets what is older than the newest [`FEED_KEPT`], and is kept itself.
    pub(crate) fn save(mut self, sql: &Connection) -> Result<(), events::Error> {
        self.floor = self.floor.max(self.sequence.saturating_sub(FEED_KEPT));
        let [sequence, floor] = [self.sequence, self.floor].map(u64::cast_signed);
        execute(sql, "DELETE FROM change WHERE sequence <= ?1", [floor])?;
        execute(sql, "UPDATE meta SET sequence = ?1, floor = ?2", [sequence, floor])?;
        Ok(())
    }
}

impl Version {
    pub(crate) fn save(self, sql: &Connection, owner: &str) -> Result<(), events::Error> {
        let [version, position] = [self.version, self.position].map(u64::cast_signed);
        let replace = "INSERT OR REPLACE INTO owner VALUES (?1, ?2, ?3)";
        execute(sql, replace, params![owner, version, position])?;
        Ok(())
    }
}

/// An owner's version; zeros for one nothing is known of.
pub(crate) fn version(sql: &Connection, owner: &str) -> Result<Version, events::Error> {
    let mut select = sql.prepare_cached("SELECT version, position FROM owner WHERE owner = ?1")?;
    let found = select.query_row([owner], |row| {
        let [version, position]: [i64; 2] = [row.get(0)?, row.get(1)?];
        Ok(Version { version: version.cast_unsigned(), position: position.cast_unsigned() })
    });
    Ok(found.optional()?.unwrap_or_default())
}

/// An owner's changes after a place, which must be above the floor: the oldest `limit`, in order.
pub(crate) fn changes(
    sql: &Connection,
    owner: &str,
    newest: u64,
    after: u64,
    limit: usize,
) -> Result<Vec<Kept>, events::Error> {
    let select = "SELECT before FROM change WHERE sequence = ?1 AND owner = ?2";
    let mut select = sql.prepare_cached(select)?;
    let mut found = VecDeque::new();
    let mut at = newest;
    while at > after {
        // The newest is no change where too much changed at once to be told.
        let before = select.query_row(params![at.cast_signed(), owner], |row| row.get::<_, i64>(0));
        let Some(before) = before.optional()? else { break };
        found.truncate(limit.saturating_sub(1));
        found.push_front(at);
        at = before.cast_unsigned();
    }
    found.into_iter().map(|sequence| kept(sql, sequence)).collect()
}

fn kept(sql: &Connection, sequence: u64) -> Result<Kept, events::Error> {
    let mut select = sql.prepare_cached("SELECT kind, row FROM change WHERE sequence = ?1")?;
    let (kind, text): (String, String) =
        select.query_row([sequence.cast_signed()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let row = serde_json::from_str(&text).unwrap_or_default();
    Ok(Kept { sequence, kind, row })
}
