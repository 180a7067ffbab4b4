//! Page versions and the feed: one count of changes for all pages and owners, so that a page's
//! position is a place in it.
//!
//! The version and position of an owner's page change together and only with what the page shows,
//! so that two readings of one version are the same bytes. Each change names the one before it on
//! the same page of the same owner, so that they are found from the newest back without an index to
//! keep up. Forgetting goes the same way: an owner's page that has gathered twice what it keeps is
//! walked back once and cut, and what lies at the beginning of the table goes when all of it together
//! is too much.

use std::collections::VecDeque;

use events::store::count_base;
use rusqlite::{OptionalExtension, params};
use serde_json::Value as Json;

use super::{Tables, execute};
use crate::feed::{CHANGE_BYTES, OWNER_BYTES_KEPT, OWNER_CHANGES_KEPT};
use crate::owner::{Meant, Owner, Owners, Whose};

/// Changes looked at in one go when the oldest are forgotten.
const FORGET_STEP: i64 = 256;

/// From where to where the feed reaches, and how much that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The newest change.
    pub(crate) sequence: u64,
    /// Changes at or under it are forgotten, whoever's they were.
    pub(crate) floor: u64,
    /// What the changes kept take.
    bytes: u64,
}

/// The version of an owner's page and the newest change that is in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) version: u64,
    pub(crate) position: u64,
    /// Its changes at or under this are forgotten.
    pub(crate) floor: u64,
    /// Its changes kept, and what they take; those forgotten with everybody's still count.
    kept: u64,
    bytes: u64,
}

/// An owner who can be meant, and the version of his page.
pub(crate) struct OwnerVersion<'a> {
    pub(crate) owner: Owner<'a>,
    pub(crate) version: Version,
}

/// A change on its way into the feed.
#[derive(Clone, Copy)]
pub(crate) struct Written<'a> {
    /// The page's name for it.
    pub(crate) kind: &'a str,
    /// The row as JSON.
    pub(crate) row: &'a str,
}

/// A change as it is kept.
pub(crate) struct Kept {
    pub(crate) sequence: u64,
    pub(crate) kind: String,
    pub(crate) row: Json,
}

/// A change's place in the chain of its page.
struct Link {
    before: u64,
    bytes: u64,
}

pub(crate) fn extent(sql: Tables<'_>) -> Result<Extent, events::Error> {
    let mut select = sql.prepare_cached("SELECT sequence, floor, bytes FROM meta")?;
    Ok(select.query_row([], |row| {
        let [sequence, floor, bytes]: [i64; 3] = [row.get(0)?, row.get(1)?, row.get(2)?];
        let [sequence, floor, bytes] = [sequence, floor, bytes].map(i64::cast_unsigned);
        Ok(Extent { sequence, floor, bytes })
    })?)
}

impl Extent {
    /// Adds a change.
    pub(crate) fn append(
        &mut self,
        sql: Tables<'_>,
        whose: Whose<'_>,
        version: &mut Version,
        change: Written<'_>,
    ) -> Result<(), events::Error> {
        let Written { kind, row } = change;
        let bytes = (kind.len() + row.len() + whose.owner.weight() + CHANGE_BYTES) as u64;
        self.sequence += 1;
        self.bytes += bytes;
        let [sequence, before] = [self.sequence, version.position].map(u64::cast_signed);
        version.position = self.sequence;
        version.kept += 1;
        version.bytes += bytes;
        let insert = "INSERT INTO change VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let Whose { page, owner } = whose;
        let bytes = bytes.cast_signed();
        execute(sql, insert, params![sequence, before, page as i64, bytes, owner, kind, row])?;
        Ok(())
    }

    /// A place of its own in the feed for what is too much to be recorded one by one.
    pub(crate) fn pass(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// Forgets the oldest past `bytes_max`, and is kept itself.
    pub(crate) fn save(mut self, sql: Tables<'_>, bytes_max: u64) -> Result<(), events::Error> {
        while self.bytes > bytes_max {
            let before = self.bytes;
            self.forget(sql, bytes_max)?;
            // Nothing is left that could go: what was counted and is not there ends no loop.
            if self.bytes == before {
                break;
            }
        }
        let [sequence, floor, bytes] =
            [self.sequence, self.floor, self.bytes].map(u64::cast_signed);
        let update = "UPDATE meta SET sequence = ?1, floor = ?2, bytes = ?3";
        execute(sql, update, [sequence, floor, bytes])?;
        Ok(())
    }

    /// One step of it: the oldest, as few as bring what is kept to `bytes_max`.
    fn forget(&mut self, sql: Tables<'_>, bytes_max: u64) -> Result<(), events::Error> {
        let select = "SELECT sequence, bytes FROM change ORDER BY sequence LIMIT ?1";
        let mut select = sql.prepare_cached(select)?;
        let mut oldest = select.query([FORGET_STEP])?;
        while self.bytes > bytes_max
            && let Some(row) = oldest.next()?
        {
            let [sequence, bytes]: [i64; 2] = [row.get(0)?, row.get(1)?];
            self.floor = sequence.cast_unsigned();
            self.bytes = self.bytes.saturating_sub(bytes.cast_unsigned());
        }
        execute(sql, "DELETE FROM change WHERE sequence <= ?1", [self.floor.cast_signed()])?;
        Ok(())
    }
}

impl Version {
    /// Of a page that nothing has changed yet.
    fn first(sql: Tables<'_>) -> Result<Version, events::Error> {
        Ok(Version { version: count_base(&sql)?, ..Version::default() })
    }

    /// Everything up to `sequence` is forgotten: it was too much to be recorded one by one.
    pub(crate) fn start_anew(&mut self, sequence: u64) {
        (self.position, self.floor, self.kept, self.bytes) = (sequence, sequence, 0, 0);
    }

