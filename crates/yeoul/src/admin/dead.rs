//! Dead letters of every subscription: what was given up, and trying it again.

use chassis::http::{Problem, Response, empty, json};
use events::parking::DeadLetter;
use events::subscription::Control;
use http::StatusCode;
use serde_json::{Value, json};

use super::problem;

/// How many dead letters of one subscription are listed.
const LISTED_MAX: usize = 1_000;

pub(super) fn list(controls: &[Control]) -> Result<Response, Problem> {
    let letters = all(controls)?;
    Ok(json(StatusCode::OK, &letters.iter().map(shown).collect::<Vec<_>>()))
}

pub(super) fn show(controls: &[Control], id: &str) -> Result<Response, Problem> {
    let letters = all(controls)?;
    let letter = letters.iter().find(|letter| letter.id == id).ok_or_else(Problem::not_found)?;
    let mut value = shown(letter);
    value["event"] = serde_json::from_slice(&letter.event.to_json()).unwrap_or(Value::Null);
    Ok(json(StatusCode::OK, &value))
}

pub(super) async fn redrive(controls: &[Control], id: &str) -> Result<Response, Problem> {
    for control in controls {
        if control.redrive(id).await.map_err(|error| problem(&error))? {
            return Ok(empty(StatusCode::ACCEPTED));
        }
    }
    Err(Problem::not_found())
}

fn all(controls: &[Control]) -> Result<Vec<DeadLetter>, Problem> {
    let mut letters = Vec::new();
    for control in controls {
        letters.extend(control.dead(LISTED_MAX).map_err(|error| problem(&error))?);
    }
    Ok(letters)
}

fn shown(letter: &DeadLetter) -> Value {
    json!({
        "id": letter.id,
        "subscription": letter.subscription,
        "topic": letter.topic.as_str(),
        "key": letter.key,
        "type": letter.kind,
        "attempts": letter.attempts,
        "reason": letter.reason,
        "since": letter.since.to_string(),
        "waiting": letter.waiting,
    })
}
