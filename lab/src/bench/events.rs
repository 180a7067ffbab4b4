//! What an event costs beside its acknowledgement: in batches, as the log grows, read again, and on its way to a handler.
//!
//! The log is a library: a small program of the events crate drives it. How far the log grows follows from the seconds.

use super::{Bench, Built, figures};
use crate::bars;
use crate::error::Error;
use crate::report::Report;

/// Seconds that everything takes but the growing.
const OTHERS_SECONDS: u64 = 20;
/// Events that a second of growing is good for.
const A_SECOND: u64 = 100_000;
/// And no further, whatever the seconds: some 4 GB.
const GROWN_MAX: u64 = 10_000_000;

pub(super) fn run(bench: &Bench, built: &Built, report: Report<'_>) -> Result<bool, Error> {
    let growing = bench.seconds.saturating_sub(OTHERS_SECONDS).max(1);
    let grown = growing.saturating_mul(A_SECOND).min(GROWN_MAX).to_string();
    figures::run(built, &grown, bars::EVENTS, report)
}
