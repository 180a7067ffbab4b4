//! What the store has of a partition: all of it when a run begins, and later what others may have changed meanwhile, an
//! operator or another instance.
//!
//! One transaction reads each, so that it is the state of one moment.

use std::collections::{BTreeMap, HashMap};

use crate::broker::Offset;
use crate::error::Error;
use crate::store::ahead::{self, SettledEvent};
use crate::store::inbox::{self, Place};
use crate::store::parked;
use crate::store::rows::Rows;
use crate::subscription::context::Lane;

/// What a run begins with.
pub(super) struct Known {
    /// The highest number received of each source.
    pub(super) marks: BTreeMap<String, u64>,
    pub(super) settled: HashMap<u64, SettledEvent>,
    pub(super) parked: ParkedCounts,
}

/// How many events are parked.
pub(super) struct ParkedCounts {
    /// In this partition, of each key.
    pub(super) by_key: HashMap<String, u64>,
    /// Of the subscription.
    pub(super) total: u64,
}

/// What others may have changed.
pub(super) struct Seen {
    pub(super) position: Offset,
    pub(super) parked: ParkedCounts,
}

impl Known {
    pub(super) async fn read(rows: &mut Rows<'_>, lane: &Lane) -> Result<Known, Error> {
        let of = lane.assigned();
        Ok(Known {
            marks: inbox::highest_of_each(rows, of).await?,
            settled: ahead::all(rows, of).await?,
            parked: ParkedCounts::read(rows, lane).await?,
        })
    }
}

impl ParkedCounts {
    async fn read(rows: &mut Rows<'_>, lane: &Lane) -> Result<ParkedCounts, Error> {
        let of = lane.assigned();
        Ok(ParkedCounts {
            by_key: parked::keys(rows, of).await?,
            total: parked::count(rows, of.subscription).await?,
        })
    }
}

impl Seen {
    pub(super) async fn read(rows: &mut Rows<'_>, lane: &Lane) -> Result<Seen, Error> {
        Ok(Seen {
            position: Place::load(rows, lane.assigned()).await?.position,
            parked: ParkedCounts::read(rows, lane).await?,
        })
    }
}
