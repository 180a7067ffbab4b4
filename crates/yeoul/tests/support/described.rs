//! Every answer that the suite sees, held against the mall's own description (`/openapi.json`): its
//! path is known, its status listed, its body of the shape that is declared. And what was sent with it: what was
//! done without a member needs none, and a member that was missed is declared as one that has to be there.
//!
//! It looks at what the gateway and the services of a running mall answer, also what the gateway
//! answers itself. A page that was asked for as HTML has no shape; neither has a refusal shown as one.

use std::sync::{Arc, Mutex, PoisonError};

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::Answer;

const LISTENERS: [&str; 6] = ["gateway", "order", "product", "delivery", "account", "mypage"];
const PROBLEM: &str = "application/problem+json";

static BASES: Mutex<Vec<Base>> = Mutex::new(Vec::new());

/// A listener of a running mall.
#[derive(Clone)]
struct Base {
    listener: &'static str,
    url: String,
    /// The mall's description, which its settings have a part in.
    document: Arc<Value>,
}

/// What was sent, as far as it matters here.
pub(super) struct Sent<'c> {
    pub(super) method: &'c str,
    pub(super) url: &'c str,
    pub(super) wants_html: bool,
    /// A body of JSON, if it had one.
    pub(super) body: Option<&'c [u8]>,
}

/// From now on the answers of this mall are held against its description.
pub(super) fn begin(ready: &Value, document: Value) {
    let document = Arc::new(document);
    let mut bases = BASES.lock().unwrap_or_else(PoisonError::into_inner);
    for listener in LISTENERS {
        let url = ready[listener].as_str().unwrap_or_else(|| panic!("no {listener} in {ready}"));
        let url = url.trim_end_matches('/').to_owned();
        bases.push(Base { listener, url, document: document.clone() });
    }
}

/// Its addresses may be another's from now on.
pub(super) fn end(ready: &Value) {
    let ended = |base: &Base| ready[base.listener].as_str().map(|url| url.trim_end_matches('/'));
    let mut bases = BASES.lock().unwrap_or_else(PoisonError::into_inner);
    bases.retain(|base| ended(base) != Some(&base.url));
}

/// Holds an answer against the description.
#[track_caller]
pub(super) fn check(sent: &Sent<'_>, answer: &Answer) {
    if let Err(reason) = seen(sent, answer) {
        panic!("{reason}");
    }
}

