//! What numbering in commit order costs on PostgreSQL, and an event's way over Kafka from commit to commit.
//!
//! A small program of the brokers crate starts both servers and drives the stores; each figure has its like
//! beside it, the same work without what is measured.

use super::{Bench, Built, figures};
use crate::bars;
use crate::error::Error;
use crate::report::Report;

/// Seconds that the servers' starts and ends are given.
const SERVERS_SECONDS: u64 = 12;

pub(super) fn run(bench: &Bench, built: &Built, report: Report<'_>) -> Result<bool, Error> {
    let seconds = figures::seconds_beside(SERVERS_SECONDS, bench);
    figures::run(built, &seconds, bars::ENGINES, report)
}
