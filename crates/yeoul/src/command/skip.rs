//! `yeoul events skip`: stepping over the one hurt thing that stops a subscription, a relay or whoever
//! reads a topic from outside.
//!
//! Beside a running process it asks that process; otherwise it takes the data folder for itself and
//! steps there. Either way a note is written in the same transaction, and nothing sound is skipped.

use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use chassis::clock;
use events::local::Log;
use events::skipped::Skipped;
use events::store::{Options, Publishes};
use events::{Broker, Database, Topic, relay, subscription};
use http::{Method, StatusCode};
use serde_json::Value;
use tokio::sync::watch;

use super::ask::{self, Process};
use crate::admin::dead::skipped_json;
use crate::exit::Failure;
use crate::process;
use crate::stores::{self, note};

pub(super) fn run(name: &str, data: &Path) -> Result<(), Failure> {
    // The process that runs does it itself: a second writer beside it would change rows that it has in memory.
    let running = chassis::folder::Folder::holder(data).is_some();
    let skipped = if running { beside(name, data)? } else { alone(name, data)? };
    let written = writeln!(io::stdout().lock(), "{}", line(&skipped));
    written.map_err(|error| Failure::environment(error, "see where stdout goes"))
}

/// Who runs this command, for the note.
pub(super) fn who() -> String {
    let user = std::fs::metadata("/proc/self").map_or(0, |own| own.uid());
    format!("uid-{user}")
}

/// A note as one line.
pub(super) fn line(skipped: &Value) -> String {
    let text = |name: &str| skipped[name].as_str().unwrap_or("unknown").to_owned();
    let place = match (&skipped["first"], &skipped["last"]) {
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first} to {last}"),
    };
    // Numbers count within a partition; the first needs no word, as in ids and positions.
    let partition = skipped["partition"].as_u64().filter(|it| *it > 0);
    let partition = partition.map_or(String::new(), |it| format!(" of partition {it}"));
    format!(
        "skipped  {} {} {place}{partition}  event {}  key {}  at {} by {}  {}",
        text("name"),
        text("kind"),
        text("event"),
        text("key"),
        text("at"),
        text("by"),
        text("reason"),
    )
}

fn beside(name: &str, data: &Path) -> Result<Value, Failure> {
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) {
        return Err(unknown(name));
    }
    let path = format!("/admin/skip/{name}?by={}", who());
    let answer = Process::holding(data)?.ask(&Method::POST, &path)?;
    match answer.status() {
        StatusCode::CONFLICT => Err(nothing(name)),
        StatusCode::NOT_FOUND => Err(unknown(name)),
        _ => ask::done(answer),
    }
}

fn alone(name: &str, data: &Path) -> Result<Value, Failure> {
    if !data.join("log").is_dir() {
        let says = format!("no data is kept there. folder=`{}`", data.display());
        return Err(Failure::environment(says, "name the folder with --data"));
    }
    let (service, topic) = name.split_once('.').ok_or_else(|| unknown(name))?;
    let parsed = Topic::parse(topic).map_err(|_| unknown(name))?;
    stores::must_be_no_backup(data)?;
    stores::must_be_in_files(data)?;
    let _lock = process::folder(data)?;
    // Read before anything is opened, which changes the files that it describes.
    let left = note::state(data).filter(|_| !note::is_doubtful(data));
    let log = Log::open(&data.join("log"), &[], clock::component()).map_err(disk)?;
    let log = Arc::new(log);
    process::runtime()?.block_on(async {
        let skipped = if service == "log" {
            log.skip(&parsed, &who()).await
        } else if service == "outbox" {
            let file = stores::of_service(data, topic).ok_or_else(|| unknown(name))?;
            let partitions = log.partitions(&parsed).map_err(|_| unknown(name))?;
            let publishes = Publishes { source: topic.to_owned(), topic: parsed, partitions };
            let database = open(&file, Some(publishes))?;
            let (_, never) = watch::channel(false);
            let control = relay::Control::of(database.clone(), log.clone(), never);
            let skipped = control.expect("it publishes").skip(&who()).await;
            database.close().await;
            skipped
        } else {
            let file = stores::of_subscription(data, name).ok_or_else(|| unknown(name))?;
            let database = open(&file, None)?;
            let (clock, broker) = (clock::component(), log.clone());
            let control =
                subscription::Control::resting(name, parsed, database.clone(), broker, clock);
            let skipped = control.skip(&who()).await;
            database.close().await;
            skipped
        };
        log.close().await;
        drop(log);
        if let Some(state) = left {
            // The same files still: a skip does not make them doubtful.
            note::write(data, state).map_err(|error| Failure::environment(error, "make room"))?;
        }
        report(name, skipped)
    })
}

fn report(name: &str, skipped: Result<Option<Skipped>, events::Error>) -> Result<Value, Failure> {
    match skipped {
        Ok(Some(skipped)) => Ok(skipped_json(&skipped)),
        Ok(None) => Err(nothing(name)),
        Err(events::Error::UnknownTopic) => Err(unknown(name)),
        Err(error) => Err(disk(error)),
    }
}

fn open(file: &Path, publishes: Option<Publishes>) -> Result<Database, Failure> {
    let options =
        Options { path: file.to_owned(), schema: &[], publishes, clock: clock::component() };
    Database::open_as_it_is(options).map_err(disk)
}

fn nothing(name: &str) -> Failure {
    let says = format!("nothing is stuck at `{name}` that can be stepped over");
    Failure::input(says, "see `yeoul doctor` for what is stuck")
}

fn unknown(name: &str) -> Failure {
    let says = format!("no subscription and no relay is called `{name}`");
    Failure::input(
        says,
        "name one as its status does: `product.order`, `outbox.order`; or a topic's readers: `log.order`",
    )
}

fn disk(error: events::Error) -> Failure {
    Failure::environment(error, "see `yeoul doctor --data DIR`")
}
