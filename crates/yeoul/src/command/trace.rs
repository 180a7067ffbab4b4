//! `yeoul events trace`: one business transaction as a tree, and what was not looked at for it.

use std::path::Path;

use chassis::clock;
use chassis::settings::text::Period;
use jiff::Timestamp;
use serde_json::Value;

use super::ask::{self, Process};
use super::{advise, print};
use crate::exit::Failure;

pub(super) fn run(id: &str, since: Option<&str>, limit: u64, data: &Path) -> Result<(), Failure> {
    let mut path = format!("/admin/trace?id={}&limit={limit}", ask::segment(id));
    if let Some(text) = since {
        let since = began(text, clock::wall()).ok_or_else(|| {
            let says = "--since must be a time such as 2024-05-01T12:00:00Z, or how long ago: `90s`, `12h`, `30d`";
            Failure::input(says, "say another")
        })?;
        path += &format!("&since={}", ask::segment(&since.to_string()));
    }
    let trace = Process::holding(data)?.get(&path)?;
    print(list(&trace["steps"]).iter().flat_map(step))?;
    for line in left_out(&trace) {
        advise(&line)?;
    }
    Ok(())
}

fn began(text: &str, now: Timestamp) -> Option<Timestamp> {
    let ago = |Period(time)| now.checked_sub(time).ok();
    text.parse().ok().or_else(|| Period::parse(text).and_then(ago))
}

/// A step, and who does not get past it.
fn step(step: &Value) -> Vec<String> {
    let depth = usize::try_from(step["depth"].as_u64().unwrap_or_default()).unwrap_or_default();
    let indent = "  ".repeat(depth);
    if let Some(missing) = step["missing"].as_str() {
        return vec![format!(
            "{indent}?  {missing}  was not found, and is the cause of what follows"
        )];
    }
    let text = |name: &str| step[name].as_str().unwrap_or_default();
    let after = step["afterMs"].as_i64().map_or_else(String::new, |ms| format!("  {ms:+} ms"));
    let line = format!(
        "{indent}{}{after}  {} {}  {}  {}/{}  at {}",
        text("time"),
        text("topic"),
        text("type"),
        text("subject"),
        text("source"),
        text("id"),
        text("position"),
    );
    let parked = list(&step["parked"]).iter().map(|it| format!("{indent}  ! {}", parked(it)));
    let expired = list(&step["expired"]).iter().map(|name| {
        format!("{indent}  ! {}: passed, its deadline had come", name.as_str().unwrap_or_default())
    });
    std::iter::once(line).chain(parked).chain(expired).collect()
}

fn parked(parked: &Value) -> String {
    let text = |name: &str| parked[name].as_str().unwrap_or_default();
    let (subscription, attempts) = (text("subscription"), &parked["attempts"]);
    match text("state") {
        "dead" => format!("{subscription}: dead after {attempts} attempts: {}", text("reason")),
        "retried" => {
            let (next, reason) = (text("nextAttempt"), text("reason"));
            format!("{subscription}: failed {attempts} times, next at {next}: {reason}")
        }
        _ => format!("{subscription}: waits behind another of its key"),
    }
}

/// What the tree cannot have, in words.
fn left_out(trace: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    if list(&trace["steps"]).is_empty() {
        lines.push("nothing was found".to_owned());
    }
    if trace["more"].as_bool().unwrap_or_default() {
        lines.push("there are more events of it than are shown".to_owned());
    }
    for look in list(&trace["looked"]).iter().filter(|look| look["whole"] != true) {
        let (topic, partition) = (look["topic"].as_str().unwrap_or_default(), &look["partition"]);
        let (after, to, end) = (&look["after"], &look["to"], &look["end"]);
        let since = look["since"].as_str().unwrap_or("no event");
        let trouble = look["trouble"].as_str().map_or_else(String::new, |it| format!("; {it}"));
        lines.push(format!(
            "of {topic} partition {partition} only {} events after {after} up to {to} of {end} were looked at, since \
             {since}{trouble}",
            look["events"]
        ));
    }
    lines
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
