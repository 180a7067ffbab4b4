//! `yeoul events`: `tail`, a topic's events as they are, and `place`, from where a subscription reads on,
//! both beside a running process; `publish`, `pause` and `resume`, `trace`, `forget`, `skip` and `partitions`, see there.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use events::Partition;
use events::subscription::Destination;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::ask::{self, Process};
use super::skip::{self, who};
use super::{forget, partitions, pausing, print, publish, trace};
use crate::cli::EventsCommand;
use crate::exit::Failure;

/// How often a followed topic is asked for more.
const ASK_EVERY: Duration = Duration::from_millis(200);
/// Events in one question.
const BATCH: usize = 1_000;

pub(super) fn run(command: EventsCommand) -> Result<(), Failure> {
    match command {
        EventsCommand::Tail { topic, from_beginning, no_follow, place } => {
            tail(&topic, from_beginning, no_follow, &place.data)
        }
        EventsCommand::Publish { topic, file, place } => {
            publish::run(&topic, file.as_deref(), &place.data)
        }
        EventsCommand::Partitions { topic, count, place } => {
            partitions::run(&topic, count, &place.data)
        }
        EventsCommand::Place { name, to, partition, place } => {
            move_place(&name, &to, partition, &place.data)
        }
        EventsCommand::Pause { name, until, place } => {
            pausing::pause(&name, until.as_deref(), &place.data)
        }
        EventsCommand::Resume { name, place } => pausing::resume(&name, &place.data),
        EventsCommand::Trace { id, since, limit, place } => {
            trace::run(&id, since.as_deref(), limit, &place.data)
        }
        EventsCommand::Forget { person, place } => forget::run(&person, &place.data),
        EventsCommand::Skip { name, place } => skip::run(&name, &place.data),
    }
}

fn tail(topic: &str, from_beginning: bool, no_follow: bool, data: &Path) -> Result<(), Failure> {
    let process = Process::holding(data)?;
    let mut from = "beginning".to_owned();
    let mut print = from_beginning || no_follow;
    loop {
        let topic = ask::segment(topic);
        let path = format!("/admin/events/{topic}?from={from}&limit={BATCH}");
        let batch = process.get_text(&path)?;
        let events = split(&batch)?;
        if let Some(position) = events.last().and_then(|event| position(event)) {
            from = position;
        }
        if print && write(&events).is_err() {
            // The reader of a pipe has gone: nothing more is wanted.
            return Ok(());
        }
        if events.len() < BATCH {
            // What was there before is passed over once, unless it was asked for.
            print = true;
            if no_follow {
                return Ok(());
            }
            pause();
        }
    }
}

/// Beside a running process: where a topic begins, only its broker knows.
fn move_place(
    name: &str,
    to: &Destination,
    partition: Option<Partition>,
    data: &Path,
) -> Result<(), Failure> {
    let (to_there, by) = (to.to_string(), who());
    let [named, to_there, by] = [name, &to_there, &by].map(|typed| ask::segment(typed).to_string());
    let mut path = format!("/admin/place/{named}?to={to_there}&by={by}");
    let mut where_in = String::new();
    if let Some(partition) = partition.map(Partition::index) {
        path += &format!("&partition={partition}");
        where_in = format!(" in partition {partition}");
    }
    Process::holding(data)?.post(&path)?;
    let from = match to {
        Destination::Beginning | Destination::End => format!("the {to}"),
        Destination::Since(_) | Destination::After(_) => to.to_string(),
    };
    print([format!("{name} reads on from {from}{where_in}")])
}

/// The events of a batch, as they are written: what other programs say in them is not looked at.
fn split(batch: &[u8]) -> Result<Vec<&RawValue>, Failure> {
    serde_json::from_slice(batch).map_err(|error| {
        let says = format!("the process's answer is no batch of events. why=`{error}`");
        Failure::environment(says, "see the log of the process")
    })
}

fn position(event: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Positioned {
        position: String,
    }
    Some(serde_json::from_str::<Positioned>(event.get()).ok()?.position)
}

fn write(events: &[&RawValue]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for event in events {
        writeln!(out, "{}", line(event))?;
    }
    out.flush()
}

/// An event in one line: in JSON the end of a line stands between two words, and in none.
fn line(event: &RawValue) -> String {
    event.get().replace(['\n', '\r'], " ")
}

#[expect(clippy::disallowed_methods, reason = "a command line tool that waits for nothing else")]
fn pause() {
    std::thread::sleep(ASK_EVERY);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stored_before_it_would_be_refused_is_printed_like_any_other() {
        let batch = "[{\"id\":\"1\",\"data\":\"\\ud800\",\"position\":\"t1.paid\"},\
                     {\"id\":\"2\",\"data\":{\n \"a\": 1e999\r\n},\"position\":\"t2.paid\"}]";
        let events = split(batch.as_bytes()).map_err(|_| "refused").expect("a batch");
        let lines: Vec<String> = events.iter().map(|event| line(event)).collect();
        let expected = [
            r#"{"id":"1","data":"\ud800","position":"t1.paid"}"#,
            r#"{"id":"2","data":{  "a": 1e999  },"position":"t2.paid"}"#,
        ];
        assert_eq!(lines, expected);
        let positions = events.iter().map(|event| position(event));
        assert_eq!(
            positions.collect::<Vec<_>>(),
            ["t1.paid", "t2.paid"].map(|it| Some(it.to_owned()))
        );
        assert!(split(b"{}").is_err());
    }
}
