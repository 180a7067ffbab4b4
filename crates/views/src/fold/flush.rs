//! The end of a batch: sums first, because they change rows too, then rows, then what owners see of
//! them.
//!
//! Sums move by differences and wrap: a total past what a column holds comes right again when it is
//! taken back, where stopping the fold would stop everybody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use events::store::sqlite::Write;
use serde_json::{Map, Value as Json};

use super::batch::{Batch, Held};
use crate::definition::{Feeds, Live, View};
use crate::row::Row;
use crate::store::sqlite::feed::{self, Version};
use crate::store::sqlite::joined;
use crate::value::{Key, Value};
use crate::views::Shared;

pub(super) fn flush(
    shared: &Shared,
    batch: &mut Batch,
    write: &mut Write<'_>,
) -> Result<(), events::Error> {
    let nothing = batch.rows.is_empty() && batch.spread.owners.is_empty();
    if nothing && batch.news().next().is_none() {
        return Ok(());
    }
    add_sums(shared, batch, write)?;
    for (place, matching, said) in batch.news() {
        joined::save(write.sql(), &place.name(shared), matching, said)?;
    }
    for held in batch.rows.iter().filter(|held| held.is_changed()) {
        save(shared, held, write)?;
    }
    let owners = tell(shared, batch, write)?;
    batch.written(&shared.stamps, &owners);
    Ok(())
}

impl Held {
    fn is_changed(&self) -> bool {
        self.before.as_ref() != Some(&self.now)
    }
}

fn save(shared: &Shared, held: &Held, write: &Write<'_>) -> Result<(), events::Error> {
    let (view, table) = (&shared.views[held.view], &shared.tables[held.view]);
    match &held.before {
        None => table.insert(write.sql(), view, &held.now),
        Some(before) => table.update(write.sql(), view, before, &held.now),
    }
}

fn add_sums(shared: &Shared, batch: &mut Batch, write: &Write<'_>) -> Result<(), events::Error> {
    let mut added: BTreeMap<(usize, usize, Key), i64> = BTreeMap::new();
    for held in &batch.rows {
        for feeds in &shared.views[held.view].feeds {
            if let Some(before) = &held.before {
                add(&mut added, feeds, before, i64::wrapping_sub);
            }
            add(&mut added, feeds, &held.now, i64::wrapping_add);
        }
    }
    for ((view, column, key), difference) in added {
        if difference == 0 {
            continue;
        }
        let at = batch.hold(shared, write, view, &key)?;
        let sum = &mut batch.rows[at].now.values[column];
        let total = if let Value::Int(total) = sum { *total } else { 0 };
        *sum = Value::Int(total.wrapping_add(difference));
    }
    Ok(())
}

fn add(
    added: &mut BTreeMap<(usize, usize, Key), i64>,
    feeds: &Feeds,
    row: &Row,
    how: fn(i64, i64) -> i64,
) {
    let via = &row.values[feeds.via];
    // Nobody's rows are in nobody's sum; a part was checked when the row was changed.
    let (Some(_), Ok(key), Ok(part)) = (via.as_owner(), Key::from_value(via), row.part(feeds.part))
    else {
        return;
    };
    let sum = added.entry((feeds.view, feeds.column, key)).or_default();
    *sum = how(*sum, part);
}

/// Tells the feed and counts versions up; whose.
fn tell(
    shared: &Shared,
    batch: &Batch,
    write: &Write<'_>,
) -> Result<BTreeSet<Arc<str>>, events::Error> {
    let mut owners = batch.spread.owners.clone();
    let mut told = Vec::new();
    for held in batch.rows.iter().filter(|held| held.is_changed()) {
        see(&shared.views[held.view], held, &mut owners, &mut told);
    }
    if owners.is_empty() {
        return Ok(owners);
    }
    for (view, row) in &batch.spread.rows {
        let view = &shared.views[*view];
        told.extend(row.owner(view).map(|owner| Told { view, owner, row, deleted: false }));
    }
    feed_all(batch.spread.too_many, &owners, &told, write)?;
    Ok(owners)
}

fn feed_all(
    too_many: bool,
    owners: &BTreeSet<Arc<str>>,
    told: &[Told<'_>],
    write: &Write<'_>,
) -> Result<(), events::Error> {
    let sql = write.sql();
    let mut mark = feed::mark(sql)?;
    let mut versions: BTreeMap<&str, Version> = BTreeMap::new();
    for owner in owners {
        versions.insert(owner, feed::version(sql, owner)?);
    }
    if too_many {
        mark.forget();
        versions.values_mut().for_each(|version| version.position = mark.sequence);
    }
    for told in told {
        let version = versions.entry(&told.owner).or_default();
        for live in told.view.live.iter().filter(|live| told.concerns(live)) {
            let shown = Json::Object(told.show(live)).to_string();
            mark.append(sql, &told.owner, version, (&live.kind, &shown))?;
        }
    }
    for (owner, mut version) in versions {
        version.version += 1;
        version.save(sql, owner)?;
    }
    mark.save(sql)
}

/// A change that an owner sees.
struct Told<'b> {
    view: &'b View,
    owner: Arc<str>,
    row: &'b Row,
    deleted: bool,
}

impl Told<'_> {
    /// A head is there before its row is created, a row of a list is not.
    fn concerns(&self, live: &Live) -> bool {
        live.head || self.deleted || self.row.is_shown()
    }

    fn show(&self, live: &Live) -> Map<String, Json> {
        match (live.head, self.deleted) {
            (true, _) => self.view.show_head(Some(self.row)),
            (false, false) => self.view.show(self.row),
            (false, true) => self.view.show_deleted(self.row),
        }
    }
}

/// Who sees a row change: its owner, and the one it had.
fn see<'b>(
    view: &'b View,
    held: &'b Held,
    owners: &mut BTreeSet<Arc<str>>,
    told: &mut Vec<Told<'b>>,
) {
    let (before, now) = (held.before.as_ref(), &held.now);
    let sees = |row: &Row| row.is_shown() || !view.sums.is_empty();
    let owner_before = before.filter(|row| sees(row)).and_then(|row| row.owner(view));
    let owner = Some(now).filter(|row| sees(row)).and_then(|row| row.owner(view));
    let same = owner == owner_before && before.is_some_and(|row| row.looks_like(now, view));
    if same {
        return;
    }
    if let Some(was) = owner_before.filter(|was| owner.as_ref() != Some(was)) {
        owners.insert(Arc::clone(&was));
        told.push(Told { view, owner: was, row: now, deleted: true });
    }
    if let Some(owner) = owner {
        owners.insert(Arc::clone(&owner));
        told.push(Told { view, owner, row: now, deleted: false });
    }
}
