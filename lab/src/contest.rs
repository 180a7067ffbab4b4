//! A contest: the same request to several servers in turns, each round one after the other.
//!
//! What is compared is CPU per request, round by round, so that whatever disturbs a round disturbs
//! both sides of its ratio; the median of the rounds is quoted. A server that refuses a single
//! request ends the contest: a refusal is cheap, and its figure would be a lie.

use std::path::Path;

use crate::clock;
use crate::error::{Error, environment};
use crate::http::Request;
use crate::load::{Generator, Outcome};
use crate::process::{self, Usage};
use crate::report::{Report, median};
use crate::schedule::{Schedule, WARM_UP};

/// One side of a contest.
pub(crate) struct Subject {
    pub(crate) name: String,
    /// The server's process.
    pub(crate) pid: u32,
    pub(crate) request: Request,
}

/// What one subject did in one round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) cpu_us: f64,
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// Percent of one core.
    pub(crate) busy: f64,
}

/// Every subject's rounds, in the order of the subjects.
pub(crate) struct Rounds {
    names: Vec<String>,
    rounds: Vec<Vec<Sample>>,
}

/// Runs the contest.
pub(crate) fn run(subjects: &[Subject], seconds: u64, folder: &Path) -> Result<Rounds, Error> {
    let generator = Generator::find();
    let schedule = Schedule::new(seconds, subjects.len() as u64);
    // Everybody is warm before anybody is measured: pools are filled and the kernel's caches have what they will
    // have.
    for subject in subjects {
        turn(subject, generator, WARM_UP, folder)?;
    }
    let mut rounds = vec![Vec::new(); subjects.len()];
    // Rounds outside, subjects inside: what disturbs the machine for a while falls on all sides of one ratio, and
    // the median drops that round.
    for _ in 0..schedule.rounds {
        for (subject, samples) in subjects.iter().zip(&mut rounds) {
            samples.push(turn(subject, generator, schedule.seconds, folder)?);
        }
    }
    Ok(Rounds { names: subjects.iter().map(|subject| subject.name.clone()).collect(), rounds })
}

fn turn(
    subject: &Subject,
    generator: Generator,
    seconds: u64,
    folder: &Path,
) -> Result<Sample, Error> {
    // CPU is read outside of the load's own time: a generator's start and end cost the server next to nothing,
    // and its own clock says how long requests ran.
    let before = process::usage(subject.pid);
    let began = clock::now();
    let outcome = generator.run(&subject.request, seconds, folder)?;
    let took = began.elapsed().as_secs_f64();
    let after = process::usage(subject.pid);
    if outcome.refused > 0 || outcome.requests == 0 {
        return Err(environment(format!(
            "{} does not answer every request. answered=`{}`, refused=`{}`",
            subject.name, outcome.requests, outcome.refused
        )));
    }
    Ok(sample(&outcome, before, after, took))
}

fn sample(outcome: &Outcome, before: Usage, after: Usage, took: f64) -> Sample {
    let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64();
    Sample {
        cpu_us: cpu * 1e6 / outcome.requests as f64,
        per_second: outcome.per_second(),
        p50_ms: outcome.p50.as_secs_f64() * 1e3,
        p99_ms: outcome.p99.as_secs_f64() * 1e3,
        busy: cpu / took * 100.0,
    }
}

impl Rounds {
    /// Prints the medians of every subject.
    pub(crate) fn figures(&self, report: &mut Report<'_>) -> Result<(), Error> {
        for (name, rounds) in self.names.iter().zip(&self.rounds) {
            let mut figure =
                |figure, pick: fn(&Sample) -> f64, unit| match median(rounds.iter().map(pick)) {
                    Some(value) => report.figure(name, figure, value, unit),
                    None => Ok(()),
                };
            figure("cpu_us_per_request", |sample| sample.cpu_us, "us")?;
            figure("requests_per_second", |sample| sample.per_second, "1/s")?;
            figure("p50_ms", |sample| sample.p50_ms, "ms")?;
            figure("p99_ms", |sample| sample.p99_ms, "ms")?;
            // Near a hundred, the server was the limit and not the client.
            figure("server_busy", |sample| sample.busy, "%")?;
        }
        Ok(())
    }

    /// The median over the rounds of one subject's figure over another's.
    pub(crate) fn ratio(&self, of: &str, over: &str, pick: fn(&Sample) -> f64) -> Option<f64> {
        let rounds = |name| Some(&self.rounds[self.names.iter().position(|one| one == name)?]);
        // The median of ratios, not the ratio of medians: each pair was measured seconds apart.
        median(rounds(of)?.iter().zip(rounds(over)?).map(|(of, over)| pick(of) / pick(over)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn samples(cpu: &[f64]) -> Vec<Sample> {
        let one =
            |cpu_us| Sample { cpu_us, per_second: 1.0, p50_ms: 1.0, p99_ms: 2.0, busy: 100.0 };
        cpu.iter().copied().map(one).collect()
    }

    #[test]
    fn a_ratio_is_the_median_of_the_rounds_ratios() {
        let result = Rounds {
            names: vec!["yeoul".to_owned(), "nginx".to_owned()],
            // One disturbed round, on both sides.
            rounds: vec![samples(&[9.0, 30.0, 10.0]), samples(&[10.0, 30.0, 20.0])],
        };
        assert_eq!(result.ratio("yeoul", "nginx", |sample| sample.cpu_us), Some(0.9));
        assert_eq!(result.ratio("yeoul", "envoy", |sample| sample.cpu_us), None);
    }

    #[test]
    fn cpu_per_request_is_of_the_server_alone() {
        let at = |millis| Usage { cpu: Duration::from_millis(millis), resident_bytes: 0 };
        let outcome = Outcome {
            requests: 100_000,
            time: Duration::from_secs(2),
            refused: 0,
            p50: Duration::from_millis(1),
            p99: Duration::from_millis(3),
        };
        let sample = sample(&outcome, at(500), at(1_700), 2.0);
        assert!((sample.cpu_us - 12.0).abs() < 1e-9);
        assert!((sample.per_second - 50_000.0).abs() < 1e-9);
        assert!((sample.busy - 60.0).abs() < 1e-9);
    }
}
