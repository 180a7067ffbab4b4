//! A subscription's place, moved on an operator's word: what it does whose topic has its place no more.
//!
//! Backwards that is safe at any time, since marks say what was received. Forwards it leaves events without effect, so
//! a note says which, in the transaction that moves it.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use super::context::Lane;
use super::control::Control;
use crate::broker::Offset;
use crate::error::Error;
use crate::partition::Partition;
use crate::position::TopicPosition;
use crate::skipped::{self, Skipped};
use crate::store::inbox::Place;
use crate::store::tx::Tx;

/// Why events are passed, for the note.
const REASON: &str = "it was told to read on from behind them";

/// From where a subscription is to read on.
///
/// ```
/// use yeoul_events::subscription::Destination;
///
/// for text in ["beginning", "end", "2024-05-01T12:00:00Z", "t17_3-20.order"] {
///     assert_eq!(text.parse::<Destination>()?.to_string(), text);
/// }
/// assert!("middle".parse::<Destination>().is_err());
/// # Ok::<(), yeoul_events::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Everything that its topic still has.
    Beginning,
    /// What comes from now on.
    End,
    /// The first event whose time is not before this one.
    Since(Timestamp),
    /// Behind this place of each partition; of one that it does not name, from the beginning.
    After(TopicPosition),
}

impl FromStr for Destination {
    type Err = Error;

    fn from_str(text: &str) -> Result<Destination, Error> {
        let other = || {
            let time = text.parse().map(Destination::Since).ok();
            time.or_else(|| text.parse().map(Destination::After).ok())
        };
        match text {
            "beginning" => Ok(Destination::Beginning),
            "end" => Ok(Destination::End),
            _ => other().ok_or_else(|| {
                Error::decode(
                    "it is `beginning`, `end`, a time such as 2024-05-01T12:00:00Z, or the position of an event",
                )
            }),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Destination::Beginning => formatter.write_str("beginning"),
            Destination::End => formatter.write_str("end"),
            Destination::Since(time) => time.fmt(formatter),
            Destination::After(position) => position.fmt(formatter),
        }
    }
}

impl Control {
    /// Has it read on from elsewhere, in one partition or in all; on whose word is for the note of what it passes.
    ///
    /// # Errors
    /// [`Error::Token`]: the position is another topic's, or past the end. [`Error::Limit`]: no room for the note.
    /// [`Error::Environment`]: ask again later; partitions before this one are moved.
    pub async fn move_to(
        &self,
        to: &Destination,
        only: Option<Partition>,
        by: &str,
    ) -> Result<(), Error> {
        let is_meant = |lane: &Lane| only.is_none_or(|only| lane.at.partition == only);
        for lane in self.context.lanes().filter(is_meant) {
            let place = place(&lane, to).await?;
            let given = (lane, place, by.to_owned());
            let work = self
                .context
                .database
                .write(given, |(lane, place, by), tx| Box::pin(move_place(tx, lane, place, by)));
            work.await?;
        }
        self.context.wake();
        Ok(())
    }
}

/// The place, with the event that is there, by which it is known again.
async fn place(lane: &Lane, to: &Destination) -> Result<Place, Error> {
    let broker = &lane.context.broker;
    let position = match to {
        Destination::Beginning => return Ok(Place::default()),
        Destination::End => broker.end(&lane.at).await?,
        Destination::Since(time) => broker.since(&lane.at, *time).await?,
        Destination::After(position) => after(lane, position).await?,
    };
    let Some(before) = position.0.checked_sub(1) else { return Ok(Place::default()) };
    let there = broker.read(&lane.at, Offset(before), 1).await;
    let there = there.into_iter().flatten().find(|stored| stored.offset == position);
    let unknown = || Place { position, ..Place::default() };
    Ok(there.map_or_else(unknown, |stored| Place::of(&stored)))
}

async fn after(lane: &Lane, position: &TopicPosition) -> Result<Offset, Error> {
    let refused = |what: &str| Error::Token { what: what.to_owned() };
    if position.topic != lane.at.topic {
        return Err(refused("the position is another topic's"));
    }
    let offset = Offset(position.offsets.of(lane.at.partition));
    if offset > lane.context.broker.end(&lane.at).await? {
        return Err(refused("the position is past the topic's end"));
    }
    Ok(offset)
}

async fn move_place(tx: &mut Tx<'_>, lane: &Lane, to: &Place, by: &str) -> Result<(), Error> {
    let before = Place::lock(tx, lane.assigned()).await?;
    if to.position > before.position {
        let note = Skipped {
            name: lane.context.name.to_string(),
            kind: "place".to_owned(),
            partition: lane.at.partition,
            first: before.position.0 + 1,
            last: to.position.0,
            event: None,
            key: None,
            reason: REASON.to_owned(),
            at: skipped::moment(tx.now()),
            by: by.to_owned(),
        };
        tx.note(&note).await?;
    }
    to.save(tx, lane.assigned()).await
}
