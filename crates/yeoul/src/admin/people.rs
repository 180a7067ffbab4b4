//! A person is forgotten: `POST /admin/people/forget?person=ID`.
//!
//! It says what is done and what is not: the key is gone, and with it whatever was sealed by it; what was told before and
//! kept elsewhere is whose it is to erase. Said again, it changes nothing.

use chassis::http::query::Query;
use chassis::http::{Problem, Response, json};
use http::StatusCode;
use privacy::{Forgotten, Sealing};
use serde_json::json;

use super::problem;

/// What a key thrown away does not reach.
const REMAINS: [&str; 3] = [
    "rows of views that were made of it: they show it until they are made anew",
    "what subscribers were told and keep in tables of their own",
    "copies of the keys that were made with `yeoul backup --keys`, and what the disk itself keeps of the file",
];

/// Throws the key of a person away.
pub(super) async fn forget(sealing: Option<&Sealing>, query: &Query) -> Result<Response, Problem> {
    let sealing = sealing.ok_or_else(|| {
        let says = "nothing is sealed here: no topic of the settings says what is personal (`pii`)";
        Problem::conflict(says)
    })?;
    let person = query.get("person").filter(|person| !person.is_empty());
    let person = person.ok_or_else(|| Problem::bad_field("person", "is missing"))?;
    let forgotten = sealing.keyring().forget(person).await.map_err(|error| problem(&error))?;
    let body = json!({
        "person": person,
        "known": forgotten == Forgotten::Now,
        "remains": REMAINS,
    });
    Ok(json(StatusCode::OK, &body))
}
