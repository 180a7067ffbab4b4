//! What is counted per route: how requests ended, and how long they took.
//!
//! A request that its client gave up on is counted by nobody's hand: its timing is dropped.

use std::time::Instant;

use chassis::clock;
use chassis::telemetry::Metrics;
use http::StatusCode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Informed,
    Succeeded,
    Redirected,
    Mistaken,
    Failed,
    Cancelled,
    RateLimited,
    CircuitOpen,
    TimedOut,
    ConnectionRefused,
    Broken,
    Nonsense,
}

/// The label of each [`Ended`], in its order.
const OUTCOMES: [&str; 12] = [
    "1xx",
    "2xx",
    "3xx",
    "4xx",
    "5xx",
    "cancelled",
    "rate_limited",
    "circuit_open",
    "timeout",
    "connection_refused",
    "connection_terminated",
    "protocol_error",
];

/// The counters of one route.
pub(crate) struct Meters {
    ended: [Counter; OUTCOMES.len()],
    seconds: Histogram,
}

/// One request's time; dropped without an end, the client gave up.
pub(crate) struct Timing<'m> {
    meters: &'m Meters,
    started: Instant,
    open: bool,
}

impl Meters {
    /// The counters of `route`.
    pub(crate) fn new(metrics: &Metrics, route: &str) -> Meters {
        let counter = |outcome| {
            let help = "Requests by route and how they ended";
            metrics.counter("yeoul_requests", help, &[("route", route), ("outcome", outcome)])
        };
        let help = "Time until a request's answer began";
        Meters {
            ended: OUTCOMES.map(counter),
            seconds: metrics.seconds("yeoul_request_seconds", help, &[("route", route)]),
        }
    }

    /// Counts a request whose time does not matter.
    pub(crate) fn count(&self, status: StatusCode) {
        self.ended[Ended::of(status) as usize].inc();
    }

    /// Begins a request.
    pub(crate) fn start(&self, now: Instant) -> Timing<'_> {
        Timing { meters: self, started: now, open: true }
    }
}

impl Timing<'_> {
    /// Ends the request.
    pub(crate) fn end(mut self, ended: Ended, now: Instant) {
        self.open = false;
        self.meters.ended[ended as usize].inc();
        self.meters.seconds.observe(now.saturating_duration_since(self.started).as_secs_f64());
    }
}

impl Drop for Timing<'_> {
    fn drop(&mut self) {
        if self.open {
            self.meters.ended[Ended::Cancelled as usize].inc();
            let taken = clock::now().saturating_duration_since(self.started);
            self.meters.seconds.observe(taken.as_secs_f64());
        }
    }
}

impl Ended {
    /// How an upstream's answer counts.
    pub(crate) fn of(status: StatusCode) -> Ended {
        match status.as_u16() / 100 {
            1 => Ended::Informed,
            2 => Ended::Succeeded,
            3 => Ended::Redirected,
            4 => Ended::Mistaken,
            _ => Ended::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_its_label() {
        let metrics = Metrics::new();
        let meters = Meters::new(&metrics, "r");
        let now = clock::now();
        for (ended, label) in [
            (Ended::of(StatusCode::CONTINUE), "1xx"),
            (Ended::of(StatusCode::CREATED), "2xx"),
            (Ended::of(StatusCode::NOT_MODIFIED), "3xx"),
            (Ended::of(StatusCode::CONFLICT), "4xx"),
            (Ended::of(StatusCode::BAD_GATEWAY), "5xx"),
            (Ended::RateLimited, "rate_limited"),
            (Ended::CircuitOpen, "circuit_open"),
            (Ended::TimedOut, "timeout"),
            (Ended::ConnectionRefused, "connection_refused"),
            (Ended::Broken, "connection_terminated"),
            (Ended::Nonsense, "protocol_error"),
        ] {
            meters.start(now).end(ended, now);
            let line = format!("yeoul_requests_total{{route=\"r\",outcome=\"{label}\"}} 1\n");
            assert!(metrics.text().contains(&line), "{label}: {}", metrics.text());
        }
        drop(meters.start(now));
        let line = "yeoul_requests_total{route=\"r\",outcome=\"cancelled\"} 1\n";
        assert!(metrics.text().contains(line));
        assert!(metrics.text().contains("yeoul_request_seconds_count{route=\"r\"} 12\n"));
    }
}
