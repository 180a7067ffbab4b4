//! The table of what a subscription settled ahead of its place: deliveries are answered for in any order, the place moves
//! over what is answered without a gap, and the rest is remembered here so that a restart delivers none of it again.
//!
//! A row names its event beside its offset: in a log that lost its tail and has grown again another one is there, which
//! was never delivered.

use std::collections::HashMap;
use std::sync::Arc;

use crate::broker::{Offset, Stored};
use crate::error::Error;
use crate::store::inbox::Assigned;
use crate::store::rows::{Row, Rows};
use crate::store::value::Bind;

/// The event that was settled at an offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SettledEvent {
    source: String,
    id: String,
}

impl SettledEvent {
    /// Whether it is this one.
    pub(crate) fn is(&self, stored: &Stored) -> bool {
        self.source == stored.event.source && self.id == stored.event.id
    }
}

/// What is settled beyond the place, by offset.
pub(crate) async fn all(
    rows: &mut Rows<'_>,
    of: Assigned<'_>,
) -> Result<HashMap<u64, SettledEvent>, Error> {
    let select = "SELECT \"offset\", source, event FROM settled_ahead
        WHERE subscription = ?1 AND partition = ?2";
    let mut all = HashMap::new();
    let add = |row: &Row<'_>| {
        let settled = SettledEvent { source: row.get(1)?, id: row.get(2)? };
        all.insert(row.get(0)?, settled);
        Ok::<_, Error>(())
    };
    rows.each(select, &[&of.subscription, &of.partition.index()], add).await?;
    Ok(all)
}

/// Remembers these.
pub(crate) async fn save(
    rows: &mut Rows<'_>,
    of: Assigned<'_>,
    settled: &[Arc<Stored>],
) -> Result<(), Error> {
    let insert = "INSERT INTO settled_ahead (subscription, partition, \"offset\", source, event)
        VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT (subscription, partition, \"offset\")
        DO UPDATE SET source = excluded.source, event = excluded.event";
    for stored in settled {
        let event = &stored.event;
        let row: [&dyn Bind; 5] =
            [&of.subscription, &of.partition.index(), &stored.offset.0, &event.source, &event.id];
        rows.execute(insert, &row).await?;
    }
    Ok(())
}

/// Forgets what the place is not before any more.
pub(crate) async fn forget(
    rows: &mut Rows<'_>,
    of: Assigned<'_>,
    up_to: Offset,
) -> Result<(), Error> {
    let delete = "DELETE FROM settled_ahead
        WHERE subscription = ?1 AND partition = ?2 AND \"offset\" <= ?3";
    let row: [&dyn Bind; 3] = [&of.subscription, &of.partition.index(), &up_to.0];
    rows.execute(delete, &row).await?;
    Ok(())
}
