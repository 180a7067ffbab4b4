//! The end of a batch, in an order that each step needs of the one before:
//!
//! 1. Sums, because they change rows too, and rows that nothing else of the batch touched. One pass is enough: no sum
//!    is of a sum or of what a join sets (`definition::compile` refuses it).
//! 2. What joins set, and the rows: each once, as it is in the end.
//! 3. Versions and feed: what owners see is how the rows are now, whatever they were meanwhile. Where instances share the
//!    views, whose pages changed is written here too: by that the others' caches learn of it.
//! 4. The stamps of those pages are kept for after the sync; nothing moves here, because the
//!    transaction may still be undone.
//!
//! Sums move by differences and wrap: a total past what a column holds comes right again when it is
//! taken back, where stopping the fold would stop everybody.

use std::collections::{BTreeMap, BTreeSet};

use events::store::Rows;
use serde_json::{Map, Value as Json};

use super::batch::{Batch, Buffered, Spread};
use crate::feed::FEED_BYTES_MAX;
use crate::generation::Generation;
use crate::owner::{OwnersPage, OwnersPageRef};
use crate::read_side::ReadSide;
use crate::row::{self, Row};
use crate::stamps::Stamps;
use crate::store::feed::{self, NewChange, Version};
use crate::store::instances;
use crate::store::joined;
use crate::value::{Key, Value};
use crate::view::{Feeds, Shows, View};

pub(super) async fn flush(
    side: &ReadSide,
    batch: &mut Batch,
    rows: &mut Rows<'_>,
) -> Result<(), events::Error> {
    let generation = &side.generation;
    let nothing = batch.rows.is_empty() && batch.spread.rows.is_empty() && !batch.spread.too_many;
    if nothing && batch.changed_joins().next().is_none() {
        return Ok(());
    }
    add_sums(generation, batch, rows).await?;
    for changed in batch.changed_joins() {
        let name = changed.join.name(generation);
        joined::save(rows, &name, changed.matching, changed.values).await?;
    }
    // Against the store, not against what readers know: a join may have written the row already.
    for buffered in batch.rows.iter().filter(|row| row.stored() != Some(&row.now)) {
        save(generation, buffered, rows).await?;
    }
    let touched = publish(side, batch, rows).await?;
    batch.written(&side.stamps, touched);
    Ok(())
}

async fn save(
    generation: &Generation,
    buffered: &Buffered,
    rows: &mut Rows<'_>,
) -> Result<(), events::Error> {
    let view = generation.stored(buffered.view);
    match buffered.stored() {
        None => view.insert(rows, &buffered.now).await,
        Some(stored) => view.update(rows, stored, &buffered.now).await,
    }
}

/// One sum: a column of one row.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct SumId {
    view: usize,
    column: usize,
    key: Key,
}

/// How much each sum changes.
type Differences = BTreeMap<SumId, i64>;

/// Adds to each sum what its rows are now, less what they were when it was last added to.
///
/// A row that moved from one sum to another is taken from the one and added to the other; one that
/// changed and changed back adds nothing, and its sum's row is not even loaded.
async fn add_sums(
    generation: &Generation,
    batch: &mut Batch,
    rows: &mut Rows<'_>,
) -> Result<(), events::Error> {
    let mut differences = Differences::new();
    for buffered in &batch.rows {
        for feeds in &generation.views[buffered.view].feeds {
            if let Some(before) = &buffered.before {
                add(&mut differences, feeds, before, i64::wrapping_sub);
            }
            add(&mut differences, feeds, &buffered.now, i64::wrapping_add);
        }
    }
    for (SumId { view, column, key }, difference) in differences {
        if difference == 0 {
            continue;
        }
        // Of a row that is not created yet too: it waits, and its sum with it.
        let at = batch.buffer(generation, rows, view, &key).await?;
        let sum = &mut batch.rows[at].now.values[column];
        let total = if let Value::Int(total) = sum { *total } else { 0 };
        *sum = Value::Int(total.wrapping_add(difference));
    }
    Ok(())
}

fn add(differences: &mut Differences, feeds: &Feeds, row: &Row, how: fn(i64, i64) -> i64) {
    let via = &row.values[feeds.via];
    // Nobody's rows are in nobody's sum; a part was checked when the row was changed.
    let (Ok(Some(key)), Ok(part)) = (Key::owner(via), row.part(feeds.part)) else { return };
    let id = SumId { view: feeds.view, column: feeds.column, key };
    let sum = differences.entry(id).or_default();
    *sum = how(*sum, part);
}

