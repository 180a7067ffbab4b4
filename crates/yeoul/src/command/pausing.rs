//! `yeoul events pause` and `resume`: a subscription takes nothing, and goes on.
//!
//! Beside a running process that one is told, and every other instance notices; otherwise the data folder is taken and
//! its row written there, for whoever starts on it next.

use std::path::Path;

use chassis::clock;
use chassis::folder::Folder;
use events::Database;
use events::store::{Options, upkeep};
use http::header::CONTENT_TYPE;
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use jiff::Timestamp;
use serde_json::json;

use super::ask::{self, Process};
use super::{advise, print};
use crate::admin::pausing;
use crate::exit::Failure;
use crate::process;
use crate::stores::{self, note};

/// What an operator wants of a subscription.
enum Wish {
    Pause { until: Option<Timestamp> },
    Resume,
}

pub(super) fn pause(name: &str, until: Option<&str>, data: &Path) -> Result<(), Failure> {
    let until = until.map(|text| pausing::until(text, clock::wall())).transpose();
    let until = until.map_err(|wrong| Failure::input(format!("--until {wrong}"), "say another"))?;
    carry_out(name, &Wish::Pause { until }, data)?;
    let ends = until.map_or_else(|| "it is resumed".to_owned(), |until| until.to_string());
    print([format!("{name} takes nothing until {ends}")])?;
    advise(&format!("what comes waits in its topic; it goes on by `yeoul events resume {name}`"))
}

pub(super) fn resume(name: &str, data: &Path) -> Result<(), Failure> {
    carry_out(name, &Wish::Resume, data)?;
    print([format!("{name} goes on")])
}

fn carry_out(name: &str, wish: &Wish, data: &Path) -> Result<(), Failure> {
    if Folder::holder(data).is_some() { beside(name, wish, data) } else { alone(name, wish, data) }
}

fn beside(name: &str, wish: &Wish, data: &Path) -> Result<(), Failure> {
    let (verb, body) = match wish {
        Wish::Pause { until } => {
            ("pause", json!({ "until": until.map(|until| until.to_string()) }))
        }
        Wish::Resume => ("resume", json!({})),
    };
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("/admin/subscriptions/{}/{verb}", ask::segment(name)))
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body.to_string())));
    let request = request.map_err(|error| Failure::input(error, "check the name"))?;
    let answer = Process::holding(data)?.send(request)?;
    if answer.status() == StatusCode::NOT_FOUND {
        return Err(unknown(name, "runs there"));
    }
    ask::done(answer).map(drop)
}

fn alone(name: &str, wish: &Wish, data: &Path) -> Result<(), Failure> {
    stores::must_be_no_backup(data)?;
    stores::must_be_in_files(data)?;
    // A folder is not made by looking for something in it.
    let file = stores::of_subscription(data, name)
        .filter(|file| upkeep::subscriptions(file).is_ok_and(|names| names.contains(name)));
    let path = file.ok_or_else(|| unknown(name, "has run in that folder"))?;
    let _lock = process::folder(data)?;
    // Read before the store is opened, which changes the file that it describes.
    let left = note::state(data).filter(|_| !note::is_doubtful(data));
    let options = Options { path, schema: &[], publishes: None, clock: clock::component() };
    let unwritten = |error| Failure::environment(error, "see `yeoul doctor --data DIR`");
    process::runtime()?.block_on(async {
        let database = Database::open_as_it_is(options).map_err(unwritten)?;
        let written = match wish {
            Wish::Pause { until } => database.pause(name, *until).await,
            Wish::Resume => database.resume(name).await,
        };
        database.close().await;
        written.map_err(unwritten)
    })?;
    let noted = left.map_or(Ok(()), |state| note::write(data, state));
    noted.map_err(|error| Failure::environment(error, "make room"))
}

fn unknown(name: &str, which: &str) -> Failure {
    let says = format!("no subscription called `{name}` {which}");
    Failure::input(says, "name one as `yeoul doctor` does: `product.order`, `mail.order`")
}
