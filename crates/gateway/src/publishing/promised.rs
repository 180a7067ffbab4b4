//! What a topic promises its readers: the types it has, and what the data of each is.
//!
//! Looked at after an event is known to be one, and before anything is stored. What is wrong is named as everything else of a
//! body is, by the event's place in a batch and its attribute, and within the data by a JSON Pointer: `[3].data/lines/0/price`.
//!
//! A core has others to answer meanwhile: between two events, once so much data was looked at, they have their turn.

use chassis::http::Problem;
use contracts::{Contract, Fault, Unknown};
use events::event::foreign::Payload;
use events::{Event, Topic};
use serde_json::value::RawValue;
use tokio::task::yield_now;

use super::Contracts;

/// Bytes of data that are looked at in one go at most, but for the last event's.
const SLICE_BYTES: usize = 64 * 1024;

/// What the data of an event without any is looked at as.
const NOTHING: &str = "null";

/// Looks at each event; `place` says what the event at an index is called, nothing where it is the only one.
///
/// # Errors
/// 400 with every field that is wrong.
pub(super) async fn check(
    contract: &Contract,
    events: &[Event],
    place: impl Fn(usize) -> String,
) -> Result<(), Problem> {
    let (mut refused, mut looked) = (None, 0);
    for (at, event) in events.iter().enumerate() {
        let faults = faults_of(contract, event);
        if !faults.is_empty() {
            refused = Some(add(refused, faults, &place(at)));
        }
        looked += event.data.get().len();
        if looked >= SLICE_BYTES {
            looked = 0;
            yield_now().await;
        }
    }
    refused.map_or(Ok(()), Err)
}

/// Whether an event of this topic and type may have these data, where nobody publishes it.
///
/// # Errors
/// 400 with every field that is wrong.
pub fn check_data(
    contracts: &Contracts,
    topic: &Topic,
    kind: &str,
    data: &RawValue,
) -> Result<(), Problem> {
    let contract = contracts.get(topic);
    contract.and_then(|it| refused(it, kind, Some(data.get()))).map_or(Ok(()), Err)
}

/// What is wrong with data of a type that is not an event's yet.
pub(crate) fn refused(contract: &Contract, kind: &str, data: Option<&str>) -> Option<Problem> {
    let faults = attributes(contract, kind, data);
    (!faults.is_empty()).then(|| add(None, faults, ""))
}

fn faults_of(contract: &Contract, event: &Event) -> Vec<Fault> {
    match event.foreign.as_ref().map_or(Payload::Json, |it| it.payload) {
        Payload::Json => attributes(contract, &event.kind, Some(event.data.get())),
        Payload::Nothing => attributes(contract, &event.kind, None),
        Payload::Base64 => {
            let says = "must be JSON: the topic says what the data of its events is";
            vec![fault("data", says.to_owned())]
        }
    }
}

/// What is wrong, by attribute.
fn attributes(contract: &Contract, kind: &str, data: Option<&str>) -> Vec<Fault> {
    match contract.faults(kind, data.unwrap_or(NOTHING)) {
        Err(Unknown(says)) => vec![fault("type", says)],
        Ok(faults) if data.is_none() && !faults.is_empty() => {
            vec![fault("data", "is missing".to_owned())]
        }
        Ok(faults) => {
            faults.into_iter().map(|it| fault(&format!("data{}", it.pointer), it.says)).collect()
        }
    }
}

fn fault(field: &str, says: String) -> Fault {
    Fault { pointer: field.to_owned(), says }
}

fn add(refused: Option<Problem>, faults: Vec<Fault>, place: &str) -> Problem {
    let says = "nothing was stored: the topic promises other data, see `errors`";
    let refused = refused.unwrap_or_else(|| Problem::bad_request(says));
    faults.into_iter().fold(refused, |refused, Fault { pointer, says }| {
        let field = if place.is_empty() { pointer } else { format!("{place}.{pointer}") };
        refused.field(field, says, None)
    })
}