/// Writes to the feed and counts versions up; the stamps of the pages that changed.
///
/// What a join changed in the store comes first: such a row may have been buffered after that, and
/// the last word on it is what it is now.
async fn publish(
    side: &ReadSide,
    batch: &Batch,
    rows: &mut Rows<'_>,
) -> Result<BTreeSet<usize>, events::Error> {
    let generation = &side.generation;
    let mut changes = Vec::new();
    for joined in &batch.spread.rows {
        let (view, row) = (&generation.views[joined.view], &joined.row);
        changes.extend(row.owner(view).map(|owner| VisibleChange {
            view,
            owner,
            row,
            deleted: false,
        }));
    }
    for buffered in batch.rows.iter().filter(|buffered| buffered.is_changed()) {
        add_changes(&generation.views[buffered.view], buffered, &mut changes);
    }
    // Pages of a spread that was too much have no change of their own here, and count all the same.
    let of_joins = batch.spread.pages.iter().map(OwnersPage::as_borrowed);
    let of_changes = changes.iter().flat_map(VisibleChange::pages);
    let pages: BTreeSet<OwnersPageRef<'_>> = of_joins.chain(of_changes).collect();
    if !pages.is_empty() {
        feed_all(generation, &batch.spread, &pages, &changes, rows).await?;
    }
    if side.lease.is_some() && !pages.is_empty() {
        instances::touch(rows, pages.iter().copied()).await?;
    }
    Ok(pages.into_iter().map(|whose| Stamps::index(whose.page, whose.owner)).collect())
}

async fn feed_all<'b>(
    generation: &Generation,
    spread: &'b Spread,
    pages: &BTreeSet<OwnersPageRef<'b>>,
    changes: &'b [VisibleChange<'_>],
    rows: &mut Rows<'_>,
) -> Result<(), events::Error> {
    let mut extent = feed::extent(rows).await?;
    // All versions are read before the first change is added: what a page takes over from another is
    // judged by where the feed stood when the batch began.
    let mut versions: BTreeMap<OwnersPageRef<'_>, Version> = BTreeMap::new();
    for &whose in pages {
        let owners = generation.pages[whose.page].owners;
        versions.insert(whose, feed::version(rows, whose, owners, &extent).await?);
    }
    // Before the changes: those of the same batch come after the gap and can be followed.
    if spread.too_many {
        let passed = extent.pass();
        for page in &spread.pages {
            versions.entry(page.as_borrowed()).or_default().start_anew(passed);
        }
    }
    for change in changes {
        for shows in change.shows() {
            let Some(kind) = &shows.live else { continue };
            let whose = OwnersPageRef { page: shows.page, owner: change.owner.as_owner() };
            let version = versions.entry(whose).or_default();
            let row = serde_json::to_string(&change.show(shows)).expect("values are JSON");
            extent.append(rows, whose, version, NewChange { kind, row: &row }).await?;
        }
    }
    // Once a batch, however many changes: a version counts what a reader can tell apart.
    for (whose, mut version) in versions {
        version.version += 1;
        version.save(rows, whose, &mut extent).await?;
    }
    extent.save(rows, FEED_BYTES_MAX).await
}

/// A change that an owner sees.
struct VisibleChange<'b> {
    view: &'b View,
    owner: Key,
    row: &'b Row,
    deleted: bool,
}

impl VisibleChange<'_> {
    /// Those that show it. A head is there before its row is created, a row of a list is not.
    fn shows(&self) -> impl Iterator<Item = &Shows> {
        let there = self.deleted || self.row.is_visible();
        self.view.shows.iter().filter(move |shows| shows.head || there)
    }

    fn pages(&self) -> impl Iterator<Item = OwnersPageRef<'_>> {
        self.shows().map(|shows| OwnersPageRef { page: shows.page, owner: self.owner.as_owner() })
    }

    fn show(&self, shows: &Shows) -> Map<String, Json> {
        match (shows.head, self.deleted) {
            (true, _) => row::show_head(self.view, Some(self.row)),
            (false, false) => self.row.show(self.view),
            (false, true) => self.row.show_deleted(self.view),
        }
    }
}

/// Adds what of a row's change is seen: by its owner, and by the one it had.
fn add_changes<'b>(view: &'b View, buffered: &'b Buffered, changes: &mut Vec<VisibleChange<'b>>) {
    let (before, now) = (buffered.before.as_ref(), &buffered.now);
    // A row with sums is seen before it is created: as a head.
    let sees = |row: &Row| row.is_visible() || !view.sums.is_empty();
    let owner_before = before.filter(|row| sees(row)).and_then(|row| row.owner(view));
    let owner = Some(now).filter(|row| sees(row)).and_then(|row| row.owner(view));
    let same = owner == owner_before && before.is_some_and(|row| row.looks_like(now, view));
    if same {
        return;
    }
    // Whoever had it loses it, before whoever has it now gets it.
    if let Some(was) = owner_before.filter(|was| owner.as_ref() != Some(was)) {
        changes.push(VisibleChange { view, owner: was, row: now, deleted: true });
    }
    if let Some(owner) = owner {
        changes.push(VisibleChange { view, owner, row: now, deleted: false });
    }
}
