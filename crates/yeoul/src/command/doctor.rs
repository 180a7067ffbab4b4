//! `yeoul doctor`: what an acknowledgement means on this machine, and what is wrong.
//!
//! Beside a running process it asks that process; otherwise it takes the data folder for itself and
//! reads the whole log with its checksums, and every store. It mends nothing.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use chassis::clock;
use chassis::folder::Folder;
use events::Broker;
use events::local::Log;
use events::store::upkeep;
use serde_json::Value;

use super::ask::Process;
use super::dead::{self, Listed};
use super::skip;
use crate::admin::dead::skipped_json;
use crate::admin::pausing;
use crate::cli::DataArgs;
use crate::exit::Failure;
use crate::process;
use crate::stores::{self, note};

/// How many syncs the disk is measured with.
const SYNCS: usize = 100;
/// What is written before each of them: one page.
const SYNC_BYTES: usize = 4096;
/// Open files below which many connections cannot be served.
const OPEN_FILES_MIN: u64 = 4_096;

/// What was found, as it will be printed.
#[derive(Default)]
struct Findings {
    lines: Vec<String>,
    troubles: usize,
}

pub(super) fn run(args: &DataArgs) -> Result<(), Failure> {
    let mut findings = Findings::default();
    // Who holds the folder is asked; at rest it is taken for as long as it is looked at. Never are files read
    // that somebody writes.
    if Folder::holder(&args.data).is_some() {
        beside(&Process::holding(&args.data)?, &mut findings)?;
    } else if args.data.join("log").exists() {
        alone(&args.data, &mut findings)?;
    } else if !stores::databases(&args.data).is_empty() {
        let _lock = process::folder(&args.data)?;
        findings.good("acknowledgement", "as its broker says, which is asked when it runs");
        stores_alone(&args.data, &mut findings)?;
    } else if stores::host(&args.data).is_none() {
        findings.good("data", format!("`{}` holds nothing yet", args.data.display()));
    }
    if let Some(address) = stores::host(&args.data) {
        findings.good("state", format!("on `{address}`, which is asked when it runs"));
    }
    disk(&args.data, &mut findings);
    limits(&mut findings);
    findings.good("clock", format!("{} UTC", clock::wall()));
    findings.finish()
}

impl Findings {
    fn good(&mut self, what: &str, says: impl Into<String>) {
        self.lines.push(format!("ok    {what}: {}", says.into()));
    }

    /// What was meant so by whoever set it, and may lose what was acknowledged.
    fn risk(&mut self, what: &str, says: impl Into<String>) {
        self.lines.push(format!("RISK  {what}: {}", says.into()));
    }

    fn bad(&mut self, what: &str, says: impl Into<String>) {
        self.lines.push(format!("WRONG {what}: {}", says.into()));
        self.troubles += 1;
    }

    fn finish(self) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        for line in &self.lines {
            writeln!(out, "{line}")
                .map_err(|error| Failure::environment(error, "see where stdout goes"))?;
        }
        match self.troubles {
            0 => Ok(()),
            troubles => Err(Failure::environment(
                format!("{troubles} thing(s) wrong"),
                "see the lines marked WRONG above",
            )),
        }
    }
}

fn beside(process: &Process, findings: &mut Findings) -> Result<(), Failure> {
    let answer = process.ask(&http::Method::GET, "/readyz")?;
    let (ready, report) = (answer.status().is_success(), answer.into_body());
    reported(ready, &report, findings);
    let mut told = subscriptions(process, findings);
    for relay in list(&asked(process, "/admin/relays", findings)) {
        let name = relay["name"].as_str().unwrap_or_default();
        told.insert(name.to_owned());
        match (relay["stuck"].as_str(), relay["lost"].as_str()) {
            (None, None) => findings.good(name, format!("{} events wait", relay["lag"])),
            (Some(reason), _) => {
                let since = relay["since"].as_str().unwrap_or("its start");
                findings.bad(name, format!("stuck since {since}: {reason}"));
            }
            // It goes on, but something that was acknowledged is not where it was: that is wrong also where
            // nothing is stuck.
            (None, Some(lost)) => findings.bad(name, lost),
        }
    }
    // What is neither a subscription nor a relay: those have told it themselves.
    let degraded = report["degraded"].as_object().into_iter().flatten();
    for (name, why) in degraded.filter(|it| it.0 != "broker" && !told.contains(it.0)) {
        findings.bad(name, why.as_str().unwrap_or("unknown"));
    }
    for skipped in list(&asked(process, "/admin/skipped", findings)) {
        findings.good("note", skip::line(skipped));
    }
    let dead = answered("/admin/dead", dead::listed(process, ""), findings);
    match dead.map(|Listed { letters, left }| list(&letters).len() as u64 + left) {
        // Said above.
        None => {}
        Some(0) => findings.good("dead letters", "none"),
        Some(some) => findings.bad("dead letters", format!("{some}; see `yeoul dead list`")),
    }
    Ok(())
}

