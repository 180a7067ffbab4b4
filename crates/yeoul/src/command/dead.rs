//! `yeoul dead`: what was given up, what is tried again by itself and what was stepped over; trying it again and dropping it,
//! beside a running process.

use std::path::Path;

use events::event::EVENT_BYTES_MAX;
use http::header::CONTENT_TYPE;
use http::{Method, Request};
use http_body_util::Full;
use hyper::body::Bytes;
use serde_json::Value;

use super::ask::{self, Process};
use super::{print, publish, skip};
use crate::admin::dead::many::YEOUL_LEFT;
use crate::cli::{DeadCommand, LetterFilter, Letters};
use crate::exit::Failure;

pub(super) fn run(command: DeadCommand) -> Result<(), Failure> {
    match command {
        DeadCommand::List { filter, place } => list(&Process::holding(&place.data)?, &filter),
        DeadCommand::Show { id, place } => {
            let letter = Process::holding(&place.data)?
                .get(&format!("/admin/dead/{}", ask::segment(&id)))?;
            print([format!("{letter:#}")])
        }
        DeadCommand::Redrive { letters, with, place } => {
            let process = Process::holding(&place.data)?;
            match &letters.id {
                Some(id) => redrive(&process, id, with.as_deref(), letters.dry_run),
                None => mend(&process, "redrive", &letters),
            }
        }
        DeadCommand::Drop { letters, place } => {
            let process = Process::holding(&place.data)?;
            let Some(id) = &letters.id else { return mend(&process, "drop", &letters) };
            if letters.dry_run {
                let letter = process.get(&format!("/admin/dead/{}", ask::segment(id)))?;
                return print([line(&letter)]);
            }
            process.post(&format!("/admin/dead/{}/drop?by={}", ask::segment(id), skip::who()))?;
            print([format!("{id} is given up; what waits behind it follows in order")])
        }
    }
}

/// Tries one again, as it is or with the data of a file; or says what would come of it.
fn redrive(process: &Process, id: &str, with: Option<&Path>, is_dry: bool) -> Result<(), Failure> {
    let data = with.map(|file| {
        let file = Some(file).filter(|file| *file != Path::new("-"));
        publish::read(file, EVENT_BYTES_MAX, "an event has less")
    });
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!(
            "/admin/dead/{}/redrive?dry_run={is_dry}&edit={}&by={}",
            ask::segment(id),
            data.is_some(),
            skip::who()
        ))
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(data.transpose()?.unwrap_or_default())));
    let request = request.map_err(|error| Failure::input(error, "check the arguments"))?;
    let said = ask::done(process.send(request)?)?;
    match (is_dry, said["reason"].as_str()) {
        (false, _) => {
            print([format!("{id} is tried again, and what waits behind it follows in order")])
        }
        (true, None) if said["outcome"] == "expired" => {
            print([format!("{id} would be passed, since its deadline has come; nothing was done")])
        }
        (true, None) => print([format!("{id} would be handled; nothing was done")]),
        (true, Some(why)) => print([format!("{id} would fail: {why}; nothing was done")]),
    }
}

/// Letters, and where all are meant what is tried again by itself and what was stepped over.
fn list(process: &Process, filter: &LetterFilter) -> Result<(), Failure> {
    let asked = query(filter);
    let Listed { letters, left } = listed(process, &asked.join("&"))?;
    let more =
        format!("{left} more are not shown: those that were parked last; `--since` shows them");
    let shown = lines(&letters, line).into_iter().chain((left > 0).then_some(more));
    if !asked.is_empty() {
        return print(shown);
    }
    let (retried, skipped) = (process.get("/admin/retried")?, process.get("/admin/skipped")?);
    let others = [lines(&retried, retried_line), lines(&skipped, skip::line)];
    print(shown.chain(others.into_iter().flatten()))
}

/// Dead letters of a process, and how many more it has than it lists.
pub(super) struct Listed {
    pub(super) letters: Value,
    pub(super) left: u64,
}

/// Those that a query means.
pub(super) fn listed(process: &Process, query: &str) -> Result<Listed, Failure> {
    let answer = process.ask(&Method::GET, &format!("/admin/dead?{query}"))?;
    let left = answer.headers().get(&YEOUL_LEFT).and_then(|left| left.to_str().ok()?.parse().ok());
    Ok(Listed { letters: ask::done(answer)?, left: left.unwrap_or_default() })
}

fn lines(list: &Value, line: fn(&Value) -> String) -> Vec<String> {
    list.as_array().map_or(&[][..], Vec::as_slice).iter().map(line).collect()
}

/// A filter's parts, as a query has them.
fn query(filter: &LetterFilter) -> Vec<String> {
    let LetterFilter { subscription, topic, kind, key, since, until, reason } = filter;
    let parts = [
        ("subscription", subscription),
        ("topic", topic),
        ("type", kind),
        ("key", key),
        ("since", since),
        ("until", until),
        ("reason", reason),
    ];
    let given = parts.into_iter().filter_map(|(name, part)| Some((name, part.as_ref()?)));
    given.map(|(name, part)| format!("{name}={}", ask::segment(part))).collect()
}

/// Has it done to all that are meant, or says which those are.
fn mend(process: &Process, what: &str, letters: &Letters) -> Result<(), Failure> {
    let mut asked = query(&letters.filter);
    asked.push(format!("by={}", skip::who()));
    asked.extend(letters.all.then(|| "all=true".to_owned()));
    asked.extend(letters.limit.map(|limit| format!("limit={limit}")));
    asked.extend(letters.dry_run.then(|| "dry_run=true".to_owned()));
    let said = process.post(&format!("/admin/dead/{what}?{}", asked.join("&")))?;
    let left = said["left"].as_u64().unwrap_or_default();
    if letters.dry_run {
        let mut shown = lines(&said["letters"], line);
        shown.push(format!("{} would be done, {left} left", shown.len()));
        return print(shown);
    }
    let (done, word) = match &said["redriven"] {
        Value::Null => (&said["dropped"], "dropped"),
        done => (done, "redriven"),
    };
    print([format!("{done} {word}, {left} left")])?;
    match said["stopped"].as_str() {
        Some(why) => Err(Failure::environment(why, "say it again once that is mended")),
        None => Ok(()),
    }
}

fn retried_line(event: &Value) -> String {
    let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    format!(
        "retried  {}  {} {}  key {}  {} attempts  {} waiting  next at {}  {}",
        text("id"),
        text("topic"),
        text("type"),
        text("key"),
        event["attempts"],
        event["waiting"],
        text("nextAttempt"),
        text("reason"),
    )
    .trim_end()
    .to_owned()
}

fn line(letter: &Value) -> String {
    let text = |name: &str| letter[name].as_str().unwrap_or_default().to_owned();
    format!(
        "{}  {} {}  key {}  {} attempts  {} waiting  since {}  {}",
        text("id"),
        text("topic"),
        text("type"),
        text("key"),
        letter["attempts"],
        letter["waiting"],
        text("since"),
        text("reason"),
    )
}
