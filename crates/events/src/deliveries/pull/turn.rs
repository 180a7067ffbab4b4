//! What is read of the store before anything is lent, and what is written in one transaction when something was.
//!
//! A transaction is fenced twice: by the revision of the leases, which every instance raises, and by the place of each
//! partition that it touches, which an operator moves. Where either is another one nothing is written. Nor is it where
//! something is to be parked behind what an operator took out: he changes neither of them.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::lease::{Entry, Lease};
use super::part::{KeptPart, Part, ReadFrom};
use super::shelf::Shelf;
use crate::broker::Offset;
use crate::deliveries::known::Known;
use crate::deliveries::settlement::{Park, Settlement, Written};
use crate::error::Error;
use crate::parking::Wait;
use crate::store::inbox::Place;
use crate::store::leases::{self, LeaseChange, LeaseRow};
use crate::store::rows::Rows;
use crate::store::tx::Tx;
use crate::store::{delivery_runs, parked};
use crate::subscription::context::Lane;

/// What the store has of one subscription, at one moment.
struct Kept {
    revision: u64,
    leases: Vec<LeaseRow>,
    parts: Vec<KeptPart>,
    parked: u64,
}

impl Kept {
    async fn read(rows: &mut Rows<'_>, lanes: &[Lane]) -> Result<Kept, Error> {
        let name = &*lanes[0].context.name;
        let mut parts = Vec::with_capacity(lanes.len());
        for lane in lanes {
            let place = Place::load(rows, lane.assigned()).await?.position;
            let run = delivery_runs::latest(rows, lane.assigned()).await?;
            parts.push(KeptPart { place, run, known: Known::read(rows, lane).await? });
        }
        Ok(Kept {
            revision: leases::revision(rows, name).await?,
            leases: leases::all(rows, name).await?,
            parts,
            parked: parked::count(rows, name).await?,
        })
    }
}

/// A shelf of what the store has, of which nothing is read yet.
pub(super) async fn load(lanes: &[Lane]) -> Result<Shelf, Error> {
    let database = &lanes[0].context.database;
    let kept = database.read(lanes, |lanes, rows| Box::pin(Kept::read(rows, lanes))).await?;
    let lease = |row: &LeaseRow| (row.token.clone(), Lease::of_row(row));
    let mut leases: BTreeMap<String, Lease> = kept.leases.iter().map(lease).collect();
    let is_known = |entry: &Entry| usize::from(entry.partition) < lanes.len();
    leases.values_mut().for_each(|lease| lease.entries.retain(is_known));
    let part = |(lane, kept): (&Lane, KeptPart)| {
        let index = lane.at.partition.index();
        let all = leases.values().flat_map(|lease| &lease.entries);
        let leased = all.filter(|entry| entry.partition == index).cloned().collect();
        Part::new(lane.clone(), kept, leased)
    };
    let parts = lanes.iter().zip(kept.parts).map(part).collect();
    Ok(Shelf::new(parts, leases, kept.revision, kept.parked))
}

/// What one transaction is to write.
pub(super) struct Work {
    pub(super) subscription: Arc<str>,
    /// Of the leases, as whoever writes knows them.
    pub(super) revision: u64,
    pub(super) read: Vec<ReadFrom>,
    pub(super) settlements: Vec<Settlement>,
    pub(super) changes: Vec<LeaseChange>,
}

/// What became of it.
pub(super) enum Outcome {
    /// The store is not as was known: nothing was written.
    Elsewhere,
    Stands(Standing),
}

/// How the store is now.
pub(super) struct Standing {
    /// The new place of each partition that was touched, by its index.
    pub(super) places: BTreeMap<u16, Offset>,
    /// Events of the subscription that are parked, where that may have changed.
    pub(super) parked: Option<u64>,
}

impl Work {
    pub(super) fn is_empty(&self) -> bool {
        self.settlements.is_empty() && self.changes.is_empty()
    }

    /// Writes it, unless the store is not as was known.
    ///
    /// # Errors
    /// Nothing of it stands.
    pub(super) async fn write(&self, tx: &mut Tx<'_>) -> Result<Outcome, Error> {
        let settled = self.settlements.iter().map(|it| (&it.lane, it.after));
        let read = self.read.iter().map(|it| (&it.lane, it.place));
        // In the order of partitions, so that two who do this wait for one another and never for each other's row.
        let places: BTreeMap<u16, _> =
            settled.chain(read).map(|it| (it.0.at.partition.index(), it)).collect();
        for (lane, after) in places.into_values() {
            if Place::lock(tx, lane.assigned()).await?.position != after {
                return Ok(Outcome::Elsewhere);
            }
        }
        if self.parks_behind_nothing(tx).await? {
            return Ok(Outcome::Elsewhere);
        }
        // The last look, and what is written stands or falls with it.
        if !leases::raise(tx, &self.subscription, self.revision).await? {
            return Ok(Outcome::Elsewhere);
        }
        let mut standing = Standing { places: BTreeMap::new(), parked: None };
        for settlement in &self.settlements {
            let Written::At { position, parked } = settlement.write(tx).await? else {
                // It is taken back, and the store read anew.
                return Err(Error::environment("events were delivered that are fetched here"));
            };
            standing.places.insert(settlement.lane.at.partition.index(), position);
            standing.parked = Some(parked);
        }
        leases::change(tx, &self.subscription, &self.changes).await?;
        Ok(Outcome::Stands(standing))
    }

    /// Whether a key that something is to be parked behind has nothing parked any more: an operator took it out. What is
    /// parked then would wait for nothing. He locks the place before, as is done here.
    async fn parks_behind_nothing(&self, tx: &mut Tx<'_>) -> Result<bool, Error> {
        let parks = self.settlements.iter().flat_map(|settlement| &settlement.outcomes.parks);
        let mut known = HashSet::new();
        for Park { stored, wait, .. } in parks {
            // Behind another one that is parked now it waits for that.
            let (key, is_behind) = (&*stored.event.key, *wait == Wait::Turn);
            let is_first = known.insert(key);
            if is_first && is_behind && !parked::has_key(tx, &self.subscription, key).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
