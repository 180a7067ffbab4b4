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

use events::store::{Bind, Row, Rows};
use jiff::Timestamp;
use serde_json::Value as Json;

use super::values::Parameter;
use crate::feed::{CHANGE_BYTES, OWNER_BYTES_KEPT, OWNER_CHANGES_KEPT};
use crate::owner::{Meant, Owner, Owners, OwnersPageRef};

/// Changes looked at in one go when the oldest are forgotten.
const FORGET_STEP: u64 = 256;

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
pub(crate) struct NewChange<'a> {
    /// The page's name for it.
    pub(crate) kind: &'a str,
    /// The row as JSON.
    pub(crate) row: &'a str,
}

/// A change as it is kept.
pub(crate) struct StoredChange {
    pub(crate) sequence: u64,
    pub(crate) kind: String,
    pub(crate) row: Json,
}

/// A change's place in the chain of its page.
struct ChainLink {
    before: u64,
    bytes: u64,
}

/// What a feed is called that begins now: a place in one means nothing in another.
pub(super) fn name(now: Timestamp) -> String {
    format!("{:x}", now.as_nanosecond())
}

pub(crate) async fn extent(rows: &mut Rows<'_>) -> Result<Extent, events::Error> {
    let select = "SELECT sequence, floor, bytes FROM meta";
    rows.one(select, &[], |row| {
        Ok(Extent { sequence: row.get(0)?, floor: row.get(1)?, bytes: row.get(2)? })
    })
    .await
}

impl Extent {
    /// Adds a change.
    pub(crate) async fn append(
        &mut self,
        rows: &mut Rows<'_>,
        whose: OwnersPageRef<'_>,
        version: &mut Version,
        change: NewChange<'_>,
    ) -> Result<(), events::Error> {
        let NewChange { kind, row } = change;
        let bytes = (kind.len() + row.len() + whose.owner.weight() + CHANGE_BYTES) as u64;
        self.sequence += 1;
        self.bytes += bytes;
        let before = version.position;
        version.position = self.sequence;
        version.kept += 1;
        version.bytes += bytes;
        let insert = "INSERT INTO change VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let OwnersPageRef { page, owner } = whose;
        let owner = Parameter::of(rows, owner);
        let change: [&dyn Bind; 7] = [&self.sequence, &before, &page, &bytes, &owner, &kind, &row];
        rows.execute(insert, &change).await?;
        Ok(())
    }

    /// A place of its own in the feed for what is too much to be recorded one by one.
    pub(crate) fn pass(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// Forgets the oldest past `bytes_max`, and is kept itself.
    pub(crate) async fn save(
        mut self,
        rows: &mut Rows<'_>,
        bytes_max: u64,
    ) -> Result<(), events::Error> {
        while self.bytes > bytes_max {
            let before = self.bytes;
            self.forget(rows, bytes_max).await?;
            // Nothing is left that could go: what was counted and is not there ends no loop.
            if self.bytes == before {
                break;
            }
        }
        let update = "UPDATE meta SET sequence = ?1, floor = ?2, bytes = ?3";
        rows.execute(update, &[&self.sequence, &self.floor, &self.bytes]).await?;
        Ok(())
    }

    /// One step of it: the oldest, as few as bring what is kept to `bytes_max`.
    async fn forget(&mut self, rows: &mut Rows<'_>, bytes_max: u64) -> Result<(), events::Error> {
        let select = "SELECT sequence, bytes FROM change ORDER BY sequence LIMIT ?1";
        let oldest = |row: &Row<'_>| {
            if self.bytes > bytes_max {
                self.floor = row.get(0)?;
                self.bytes = self.bytes.saturating_sub(row.get(1)?);
            }
            Ok::<_, events::Error>(())
        };
        rows.each(select, &[&FORGET_STEP], oldest).await?;
        rows.execute("DELETE FROM change WHERE sequence <= ?1", &[&self.floor]).await?;
        Ok(())
    }
}

impl Version {
    /// Of a page that nothing has changed yet.
    async fn first(rows: &mut Rows<'_>) -> Result<Version, events::Error> {
        Ok(Version { version: rows.count_base().await?, ..Version::default() })
    }

    /// Everything up to `sequence` is forgotten: it was too much to be recorded one by one.
    pub(crate) fn start_anew(&mut self, sequence: u64) {
        (self.position, self.floor, self.kept, self.bytes) = (sequence, sequence, 0, 0);
    }

    /// Keeps it, and of its changes what is to be kept.
    pub(crate) async fn save(
        mut self,
        rows: &mut Rows<'_>,
        whose: OwnersPageRef<'_>,
        extent: &mut Extent,
    ) -> Result<(), events::Error> {
        if self.kept > 2 * OWNER_CHANGES_KEPT || self.bytes > 2 * OWNER_BYTES_KEPT {
            self.cut(rows, extent).await?;
        }
        let Version { version, position, floor, kept, bytes } = &self;
        let upsert = "INSERT INTO owner VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
            ON CONFLICT (page, owner) DO UPDATE SET version = excluded.version,
                position = excluded.position, floor = excluded.floor, kept = excluded.kept,
                bytes = excluded.bytes";
        let owner = Parameter::of(rows, whose.owner);
        let row: [&dyn Bind; 7] = [&whose.page, &owner, version, position, floor, kept, bytes];
        rows.execute(upsert, &row).await?;
        Ok(())
    }

