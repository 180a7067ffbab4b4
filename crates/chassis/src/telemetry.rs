//! What a process says about itself: log lines to stderr, metrics as Prometheus text.
//!
//! Standard output belongs to the user (the ready line, a command's result), so logs never go there.
//! Metrics are prometheus-client's families; what is cheaper to look up than to keep up to date is
//! set by a hook before each scrape.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tracing_subscriber::EnvFilter;

/// The content type of [`Metrics::text`].
pub const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Upper bounds of duration histograms, in seconds.
pub const SECONDS: [f64; 12] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0];

/// A gauge of whole or broken numbers.
pub type Level = Gauge<f64, AtomicU64>;

type Labels = Vec<(String, String)>;
type Seconds = Family<Labels, Histogram, fn() -> Histogram>;
type Hook = Box<dyn Fn() + Send + Sync>;

/// Starts logging to stderr; `YEOUL_LOG` (or `RUST_LOG`) sets the filter, default `info`.
///
/// Called once by a program; a second call changes nothing.
pub fn start() {
    let filter = EnvFilter::try_from_env("YEOUL_LOG")
        .or_else(|_| EnvFilter::try_from_default_env())
        .unwrap_or_else(|_| EnvFilter::new("info"));
    let _ = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init();
}

/// The metrics of a process; clones are handles.
#[derive(Clone, Default)]
pub struct Metrics {
    registered: Arc<Mutex<Registered>>,
}

/// Everything that is measured, by name.
#[derive(Default)]
struct Registered {
    registry: Registry,
    counters: HashMap<String, Family<Labels, Counter>>,
    levels: HashMap<String, Family<Labels, Level>>,
    histograms: HashMap<String, Seconds>,
    hooks: Vec<Arc<Hook>>,
}

impl Metrics {
    /// No metrics yet.
    pub fn new() -> Metrics {
        Metrics::default()
    }

    /// The counter `name` (without `_total`) with these labels. Keep it: looking up takes a lock.
    pub fn counter(&self, name: &str, help: &str, labels: &[(&str, &str)]) -> Counter {
        let mut registered = self.registered();
        let registered = &mut *registered;
        let family = registered.counters.entry(name.to_owned()).or_insert_with(|| {
            let family = Family::default();
            registered.registry.register(name, help, Family::clone(&family));
            family
        });
        family.get_or_create(&owned(labels)).clone()
    }

    /// The gauge `name` with these labels.
    pub fn level(&self, name: &str, help: &str, labels: &[(&str, &str)]) -> Level {
        let mut registered = self.registered();
        let registered = &mut *registered;
        let family = registered.levels.entry(name.to_owned()).or_insert_with(|| {
            let family = Family::default();
            registered.registry.register(name, help, Family::clone(&family));
            family
        });
        family.get_or_create(&owned(labels)).clone()
    }

    /// The histogram of seconds `name` with these labels, bounds as [`SECONDS`].
    pub fn seconds(&self, name: &str, help: &str, labels: &[(&str, &str)]) -> Histogram {
        let mut registered = self.registered();
        let registered = &mut *registered;
        let family = registered.histograms.entry(name.to_owned()).or_insert_with(|| {
            let make: fn() -> Histogram = || Histogram::new(SECONDS);
            let family = Family::new_with_constructor(make);
            registered.registry.register(name, help, Family::clone(&family));
            family
        });
        family.get_or_create(&owned(labels)).clone()
    }

    /// Runs `hook` before each scrape, to set what is looked up rather than kept.
    pub fn before_scrape(&self, hook: impl Fn() + Send + Sync + 'static) {
        self.registered().hooks.push(Arc::new(Box::new(hook)));
    }

    /// Everything as text, see [`METRICS_TYPE`].
    pub fn text(&self) -> String {
        let hooks = self.registered().hooks.clone();
        // Without the lock: a hook asks for gauges.
        for hook in hooks {
            hook();
        }
        let mut text = String::new();
        encode(&mut text, &self.registered().registry).expect("a String takes any text");
        text
    }

    fn registered(&self) -> std::sync::MutexGuard<'_, Registered> {
        self.registered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

fn owned(labels: &[(&str, &str)]) -> Labels {
    labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_and_labels_are_the_same_metric() {
        let metrics = Metrics::new();
        for _ in 0..2 {
            metrics.counter("asked", "Questions", &[("route", "a")]).inc();
        }
        let level = metrics.level("depth", "How deep", &[]);
        metrics.before_scrape(move || {
            level.set(2.5);
        });
        let text = metrics.text();
        assert!(text.contains("asked_total{route=\"a\"} 2\n"), "{text}");
        assert!(text.contains("depth{} 2.5\n"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}
