//! One dead letter tried again: as it came or with other data, and on request only to see what would come of it.
//!
//! With `edit=true` the body is the data, JSON, such as the topic promises; else it is tried as it is, whatever a client sends along. `dry_run=true` has the handler try it in a transaction that is taken
//! back whatever it says, which only a handler of ours in this process can.

use chassis::http::query::Query;
use chassis::http::{Problem, Request, Response, empty, json};
use events::parking::Edited;
use events::{Error, Event, Topic};
use gateway::Promises;
use http::StatusCode;
use privacy::sealing::Already;
use privacy::{Refused, Sealing};
use serde_json::json;
use serde_json::value::RawValue;

use super::{Controls, shown};
use crate::admin::problem;
use crate::admin::switches::BodyRequest;

impl Controls {
    /// Tries it again, or says what would come of that.
    pub(in crate::admin) async fn redrive(
        &self,
        id: &str,
        request: Request,
        promises: &Promises,
    ) -> Result<Response, Problem> {
        let mut query = Query::parse(request.uri().query())?;
        query.only(&["dry_run", "edit", "by"]);
        let is_dry = super::filter::flag(&mut query, "dry_run");
        let is_edit = super::filter::flag(&mut query, "edit");
        let by = query.get("by").unwrap_or("the admin listener").to_owned();
        query.finish()?;
        let given = BodyRequest::read(request).await?;
        let mut data = is_edit.then(|| data(&given)).transpose()?;
        if let Some(data) = &mut data {
            self.look_at(promises, id, data).await?;
        }
        match (is_dry, data) {
            (true, data) => answer(self.rehearse(id, data).await, id, is_dry),
            (false, Some(data)) => answer(self.redrive_with(id, data, &by).await, id, is_dry),
            (false, None) => match self.redrive_one(id).await.map_err(|error| problem(&error))? {
                true => Ok(empty(StatusCode::ACCEPTED)),
                false => Err(Problem::not_found()),
            },
        }
    }

    /// Whether these are data that the letter's topic has: no reader is to handle what nobody could publish. What is
    /// personal in them is sealed then, as it was in its own; what was taken from there is.
    async fn look_at(
        &self,
        promises: &Promises,
        id: &str,
        data: &mut Box<RawValue>,
    ) -> Result<(), Problem> {
        for control in &self.subscriptions {
            let letter = control.dead_event(id).await.map_err(|error| problem(&error))?;
            let Some(letter) = letter.filter(Event::is_json) else { continue };
            let (topic, edited) = (control.topic(), Event { data: data.clone(), ..letter });
            let told = match &promises.sealing {
                None => None,
                Some(sealing) => sealing.opened(topic, &edited).await.map_err(|it| problem(&it))?,
            };
            let told = told.as_ref().unwrap_or(&edited);
            gateway::check_data(&promises.contracts, topic, &told.kind, &told.data)?;
            if let Some(sealing) = &promises.sealing {
                *data = sealed(sealing, topic, edited).await?;
            }
            return Ok(());
        }
        Ok(())
    }

    async fn redrive_with(&self, id: &str, data: Box<RawValue>, by: &str) -> Result<Edited, Error> {
        for control in &self.subscriptions {
            let edited = control.redrive_with(id, data.clone(), by).await?;
            if edited != Edited::NoLetter {
                return Ok(edited);
            }
        }
        self.not_here(id).await
    }

    async fn rehearse(&self, id: &str, data: Option<Box<RawValue>>) -> Result<Edited, Error> {
        for control in &self.subscriptions {
            let edited = control.rehearse(id, data.clone()).await?;
            if edited != Edited::NoLetter {
                return Ok(edited);
            }
        }
        self.not_here(id).await
    }

    /// A letter of an outbox is published as it was committed.
    async fn not_here(&self, id: &str) -> Result<Edited, Error> {
        for relay in &self.relays {
            if relay.dead_event(id).await?.is_some() {
                return Ok(Edited::NotHere);
            }
        }
        Ok(Edited::NoLetter)
    }

    /// Who replaced its data and when, and the event as it came, where somebody did.
    pub(super) async fn show_edited(&self, id: &str) -> Result<serde_json::Value, Problem> {
        for control in &self.subscriptions {
            let Some(edited) = control.edited(id).await.map_err(|error| problem(&error))? else {
                continue;
            };
            let original = edited.original.map(|event| shown(&event.to_json()));
            let at = edited.at.to_string();
            return Ok(json!({ "at": at, "by": edited.by, "original": original }));
        }
        Ok(serde_json::Value::Null)
    }
}

/// The data of an event, sealed; what is sealed in them already stays so.
async fn sealed(sealing: &Sealing, topic: &Topic, edited: Event) -> Result<Box<RawValue>, Problem> {
    let mut events = [edited];
    let sealed = sealing.seal(topic, &mut events, Already::Kept).await;
    sealed.map_err(|refused| match refused {
        Refused::Event { field, says, .. } => Problem::bad_field(&field, says),
        Refused::Keys(error) => problem(&error),
    })?;
    let [Event { data, .. }] = events;
    Ok(data)
}

/// The data of a body.
fn data(given: &BodyRequest) -> Result<Box<RawValue>, Problem> {
    let data = serde_json::from_slice(given.json()?);
    data.map_err(|error| Problem::bad_field("data", format!("is no JSON: {error}")))
}

fn answer(came: Result<Edited, Error>, id: &str, is_dry: bool) -> Result<Response, Problem> {
    let came = came.map_err(|error| match &error {
        Error::Limit { field: "event", limit, .. } => {
            Problem::bad_field("data", format!("makes the event larger than {limit} bytes"))
        }
        _ => problem(&error),
    })?;
    match came {
        Edited::Done if is_dry => Ok(json(StatusCode::OK, &json!({ "outcome": "handled" }))),
        Edited::Done => Ok(empty(StatusCode::ACCEPTED)),
        Edited::Fails(reason) => {
            Ok(json(StatusCode::OK, &json!({ "outcome": "failed", "reason": reason })))
        }
        Edited::Expired => Ok(json(StatusCode::OK, &json!({ "outcome": "expired" }))),
        Edited::Deadly(reason) => Err(Problem::conflict(format!(
            "{id} is not tried beside other work, and would take this process along: {reason}; `yeoul dead redrive {id}` \
             has its subscription try it, which gives it up again where the process ends with it, and `yeoul dead drop {id}` gives it up for good"
        ))),
        Edited::NoJson => Err(Problem::conflict(format!(
            "the data of {id} are no JSON, and cannot be replaced by it"
        ))),
        Edited::NotHere if is_dry => Err(Problem::conflict(format!(
            "{id} is handled by nobody in this process, where it could be tried and taken back: what is delivered \
             elsewhere is tried by a redrive alone"
        ))),
        Edited::NotHere => Err(Problem::conflict(format!(
            "{id} is an event that no broker took: it is published as it was committed, or dropped"
        ))),
        _ => Err(Problem::not_found()),
    }
}