    /// Walks the changes from the newest back: the first are kept, all others forgotten.
    async fn cut(&mut self, rows: &mut Rows<'_>, extent: &mut Extent) -> Result<(), events::Error> {
        let mut at = self.position;
        let mut gone = false;
        (self.kept, self.bytes) = (0, 0);
        while let Some(link) = link(rows, at).await? {
            let bytes = self.bytes + link.bytes;
            if !gone && self.kept < OWNER_CHANGES_KEPT && bytes <= OWNER_BYTES_KEPT {
                (self.kept, self.bytes) = (self.kept + 1, bytes);
            } else {
                self.floor = if gone { self.floor } else { at };
                gone = true;
                extent.bytes = extent.bytes.saturating_sub(link.bytes);
                rows.execute("DELETE FROM change WHERE sequence = ?1", &[&at]).await?;
            }
            at = link.before;
        }
        Ok(())
    }
}

async fn link(rows: &mut Rows<'_>, sequence: u64) -> Result<Option<ChainLink>, events::Error> {
    let select = "SELECT before, bytes FROM change WHERE sequence = ?1";
    let link = |row: &Row<'_>| Ok(ChainLink { before: row.get(0)?, bytes: row.get(1)? });
    rows.find(select, &[&sequence], link).await
}

/// The version of an owner's page; `None` for one nothing is known of.
pub(crate) async fn known(
    rows: &mut Rows<'_>,
    whose: OwnersPageRef<'_>,
) -> Result<Option<Version>, events::Error> {
    let select = "SELECT version, position, floor, kept, bytes FROM owner
        WHERE page = ?1 AND owner = ?2";
    let owner = Parameter::of(rows, whose.owner);
    rows.find(select, &[&whose.page, &owner], |row| {
        Ok(Version {
            version: row.get(0)?,
            position: row.get(1)?,
            floor: row.get(2)?,
            kept: row.get(3)?,
            bytes: row.get(4)?,
        })
    })
    .await
}

/// The version of an owner's page, known or not.
///
/// A text that a known number was meant by until now takes the page over: whoever followed the
/// number's has to read it again.
pub(crate) async fn version(
    rows: &mut Rows<'_>,
    whose: OwnersPageRef<'_>,
    owners: Owners,
    extent: &Extent,
) -> Result<Version, events::Error> {
    if let Some(version) = known(rows, whose).await? {
        return Ok(version);
    }
    let number = match whose.owner {
        Owner::Text(text) => owners.meant(text).number,
        Owner::Number(_) => None,
    };
    let taken = match number {
        Some(owner) => known(rows, OwnersPageRef { owner, ..whose }).await?.is_some(),
        None => false,
    };
    let first = Version::first(rows).await?;
    Ok(Version { floor: if taken { extent.sequence } else { 0 }, ..first })
}

/// The one of those a path can mean that is known on the page; the likeliest where none is.
pub(crate) async fn find<'a>(
    rows: &mut Rows<'_>,
    page: usize,
    meant: Meant<'a>,
) -> Result<Option<OwnerVersion<'a>>, events::Error> {
    let mut first = None;
    for owner in meant.all() {
        if let Some(version) = known(rows, OwnersPageRef { page, owner }).await? {
            return Ok(Some(OwnerVersion { owner, version }));
        }
        first = first.or(Some(owner));
    }
    let Some(owner) = first else { return Ok(None) };
    Ok(Some(OwnerVersion { owner, version: Version::first(rows).await? }))
}

/// Changes after a place, which must be above the floor: the oldest `limit`, in order.
pub(crate) async fn changes(
    rows: &mut Rows<'_>,
    whose: OwnersPageRef<'_>,
    newest: u64,
    after: u64,
    limit: usize,
) -> Result<Vec<StoredChange>, events::Error> {
    let select = "SELECT before FROM change WHERE sequence = ?1 AND page = ?2 AND owner = ?3";
    let owner = Parameter::of(rows, whose.owner);
    let mut found = VecDeque::new();
    let mut at = newest;
    while at > after {
        // The newest is no change where too much changed at once to be recorded.
        let place: [&dyn Bind; 3] = [&at, &whose.page, &owner];
        let before: Option<u64> = rows.find(select, &place, |row| row.get(0)).await?;
        let Some(before) = before else { break };
        found.truncate(limit.saturating_sub(1));
        found.push_front(at);
        at = before;
    }
    let mut changes = Vec::with_capacity(found.len());
    for sequence in found {
        changes.push(kept(rows, sequence).await?);
    }
    Ok(changes)
}

async fn kept(rows: &mut Rows<'_>, sequence: u64) -> Result<StoredChange, events::Error> {
    let select = "SELECT kind, row FROM change WHERE sequence = ?1";
    rows.one(select, &[&sequence], |row| {
        let row_of = |text: &str| serde_json::from_str(text).ok();
        Ok(StoredChange {
            sequence,
            kind: row.get(0)?,
            row: row.parse(1, row_of).unwrap_or_default(),
        })
    })
    .await
}
