//! What was delivered elsewhere lately, of one subscription.

use std::collections::BTreeMap;

use chassis::http::{Problem, Response, json};
use http::StatusCode;
use push::{Attempt, AttemptLog, AttemptResult};
use serde_json::{Value, json};

/// What was delivered lately, by the names that the settings have.
pub(crate) type Logs = BTreeMap<String, AttemptLog>;

/// The newest first.
pub(super) fn log(logs: &Logs, name: &str) -> Result<Response, Problem> {
    let log = logs.get(name).ok_or_else(Problem::not_found)?;
    Ok(json(StatusCode::OK, &log.newest().iter().map(delivery).collect::<Vec<_>>()))
}

fn delivery(delivery: &Attempt) -> Value {
    let Attempt { at, id, key, attempt, status, took, result } = delivery;
    let (result, reason) = match result {
        AttemptResult::Delivered => ("delivered", None),
        AttemptResult::Failed(reason) => ("failed", Some(reason.as_str())),
        AttemptResult::NotNow(why) => ("not now", why.as_deref()),
    };
    let (at, ms) = (at.to_string(), took.as_secs_f64() * 1000.0);
    json!({
        "at": at, "id": id, "key": key, "attempt": attempt, "status": status, "ms": ms, "result": result,
        "reason": reason,
    })
}
