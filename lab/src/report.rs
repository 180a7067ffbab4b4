//! What a bench prints: one JSON object a line for each figure, and last the verdict.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::{Value, json};

use crate::bars::{self, Bars};

/// Ours among the subjects.
pub(crate) const YEOUL: &str = "yeoul";

/// A peer that could not be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) peer: &'static str,
    /// The command that brings it, or why nothing does.
    pub(crate) remedy: String,
}

/// The lines of one bench.
pub(crate) struct Report<'a> {
    bench: &'static str,
    out: &'a mut dyn Write,
    ratios: BTreeMap<String, f64>,
    missing: Vec<Missing>,
}

impl<'a> Report<'a> {
    pub(crate) fn new(bench: &'static str, out: &'a mut dyn Write) -> Report<'a> {
        Report { bench, out, ratios: BTreeMap::new(), missing: Vec::new() }
    }

    /// Prints a figure.
    pub(crate) fn figure(
        &mut self,
        subject: &str,
        figure: &str,
        value: f64,
        unit: &str,
    ) -> io::Result<()> {
        let members = [
            ("bench", json!(self.bench)),
            ("subject", json!(subject)),
            ("figure", json!(figure)),
            ("value", round(value)),
            ("unit", json!(unit)),
        ];
        writeln!(self.out, "{}", line(&members))
    }

    /// Notes a ratio for the verdict.
    pub(crate) fn ratio(&mut self, name: impl Into<String>, ratio: f64) {
        self.ratios.insert(name.into(), ratio);
    }

    /// Notes a peer that was not there.
    pub(crate) fn missing(&mut self, peer: Missing) {
        self.missing.push(peer);
    }

    /// Prints the verdict; whether the bars hold, `sound` being whether the run itself was right.
    pub(crate) fn end(self, bars: Bars, sound: bool) -> io::Result<bool> {
        let holds = sound && bars::all_within(bars, &self.ratios);
        let ratios: BTreeMap<_, _> =
            self.ratios.iter().map(|(name, ratio)| (name, round(*ratio))).collect();
        let names: Vec<_> = self.missing.iter().map(|missing| missing.peer).collect();
        let mut members = vec![
            ("bench", json!(self.bench)),
            ("ratios", json!(ratios)),
            ("missing", json!(names)),
        ];
        if !self.missing.is_empty() {
            let remedies = self.missing.iter().map(|one| (one.peer.to_owned(), json!(one.remedy)));
            members.push(("install", Value::Object(remedies.collect())));
        }
        members.push(("holds", json!(holds)));
        writeln!(self.out, "{}", line(&members))?;
        Ok(holds)
    }
}

/// An object in the order that was promised, which people read too.
fn line(members: &[(&str, Value)]) -> String {
    let members: Vec<String> =
        members.iter().map(|(name, value)| format!("{}:{value}", json!(name))).collect();
    format!("{{{}}}", members.join(","))
}

/// Four digits that mean something: more would be noise.
fn round(value: f64) -> Value {
    // A ratio over nothing is no number, and JSON has no word for it but null.
    if !value.is_finite() {
        return Value::Null;
    }
    if value == 0.0 {
        return json!(0);
    }
    // The exponent of the first digit says how many places are left for the other three.
    let scale = 10f64.powf(3.0 - value.abs().log10().floor());
    let rounded = (value * scale).round() / scale;
    if rounded.fract() == 0.0 { json!(rounded as i64) } else { json!(rounded) }
}

/// The middle one; of an even number the upper. `None` of nothing.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_are_those_promised() {
        let mut out = Vec::new();
        let mut report = Report::new("proxy", &mut out);
        report.figure(YEOUL, "cpu_us_per_request", 12.900_04, "us").unwrap();
        report.ratio("nginx", 0.990_04);
        report.ratio("envoy", 0.33);
        report.missing(Missing { peer: "haproxy", remedy: "get it".to_owned() });
        assert!(report.end(bars::PROXY, true).unwrap());
        let lines: Vec<Value> = String::from_utf8(out)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(
            lines,
            [
                json!({"bench":"proxy","subject":"yeoul","figure":"cpu_us_per_request",
                       "value":12.9,"unit":"us"}),
                json!({"bench":"proxy","ratios":{"nginx":0.99,"envoy":0.33},"missing":["haproxy"],
                       "install":{"haproxy":"get it"},"holds":true}),
            ]
        );
    }

    #[test]
    fn an_unsound_run_never_holds() {
        let mut out = Vec::new();
        let mut report = Report::new("proxy", &mut out);
        report.ratio("nginx", 0.5);
        assert!(!report.end(bars::PROXY, false).unwrap());
    }

    #[test]
    fn four_digits_are_kept() {
        for (value, shown) in [
            (12.904_96, "12.9"),
            (0.012_345_6, "0.01235"),
            (123_456.7, "123500"),
            (0.0, "0"),
            (-3.0, "-3"),
            (f64::NAN, "null"),
        ] {
            assert_eq!(round(value).to_string(), shown);
        }
    }

    #[test]
    fn the_median_is_a_value_that_was_seen() {
        assert_eq!(median([3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0]), Some(4.0));
        assert_eq!(median([]), None);
    }
}
