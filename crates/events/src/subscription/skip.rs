//! Stepping over what stops a subscription, one thing at a time, each with a note.
//!
//! First the log: a record at the next place whose checksum does not fit, or rows that are missing
//! there. Then what is parked: a row that is no event any more. What is sound is never skipped, and
//! the note is written in the transaction that steps.

use crate::broker::{Broker, Offset, Topic};
use crate::error::Error;
use crate::event::Event;
use crate::store::Write;
use crate::store::inbox::Place;
use crate::store::parked::{self, Hurt};
use crate::store::skipped::{Skipped, moment, note};

/// A stretch of the log that cannot be read.
pub(super) struct Record {
    last: u64,
    reason: String,
    /// What its record claims to be, where it is one.
    claimed: Option<Event>,
}

/// What is hurt right after `place`, if anything is.
pub(super) async fn hurt_record(
    broker: &dyn Broker,
    topic: &Topic,
    place: &Place,
) -> Result<Option<Record>, Error> {
    let Offset(end) = broker.end(topic)?;
    if place.position.0 >= end {
        return Ok(None);
    }
    match broker.read(topic, place.position, 1).await {
        Ok(_) => Ok(None),
        Err(Error::Damaged { to, what, .. }) => {
            let last = to.max(place.position.0 + 1).min(end);
            let claimed = broker.unverified(topic, Offset(last));
            Ok(Some(Record { last, reason: what, claimed }))
        }
        Err(error) => Err(error),
    }
}

/// Steps over `hurt`, or over the first hurt row that is parked.
pub(super) fn step(
    write: &Write<'_>,
    name: &str,
    (before, hurt): (&Place, Option<Record>),
    by: &str,
) -> Result<Option<Skipped>, Error> {
    let skipped = match hurt {
        Some(hurt) => over_record(write, name, before, hurt)?,
        None => match parked::first_hurt(write.sql(), name)? {
            Some(hurt) => over_parked(write, name, hurt)?,
            None => return Ok(None),
        },
    };
    let skipped = Skipped { by: by.to_owned(), ..skipped };
    note(write.sql(), &skipped)?;
    Ok(Some(skipped))
}

fn over_record(
    write: &Write<'_>,
    name: &str,
    before: &Place,
    hurt: Record,
) -> Result<Skipped, Error> {
    if Place::load(write.sql(), name)? != *before {
        return Err(Error::environment("the subscription moved meanwhile; look again"));
    }
    Place { position: Offset(hurt.last), ..Place::default() }.save(write.sql(), name)?;
    let stretch = (before.position.0 + 1, hurt.last);
    let one = skipped(name, "record", stretch, (hurt.reason, write));
    let (event, key) = hurt.claimed.map(|event| (event.id, event.key)).unzip();
    Ok(Skipped { event, key, ..one })
}

fn over_parked(write: &Write<'_>, name: &str, hurt: Hurt) -> Result<Skipped, Error> {
    parked::handled(write.sql(), name, hurt.place, &hurt.key, write.now())?;
    let told = (hurt.error.to_string(), write);
    let one = skipped(name, "parked", (hurt.offset, hurt.offset), told);
    Ok(Skipped { key: Some(hurt.key), ..one })
}

/// Drops a dead letter.
pub(super) fn discard(
    write: &Write<'_>,
    name: &str,
    offset: Offset,
    by: &str,
) -> Result<bool, Error> {
    let letter = parked::discard(write.sql(), name, offset, write.now())?;
    let Some(letter) = letter else { return Ok(false) };
    let one = skipped(name, "letter", (offset.0, offset.0), (letter.reason, write));
    let one = Skipped { key: Some(letter.key), event: letter.event, by: by.to_owned(), ..one };
    note(write.sql(), &one)?;
    Ok(true)
}

fn skipped(
    name: &str,
    kind: &str,
    (first, last): (u64, u64),
    (reason, write): (String, &Write<'_>),
) -> Skipped {
    Skipped {
        name: name.to_owned(),
        kind: kind.to_owned(),
        first,
        last,
        event: None,
        key: None,
        reason,
        at: moment(write.now()),
        by: String::new(),
    }
}
