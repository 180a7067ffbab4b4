//! Subscriptions that an operator has take nothing: `POST /admin/subscriptions/{name}/pause`, with `{"until": …}` or with
//! no body at all, and `…/resume`. Both are 204, and may be said again.

use chassis::clock;
use chassis::http::fields::Fields;
use chassis::http::{Problem, Request, Response, empty};
use chassis::settings::text::Period;
use events::subscription::{Control, Pause};
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::problem;
use super::switches::BodyRequest;

/// The longest text of a time.
const UNTIL_CHARS_MAX: usize = 64;

/// Has it take nothing, until the time that the body says, if it says one.
pub(super) async fn pause(
    controls: &[Control],
    name: &str,
    request: Request,
) -> Result<Response, Problem> {
    let control = named(controls, name)?;
    let until = asked(&BodyRequest::read(request).await?)?;
    control.pause(until).await.map_err(|error| problem(&error))?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// Has it go on.
pub(super) async fn resume(controls: &[Control], name: &str) -> Result<Response, Problem> {
    named(controls, name)?.resume().await.map_err(|error| problem(&error))?;
    Ok(empty(StatusCode::NO_CONTENT))
}

fn named<'c>(controls: &'c [Control], name: &str) -> Result<&'c Control, Problem> {
    controls.iter().find(|control| control.name() == name).ok_or_else(Problem::not_found)
}

fn asked(given: &BodyRequest) -> Result<Option<Timestamp>, Problem> {
    if given.is_empty() {
        return Ok(None);
    }
    let mut fields = given.fields()?;
    let text = fields.text("until", UNTIL_CHARS_MAX);
    // One that is misspelt would be a pause without an end.
    fields.only(&Fields::asked(|mut fields| drop(fields.text("until", UNTIL_CHARS_MAX))));
    let until = text.map(|text| until(&text, clock::wall())).transpose();
    if let Err(wrong) = &until {
        fields.note("until", wrong.as_str(), None);
    }
    fields.finish()?;
    until.map_err(Problem::bad_request)
}

/// The moment that a text says: itself, or so long from now.
///
/// # Errors
/// What it must be.
pub(crate) fn until(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let after = |Period(time)| now.checked_add(time).ok();
    let until = text.parse().ok().or_else(|| Period::parse(text).and_then(after));
    let wrong =
        "must be a time such as 2024-05-01T12:00:00Z, or how long from now: `90s`, `12h` or `30d`";
    match until {
        None => Err(wrong.to_owned()),
        Some(until) if until <= now => Err(format!("must be later than now, which is {now}")),
        Some(until) => Ok(until),
    }
}

/// As it is shown.
pub(crate) fn shown(pause: &Pause) -> Value {
    json!({ "since": pause.since.to_string(), "until": pause.until.map(|until| until.to_string()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_moment_or_a_time_from_now_and_never_past() {
        let now: Timestamp = "2024-05-01T12:00:00Z".parse().expect("a time");
        let check = |text: &str, expected: Result<&str, &str>| match (until(text, now), expected) {
            (Ok(until), Ok(expected)) => assert_eq!(until.to_string(), expected, "{text}"),
            (Err(wrong), Err(expected)) => assert!(wrong.contains(expected), "{text}: {wrong}"),
            other => panic!("{text}: {other:?}"),
        };
        check("2024-05-01T12:00:01Z", Ok("2024-05-01T12:00:01Z"));
        check("2024-05-01T14:30:00+02:00", Ok("2024-05-01T12:30:00Z"));
        check("90s", Ok("2024-05-01T12:01:30Z"));
        check("30d", Ok("2024-05-31T12:00:00Z"));
        check("2024-05-01T12:00:00Z", Err("later than now"));
        check("2023-05-01T12:00:00Z", Err("later than now"));
        for text in ["", "0s", "soon", "-1h", "36501d", "2024-05-01"] {
            check(text, Err("must be a time such as"));
        }
    }
}
