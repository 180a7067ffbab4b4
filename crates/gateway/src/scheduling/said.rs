//! What the body of a schedule says, every mistake named, and how one is shown. The same reader says what it looks for, for the
//! description.

use std::time::Duration;

use chassis::http::Problem;
use chassis::http::asked::Asked;
use chassis::http::fields::Fields;
use chassis::settings::text::{Period, Span};
use events::Topic;
use events::event::incoming::Wrong;
use events::schedules::cron::Cron;
use events::schedules::moment::{Moment, Zone};
use events::schedules::{Said, Schedule};
use http::HeaderMap;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// The zone of a `cron` that names none.
const UTC: &str = "UTC";

/// A name and a moment for the event that is looked at before it is kept.
pub(super) const TRIED: &str = "1";

/// The data as it was written: numbers and all.
#[derive(Deserialize)]
struct Written<'b> {
    #[serde(borrow, default)]
    data: Option<&'b RawValue>,
}

/// What is to be published and when; `known` says which topics there are.
///
/// # Errors
/// 415 and 400, with every field that is wrong.
pub(super) fn read(
    headers: &HeaderMap,
    body: &[u8],
    key: &str,
    known: &dyn Fn(&Topic) -> bool,
) -> Result<Said, Problem> {
    let mut fields = Fields::parse(headers, body)?;
    let written: Option<Written<'_>> = serde_json::from_slice(body).ok();
    let data = written.and_then(|it| it.data).map(RawValue::to_owned);
    let said = members(&mut fields, data, known);
    if let Some(said) = &said
        && let Err(wrong) = said.event(key, TRIED, Timestamp::UNIX_EPOCH)
    {
        for wrong in wrong {
            fields.note(&wrong.field, wrong.reason, wrong.limit.map(Into::into));
        }
    }
    fields.only(&asked());
    fields.finish()?;
    said.ok_or_else(|| Problem::bad_request("the body says no schedule"))
}

/// What is wrong with a schedule's event, sealed.
pub(super) fn refused(wrong: Vec<Wrong>) -> Problem {
    let refused = Problem::bad_request("the schedule's event cannot be kept, see `errors`");
    wrong.into_iter().fold(refused, |refused, Wrong { field, reason, limit }| {
        refused.field(field, reason, limit.map(Into::into))
    })
}

/// The members of such a body.
pub(crate) fn asked() -> Vec<Asked> {
    Fields::asked(|mut fields| drop(members(&mut fields, None, &|_| true)))
}

fn members(
    fields: &mut Fields,
    data: Option<Box<RawValue>>,
    known: &dyn Fn(&Topic) -> bool,
) -> Option<Said> {
    let moment = moment(fields);
    fields.require("topic");
    fields.require("type");
    let topic = fields.typed("topic").and_then(|name| {
        let topic = Topic::parse(&name).ok().filter(known);
        if topic.is_none() {
            fields.note("topic", "is no topic that there is", None);
        }
        topic
    });
    let (kind, subject) = (fields.typed("type"), fields.typed("subject"));
    fields.raw("data");
    Some(Said { moment: moment?, topic: topic?, kind: kind?, subject, data })
}

/// One of the three ways to say when.
fn moment(fields: &mut Fields) -> Option<Moment> {
    let ways = ["at", "in", "cron"].map(|name| fields.has(name).then_some(name));
    let mut named = ways.into_iter().flatten();
    let (first, second) = (named.next(), named.next());
    let (at, after) = (at(fields), after(fields));
    let every = every(fields);
    match (first, second) {
        (None, _) => {
            let says = "is missing: one of `at`, `in` and `cron` says when";
            fields.note("at", says, None);
            None
        }
        (Some(first), Some(second)) => {
            fields.note(second, format!("goes without `{first}`: one of the two says when"), None);
            None
        }
        (Some(_), None) => at.or(after).or(every),
    }
}