/// What is wrong with an answer that a running mall gave; nothing with anybody else's.
pub(super) fn seen(sent: &Sent<'_>, answer: &Answer) -> Result<(), String> {
    let bases = BASES.lock().unwrap_or_else(PoisonError::into_inner);
    let at = |base: &&Base| {
        sent.url
            .strip_prefix(&base.url)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let Some(base) = bases.iter().find(at).cloned() else { return Ok(()) };
    drop(bases);
    let path = sent.url[base.url.len()..].split('?').next().unwrap_or_default();
    compare(&base.document, base.listener, path, sent, answer).map_err(|reason| {
        format!("{} {}: {reason}: {} {}", sent.method, sent.url, answer.status, answer.text())
    })
}

/// What is wrong with an answer of a listener to the call of this method and path.
pub(crate) fn compare_at(
    document: &Value,
    listener: &str,
    (method, path): (&str, &str),
    answer: &Answer,
) -> Result<(), String> {
    compare_sent(document, listener, (method, path), None, answer)
}

/// The same of a call with this body.
pub(crate) fn compare_sent(
    document: &Value,
    listener: &str,
    (method, path): (&str, &str),
    body: Option<&[u8]>,
    answer: &Answer,
) -> Result<(), String> {
    let sent = Sent { method, url: path, wants_html: false, body };
    compare(document, listener, path, &sent, answer)
}

fn compare(
    document: &Value,
    listener: &str,
    path: &str,
    sent: &Sent<'_>,
    answer: &Answer,
) -> Result<(), String> {
    let kind = answer.header("content-type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    let wants_html = sent.wants_html || path.ends_with(".html");
    // What a service answers on its own port alone goes before what the gateway has at the same path.
    let item = item(&document["x-ports"][listener], &decoded)
        .or_else(|| item(&document["paths"], &decoded));
    let operation = item.zip(described_as(sent.method)).map(|(item, method)| &item[method]);
    let Some(operation) = operation.filter(|operation| operation.is_object()) else {
        // What nobody describes is refused, and by a document that is described.
        return match (answer.status >= 400, kind) {
            (true, _) if sent.method == "HEAD" => Ok(()),
            (true, PROBLEM) => a_problem(document, &answer.body),
            (true, "text/html") if wants_html => Ok(()),
            (true, _) => Err(format!("a refusal that is no problem: `{kind}`")),
            (false, _) => Err("what is done here is not described".to_owned()),
        };
    };
    if let Some(body) = sent.body {
        needed(&operation["requestBody"]["content"]["application/json"]["schema"], body, answer)?;
    }
    let (status, range) = (answer.status.to_string(), format!("{}XX", answer.status / 100));
    let response =
        operation["responses"].get(&status).or_else(|| operation["responses"].get(&range));
    let response = response.ok_or("the status is not listed")?;
    if kind == "text/html" && wants_html && answer.status >= 400 {
        return Ok(());
    }
    let Some(content) = response["content"].as_object() else {
        return answer.body.is_empty().then_some(()).ok_or_else(|| "there is a body".to_owned());
    };
    let fits = |known: &str| {
        known == kind || known.strip_suffix('*').is_some_and(|it| kind.starts_with(it))
    };
    let declared = content.iter().find(|(known, _)| fits(known));
    let (_, declared) =
        declared.ok_or_else(|| format!("the media type is not listed: `{kind}`"))?;
    if sent.method == "HEAD" || !kind.ends_with("json") {
        return Ok(());
    }
    let body: Value = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
    fit(document, &declared["schema"], &body, "the body")
}

/// Whether what an operation is said to need is what it needed: whatever was done had it all, and what a refusal says
/// is missing is said to be needed.
fn needed(schema: &Value, body: &[u8], answer: &Answer) -> Result<(), String> {
    let Ok(Value::Object(sent)) = serde_json::from_slice(body) else { return Ok(()) };
    // One group for each member that has to be there, with those that may stand in for it.
    let names = |it: &Value| {
        it["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let mut groups: Vec<Vec<String>> = names(schema).into_iter().map(|name| vec![name]).collect();
    for either in schema["allOf"].as_array().into_iter().flatten() {
        groups.push(either["anyOf"].as_array().into_iter().flatten().flat_map(names).collect());
    }
    let is_there = |name: &String| sent.get(name).is_some_and(|value| !value.is_null());
    if answer.status < 300
        && let Some(group) = groups.iter().find(|group| !group.iter().any(is_there))
    {
        return Err(format!("it is done without what is said to be needed: {group:?}"));
    }
    let refused: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    for missed in refused["errors"].as_array().into_iter().flatten() {
        let field = missed["field"].as_str().unwrap_or_default();
        if missed["reason"] == "is missing" && !groups.iter().flatten().any(|name| name == field) {
            return Err(format!("`{field}` is missed, and is not said to be needed"));
        }
    }
    Ok(())
}

/// Whether a body is a problem document as it is described.
fn a_problem(document: &Value, body: &[u8]) -> Result<(), String> {
    let body: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    fit(document, &json!({ "$ref": "#/components/schemas/Problem" }), &body, "the body")
}

/// Under what name a method is described; methods have case (RFC 9110, 9.1).
fn described_as(method: &str) -> Option<String> {
    let name = if method == "HEAD" { "GET" } else { method };
    (!name.contains(|c: char| !c.is_ascii_uppercase())).then(|| name.to_ascii_lowercase())
}

/// The most exact of the described paths that this is one of.
fn item<'d>(paths: &'d Value, path: &str) -> Option<&'d Value> {
    let paths = paths.as_object()?;
    let matching = paths.iter().filter(|(known, _)| {
        known.split('/').count() == path.split('/').count()
            && known
                .split('/')
                .zip(path.split('/'))
                .all(|(known, part)| known == part || (known.starts_with('{') && !part.is_empty()))
    });
    matching.min_by_key(|(known, _)| known.matches('{').count()).map(|(_, item)| item)
}

/// Whether `value` has this shape; `at` names it.
fn fit(document: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.strip_prefix('#').expect("a reference within");
        let shape = document.pointer(pointer).ok_or_else(|| format!("no {reference}"))?;
        return fit(document, shape, value, at);
    }
    if let Some(any) = schema["anyOf"].as_array() {
        let fits = any.iter().any(|schema| fit(document, schema, value, at).is_ok());
        return fits.then_some(()).ok_or_else(|| format!("{at} is none of {any:?}"));
    }
    let least = schema["minimum"].as_u64().unwrap_or_default();
    let most = schema["maximum"].as_u64().unwrap_or(u64::MAX);
    let of_type = match schema["type"].as_str() {
        None => return Ok(()),
        Some("integer") => value.as_u64().is_some_and(|number| (least..=most).contains(&number)),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        Some(other) => return Err(format!("{at} has a type unknown here: {other}")),
    };
    if !of_type {
        return Err(format!("{at} is not {schema}"));
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        fit(document, &schema["items"], item, &format!("{at}[{index}]"))?;
    }
    members(document, schema, value, at)
}

fn members(document: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        value.get(name).ok_or_else(|| format!("{at} has no {name}"))?;
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        match schema["properties"].get(name) {
            Some(shape) => fit(document, shape, member, &format!("{at}.{name}"))?,
            None if schema["additionalProperties"] == false => {
                return Err(format!("{at} has a {name} that is not described"));
            }
            None => {}
        }
    }
    Ok(())
}
