//! The end of a batch: sums first, because they change rows too, then rows, then what owners see of
//! them.
//!
//! Sums move by differences and wrap: a total past what a column holds comes right again when it is
//! taken back, where stopping the fold would stop everybody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use events::store::sqlite::Write;
use serde_json::{Map, Value as Json};

use super::batch::{Batch, Held, Spread};
use crate::generation::Generation;
use crate::row::{self, Row};
use crate::stamps::Stamps;
use crate::store::sqlite::feed::{self, Version, Whose, Written};
use crate::store::sqlite::joined;
use crate::value::{Key, Value};
use crate::view::{Feeds, Shows, View};

pub(super) fn flush(
    generation: &Generation,
    stamps: &Arc<Stamps>,
    batch: &mut Batch,
    write: &mut Write<'_>,
) -> Result<(), events::Error> {
    let nothing = batch.rows.is_empty() && batch.spread.rows.is_empty() && !batch.spread.too_many;
    if nothing && batch.news().next().is_none() {
        return Ok(());
    }
    add_sums(generation, batch, write)?;
    for (place, matching, said) in batch.news() {
        joined::save(write.sql(), &place.name(generation), matching, said)?;
    }
    for held in batch.rows.iter().filter(|held| held.stored() != Some(&held.now)) {
        save(generation, held, write)?;
    }
    let touched = tell(generation, batch, write)?;
    batch.written(stamps, touched);
    Ok(())
}

impl Held {
    /// Whether its readers see another row than before.
    fn is_changed(&self) -> bool {
        self.before.as_ref() != Some(&self.now)
    }
}

fn save(generation: &Generation, held: &Held, write: &Write<'_>) -> Result<(), events::Error> {
    let rows = generation.stored(held.view);
    match held.stored() {
        None => rows.insert(write.sql(), &held.now),
        Some(stored) => rows.update(write.sql(), stored, &held.now),
    }
}

fn add_sums(
    generation: &Generation,
    batch: &mut Batch,
    write: &Write<'_>,
) -> Result<(), events::Error> {
    let mut added: BTreeMap<(usize, usize, Key), i64> = BTreeMap::new();
    for held in &batch.rows {
        for feeds in &generation.views[held.view].feeds {
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
        let at = batch.hold(generation, write, view, &key)?;
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
    let (Ok(Some(key)), Ok(part)) = (Key::owner(via), row.part(feeds.part)) else { return };
    let sum = added.entry((feeds.view, feeds.column, key)).or_default();
    *sum = how(*sum, part);
}

/// Tells the feed and counts versions up; the stamps of the pages that changed.
///
/// What a join changed in the store comes first: such a row may have come into hand after that, and
/// the last word on it is what it is now.
fn tell(
    generation: &Generation,
    batch: &Batch,
    write: &Write<'_>,
) -> Result<BTreeSet<usize>, events::Error> {
    let mut told = Vec::new();
    for (view, row) in &batch.spread.rows {
        let view = &generation.views[*view];
        told.extend(row.owner(view).map(|owner| Told { view, owner, row, deleted: false }));
    }
    for held in batch.rows.iter().filter(|held| held.is_changed()) {
        see(&generation.views[held.view], held, &mut told);
    }
    let spread = batch.spread.pages.iter();
    let spread = spread.map(|(page, owner)| Whose { page: *page, owner: owner.as_owner() });
    let pages: BTreeSet<Whose<'_>> = spread.chain(told.iter().flat_map(Told::pages)).collect();
    if !pages.is_empty() {
        feed_all(generation, &batch.spread, &pages, &told, write)?;
    }
    Ok(pages.into_iter().map(|whose| Stamps::index(whose.page, whose.owner)).collect())
}

fn feed_all<'b>(
    generation: &Generation,
    spread: &'b Spread,
    pages: &BTreeSet<Whose<'b>>,
    told: &'b [Told<'_>],
    write: &Write<'_>,
) -> Result<(), events::Error> {
    let sql = write.sql();
    let mut mark = feed::mark(sql)?;
    let mut versions: BTreeMap<Whose<'_>, Version> = BTreeMap::new();
    for &whose in pages {
        let owners = generation.pages[whose.page].owners;
        versions.insert(whose, feed::version(sql, whose, owners, &mark)?);
    }
    if spread.too_many {
        let passed = mark.pass();
        for (page, owner) in &spread.pages {
            let whose = Whose { page: *page, owner: owner.as_owner() };
            versions.entry(whose).or_default().start_anew(passed);
        }
    }
    for told in told {
        for shows in told.shows() {
            let Some(kind) = &shows.live else { continue };
            let whose = Whose { page: shows.page, owner: told.owner.as_owner() };
            let version = versions.entry(whose).or_default();
            let shown = Json::Object(told.show(shows)).to_string();
            mark.append(sql, whose, version, Written { kind, row: &shown })?;
        }
    }
    for (whose, mut version) in versions {
        version.version += 1;
        version.save(sql, whose, &mut mark)?;
    }
    mark.save(sql)
}

/// A change that an owner sees.
struct Told<'b> {
    view: &'b View,
    owner: Key,
    row: &'b Row,
    deleted: bool,
}

impl Told<'_> {
    /// Those that show it. A head is there before its row is created, a row of a list is not.
    fn shows(&self) -> impl Iterator<Item = &Shows> {
        let there = self.deleted || self.row.is_shown();
        self.view.shows.iter().filter(move |shows| shows.head || there)
    }

    fn pages(&self) -> impl Iterator<Item = Whose<'_>> {
        self.shows().map(|shows| Whose { page: shows.page, owner: self.owner.as_owner() })
    }

    fn show(&self, shows: &Shows) -> Map<String, Json> {
        match (shows.head, self.deleted) {
            (true, _) => row::show_head(self.view, Some(self.row)),
            (false, false) => self.row.show(self.view),
            (false, true) => self.row.show_deleted(self.view),
        }
    }
}

/// Who sees a row change: its owner, and the one it had.
fn see<'b>(view: &'b View, held: &'b Held, told: &mut Vec<Told<'b>>) {
    let (before, now) = (held.before.as_ref(), &held.now);
    let sees = |row: &Row| row.is_shown() || !view.sums.is_empty();
    let owner_before = before.filter(|row| sees(row)).and_then(|row| row.owner(view));
    let owner = Some(now).filter(|row| sees(row)).and_then(|row| row.owner(view));
    let same = owner == owner_before && before.is_some_and(|row| row.looks_like(now, view));
    if same {
        return;
    }
    if let Some(was) = owner_before.filter(|was| owner.as_ref() != Some(was)) {
        told.push(Told { view, owner: was, row: now, deleted: true });
    }
    if let Some(owner) = owner {
        told.push(Told { view, owner, row: now, deleted: false });
    }
}
