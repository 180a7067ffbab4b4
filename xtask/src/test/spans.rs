//! How long the stages of a run took.

use std::fmt;
use std::time::Duration;

/// Each, in the order in which they ran.
#[derive(Default)]
pub(super) struct Spans(Vec<Span>);

/// A stage's.
#[derive(Clone)]
pub(super) struct Span {
    stage: &'static str,
    took: Duration,
}

impl Spans {
    /// One more, which is shown as a line.
    pub(super) fn add(&mut self, stage: &'static str, took: Duration) -> Span {
        let span = Span { stage, took };
        self.0.push(span.clone());
        span
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>8.1} s  {}", self.took.as_secs_f64(), self.stage)
    }
}

/// A line for each, and one for all.
impl fmt::Display for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for span in &self.0 {
            writeln!(f, "{span}")?;
        }
        let took = self.0.iter().map(|span| span.took).sum();
        writeln!(f, "{}", Span { stage: "all", took })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_seconds_and_all_have_their_sum() {
        let mut spans = Spans::default();
        assert_eq!(spans.add("tidy", Duration::from_millis(640)).to_string(), "     0.6 s  tidy");
        spans.add("rust", Duration::from_secs(1200));
        assert_eq!(spans.to_string(), "     0.6 s  tidy\n  1200.0 s  rust\n  1200.6 s  all\n");
    }
}
