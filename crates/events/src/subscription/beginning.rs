//! How a loop of a subscription begins, whoever handles its events: the partition is its own, the place fits the log, and
//! nothing that is parked waits for nothing. And how it waits after trouble, before it begins again.

use std::future::pending;
use std::time::Duration;

use jiff::Timestamp;

use super::context::Lane;
use crate::broker::{Offset, Stored};
use crate::error::Error;
use crate::group::{Member, OwnedPartition};
use crate::parking::how_to_skip;
use crate::store::inbox::{self, Assigned, Place};
use crate::store::parked;
use crate::store::tx::Tx;
use crate::trouble::Trouble;
use crate::wait::Backoff;

/// Shows trouble, and resolves when it is time to begin again.
pub(crate) async fn paused_after(lane: &Lane, trouble: &Error, backoff: &mut Backoff) {
    tracing::warn!(subscription = &*lane.context.name, error = %trouble, "waiting");
    lane.set_trouble(Some(with_remedy(lane, trouble)));
    tokio::time::sleep(backoff.next()).await;
}

/// The trouble in words, with the command that steps over it where one does.
pub(crate) fn with_remedy(lane: &Lane, trouble: &Error) -> Trouble {
    let name = &lane.context.name;
    let says = match trouble {
        Error::Damaged { .. } => format!("{trouble}; {}", how_to_skip(name)),
        Error::Gone { .. } => {
            format!("{trouble}; read it again: `yeoul events place {name} --to beginning`")
        }
        _ => trouble.to_string(),
    };
    Trouble::of(trouble, says)
}

/// Waits for the partition, and notes meanwhile what the group says of it.
pub(crate) async fn taken(lane: &Lane, member: &Member) -> Result<OwnedPartition, Error> {
    let mut assignment = member.assignment();
    let noted = async {
        loop {
            lane.set_assignment(&assignment.borrow_and_update().clone());
            // Nobody says any more, and whoever waits for the partition is told so.
            if assignment.changed().await.is_err() {
                pending::<()>().await;
            }
        }
    };
    let owned = tokio::select! {
        owned = member.take(lane.at.partition) => owned?,
        () = noted => unreachable!("it notes for as long as somebody waits"),
    };
    let assignment = member.assignment().borrow().clone();
    lane.set_assignment(&assignment);
    Ok(owned)
}

/// The stored place, if the log still is what was read of it. Otherwise the beginning, if the broker
/// has everything from there: the marks keep every effect from happening twice, and nothing genuinely
/// new is passed over.
pub(crate) async fn recover(lane: &Lane) -> Result<Offset, Error> {
    let place = lane.place().await?;
    let end = lane.context.broker.end(&lane.at).await?;
    let Some(damage) = damage(lane, &place, end).await? else { return Ok(place.position) };
    if !lane.context.broker.keeps_all(&lane.at) {
        // From the beginning it would miss what was removed: where it goes on, an operator says.
        let (topic, what) = (lane.at.to_string(), damage.to_string());
        return Err(Error::Gone { topic, place: place.position.0, what });
    }
    let (subscription, what) = (&*lane.context.name, damage.to_string());
    tracing::error!(subscription, what, "the log is not what was read of it; reading it again");
    // Shown until it is past what it had read: only then is it known that nothing is missing.
    lane.set_divergence(place.position, what);
    let work = lane.context.database.write((lane.clone(), end), |(lane, end), tx| {
        Box::pin(inbox::rewind_shortened(tx, lane.assigned(), *end))
    });
    work.await?;
    Ok(Offset::BEGINNING)
}

/// What does not fit between the place and a log that ends at `end`.
async fn damage(lane: &Lane, place: &Place, end: Offset) -> Result<Option<Error>, Error> {
    let damaged = |from, what: &str| Error::Damaged {
        topic: lane.at.to_string(),
        from,
        to: place.position.0,
        what: what.to_owned(),
    };
    if place.position > end {
        return Ok(Some(damaged(end.0 + 1, "the log ends before what was read of it")));
    }
    // Nothing was read yet: there is nothing to compare.
    let Some(before) = place.position.0.checked_sub(1) else { return Ok(None) };
    // The place remembers which event it saw there. A log that was cut and has grown again is
    // long enough and still another one.
    let there = lane.context.broker.read(&lane.at, Offset(before), 1).await;
    match there {
        Err(error) if error.is_environment() => Err(error),
        // Hurt, but it was read once: whoever comes next will find out.
        Err(_) => Ok(None),
        Ok(events) => {
            // A later one may be there: the engine removed the one that was read, not another's.
            let same = |it: &Stored| it.offset > place.position || Place::of(it) == *place;
            let other = !events.first().is_some_and(same);
            Ok(other.then(|| damaged(place.position.0, "another event is where it was read")))
        }
    }
}

/// Has every parked key go on that waits for nothing a pause could bring; `longest` is the longest there is.
pub(crate) async fn mend_parked(lane: &Lane, longest: Duration) -> Result<(), Error> {
    let work = lane.context.database.write((lane.clone(), longest), |(lane, pause), tx| {
        let now = tx.now();
        let latest = now.checked_add(*pause).unwrap_or(Timestamp::MAX);
        Box::pin(mend(tx, lane.assigned(), now, latest))
    });
    let mended = work.await?;
    if mended > 0 {
        let subscription = &*lane.context.name;
        tracing::warn!(subscription, mended, "parked keys waited for nothing: tried again");
    }
    Ok(())
}

async fn mend(
    tx: &mut Tx<'_>,
    of: Assigned<'_>,
    now: Timestamp,
    latest: Timestamp,
) -> Result<u64, Error> {
    Place::lock(tx, of).await?;
    parked::mend(tx, of, now, latest).await
}
