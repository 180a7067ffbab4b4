//! From exec to the first answered request, and how much memory the whole mall takes when idle.

use std::path::Path;
use std::time::Duration;

use super::{Bench, folder, spring_is_not_run};
use crate::error::Error;
use crate::http::Request;
use crate::mall;
use crate::program::{Cores, Program};
use crate::report::{Report, YEOUL, median};
use crate::{bars, clock};

/// Starts over existing data; the first of all also writes the seeds.
const STARTS_MAX: u64 = 7;
/// Seconds that one start and its end are given.
const START_SECONDS: u64 = 3;
/// How long the mall is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(3);

pub(super) fn run(bench: &Bench, program: &Path, mut report: Report<'_>) -> Result<bool, Error> {
    let folder = folder()?;
    let first = start(program, folder.path())?.milliseconds;
    report.figure(YEOUL, "first_start_ms", first, "ms")?;

    let starts = (bench.seconds / START_SECONDS).clamp(1, STARTS_MAX);
    let (mut times, mut last) = (Vec::new(), None);
    for _ in 0..starts {
        // The folder is one process's: the one before has to end first.
        drop(last.take());
        let started = start(program, folder.path())?;
        times.push(started.milliseconds);
        last = Some(started.running);
    }
    let time = median(times).unwrap_or(f64::NAN);
    report.figure(YEOUL, "start_ms", time, "ms")?;

    clock::pause(IDLE);
    let resident = last.map(|running| running.server.usage().resident_bytes).unwrap_or_default();
    let megabytes = resident as f64 / 1e6;
    report.figure(YEOUL, "idle_memory_mb", megabytes, "MB")?;

    report.ratio("start_bar", first.max(time) / bars::START_MS);
    report.ratio("memory_bar", megabytes / bars::IDLE_MB);
    spring_is_not_run(bench, &mut report);
    Ok(report.end(bars::START, resident > 0)?)
}

struct Started {
    running: Program,
    /// From exec until a request is answered.
    milliseconds: f64,
}

fn start(program: &Path, folder: &Path) -> Result<Started, Error> {
    let began = clock::now();
    let running = Program::start(program, &["mall"], None, Cores::All, folder)?;
    mall::expect(&Request::new("GET", &running.address("gateway")?, "/products"), 200)?;
    Ok(Started { milliseconds: began.elapsed().as_secs_f64() * 1e3, running })
}
