//! Stepping over what stops a subscription, one thing at a time, each with a note.
//!
//! First the log: a record at the next place whose checksum does not fit, or rows that are missing
//! there. Then what is parked: a row that is no event any more. What is sound is never skipped, and
//! the note is written in the transaction that steps.
//!
//! The log is looked at before the transaction, because a broker may have to be waited for. So what
//! was found carries the place that it was found behind, and is stepped over only from there.

use crate::broker::{Broker, Offset};
use crate::error::Error;
use crate::event::Event;
use crate::partition::{Numbered, Partition};
use crate::skipped::Skipped;
use crate::store::inbox::{Assigned, Place};
use crate::store::parked::{self, DamagedRow};
use crate::store::tx::Tx;
use crate::topic::TopicPartition;

/// A stretch of the log that cannot be read.
pub(super) struct HurtRecord {
    partition: Partition,
    /// The subscription's place when it was found: the stretch begins right after.
    behind: Place,
    last: Offset,
    reason: String,
    /// What its record claims to be, where it is one.
    claimed: Option<Event>,
}

/// What is hurt right after `place`, if anything is.
pub(super) async fn hurt_record(
    broker: &dyn Broker,
    at: &TopicPartition,
    place: Place,
) -> Result<Option<HurtRecord>, Error> {
    let Offset(end) = broker.end(at).await?;
    if place.position.0 >= end {
        return Ok(None);
    }
    match broker.read(at, place.position, 1).await {
        Ok(_) => Ok(None),
        Err(Error::Damaged { to, what, .. }) => {
            // At least one record, or nothing would be stepped over; never past the end, or events
            // to come would be.
            let last = Offset(to.max(place.position.0 + 1).min(end));
            let claimed = broker.unverified(at, last);
            let partition = at.partition;
            Ok(Some(HurtRecord { partition, behind: place, last, reason: what, claimed }))
        }
        Err(error) => Err(error),
    }
}

/// Steps over `record`, or over the first hurt row that is parked.
pub(super) async fn step(
    tx: &mut Tx<'_>,
    name: &str,
    record: Option<&HurtRecord>,
    by: &str,
) -> Result<Option<Skipped>, Error> {
    let skipped = match record {
        Some(record) => over_record(tx, name, record).await?,
        None => match locked_hurt(tx, name).await? {
            Some(hurt) => over_parked(tx, name, hurt).await?,
            None => return Ok(None),
        },
    };
    let skipped = Skipped { by: by.to_owned(), ..skipped };
    tx.note(&skipped).await?;
    Ok(Some(skipped))
}

/// Moves the place behind the stretch; what the record claims to be goes into the note.
async fn over_record(tx: &mut Tx<'_>, name: &str, record: &HurtRecord) -> Result<Skipped, Error> {
    let HurtRecord { behind, claimed, .. } = record;
    let partition = record.partition;
    let last = record.last;
    let reason = record.reason.clone();
    let of = Assigned { subscription: name, partition };
    if Place::lock(tx, of).await? != *behind {
        return Err(Error::environment("the subscription moved meanwhile; look again"));
    }
    // Which event stood there nobody can say, so the place remembers none.
    Place { position: last, ..Place::default() }.save(tx, of).await?;
    let claimed = claimed.as_ref();
    let (event, key) = claimed.map(|event| (event.id.clone(), event.key.clone())).unzip();
    let first = Numbered { partition, number: behind.position.0 + 1 };
    Ok(Skipped {
        last: last.0,
        event,
        key,
        reason,
        ..Skipped::blank(name, "record", first, tx.now())
    })
}

/// The first hurt row that is parked, in a partition that is this transaction's.
async fn locked_hurt(tx: &mut Tx<'_>, name: &str) -> Result<Option<DamagedRow>, Error> {
    let Some(seen) = parked::first_hurt(tx, name).await? else { return Ok(None) };
    Place::lock(tx, Assigned { subscription: name, partition: seen.at.partition }).await?;
    // Who had it until now may have taken the row out.
    let hurt = parked::first_hurt(tx, name).await?;
    Ok(hurt.filter(|hurt| hurt.at.partition == seen.at.partition))
}

/// Takes the row out; the next of its key is due at once.
async fn over_parked(tx: &mut Tx<'_>, name: &str, hurt: DamagedRow) -> Result<Skipped, Error> {
    let now = tx.now();
    parked::handled(tx, name, hurt.turn, &hurt.key, now).await?;
    let (key, reason) = (Some(hurt.key), hurt.error.to_string());
    Ok(Skipped { key, reason, ..Skipped::blank(name, "parked", hurt.at, tx.now()) })
}

/// Drops a dead letter.
pub(super) async fn discard(
    tx: &mut Tx<'_>,
    name: &str,
    at: Numbered,
    by: &str,
) -> Result<bool, Error> {
    Place::lock(tx, Assigned { subscription: name, partition: at.partition }).await?;
    let now = tx.now();
    let letter = parked::discard(tx, name, at, now).await?;
    let Some(letter) = letter else { return Ok(false) };
    let dropped = Skipped {
        event: letter.event,
        key: Some(letter.key),
        reason: letter.reason,
        by: by.to_owned(),
        ..Skipped::blank(name, "letter", at, tx.now())
    };
    tx.note(&dropped).await?;
    Ok(true)
}