/// What it says of itself.
fn reported(ready: bool, report: &Value, findings: &mut Findings) {
    if let Some(why) = report["degraded"]["broker"].as_str() {
        let todo = "it takes events and keeps them meanwhile; see whether the broker runs there and can be reached from here";
        findings.bad("broker", format!("{why}; {todo}"));
    }
    if ready {
        findings.good("process", "ready");
    } else {
        findings.bad("process", format!("not ready, missing {}", report["missing"]));
    }
    for (name, pause) in report["paused"].as_object().into_iter().flatten() {
        findings.risk(name, paused(name, pause));
    }
    for stale in list(&report["stale"]) {
        let (since, why) = (&stale["since"], &stale["why"]);
        let says = |value: &Value| value.as_str().unwrap_or("unknown").to_owned();
        findings.bad("views", format!("as of {}: {}", says(since), says(why)));
    }
    let promise = report["acknowledgement"].as_str().unwrap_or("unknown");
    findings.good("acknowledgement", promise);
    let store = &report["store"];
    let says = store["says"].as_str().unwrap_or("unknown");
    if store["onDisk"].as_bool().unwrap_or(true) {
        findings.good("store", says);
    } else {
        findings.risk("store", says);
    }
}

/// What the process answers; where it cannot, that is one finding among the others, since a report is wanted most then.
fn asked(process: &Process, path: &str, findings: &mut Findings) -> Value {
    answered(path, process.get(path), findings).unwrap_or_default()
}

/// What was answered; where that is nothing, it is said.
fn answered<T>(path: &str, answer: Result<T, Failure>, findings: &mut Findings) -> Option<T> {
    let place = "see its store and its broker, as `process` above and its log name them";
    let refused = |refused: &Failure| {
        findings.bad(path, format!("cannot be told now: {}; {place}", refused.says()));
    };
    answer.inspect_err(refused).ok()
}

/// Says how each is; their names.
fn subscriptions(process: &Process, findings: &mut Findings) -> BTreeSet<String> {
    let mut told = BTreeSet::new();
    for subscription in list(&asked(process, "/admin/subscriptions", findings)) {
        let name = subscription["name"].as_str().unwrap_or_default();
        told.insert(name.to_owned());
        match subscription["stuck"].as_str() {
            None => {
                let whose = divided(list(&subscription["partitions"]));
                findings.good(name, behind(subscription) + &whose);
            }
            Some(reason) => findings.bad(name, format!("stuck: {reason}")),
        }
    }
    told
}

/// That a subscription takes nothing, until when and what ends it.
fn paused(name: &str, pause: &Value) -> String {
    let until = pause["until"].as_str().map_or_else(String::new, |it| format!(" until {it}"));
    let since = pause["since"].as_str().unwrap_or("unknown");
    format!(
        "takes nothing{until}: paused since {since}; it goes on by `yeoul events resume {name}`"
    )
}

/// What a subscription has not done yet.
fn behind(subscription: &Value) -> String {
    let behind = format!("{} events behind", subscription["lag"]);
    match subscription["parked"].as_u64() {
        None | Some(0) => behind,
        Some(parked) => format!("{behind}, {parked} parked (`yeoul dead list`)"),
    }
}

