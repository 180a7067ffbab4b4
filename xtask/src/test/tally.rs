//! The closing lines of the runners, added up.
//!
//! Cargo's, Node's (in both of its formats) and Vitest's. Any other line counts nothing.

use std::fmt;

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    passed: u64,
    failed: u64,
}

impl Tally {
    /// What one line of a runner's output says.
    pub(super) fn of_line(line: &str) -> Tally {
        let line = plain(line);
        let line = line.trim();
        cargo(line).or_else(|| node(line)).or_else(|| vitest(line)).unwrap_or_default()
    }

    pub(super) fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// With at least one failure: a stage can fail without a test of its own having failed.
    pub(super) fn with_failed_stage(self) -> Tally {
        Tally { failed: self.failed.max(1), ..self }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// `test result: ok. 3 passed; 0 failed; 0 ignored; …`
fn cargo(line: &str) -> Option<Tally> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    Some(Tally { passed: count(counts, "passed")?, failed: count(counts, "failed")? })
}

/// `# pass 3` as TAP, `ℹ pass 3` in words; a cancelled test has not passed.
fn node(line: &str) -> Option<Tally> {
    let words = line.strip_prefix("# ").or_else(|| line.strip_prefix("ℹ "))?;
    let (kind, number) = words.split_once(' ')?;
    let number = number.parse().ok()?;
    match kind {
        "pass" => Some(Tally { passed: number, failed: 0 }),
        "fail" | "cancelled" => Some(Tally { passed: 0, failed: number }),
        _ => None,
    }
}

/// `Tests  1 failed | 11 passed (12)`
fn vitest(line: &str) -> Option<Tally> {
    let counts = line.strip_prefix("Tests  ")?;
    let number = |kind| count(counts, kind).unwrap_or(0);
    Some(Tally { passed: number("passed"), failed: number("failed") })
}

/// The whole number before a word.
fn count(text: &str, word: &str) -> Option<u64> {
    let words: Vec<&str> = text.split([' ', ';', '|']).filter(|part| !part.is_empty()).collect();
    words.windows(2).find(|pair| pair[1] == word)?[0].parse().ok()
}

/// The line without the escapes that colour it.
fn plain(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find("\u{1b}[") {
        plain.push_str(&rest[..at]);
        // A sequence ends with its first letter (`\x1b[1;31m`).
        let escape = &rest[at + 2..];
        let end =
            escape.find(|c: char| c.is_ascii_alphabetic()).map_or(escape.len(), |end| end + 1);
        rest = &escape[end..];
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_counted() {
        for (line, passed, failed) in [
            (
                "test result: ok. 48 passed; 0 failed; 0 ignored; 0 measured; finished in 2.15s",
                48,
                0,
            ),
            ("test result: FAILED. 47 passed; 2 failed; 0 ignored; 0 measured", 47, 2),
            ("# pass 12", 12, 0),
            ("# fail 3\n", 0, 3),
            ("# cancelled 1", 0, 1),
            ("ℹ pass 7", 7, 0),
            ("      Tests  11 passed (11)", 11, 0),
            ("      Tests  1 failed | 11 passed (12)", 11, 1),
            (
                "\u{1b}[2m      Tests \u{1b}[22m \u{1b}[1m\u{1b}[32m9 passed\u{1b}[39m\u{1b}[22m (9)",
                9,
                0,
            ),
        ] {
            assert_eq!(Tally::of_line(line), Tally { passed, failed }, "{line}");
        }
    }

    #[test]
    fn other_lines_count_nothing() {
        for line in [
            "",
            "test tests::it_holds ... ok",
            " Test Files  3 passed (3)",
            "# tests 12",
            "# Subtest: pass 3",
            "running 12 tests",
            "test result: unknown",
        ] {
            assert_eq!(Tally::of_line(line), Tally::default(), "{line}");
        }
    }

    #[test]
    fn a_failed_stage_is_never_no_failure() {
        assert_eq!(
            Tally { passed: 3, failed: 0 }.with_failed_stage().to_string(),
            "3 passed, 1 failed"
        );
        assert_eq!(
            Tally { passed: 3, failed: 4 }.with_failed_stage().to_string(),
            "3 passed, 4 failed"
        );
    }
}
