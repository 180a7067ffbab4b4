//! Load: a closed loop on so many connections, for so many seconds.
//!
//! `wrk` on one thread where it is installed, so that figures can be compared with others' and the
//! client is never the limit; else the lab's own, a thread per connection, which is slower but does
//! not change what is read from the server: CPU per request. A closed loop says nothing of latency
//! under a given rate, only of latency at saturation; nothing else is claimed.

mod own;
mod wrk;

use std::path::Path;
use std::time::Duration;

use crate::error::Error;
use crate::http::Request;
use crate::process;

/// Connections of every bench.
pub(crate) const CONNECTIONS: usize = 64;

/// What a load brought.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Outcome {
    /// Answers that came.
    pub(crate) requests: u64,
    /// How long it ran.
    pub(crate) time: Duration,
    /// Answers that were neither 2xx nor 3xx, and connections that broke.
    pub(crate) refused: u64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

impl Outcome {
    pub(crate) fn per_second(&self) -> f64 {
        self.requests as f64 / self.time.as_secs_f64()
    }
}

/// Who makes the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Generator {
    /// The program of that name.
    Wrk,
    /// Threads of this process.
    Own,
}

impl Generator {
    /// The better one that is there.
    pub(crate) fn find() -> Generator {
        if process::on_path("wrk").is_some() { Generator::Wrk } else { Generator::Own }
    }

    /// Repeats the request on [`CONNECTIONS`] connections; whatever a generator writes, it writes
    /// below `folder`.
    pub(crate) fn run(
        self,
        request: &Request,
        seconds: u64,
        folder: &Path,
    ) -> Result<Outcome, Error> {
        match self {
            Generator::Wrk => wrk::run(request, seconds, folder),
            Generator::Own => own::run(request, seconds),
        }
    }
}
