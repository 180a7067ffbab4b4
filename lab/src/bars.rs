//! The bars: what a ratio has to be, and whether it is.
//!
//! Pure tables. A bar is judged over what ran: a peer that was missing neither holds nor breaks it,
//! and where nothing could be compared nothing holds.

use std::collections::BTreeMap;

/// What a ratio may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bar {
    AtMost(f64),
    AtLeast(f64),
}

use Bar::{AtLeast, AtMost};

/// A bench's bars by the name of the ratio.
pub(crate) type Bars = &'static [(&'static str, Bar)];

/// CPU per proxied request, ours with every guard on over theirs with nothing on; and p99.
pub(crate) const PROXY: Bars = &[
    ("nginx", AtMost(1.0)),
    ("envoy", AtMost(0.33)),
    ("nginx_p99", AtMost(1.0)),
    ("haproxy_p99", AtMost(1.0)),
    ("envoy_p99", AtMost(1.0)),
];

/// CPU per cached page over theirs; `not_modified` is our 304 over our 200.
pub(crate) const PAGE: Bars =
    &[("nginx", AtMost(0.7)), ("varnish", AtMost(0.4)), ("not_modified", AtMost(0.7))];

/// Events a second, durable, over theirs and over what the disk allows (`disk`); `one_publisher` is
/// the median of one publisher over one bare sync.
pub(crate) const PUBLISH: Bars = &[
    ("disk", AtLeast(1.0)),
    ("one_publisher", AtMost(1.5)),
    ("kafka", AtLeast(10.0)),
    ("kafka_not_durable", AtLeast(2.0)),
    ("nats", AtLeast(10.0)),
    ("nats_not_durable", AtLeast(2.0)),
];

/// Orders over the best that the curriculum's implementation did when it was measured.
pub(crate) const ORDERS: Bars = &[("orders_bar", AtLeast(1.0)), ("cpu_bar", AtMost(1.0))];
/// Orders a second.
pub(crate) const ORDERS_PER_SECOND: f64 = 9_000.0;
/// Milliseconds of CPU an order.
pub(crate) const ORDER_CPU_MS: f64 = 0.2;

/// Start and idle memory over the bar.
pub(crate) const START: Bars = &[("start_bar", AtMost(1.0)), ("memory_bar", AtMost(1.0))];
/// Milliseconds from exec to the first answered request.
pub(crate) const START_MS: f64 = 500.0;
/// Megabytes resident when idle.
pub(crate) const IDLE_MB: f64 = 80.0;

/// A whole order's time on PostgreSQL, numbered in eight partitions over the same without numbers; and an event's
/// from commit to commit over a bare producer and consumer, the 99th in a hundred.
pub(crate) const ENGINES: Bars = &[("numbering_8", AtMost(1.15)), ("hop_p99", AtMost(1.5))];

/// Of the local log, over what it is to do: events a second in batches and read again; an event's 99th in a hundred from commit to
/// handled over three syncs and two milliseconds; and what an event costs in a log that has grown, and of many topics, over the same at
/// the beginning and of one.
pub(crate) const EVENTS: Bars = &[
    ("batches_bar", AtLeast(1.0)),
    ("replay_bar", AtLeast(1.0)),
    ("handled_bar", AtMost(1.0)),
    ("flat_stored", AtMost(1.1)),
    ("flat_topics", AtMost(1.1)),
];

/// Idle memory of the largest of the parts' processes over the bar.
pub(crate) const CLUSTER: Bars = &[("memory_bar", AtMost(1.0))];
/// Megabytes that one of them has resident when idle.
pub(crate) const IDLE_PART_MB: f64 = 25.0;

/// Events a second that suffice whatever the disk.
const PUBLISH_ENOUGH: f64 = 200_000.0;
/// The share of a perfect grouping of 64 publishers into one sync.
const PUBLISH_SHARE: f64 = 0.6 * 64.0;

/// Events a second to reach on a disk that takes so long for one sync.
pub(crate) fn publish_goal(sync_seconds: f64) -> f64 {
    PUBLISH_ENOUGH.min(PUBLISH_SHARE / sync_seconds)
}

/// Whether every ratio that was measured is within its bar, and there was one.
pub(crate) fn all_within(bars: Bars, ratios: &BTreeMap<String, f64>) -> bool {
    let mut judged =
        bars.iter().filter_map(|(name, bar)| Some((bar, *ratios.get(*name)?))).peekable();
    judged.peek().is_some()
        && judged.all(|(bar, ratio)| match bar {
            AtMost(limit) => ratio <= *limit,
            AtLeast(limit) => ratio >= *limit,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratios(given: &[(&str, f64)]) -> BTreeMap<String, f64> {
        given.iter().map(|(name, ratio)| ((*name).to_owned(), *ratio)).collect()
    }

    #[test]
    fn a_bar_holds_at_its_limit_and_not_past_it() {
        for (bars, given, holds) in [
            (PROXY, &[("nginx", 1.0), ("envoy", 0.33)][..], true),
            (PROXY, &[("nginx", 1.001), ("envoy", 0.33)], false),
            (PROXY, &[("nginx", 0.9), ("envoy", 0.331)], false),
            (PROXY, &[("nginx", 0.9), ("nginx_p99", 1.01)], false),
            (PUBLISH, &[("disk", 1.0), ("kafka", 10.0)], true),
            (PUBLISH, &[("disk", 0.99)], false),
            (PUBLISH, &[("disk", 1.2), ("kafka", 9.9)], false),
        ] {
            assert_eq!(all_within(bars, &ratios(given)), holds, "{given:?}");
        }
    }

    #[test]
    fn a_missing_peer_is_not_judged_and_nothing_compared_does_not_hold() {
        assert!(all_within(PROXY, &ratios(&[("envoy", 0.3)])));
        assert!(all_within(PROXY, &ratios(&[("envoy", 0.3), ("haproxy", 7.0)])));
        assert!(!all_within(PROXY, &ratios(&[])));
        assert!(!all_within(PROXY, &ratios(&[("haproxy", 0.5)])));
    }

    #[test]
    fn not_a_number_never_holds() {
        assert!(!all_within(PROXY, &ratios(&[("nginx", f64::NAN)])));
    }

    #[test]
    fn the_goal_follows_the_disk_until_it_is_enough() {
        assert!((publish_goal(0.001) - 38_400.0).abs() < 1e-6);
        assert!((publish_goal(0.000_192) - 200_000.0).abs() < 1e-6);
        assert!((publish_goal(0.000_01) - 200_000.0).abs() < 1e-6);
    }
}