    /// Keeps it, and of its changes what is to be kept.
    pub(crate) fn save(
        mut self,
        sql: Tables<'_>,
        whose: Whose<'_>,
        extent: &mut Extent,
    ) -> Result<(), events::Error> {
        if self.kept > 2 * OWNER_CHANGES_KEPT || self.bytes > 2 * OWNER_BYTES_KEPT {
            self.cut(sql, extent)?;
        }
        let Version { version, position, floor, kept, bytes } = self;
        let numbers = [version, position, floor, kept, bytes].map(u64::cast_signed);
        let [version, position, floor, kept, bytes] = numbers;
        let replace = "INSERT OR REPLACE INTO owner VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let page = whose.page as i64;
        let row = params![page, whose.owner, version, position, floor, kept, bytes];
        execute(sql, replace, row)?;
        Ok(())
    }

    /// Walks the changes from the newest back: the first are kept, all others forgotten.
    fn cut(&mut self, sql: Tables<'_>, extent: &mut Extent) -> Result<(), events::Error> {
        let mut at = self.position;
        let mut gone = false;
        (self.kept, self.bytes) = (0, 0);
        while let Some(link) = link(sql, at)? {
            let bytes = self.bytes + link.bytes;
            if !gone && self.kept < OWNER_CHANGES_KEPT && bytes <= OWNER_BYTES_KEPT {
                (self.kept, self.bytes) = (self.kept + 1, bytes);
            } else {
                self.floor = if gone { self.floor } else { at };
                gone = true;
                extent.bytes = extent.bytes.saturating_sub(link.bytes);
                execute(sql, "DELETE FROM change WHERE sequence = ?1", [at.cast_signed()])?;
            }
            at = link.before;
        }
        Ok(())
    }
}

fn link(sql: Tables<'_>, sequence: u64) -> Result<Option<Link>, events::Error> {
    let mut select = sql.prepare_cached("SELECT before, bytes FROM change WHERE sequence = ?1")?;
    let found = select.query_row([sequence.cast_signed()], |row| {
        let [before, bytes]: [i64; 2] = [row.get(0)?, row.get(1)?];
        Ok(Link { before: before.cast_unsigned(), bytes: bytes.cast_unsigned() })
    });
    Ok(found.optional()?)
}

/// The version of an owner's page; `None` for one nothing is known of.
pub(crate) fn known(sql: Tables<'_>, whose: Whose<'_>) -> Result<Option<Version>, events::Error> {
    let select = "SELECT version, position, floor, kept, bytes FROM owner
        WHERE page = ?1 AND owner = ?2";
    let mut select = sql.prepare_cached(select)?;
    let found = select.query_row(params![whose.page as i64, whose.owner], |row| {
        let numbers: [i64; 5] = [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?];
        let [version, position, floor, kept, bytes] = numbers.map(i64::cast_unsigned);
        Ok(Version { version, position, floor, kept, bytes })
    });
    Ok(found.optional()?)
}

/// The version of an owner's page, known or not.
///
/// A text that a known number was meant by until now takes the page over: whoever followed the
/// number's has to read it again.
pub(crate) fn version(
    sql: Tables<'_>,
    whose: Whose<'_>,
    owners: Owners,
    extent: &Extent,
) -> Result<Version, events::Error> {
    if let Some(version) = known(sql, whose)? {
        return Ok(version);
    }
    let number = match whose.owner {
        Owner::Text(text) => owners.meant(text).number,
        Owner::Number(_) => None,
    };
    let taken = match number {
        Some(owner) => known(sql, Whose { owner, ..whose })?.is_some(),
        None => false,
    };
    Ok(Version { floor: if taken { extent.sequence } else { 0 }, ..Version::first(sql)? })
}

/// The one of those a path can mean that is known on the page; the likeliest where none is.
pub(crate) fn find<'a>(
    sql: Tables<'_>,
    page: usize,
    meant: Meant<'a>,
) -> Result<Option<OwnerVersion<'a>>, events::Error> {
    let mut first = None;
    for owner in meant.all() {
        if let Some(version) = known(sql, Whose { page, owner })? {
            return Ok(Some(OwnerVersion { owner, version }));
        }
        first = first.or(Some(owner));
    }
    first.map(|owner| Ok(OwnerVersion { owner, version: Version::first(sql)? })).transpose()
}

/// Changes after a place, which must be above the floor: the oldest `limit`, in order.
pub(crate) fn changes(
    sql: Tables<'_>,
    whose: Whose<'_>,
    newest: u64,
    after: u64,
    limit: usize,
) -> Result<Vec<Kept>, events::Error> {
    let select = "SELECT before FROM change WHERE sequence = ?1 AND page = ?2 AND owner = ?3";
    let mut select = sql.prepare_cached(select)?;
    let mut found = VecDeque::new();
    let mut at = newest;
    while at > after {
        // The newest is no change where too much changed at once to be recorded.
        let place = params![at.cast_signed(), whose.page as i64, whose.owner];
        let before = select.query_row(place, |row| row.get::<_, i64>(0));
        let Some(before) = before.optional()? else { break };
        found.truncate(limit.saturating_sub(1));
        found.push_front(at);
        at = before.cast_unsigned();
    }
    found.into_iter().map(|sequence| kept(sql, sequence)).collect()
}

fn kept(sql: Tables<'_>, sequence: u64) -> Result<Kept, events::Error> {
    let mut select = sql.prepare_cached("SELECT kind, row FROM change WHERE sequence = ?1")?;
    let (kind, text): (String, String) =
        select.query_row([sequence.cast_signed()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let row = serde_json::from_str(&text).unwrap_or_default();
    Ok(Kept { sequence, kind, row })
}
