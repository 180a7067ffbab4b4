//! What is measured: `/metrics`, and what is set before each scrape.
//!
//! Of subscriptions stores and brokers have to be asked, all at once and no longer than a limit: whoever scrapes waits, and what is not
//! answered by then keeps its last figures, as `/readyz` says why. Of a subscription that is behind the first event is read, which takes
//! a reader of the broker's; of one that has all there is nothing to read.

use std::sync::atomic::Ordering::Relaxed;

use chassis::clock;
use chassis::http::{Body, Response};
use chassis::telemetry::{METRICS_TYPE, Metrics};
use events::relay;
use events::subscription::{Control, Status};
use http::HeaderValue;
use http::header::CONTENT_TYPE;

use super::{Admin, REPORTED_WITHIN};

/// The figures, as text.
pub(super) async fn metrics(admin: &Admin) -> Response {
    // Before the text and not by a hook of the scrape: a hook cannot wait, and a broker may have to be asked.
    set_subscriptions(admin).await;
    let mut response = Response::new(Body::full(admin.metrics.text()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(METRICS_TYPE));
    response
}

/// Sets the relays' gauges before each scrape.
pub(crate) fn watch_relays(metrics: &Metrics, relays: Vec<relay::Control>) {
    let shown = metrics.clone();
    metrics.before_scrape(move || {
        for relay in &relays {
            let (report, labels) = (relay.status(), [("relay", relay.name())]);
            let lag = "Events that wait in an outbox";
            shown.level("yeoul_relay_lag_events", lag, &labels).set(report.lag as f64);
            let stuck = "1 while a relay makes no progress";
            let value = f64::from(u8::from(report.stuck.is_some()));
            shown.level("yeoul_relay_stuck", stuck, &labels).set(value);
        }
    });
}

/// Sets the gauge of how long it has been up before each scrape.
pub(crate) fn watch_process(metrics: &Metrics) {
    let started = clock::now();
    let up = metrics.level("yeoul_up_seconds", "Time since the process was started", &[]);
    metrics.before_scrape(move || {
        up.set(clock::now().duration_since(started).as_secs_f64());
    });
}

/// Sets the subscriptions' gauges: now, because a broker may have to be asked.
async fn set_subscriptions(admin: &Admin) {
    let set = |control: &Control| {
        let (metrics, control) = (admin.metrics.clone(), control.clone());
        let set = async move { set_subscription(&metrics, &control).await };
        tokio::spawn(tokio::time::timeout(REPORTED_WITHIN, set))
    };
    let all: Vec<_> = admin.controls.subscriptions.iter().map(set).collect();
    for set in all {
        // What cannot be asked keeps its last figures; `/readyz` names it.
        _ = set.await;
    }
}

async fn set_subscription(metrics: &Metrics, control: &Control) {
    let labels = [("subscription", control.name())];
    set_workload(metrics, control);
    let Ok(status) = control.status().await else { return };
    let set = |name, says, value: f64| metrics.level(name, says, &labels).set(value);
    let is = |it: bool| f64::from(u8::from(it));
    let lag = "Events that a subscription has not handled yet";
    set("yeoul_subscription_lag_events", lag, status.lag as f64);
    let stuck = "1 while a subscription makes no progress";
    set("yeoul_subscription_stuck", stuck, is(status.stuck.is_some()));
    let paused = "1 while an operator has a subscription take nothing";
    set("yeoul_subscription_paused", paused, is(status.paused.is_some()));
    if let Ok(waiting) = control.parked().await {
        let parked = "Events that failed or wait behind one of their key, dead letters included";
        set("yeoul_subscription_parked", parked, waiting as f64);
    }
    if let Ok(expired) = control.expired().await {
        let says = "Events that a subscription passed because their deadline had come";
        let counted = metrics.counter("yeoul_subscription_expired", says, &labels);
        counted.inner().store(expired, Relaxed);
    }
    set_shares(metrics, control, &status);
    // Last: it is read at the broker.
    if let Some(old) = age(control, &status).await {
        let says = "How old the first event is that a subscription has not handled yet";
        set("yeoul_subscription_lag_seconds", says, old);
    }
}

/// Whose events wait, where shares have their turns: never a series for each. A share may be in several partitions, so these
/// are figures of the one that has the most.
fn set_shares(metrics: &Metrics, control: &Control, status: &Status) {
    let labels = [("subscription", control.name())];
    let reports = || status.partitions.iter().filter_map(|one| one.shares.as_ref());
    let Some(count) = reports().map(|report| report.count).max() else { return };
    let says = "Shares that have events waiting in a partition, of those that are read ahead";
    metrics.level("yeoul_subscription_shares", says, &labels).set(count as f64);
    let most = reports().filter_map(|report| report.most.first()).map(|share| share.waiting).max();
    let says = "Events that wait of the share that has the most of them in a partition";
    let most = most.unwrap_or_default() as f64;
    metrics.level("yeoul_subscription_share_waiting_max", says, &labels).set(most);
}

/// What it has in hand, and what it tried again: nobody has to be asked.
fn set_workload(metrics: &Metrics, control: &Control) {
    let labels = [("subscription", control.name())];
    let says = "Events that a handler, a receiver or a worker has and has not answered for";
    metrics.level("yeoul_subscription_in_flight", says, &labels).set(control.in_flight() as f64);
    let says = "Attempts of a subscription after an event's first";
    let retries = metrics.counter("yeoul_subscription_retries", says, &labels);
    retries.inner().store(control.retries(), Relaxed);
}

/// How old the first event is that it has not handled yet, in seconds, where that can be told.
async fn age(control: &Control, status: &Status) -> Option<f64> {
    if status.lag == 0 {
        return Some(0.0);
    }
    let first = control.first_missing().await.ok()?;
    let old = first.map_or(0.0, |time| clock::wall().duration_since(time).as_secs_f64());
    // A publisher's clock may be ahead of this one.
    Some(old.max(0.0))
}
