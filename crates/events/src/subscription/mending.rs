//! A dead letter tried as it would be with other data, and tried again with it.
//!
//! What came stays what it was: its id, source, type, key and place; other subscriptions and the topic know nothing of it. Replaced
//! is the data that this subscription handles, in its own store, with who did that, when, and what came.
//!
//! Where the handler is ours it may be asked before: it runs in a transaction that is taken back whatever it says, beside
//! whatever the subscription does meanwhile. Who delivers elsewhere has nothing to take back, and cannot be asked so; and one that
//! ended the process is tried by the subscription alone, where a death is counted ([`trial`](super::trial)).

use std::sync::Arc;

use serde_json::value::RawValue;

use super::Handler;
use super::context::Rehearse;
use super::control::Control;
use super::delivery::Dispatcher;
use super::trial::Died;
use crate::error::Error;
use crate::event::{EVENT_BYTES_MAX, Event};
use crate::parking::{self, Edited, EditedLetter};
use crate::partition::Numbered;
use crate::skipped::Skipped;
use crate::store::database::Database;
use crate::store::edits;
use crate::store::inbox::{Assigned, Place};
use crate::store::parked;
use crate::store::tx::Tx;

/// How an attempt ended that is to be taken back.
enum TakenBack {
    Handled,
    Failed(String),
    Expired,
    Trouble(Error),
}

impl From<Error> for TakenBack {
    fn from(error: Error) -> TakenBack {
        TakenBack::Trouble(error)
    }
}

/// Rehearsals of this dispatcher's handler.
pub(super) fn rehearsal<H: Handler>(
    dispatcher: Arc<Dispatcher<H>>,
    database: Database,
) -> Rehearse {
    Arc::new(move |event| Box::pin(rehearse(Arc::clone(&dispatcher), database.clone(), event)))
}

async fn rehearse<H: Handler>(
    dispatcher: Arc<Dispatcher<H>>,
    database: Database,
    event: Event,
) -> Result<Edited, Error> {
    let work = database.write((dispatcher, event), |(dispatcher, event), tx| {
        Box::pin(async move {
            if H::PASSES_EXPIRED && event.is_expired(tx.now()) {
                return Err(TakenBack::Expired);
            }
            let outcome = dispatcher.rehearse(tx, event).await?;
            Err::<(), _>(outcome.map_or(TakenBack::Handled, TakenBack::Failed))
        })
    });
    match work.await {
        Ok(()) | Err(TakenBack::Handled) => Ok(Edited::Done),
        Err(TakenBack::Failed(reason)) => Ok(Edited::Fails(reason)),
        Err(TakenBack::Expired) => Ok(Edited::Expired),
        Err(TakenBack::Trouble(error)) => Err(error),
    }
}

impl Control {
    /// Has a dead letter tried again as [`Control::redrive`] does, with these data in place of its own; on whose word (`by`) is
    /// kept beside it, and in a note for good.
    ///
    /// # Errors
    /// [`Error::Limit`]: the event would be larger than [`EVENT_BYTES_MAX`], or there is no room for the note.
    /// [`Error::Environment`]: nothing was done, ask again later.
    pub async fn redrive_with(
        &self,
        id: &str,
        data: Box<RawValue>,
        by: &str,
    ) -> Result<Edited, Error> {
        let Some(at) = parking::number_in(id, self.name()) else { return Ok(Edited::NoLetter) };
        let given = (Arc::clone(&self.context.name), at, data, by.to_owned());
        let work = self.context.database.write(given, |(name, at, data, by), tx| {
            Box::pin(edit_and_redrive(tx, name, *at, data, by))
        });
        let edited = work.await?;
        self.context.wake();
        Ok(edited)
    }

    /// Tries a dead letter, with these data in place of its own if some are given, and takes back whatever came of it. One that
    /// ended the process is not tried.
    ///
    /// # Errors
    /// [`Error::Limit`]: the event would be larger than [`EVENT_BYTES_MAX`]. [`Error::Environment`]: ask again later.
    pub async fn rehearse(&self, id: &str, data: Option<Box<RawValue>>) -> Result<Edited, Error> {
        let Some(at) = parking::number_in(id, self.name()) else { return Ok(Edited::NoLetter) };
        let given = (self, at);
        let read = self
            .context
            .database
            .read(&given, |(of, at), rows| Box::pin(edits::letter(rows, of.name(), *at)));
        let Some(letter) = read.await? else { return Ok(Edited::NoLetter) };
        if Died::is_reason(&letter.reason) {
            return Ok(Edited::Deadly(letter.reason));
        }
        let event = match data {
            None => letter.event,
            Some(data) => match with_data(&letter.event, &data)? {
                None => return Ok(Edited::NoJson),
                Some(event) => event,
            },
        };
        match self.context.rehearse.get() {
            None => Ok(Edited::NotHere),
            Some(rehearse) => rehearse(event).await,
        }
    }

    /// What was replaced in a parked event; `None` where nothing was.
    ///
    /// # Errors
    /// [`Error::Environment`]: ask again later.
    pub async fn edited(&self, id: &str) -> Result<Option<EditedLetter>, Error> {
        let Some(at) = parking::number_in(id, self.name()) else { return Ok(None) };
        let given = (self, at);
        let read = self
            .context
            .database
            .read(&given, |(of, at), rows| Box::pin(edits::of(rows, of.name(), *at)));
        read.await
    }
}

async fn edit_and_redrive(
    tx: &mut Tx<'_>,
    name: &str,
    at: Numbered,
    data: &RawValue,
    by: &str,
) -> Result<Edited, Error> {
    Place::lock(tx, Assigned { subscription: name, partition: at.partition }).await?;
    let Some(letter) = edits::letter(tx, name, at).await? else { return Ok(Edited::NoLetter) };
    let Some(edited) = with_data(&letter.event, data)? else { return Ok(Edited::NoJson) };
    edits::edit(tx, &letter, &edited, by).await?;
    let now = tx.now();
    parked::redrive(tx, name, at, now).await?;
    let note = Skipped {
        event: Some(edited.id),
        key: Some(edited.key),
        reason: "its data were replaced, and it was redriven".to_owned(),
        by: by.to_owned(),
        ..Skipped::blank(name, "edited", at, now)
    };
    tx.note(&note).await?;
    Ok(Edited::Done)
}

/// The event with these data; `None` where its own are no JSON.
fn with_data(event: &Event, data: &RawValue) -> Result<Option<Event>, Error> {
    if !event.is_json() {
        return Ok(None);
    }
    let edited = Event { data: data.to_owned(), ..event.clone() };
    Error::check("event", edited.to_json().len(), EVENT_BYTES_MAX)?;
    Ok(Some(edited))
}