fn at(fields: &mut Fields) -> Option<Moment> {
    let text = fields.typed("at")?;
    // What has no offset is no moment, and jiff takes none for one either.
    let at = text.parse().ok().map(Moment::At);
    if at.is_none() {
        fields.note("at", "must be a moment by RFC 3339, as 2026-11-28T09:30:00+09:00", None);
    }
    at
}

fn after(fields: &mut Fields) -> Option<Moment> {
    let text = fields.typed("in")?;
    let span = quantity(&text).map(|Span(span)| span);
    let after: Option<Duration> = span.or_else(|| quantity(&text).map(|Period(period)| period));
    if after.is_none() {
        let says = "must be a whole number with its unit, as 500ms, 90s, 10m, 12h or 30d";
        fields.note("in", says, None);
    }
    after.map(Moment::In)
}

fn quantity<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_value(Value::from(text)).ok()
}

fn every(fields: &mut Fields) -> Option<Moment> {
    let (cron, name) = (fields.typed("cron"), fields.typed("zone"));
    if cron.is_none() && fields.has("zone") && !fields.has("cron") {
        fields.note("zone", "goes with `cron` alone", None);
    }
    let zone = Zone::named(name.as_deref().unwrap_or(UTC));
    if zone.is_none() {
        let says = "is no time zone of the IANA database, as Asia/Seoul";
        fields.note("zone", says, None);
    }
    match Cron::parse(&cron?) {
        Ok(cron) => Some(Moment::Every { cron, zone: Box::new(zone?) }),
        Err(wrong) => {
            fields.note("cron", format!("{}, at character {}", wrong.reason, wrong.at), None);
            None
        }
    }
}

/// The member that said when.
pub(super) fn field(moment: &Moment) -> &'static str {
    match moment {
        Moment::At(_) => "at",
        Moment::In(_) => "in",
        Moment::Every { .. } => "cron",
    }
}

/// One as it is shown: what was said, and when it comes and came.
pub(super) fn shown(key: &str, schedule: &Schedule) -> Value {
    let Schedule { said, next, fired, occurrences } = schedule;
    let mut shown = Map::new();
    let mut show = |name: &str, value: Value| drop(shown.insert(name.to_owned(), value));
    show("key", json!(key));
    match &said.moment {
        Moment::At(at) => show("at", json!(at.to_string())),
        Moment::In(after) if after.subsec_millis() == 0 => {
            show("in", json!(format!("{}s", after.as_secs())));
        }
        Moment::In(after) => show("in", json!(format!("{}ms", after.as_millis()))),
        Moment::Every { cron, zone } => {
            show("cron", json!(cron.text()));
            show("zone", json!(zone.name()));
        }
    }
    show("topic", json!(said.topic.as_str()));
    show("type", json!(said.kind));
    if let Some(subject) = &said.subject {
        show("subject", json!(subject));
    }
    if let Some(data) = &said.data {
        // A number that no double holds is shown as a text.
        let value = serde_json::from_str(data.get()).unwrap_or_else(|_| json!(data.get()));
        show("data", value);
    }
    let moment = |at: &Option<Timestamp>| at.map_or(Value::Null, |at| json!(at.to_string()));
    show("next", moment(next));
    show("fired", moment(fired));
    show("occurrences", json!(occurrences));
    Value::Object(shown)
}

/// The shape of that.
pub(crate) fn shape() -> Value {
    let text = || json!({ "type": "string" });
    let moment = || json!({ "type": ["string", "null"], "format": "date-time" });
    json!({
        "type": "object",
        "properties": {
            "key": text(), "at": text(), "in": text(), "cron": text(), "zone": text(),
            "topic": text(), "type": text(), "subject": text(), "data": {},
            "next": moment(), "fired": moment(),
            "occurrences": { "type": "integer", "minimum": 0 },
        },
        "required": ["key", "topic", "type", "next", "fired", "occurrences"],
        "additionalProperties": false,
    })
}
