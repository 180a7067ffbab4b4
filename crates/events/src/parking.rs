//! Parking: what becomes of an event whose handler fails, and of its key.
//!
//! The failed event waits in the consumer's own database, later events of its key go straight
//! behind it, and every other key goes on: order per key holds and nobody sleeps in the consumer.
//! After its last attempt the event is a dead letter, still first of its key, until an operator
//! redrives or drops it.
//!
//! | an event is | and becomes | when |
//! |---|---|---|
//! | new | parked, due after a pause | its handler failed |
//! | new | parked, waiting its turn | something of its key is parked |
//! | waiting its turn | due now | the one before it was handled or dropped |
//! | due | gone | its handler did its work |
//! | due | due again after a pause | its handler failed, and it has attempts left |
//! | due | a dead letter | its handler failed for the last time |
//! | a dead letter | due now, with all its attempts | it is redriven |
//! | a dead letter | gone, with a note | it is dropped |
//!
//! Only the first of a key is ever due or dead; those behind it wait. A dead letter does not expire,
//! is not moved elsewhere and is not published anywhere: the key stands still, and that shows.
//!
//! These are the decisions alone, pure; the table is the store's and the loop the subscription's.

use std::time::Duration;

use jiff::Timestamp;

use crate::event::Event;
use crate::partition::Numbered;
use crate::topic::Topic;

/// Events one subscription parks; at the limit it takes no new events, and its status shows why.
///
/// Deliveries elsewhere ([`deliveries`](crate::deliveries)) read ahead: of each partition up to
/// [`WINDOW_EVENTS_MAX`](crate::deliveries::WINDOW_EVENTS_MAX) come on top, where what was read ahead is of keys that fail
/// (where shares have their turns, [`SHARED_WINDOW_EVENTS_MAX`](crate::deliveries::SHARED_WINDOW_EVENTS_MAX)).
///
/// Few keys that fail never get there. A handler that fails at everything does, and then stops: going on, it would move
/// the whole topic into a table, where each event has to be redriven by hand. Once the handler is mended and what is
/// parked was redriven, it goes on by itself.
pub const PARKED_MAX: u64 = 10_000;

/// Characters of a handler's reason that are kept; what is longer is cut, since a reason is to be read in a list.
pub const REASON_CHARS_MAX: usize = 1000;

/// How often and how soon a failed event is tried again.
///
/// The pause is the same each time and not longer after each failure: what heals by itself heals in
/// seconds, and a key that stands still for an hour before anybody hears of it helps nobody.
///
/// ```
/// use std::time::Duration;
/// use yeoul_events::Retry;
///
/// // Tried at once, after one second, after one more; then it is a dead letter.
/// let retry = Retry { attempts: 3, backoff: Duration::from_secs(1) };
/// # assert_eq!(retry.attempts, 3);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Attempts in all, the first included; 0 counts as 1.
    pub attempts: u32,
    /// Time between two attempts, by the subscription's clock. A pause past the end of time makes the
    /// first failure the last.
    pub backoff: Duration,
}

/// An event that failed as often as it may, or that no broker takes, and waits for an operator.
///
/// What to do with one: read [`reason`](Self::reason); mend the cause (the program, the data it met);
/// then redrive it, and what waits behind it follows in order. If its effect is not wanted any more,
/// drop it: that is written down with the name of whoever did it. There is nothing to do in a hurry
/// for other keys, which went on all the time.
///
/// It goes without the event, which may be large: whoever wants that asks for one at a time.
///
/// ```
/// use yeoul_events::DeadLetter;
///
/// /// A line for whoever is called: what stands still, why, and what to type.
/// fn alarm(letter: &DeadLetter) -> String {
///     let DeadLetter { id, subscription, key, kind, reason, waiting, .. } = letter;
///     // One whose row is hurt has no type any more: it is skipped, not redriven.
///     let remedy = if kind.is_empty() {
///         format!("yeoul events skip {subscription}")
///     } else {
///         format!("yeoul dead redrive {id}")
///     };
///     format!("{key} stands still with {waiting} behind it: {reason}. Once it is mended: {remedy}")
/// }
/// # let letter = DeadLetter {
/// #     id: "product.order.17".into(),
/// #     subscription: "product.order".into(),
/// #     topic: yeoul_events::Topic::parse("order").unwrap(),
/// #     key: "9".into(),
/// #     kind: String::new(),
/// #     attempts: 3,
/// #     reason: "hurt".into(),
/// #     since: jiff::Timestamp::UNIX_EPOCH,
/// #     waiting: 2,
/// # };
/// # assert!(alarm(&letter).ends_with("yeoul events skip product.order"));
/// ```
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// Subscription and offset: `product.order.17`, with its partition if it is not the first
    /// (`product.order.3-17`); relay and number: `outbox.order.17`.
    pub id: String,
    /// Whose handler failed, or which relay passed it: whose `Control` redrives it.
    pub subscription: String,
    /// Where the event came from.
    pub topic: Topic,
    /// The key that waits.
    pub key: String,
    /// The event's type; empty where the row is no event any more.
    pub kind: String,
    /// How often the handler was tried.
    pub attempts: u32,
    /// Why the last attempt failed, in the handler's or the broker's words.
    pub reason: String,
    /// When the event was parked.
    pub since: Timestamp,
    /// Later events of the key that wait behind it.
    pub waiting: u64,
}

