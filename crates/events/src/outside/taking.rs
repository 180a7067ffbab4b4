//! An offer, in the transaction that stores it: which of its events came before, and what stands against its condition.

use std::collections::{BTreeSet, HashMap, HashSet};

use jiff::Timestamp;
use serde_json::value::RawValue;

use crate::error::Error;
use crate::event::foreign::{Foreign, Payload};
use crate::event::{Cause, Event};
use crate::offer::{
    CAME_BYTES_MAX, CAME_MAX, Came, LOOKED_AT_MAX, Offer, Offered, Outcome, Unless,
};
use crate::partition::{Numbered, Partition};
use crate::store::origin::Origin;
use crate::store::outbox;
use crate::store::published::Published;
use crate::store::remembered::{self, Remembered};
use crate::store::tx::Tx;
use crate::topic::Declared;

/// What a run is given.
pub(super) struct Given {
    pub(super) offer: Offer,
    pub(super) declared: Declared,
    /// Somebody else was seen to publish to the topic.
    pub(super) has_others: bool,
}

/// What became of it, once its transaction is over.
pub(super) enum Taken {
    Stored(Vec<Place>),
    Came(Vec<Came>),
    Others,
}

/// Where an event is.
#[derive(Clone)]
pub(super) enum Place {
    Known(Numbered),
    /// It is numbered by its commit.
    New(Published),
}

impl Taken {
    /// After the commit.
    pub(super) fn outcome(self) -> Outcome {
        let number = |place| match place {
            Place::Known(at) => at,
            Place::New(published) => published.number(),
        };
        match self {
            Taken::Stored(places) => Outcome::Stored(places.into_iter().map(number).collect()),
            Taken::Came(came) => Outcome::Came(came),
            Taken::Others => Outcome::Others,
        }
    }
}

/// By what an event is one and the same.
#[derive(PartialEq, Eq, Hash)]
struct Identity<'o> {
    source: &'o str,
    id: &'o str,
}

impl Identity<'_> {
    fn of(event: &Offered) -> Identity<'_> {
        Identity { source: &event.source, id: &event.id }
    }
}

/// Stores what is new of it, if nothing stands against it.
pub(super) async fn take(given: &Given, tx: &mut Tx<'_>) -> Result<Taken, Error> {
    if let Some(unless) = &given.offer.unless
        && let Some(settled) = settled(given, unless, tx).await?
    {
        return Ok(settled);
    }
    // What is in it twice is there once.
    let events = &given.offer.events;
    let mut known = HashSet::new();
    let once: Vec<&Offered> = events.iter().filter(|it| known.insert(Identity::of(it))).collect();
    let published = remembered::publish_once(tx, &once).await?;
    let mut places = HashMap::new();
    for (event, published) in once.into_iter().zip(published) {
        let place = match published {
            Some(published) => Place::New(published),
            None => Place::Known(known_place(event, tx).await?),
        };
        places.insert(Identity::of(event), place);
    }
    let places = events.iter().filter_map(|event| places.get(&Identity::of(event)).cloned());
    Ok(Taken::Stored(places.collect()))
}

/// Where the first copy of an event is that was remembered a moment ago.
async fn known_place(event: &Offered, tx: &mut Tx<'_>) -> Result<Numbered, Error> {
    let first = remembered::first(tx, &event.source, &event.id).await?;
    first.ok_or_else(|| Error::environment("an event was forgotten while it was looked at"))
}

/// What a conditional offer is answered that needs no storing. From here to the commit nobody else publishes in the
/// partitions that it is about.
async fn settled(given: &Given, unless: &Unless, tx: &mut Tx<'_>) -> Result<Option<Taken>, Error> {
    let Given { offer, declared: Declared { topic, partitions }, has_others } = given;
    let of_key = partitions.of(&unless.key);
    let written = offer.events.iter().map(|event| partitions.of(&event.key));
    // In the order in which everybody takes them.
    let all: BTreeSet<Partition> = written.chain([of_key]).collect();
    for partition in all {
        tx.lock_partition(partition).await?;
    }
    // Who asks again whether he was heard is told so: what he himself stored stands against nothing.
    if let Some(places) = all_known(offer, tx).await? {
        return Ok(Some(Taken::Stored(places)));
    }
    if *has_others {
        return Ok(Some(Taken::Others));
    }
    let came = remembered::of_key(tx, unless, of_key, LOOKED_AT_MAX).await?;
    Error::check("events", came.len(), LOOKED_AT_MAX)?;
    let is_after = |it: &Remembered| it.at.number > unless.after.of(it.at.partition);
    let named = |it: &Remembered| is_after(it) && unless.kinds.contains(&it.kind);
    let named: Vec<Remembered> = came.into_iter().filter(named).collect();
    if !named.is_empty() {
        let origin = Origin { source: topic.as_str(), file_id: "", takes_whole: true };
        return Ok(Some(Taken::Came(shown(named, unless, origin, tx).await?)));
    }
    let (after, forgotten) = (unless.after.of(of_key), remembered::forgotten(tx, of_key).await?);
    if after < forgotten {
        let what = format!("it is remembered after {forgotten}");
        return Err(Error::Gone { topic: topic.at(of_key).to_string(), place: after, what });
    }
    Ok(None)
}

/// Where all of its events are, if none is new.
async fn all_known(offer: &Offer, tx: &mut Tx<'_>) -> Result<Option<Vec<Place>>, Error> {
    let mut places = Vec::with_capacity(offer.events.len());
    for event in &offer.events {
        match remembered::first(tx, &event.source, &event.id).await? {
            Some(at) => places.push(Place::Known(at)),
            None => return Ok(None),
        }
    }
    Ok(Some(places))
}

/// The oldest of those that came, as far as they have room.
async fn shown(
    named: Vec<Remembered>,
    unless: &Unless,
    origin: Origin<'_>,
    tx: &mut Tx<'_>,
) -> Result<Vec<Came>, Error> {
    let (mut came, mut room) = (Vec::new(), CAME_BYTES_MAX);
    for one in named.into_iter().take(CAME_MAX) {
        let at = one.at;
        let kept = outbox::find(tx, origin, at).await?;
        let event = kept.unwrap_or_else(|| without_data(one, unless));
        match room.checked_sub(event.to_json().len()) {
            Some(left) => room = left,
            None if came.is_empty() => room = 0,
            None => break,
        }
        came.push(Came { at, event });
    }
    Ok(came)
}

/// What is known of an event whose row the outbox keeps no more.
fn without_data(of: Remembered, unless: &Unless) -> Event {
    let Remembered { source, id, kind, taken, .. } = of;
    let foreign = Foreign { payload: Payload::Nothing, names_key: true, ..Foreign::default() };
    Event {
        id,
        source,
        kind,
        subject: String::new(),
        time: Timestamp::from_microsecond(taken).unwrap_or(Timestamp::UNIX_EPOCH),
        key: unless.key.clone(),
        sequence: 0,
        outbox_sequence: None,
        outbox_previous: None,
        outbox_source: None,
        cause: Cause::default(),
        data: RawValue::NULL.to_owned(),
        foreign: Some(Box::new(foreign)),
    }
}
