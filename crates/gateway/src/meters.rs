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
pub(crate) enum RequestEnd {
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

/// The label of each [`RequestEnd`], in its order.
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
        self.ended[RequestEnd::of(status) as usize].inc();
    }

    /// Begins a request.
    pub(crate) fn start(&self, now: Instant) -> Timing<'_> {
        Timing { meters: self, started: now, open: true }
    }
}

impl Timing<'_> {
    /// Ends the request.
    pub(crate) fn end(mut self, ended: RequestEnd, now: Instant) {
        self.open = false;
        self.meters.ended[ended as usize].inc();
        self.meters.seconds.observe(now.saturating_duration_since(self.started).as_secs_f64());
    }
}

impl Drop for Timing<'_> {
    fn drop(&mut self) {
        if self.open {
            self.meters.ended[RequestEnd::Cancelled as usize].inc();
            let taken = clock::now().saturating_duration_since(self.started);
            self.meters.seconds.observe(taken.as_secs_f64());
        }
    }
}

impl RequestEnd {
    /// How an upstream's answer counts.
    pub(crate) fn of(status: StatusCode) -> RequestEnd {
        match status.as_u16() / 100 {
            1 => RequestEnd::Informed,
            2 => RequestEnd::Succeeded,
            3 => RequestEnd::Redirected,
            4 => RequestEnd::Mistaken,
            _ => RequestEnd::Failed,
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
            (RequestEnd::of(StatusCode::CONTINUE), "1xx"),
            (RequestEnd::of(StatusCode::CREATED), "2xx"),
            (RequestEnd::of(StatusCode::NOT_MODIFIED), "3xx"),
            (RequestEnd::of(StatusCode::CONFLICT), "4xx"),
            (RequestEnd::of(StatusCode::BAD_GATEWAY), "5xx"),
            (RequestEnd::RateLimited, "rate_limited"),
            (RequestEnd::CircuitOpen, "circuit_open"),
            (RequestEnd::TimedOut, "timeout"),
            (RequestEnd::ConnectionRefused, "connection_refused"),
            (RequestEnd::Broken, "connection_terminated"),
            (RequestEnd::Nonsense, "protocol_error"),
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
