//! A program beside a library that prints its own figures, `subject figure: value unit` line by line, ratios among them.

use super::{Bench, Built, driver, folder_near};
use crate::bars::Bars;
use crate::error::Error;
use crate::report::Report;

/// A figure, as the program prints it.
#[derive(Clone, Debug, PartialEq)]
struct Figure {
    subject: String,
    name: String,
    value: f64,
    unit: String,
}

/// The subject of what is a figure over another one.
const RATIO: &str = "ratio";

/// Runs the bench's driver on the disk that counts; whether `bars` hold.
///
/// # Errors
/// [`Error::Environment`]: it does not start, or one of the bars' ratios is not among what it says.
pub(super) fn run(
    built: &Built,
    argument: &str,
    bars: Bars,
    mut report: Report<'_>,
) -> Result<bool, Error> {
    let folder = folder_near(&built.target)?;
    let parse = |says: &str| parse(says, bars);
    for figure in driver::run(&built.driver, &[argument], folder.path(), parse)? {
        let Figure { subject, name, value, unit } = figure;
        if subject == RATIO {
            report.ratio(name, value);
        } else {
            report.figure(&subject, &name, value, &unit)?;
        }
    }
    Ok(report.end(bars, true)?)
}

/// What is left of a run's seconds beside `others`, as a program is told it.
pub(super) fn seconds_beside(others: u64, bench: &Bench) -> String {
    bench.seconds.saturating_sub(others).max(1).to_string()
}

/// Every line; `None` where one is no figure, or a bar's ratio is not among them.
fn parse(says: &str, bars: Bars) -> Option<Vec<Figure>> {
    let figures: Vec<Figure> = says.lines().map(figure).collect::<Option<_>>()?;
    let has = |bar: &str| figures.iter().any(|one| one.subject == RATIO && one.name == bar);
    bars.iter().all(|(bar, _)| has(bar)).then_some(figures)
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
    use crate::bars::ENGINES;

    const SAYS: &str =
        "yeoul orders_8: 5400.5 1/s\nratio numbering_8: 1.11 x\nratio hop_p99: 1.4 x\n";

    #[test]
    fn the_programs_lines_are_read() {
        let figures = parse(SAYS, ENGINES).unwrap();
        assert_eq!(figures.len(), 3);
        let [subject, name, unit] = ["yeoul", "orders_8", "1/s"].map(str::to_owned);
        assert_eq!(figures[0], Figure { subject, name, value: 5400.5, unit });
    }

    #[test]
    fn a_run_that_broke_off_is_no_figure() {
        let whole: Vec<&str> = SAYS.lines().collect();
        for says in ["", whole[0], &whole[..2].join("\n"), &SAYS.replace("1.11", "none")] {
            assert_eq!(parse(says, ENGINES), None, "{says}");
        }
    }
}
