//! A durable publish: 64 publishers with one event in flight each, and one publisher alone.
//!
//! The log is a library, so a small program of the events crate drives it in its own process and
//! measures a bare sync of the same disk beside it; Kafka and JetStream are driven by their own
//! tools, once so that an acknowledgement means the disk and once as they come. A sync says what the
//! disk can do, so everything writes below the target folder, on one disk.

mod kafka;
mod nats;

use std::path::Path;
use std::process::{Command, Stdio};

use super::{Bench, Built, driver, folder_near};
use crate::bars;
use crate::error::{Error, environment};
use crate::load::CONNECTIONS;
use crate::report::{Missing, Report, YEOUL, median};

/// Rounds of our own publishing, if there is time for them.
const ROUNDS: u64 = 3;
/// Seconds that each peer takes, of a run of the usual length.
const PEER_SECONDS: u64 = 13;

/// What the publishing program says.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Round {
    /// Seconds of one bare sync.
    sync: f64,
    /// Events a second, all publishers together.
    per_second: f64,
    /// Seconds until one publisher alone has its acknowledgement.
    alone: f64,
}

/// What a peer acknowledges a second.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Acknowledged {
    durable: f64,
    not_durable: f64,
}

pub(super) fn run(bench: &Bench, built: &Built, mut report: Report<'_>) -> Result<bool, Error> {
    let folder = folder_near(&built.target)?;
    let mut peers = Vec::new();
    for (name, find) in [("kafka", kafka::find as Find), ("nats", nats::find)] {
        if bench.compares(name) {
            match find(&built.target) {
                Ok(measure) => peers.push((name, measure)),
                Err(missing) => report.missing(missing),
            }
        }
    }
    // Ours before the peers: a peer that leaves dirty pages behind slows whoever syncs after it.
    let ours = publish(bench, built, peers.len() as u64, folder.path())?;
    let of = |pick: fn(&Round) -> f64| median(ours.iter().map(pick)).unwrap_or(f64::NAN);
    let (per_second, sync) = (of(|round| round.per_second), of(|round| round.sync));
    report.figure(YEOUL, "events_per_second", per_second, "1/s")?;
    report.figure(YEOUL, "one_publisher_p50_us", of(|round| round.alone) * 1e6, "us")?;
    report.figure("disk", "bare_sync_us", sync * 1e6, "us")?;
    report.ratio("disk", of(|round| round.per_second / bars::publish_goal(round.sync)));
    report.ratio("one_publisher", of(|round| round.alone / round.sync));
    for (name, measure) in peers {
        let theirs = measure(folder.path(), Fraction::of(bench.seconds))?;
        report.figure(name, "events_per_second", theirs.durable, "1/s")?;
        report.figure(name, "events_per_second_not_durable", theirs.not_durable, "1/s")?;
        report.ratio(name, per_second / theirs.durable);
        report.ratio(format!("{name}_not_durable"), per_second / theirs.not_durable);
    }
    Ok(report.end(bars::PUBLISH, true)?)
}

/// A peer that is installed, ready to be measured in a folder.
type Measure = Box<dyn Fn(&Path, Fraction) -> Result<Acknowledged, Error>>;
type Find = fn(&Path) -> Result<Measure, Missing>;

/// How much of the usual number of events a peer publishes.
#[derive(Clone, Copy, Debug)]
struct Fraction(f64);

impl Fraction {
    /// In a run that is shorter than usual, fewer.
    fn of(seconds: u64) -> Fraction {
        Fraction((seconds as f64 / super::SECONDS as f64).clamp(0.1, 1.0))
    }

    fn events(self, usual: u32) -> String {
        format!("{:.0}", f64::from(usual) * self.0)
    }
}

fn publish(bench: &Bench, built: &Built, peers: u64, folder: &Path) -> Result<Vec<Round>, Error> {
    let seconds = bench.seconds.saturating_sub(peers * PEER_SECONDS + 2);
    // Every round publishes twice, alone and together.
    let rounds = (seconds / 2).clamp(1, ROUNDS);
    let each = (seconds / (2 * rounds)).max(1).to_string();
    (0..rounds)
        .map(|_| driver::run(&built.driver, &[&each, &CONNECTIONS.to_string()], folder, parse))
        .collect()
}

/// Lines of `what: figure unit`.
fn parse(says: &str) -> Option<Round> {
    let figure = |what: &str| {
        let line = says.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(": "))?;
        line.split(' ').next()?.parse::<f64>().ok().filter(|figure| *figure > 0.0)
    };
    Some(Round {
        sync: figure("bare sync")? * 1e-6,
        per_second: figure(&format!("{CONNECTIONS} publishers"))?,
        alone: figure("1 publishers, median")? * 1e-6,
    })
}

/// The figure before a unit somewhere in a tool's words: `16800.5 records/sec`, `4,800 msgs/sec`.
fn figure_before(words: &str, unit: &str) -> Option<f64> {
    words.lines().rev().find_map(|line| {
        let before = line.split(unit).next().filter(|before| before.len() < line.len())?;
        before.split_whitespace().next_back()?.replace(',', "").parse().ok()
    })
}

/// Runs a peer's tool to its end; what it said on stdout.
fn tool(mut command: Command) -> Result<String, Error> {
    let output = command.stdin(Stdio::null()).output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    Err(environment(format!(
        "a peer's tool failed. command=`{command:?}`, its output=`{}{}`",
        text(&output.stdout),
        text(&output.stderr)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_publishing_programs_lines_are_read() {
        let says = "bare sync: 120 us\n1 publishers: 5000 events/s\n1 publishers, median: 180 us\n\
                    64 publishers: 210000 events/s\n64 publishers, median: 300 us\n";
        let round = parse(says).unwrap();
        assert!((round.sync - 120e-6).abs() < 1e-12);
        assert!((round.per_second - 210_000.0).abs() < 1e-9);
        assert!((round.alone - 180e-6).abs() < 1e-12);
    }

    #[test]
    fn a_line_that_is_missing_is_no_figure() {
        for says in [
            "",
            "bare sync: 120 us\n",
            "bare sync: 0 us\n64 publishers: 1\n1 publishers, median: 1 us",
        ] {
            assert_eq!(parse(says), None);
        }
    }

    #[test]
    fn a_short_run_publishes_fewer_events_and_a_long_one_no_more() {
        assert_eq!(Fraction::of(super::super::SECONDS / 2).events(20_000), "10000");
        assert_eq!(Fraction::of(1).events(20_000), "2000");
        assert_eq!(Fraction::of(600).events(20_000), "20000");
    }

    #[test]
    fn the_last_figure_before_the_unit_counts() {
        let words = "1000 records sent, 12.5 records/sec (0.1 MB/sec)\n\
                     30000 records sent, 16,800.5 records/sec (4.1 MB/sec)\n";
        assert_eq!(figure_before(words, "records/sec"), Some(16_800.5));
        assert_eq!(figure_before(words, "msgs/sec"), None);
        assert_eq!(figure_before("records/sec", "records/sec"), None);
    }
}