/// A parked event that failed and is tried again by itself: not yet a dead letter, and the first of its key all the same.
#[derive(Clone, Debug)]
pub struct RetriedEvent {
    /// As of a dead letter, which it may become.
    pub id: String,
    /// Whose handler or receiver failed.
    pub subscription: String,
    /// Where the event came from.
    pub topic: Topic,
    /// The key that waits.
    pub key: String,
    /// The event's type; empty where the row is no event any more.
    pub kind: String,
    /// How often it was tried; 0 where only its turn has come, behind others of its key.
    pub attempts: u32,
    /// Why the last attempt failed; empty before the first.
    pub reason: String,
    /// When it is tried next.
    pub next_attempt: Timestamp,
    /// Later events of the key that wait behind it.
    pub waiting: u64,
}

/// What an operator replaced in a parked event.
#[derive(Clone, Debug)]
pub struct EditedLetter {
    /// The event as it came; `None` where its row is none any more.
    pub original: Option<Event>,
    /// When it was replaced last.
    pub at: Timestamp,
    /// On whose word.
    pub by: String,
}

/// What came of asking for a letter to be tried with other data, or before that.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Edited {
    /// It is tried again with it, or would have been handled.
    Done,
    /// It would have failed, for this reason.
    Fails(String),
    /// There is no dead letter of that id whose row is an event.
    NoLetter,
    /// Its data are bytes, or it has none: there is no JSON to replace.
    NoJson,
    /// Nobody here handles it: it is delivered elsewhere, or the subscription does not run in this process.
    NotHere,
    /// Its deadline has come, and whoever would have it passes it without looking.
    Expired,
    /// It is not tried beside the process's other work: starts of the process ended with it, as these words say.
    Deadly(String),
}

/// What a parked event waits for. Exactly the first of a key waits for a time or an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// The events of its key before it.
    Turn,
    /// Its next attempt, at this time.
    Until(Timestamp),
    /// An operator: it is a dead letter.
    Operator,
}

/// How a parked event stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing<'r> {
    /// Attempts so far; 0 for one that waits its turn.
    pub(crate) attempts: u32,
    pub(crate) wait: Wait,
    /// Why the last attempt failed, as far as it is kept; empty before the first.
    pub(crate) reason: &'r str,
}

impl Retry {
    /// failed → again after the pause, or dead after the last attempt. `attempts` includes the one
    /// that just failed.
    pub(crate) fn after_failure(&self, attempts: u32, now: Timestamp) -> Wait {
        if attempts >= self.attempts {
            return Wait::Operator;
        }
        // A pause past the end of time is no attempt any more.
        now.checked_add(self.backoff).map_or(Wait::Operator, Wait::Until)
    }
}

/// The id of what a subscription parked from there.
pub(crate) fn id(subscription: &str, at: Numbered) -> String {
    format!("{subscription}.{at}")
}

/// Partition and offset in an id of this subscription.
pub(crate) fn number_in(id: &str, subscription: &str) -> Option<Numbered> {
    id.strip_prefix(subscription)?.strip_prefix('.')?.parse().ok()
}

/// How to step over what is hurt, for a status or a reason.
pub(crate) fn how_to_skip(name: &str) -> String {
    format!("step over it: `yeoul events skip {name}`")
}

/// A reason no longer than is kept.
pub(crate) fn shortened(reason: &str) -> &str {
    reason.char_indices().nth(REASON_CHARS_MAX).map_or(reason, |(end, _)| &reason[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partition::Partition;

    #[test]
    fn the_last_attempt_is_followed_by_an_operator_and_none_before_it() {
        let retry = Retry { attempts: 3, backoff: Duration::from_secs(1) };
        let now = Timestamp::UNIX_EPOCH;
        let again = Wait::Until(Timestamp::from_second(1).expect("in range"));
        for (attempts, wait) in [(1, again), (2, again), (3, Wait::Operator), (4, Wait::Operator)] {
            assert_eq!(retry.after_failure(attempts, now), wait, "{attempts}");
        }
        let never = Retry { attempts: 9, backoff: Duration::MAX };
        assert_eq!(never.after_failure(1, now), Wait::Operator);
    }

    #[test]
    fn an_id_reads_back_only_for_its_own_subscription() {
        let third = Partition::new(3).expect("a partition");
        for (number, text) in [
            (Numbered { partition: Partition::FIRST, number: 17 }, "product.order.17"),
            (Numbered { partition: third, number: 17 }, "product.order.3-17"),
        ] {
            assert_eq!(id("product.order", number), text);
            assert_eq!(number_in(text, "product.order"), Some(number));
        }
        for id in [
            "product.order.017",
            "product.order.",
            "product.order",
            "product.order.x",
            "delivery.order.17",
            "product.orders.17",
        ] {
            assert_eq!(number_in(id, "product.order"), None, "{id}");
        }
    }

    #[test]
    fn a_reason_is_cut_between_characters() {
        let fits = "재".repeat(REASON_CHARS_MAX);
        assert_eq!(shortened(&fits), fits);
        assert_eq!(shortened(&format!("{fits}고")), fits);
    }
}
