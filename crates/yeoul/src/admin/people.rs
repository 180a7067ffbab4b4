//! A person is forgotten: `POST /admin/people/forget?person=ID`.
//!
//! It says what is done and what is not: the key is gone, and with it whatever was sealed by it; what was told before and
//! kept elsewhere is whose it is to erase. Said again, it changes nothing.

use chassis::http::query::Query;
use chassis::http::{Problem, Response, json};
use http::StatusCode;
use privacy::{Forgotten, Sealing, is_person_id};
use serde_json::json;

use super::problem;

/// What a key thrown away does not reach.
const REMAINS: [&str; 5] = [
    "rows of views that were made of it, here and in backups: they show it until they are made anew",
    "what subscribers were told and keep in tables of their own",
    "events that were stored before a rule said that it is personal: nothing in them is sealed",
    "copies of the keys that were made with `yeoul backup --keys`, and what the disk itself keeps of the file",
    "where the store is PostgreSQL: its dead rows until VACUUM, its write-ahead log and the archive of it, standbys, and \
     dumps with the schema `people`; a key there is sealed by YEOUL_STORE_KEY",
];

/// Throws the key of a person away.
pub(super) async fn forget(
    sealing: Option<&Sealing>,
    mut query: Query,
) -> Result<Response, Problem> {
    let sealing = sealing.ok_or_else(|| {
        let says = "nothing is sealed here: no topic of the settings says what is personal (`pii`)";
        Problem::conflict(says)
    })?;
    query.only(&["person", "by"]);
    let person = query.get("person").unwrap_or_default().to_owned();
    let by = query.get("by").unwrap_or("the admin listener").to_owned();
    if !is_person_id(&person) {
        query.note("person", "must have 1 to 1024 bytes without control characters");
    }
    query.finish()?;
    let forgotten = sealing.keyring().forget(&person).await.map_err(|error| problem(&error))?;
    let is_known = forgotten == Forgotten::Now;
    tracing::info!(person, by, is_known, "a person is forgotten");
    let body = json!({
        "person": person,
        "known": is_known,
        "remains": REMAINS,
    });
    Ok(json(StatusCode::OK, &body))
}