/// Which partitions this process reads and which another instance does; nothing where all are its own.
fn divided(partitions: &[Value]) -> String {
    let those = |here: Option<bool>| {
        let those = partitions.iter().filter(|one| one["here"].as_bool() == here);
        those.map(|one| one["partition"].to_string()).collect::<Vec<_>>()
    };
    if those(Some(false)).is_empty() && those(None).is_empty() {
        return String::new();
    }
    let named = |name: &str, here| match those(here).join(", ") {
        none if none.is_empty() => none,
        some => format!("; partitions {name}: {some}"),
    };
    named("here", Some(true)) + &named("elsewhere", Some(false)) + &named("not known whose", None)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn alone(data: &Path, findings: &mut Findings) -> Result<(), Failure> {
    // Held to the end: no process may start on files that are being read.
    let _lock = process::folder(data)?;
    let opened = Log::open(&data.join("log"), &[], clock::component());
    let log = match opened {
        Ok(log) => log,
        Err(error) => {
            findings.bad("log", error.to_string());
            return Ok(());
        }
    };
    findings.good("acknowledgement", log.promise());
    let report = log.check();
    findings.good("log", format!("{} events read", report.events));
    for damage in report.damage {
        findings.bad("log", damage.to_string());
    }
    // Closed before the stores are looked at: their agreement opens it once more.
    drop(log);
    stores_alone(data, findings)
}

/// Whether the stores are whole and tell one story, and what was stepped over in them.
fn stores_alone(data: &Path, findings: &mut Findings) -> Result<(), Failure> {
    // Opening the stores changes their files, so that the note is written again as it stood; one that nobody can
    // vouch for stays so.
    let left = note::state(data).filter(|_| !note::is_doubtful(data));
    for store in stores::databases(data) {
        let name = store.strip_prefix(data).unwrap_or(&store).display().to_string();
        match upkeep::check(&store) {
            Ok(()) => findings.good(&name, "every page and index is sound"),
            Err(error) => findings.bad(&name, error.to_string()),
        }
        for skipped in upkeep::skipped(&store).unwrap_or_default() {
            findings.good("note", skip::line(&skipped_json(&skipped)));
        }
        let now = clock::wall();
        for (name, pause) in upkeep::paused(&store).unwrap_or_default() {
            if pause.holds(now) {
                findings.risk(&name, paused(&name, &pausing::shown(&pause)));
            }
        }
    }
    match process::runtime()?.block_on(stores::check_agreement(data)) {
        Ok(()) if stores::has_log(data) => {
            findings.good("agreement", "log, outboxes and inboxes tell one story");
        }
        Ok(()) => findings.good(
            "agreement",
            "not looked at: the events are with a broker of their own, and the start compares outboxes with it",
        ),
        Err(error) => findings.bad("agreement", error.to_string()),
    }
    if let Some(Err(error)) = left.map(|state| note::write(data, state)) {
        findings.bad("note", format!("`stores.json` cannot be written: {error}"));
    }
    Ok(())
}

fn disk(data: &Path, findings: &mut Findings) {
    // The data's own disk, where there is one yet.
    let place = if data.is_dir() { data } else { Path::new(".") };
    match sync_times(place) {
        Ok(times) => {
            // Percentiles of what was seen: one slow sync in a hundred says nothing of a disk.
            let (median, slow) = (times[SYNCS / 2], times[SYNCS * 9 / 10]);
            findings.good(
                "disk",
                format!(
                    "one sync takes {median:?}, one in ten {slow:?} or more, in `{}`",
                    place.display()
                ),
            );
        }
        Err(error) => findings.bad("disk", format!("cannot be written: {error}")),
    }
}

fn sync_times(place: &Path) -> io::Result<Vec<Duration>> {
    let path = place.join(format!(".doctor-{}", std::process::id()));
    // Removed also where it could not be measured.
    let measured = OpenOptions::new().write(true).create_new(true).open(&path).and_then(sync_file);
    std::fs::remove_file(&path)?;
    let mut times = measured?;
    times.sort_unstable();
    Ok(times)
}

fn sync_file(mut file: File) -> io::Result<Vec<Duration>> {
    (0..SYNCS)
        .map(|_| {
            file.write_all(&[0; SYNC_BYTES])?;
            let before = clock::now();
            file.sync_data()?;
            Ok(clock::now() - before)
        })
        .collect()
}

fn limits(findings: &mut Findings) {
    let Ok(text) = std::fs::read_to_string("/proc/self/limits") else { return };
    let row = text.lines().find(|line| line.starts_with("Max open files"));
    let Some(soft) = row.and_then(|row| row.split_whitespace().nth(3)) else { return };
    match soft.parse::<u64>() {
        Ok(files) if files < OPEN_FILES_MIN => {
            findings.bad("open files", format!("at most {files}; raise it: `ulimit -n 65536`"));
        }
        _ => findings.good("open files", format!("at most {soft}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_is_said_which_partitions_are_here_where_instances_divide_them() {
        let check = |whose: &[Option<bool>], expected: &str| {
            let one = |(at, here)| json!({ "partition": at, "here": here });
            let all: Vec<Value> = whose.iter().enumerate().map(one).collect();
            assert_eq!(divided(&all), expected, "{whose:?}");
        };
        check(&[], "");
        check(&[Some(true); 3], "");
        let some = [Some(true), Some(false), Some(true)];
        check(&some, "; partitions here: 0, 2; partitions elsewhere: 1");
        check(&[Some(false)], "; partitions elsewhere: 0");
        check(&[None, Some(true)], "; partitions here: 1; partitions not known whose: 0");
    }
}
