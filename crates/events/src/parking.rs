//! Parking: what happens to a key whose event fails.

use jiff::Timestamp;

use crate::{Event, Topic};

/// Events one subscription may park; past it the subscription takes no new events and says so.
pub const PARKED_MAX: u64 = 10_000;

/// An event that failed as often as it may, and waits for a hand.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// Subscription and offset: `product.order.17`.
    pub id: String,
    /// Whose handler failed.
    pub subscription: String,
    /// Where the event came from.
    pub topic: Topic,
    /// The key that waits.
    pub key: String,
    /// The event's type.
    pub kind: String,
    /// How often the handler was tried.
    pub attempts: u32,
    /// What the handler said last.
    pub reason: String,
    /// When the event was first parked.
    pub since: Timestamp,
    /// Later events of the key that wait behind it.
    pub waiting: u64,
    /// The event itself.
    pub event: Event,
}
