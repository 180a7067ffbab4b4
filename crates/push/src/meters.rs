//! What is counted of a subscription's deliveries. How far it is behind is every subscription's own gauge.

use chassis::telemetry::{Level, Metrics};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;

/// The meters of one subscription.
#[derive(Clone)]
pub struct Meters {
    pub(crate) delivered: Counter,
    pub(crate) failed: Counter,
    pub(crate) retried: Counter,
    pub(crate) not_now: Counter,
    pub(crate) in_flight: Level,
    pub(crate) circuit: Level,
    pub(crate) took: Histogram,
}

impl Meters {
    /// Those of the subscription of this name.
    pub fn of(metrics: &Metrics, subscription: &str) -> Meters {
        let labels = [("subscription", subscription)];
        let counter = |name, help| metrics.counter(name, help, &labels);
        Meters {
            delivered: counter("yeoul_push_delivered", "Events that a receiver acknowledged"),
            failed: counter("yeoul_push_failed", "Attempts that a receiver did not acknowledge"),
            retried: counter("yeoul_push_retried", "Attempts after an event's first"),
            not_now: counter("yeoul_push_not_now", "Deliveries put off: a pause, or nobody there"),
            in_flight: metrics.level("yeoul_push_in_flight", "Attempts under way", &labels),
            circuit: metrics.level(
                "yeoul_push_circuit_state",
                "0 closed, 1 open, 2 half-open",
                &labels,
            ),
            took: metrics.seconds("yeoul_push_seconds", "How long attempts took", &labels),
        }
    }
}
