//! `yeoul dead`: what was given up, what is tried again by itself and what was stepped over; trying it again and dropping it,
//! beside a running process.

use serde_json::Value;

use super::ask::{self, Process};
use super::{print, skip};
use crate::cli::DeadCommand;
use crate::exit::Failure;

pub(super) fn run(command: DeadCommand) -> Result<(), Failure> {
    match command {
        DeadCommand::List(place) => {
            let process = Process::holding(&place.data)?;
            let (letters, skipped) = (process.get("/admin/dead")?, process.get("/admin/skipped")?);
            let retried = process.get("/admin/retried")?;
            let each = |list: &Value, line: fn(&Value) -> String| -> Vec<String> {
                list.as_array().map_or(&[][..], Vec::as_slice).iter().map(line).collect()
            };
            let all =
                [each(&letters, line), each(&retried, retried_line), each(&skipped, skip::line)];
            print(all.into_iter().flatten())
        }
        DeadCommand::Show { id, place } => {
            let letter = Process::holding(&place.data)?
                .get(&format!("/admin/dead/{}", ask::segment(&id)))?;
            print([format!("{letter:#}")])
        }
        DeadCommand::Redrive { id, place } => {
            let path = format!("/admin/dead/{}/redrive", ask::segment(&id));
            Process::holding(&place.data)?.post(&path)?;
            print([format!("{id} is tried again, and what waits behind it follows in order")])
        }
        DeadCommand::Drop { id, place } => {
            let path = format!("/admin/dead/{}/drop?by={}", ask::segment(&id), skip::who());
            Process::holding(&place.data)?.post(&path)?;
            print([format!("{id} is given up; what waits behind it follows in order")])
        }
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
