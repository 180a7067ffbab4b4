//! What numbering in commit order costs on PostgreSQL, and an event's way over Kafka from commit to commit.
//!
//! A small program of the brokers crate starts both servers and drives the stores; each figure has its like
//! beside it, the same work without what is measured.

use super::{Bench, Built, driver, folder_near};
use crate::bars;
use crate::error::Error;
use crate::report::Report;

/// Seconds that the servers' starts and ends are given.
const SERVERS_SECONDS: u64 = 12;

/// A figure, as the program prints it: `subject figure: value unit`.
#[derive(Clone, Debug, PartialEq)]
struct Figure {
    subject: String,
    name: String,
    value: f64,
    unit: String,
}

/// The subject of what is a figure over another one.
const RATIO: &str = "ratio";

pub(super) fn run(bench: &Bench, built: &Built, mut report: Report<'_>) -> Result<bool, Error> {
    let folder = folder_near(&built.target)?;
    let seconds = bench.seconds.saturating_sub(SERVERS_SECONDS).max(1).to_string();
    for figure in driver::run(&built.driver, &[&seconds], folder.path(), parse)? {
        let Figure { subject, name, value, unit } = figure;
        if subject == RATIO {
            report.ratio(name, value);
        } else {
            report.figure(&subject, &name, value, &unit)?;
        }
    }
    Ok(report.end(bars::ENGINES, true)?)
}

/// Every line; `None` where one is no figure, or a bar's ratio is not among them.
fn parse(says: &str) -> Option<Vec<Figure>> {
    let figures: Vec<Figure> = says.lines().map(figure).collect::<Option<_>>()?;
    let has = |bar: &str| figures.iter().any(|one| one.subject == RATIO && one.name == bar);
    bars::ENGINES.iter().all(|(bar, _)| has(bar)).then_some(figures)
}

fn figure(line: &str) -> Option<Figure> {
    let (what, figure) = line.split_once(": ")?;
    let (subject, name) = what.split_once(' ')?;
    let (value, unit) = figure.split_once(' ')?;
    let value = value.parse().ok()?;
    let [subject, name, unit] = [subject, name, unit].map(str::to_owned);
    Some(Figure { subject, name, value, unit })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAYS: &str =
        "yeoul orders_8: 5400.5 1/s\nratio numbering_8: 1.11 x\nratio hop_p99: 1.4 x\n";

    #[test]
    fn the_programs_lines_are_read() {
        let figures = parse(SAYS).unwrap();
        assert_eq!(figures.len(), 3);
        let [subject, name, unit] = ["yeoul", "orders_8", "1/s"].map(str::to_owned);
        assert_eq!(figures[0], Figure { subject, name, value: 5400.5, unit });
    }

    #[test]
    fn a_run_that_broke_off_is_no_figure() {
        let whole: Vec<&str> = SAYS.lines().collect();
        for says in ["", whole[0], &whole[..2].join("\n"), &SAYS.replace("1.11", "none")] {
            assert_eq!(parse(says), None, "{says}");
        }
    }
}
