//! `yeoul dead`: what was given up, and trying it again, beside a running process.

use std::io::{self, Write};

use http::Method;
use serde_json::Value;

use super::ask::{self, Process};
use crate::cli::DeadCommand;
use crate::exit::Failure;

pub(super) fn run(command: DeadCommand) -> Result<(), Failure> {
    match command {
        DeadCommand::List(place) => {
            let letters = Process::holding(&place.data)?.get("/admin/dead")?;
            print(letters.as_array().map_or(&[][..], Vec::as_slice).iter().map(line))
        }
        DeadCommand::Show { id, place } => {
            let letter = Process::holding(&place.data)?.get(&format!("/admin/dead/{id}"))?;
            print([format!("{letter:#}")])
        }
        DeadCommand::Redrive { id, place } => {
            let path = format!("/admin/dead/{id}/redrive");
            let (status, problem) = Process::holding(&place.data)?.ask(&Method::POST, &path)?;
            if !status.is_success() {
                return Err(ask::refused(status, &problem));
            }
            print([format!("{id} is tried again, and what waits behind it follows in order")])
        }
    }
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

fn print(lines: impl IntoIterator<Item = String>) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    for line in lines {
        writeln!(out, "{line}")
            .map_err(|error| Failure::environment(error, "see where stdout goes"))?;
    }
    Ok(())
}
