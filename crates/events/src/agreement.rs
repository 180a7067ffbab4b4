//! Whether log, outboxes and inboxes agree: looked at before anything of a folder runs.
//!
//! Files that were copied one after the other while a process wrote them are each sound and do not fit:
//! a log that knows events which their service never published gives new orders numbers that everybody
//! takes for second copies. So this must hold, and does after a kill at any moment, because each of
//! these was on disk before the next could see it, in every partition:
//!
//! | of each | must hold | or else |
//! |---|---|---|
//! | publisher | the log holds nothing of it that its store does not | its store is older than the log |
//! | publisher | what the log lost of it, its outbox still keeps | events are gone |
//! | subscription | what it received is in the log, or kept by its publisher's outbox, from which the relay brings it back | its store is newer than everything else |
//! | subscription | what it read and received is not past the log's end, but for the above | the log is older |
//!
//! With a broker that removes by itself, places are not compared: that what was read is not there any more is
//! usual there, and the subscription's own loop tells it.
//!
//! It reads and decides; it mends nothing.

use crate::error::Error;
use crate::marks::{fits, follows};
use crate::relay::control::Control as Relay;
use crate::subscription::control::Control as Subscribed;

/// Compares everything that is there: all subscriptions and relays of one folder, before any of them
/// runs. It costs a few indexed reads for each.
///
/// ```
/// # use std::sync::Arc;
/// # use yeoul_events::store::{Database, Options, Publishes};
/// # use yeoul_events::{Broker, Clock, Control, Error, Log, Topic, agreement, relay};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// # let folder = tempfile::tempdir().expect("a folder");
/// # let clock: Clock = Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
/// # let topic = Topic::parse("order")?;
/// # let log: Arc<dyn Broker> =
/// #     Arc::new(Log::open(folder.path(), std::slice::from_ref(&topic), clock.clone())?);
/// # let open = |name: &str, publishes| {
/// #     let path = folder.path().join(name);
/// #     Database::open(Options { path, schema: &[], publishes, clock: clock.clone() })
/// # };
/// # let partitions = yeoul_events::Partitions::ONE;
/// # let publishes = Publishes { source: "order".into(), topic: topic.clone(), partitions };
/// # let (order, product) = (open("order.db", Some(publishes))?, open("product.db", None)?);
/// let running = tokio::sync::watch::Sender::new(false).subscribe();
/// let relay = relay::Control::of(order, log.clone(), running).expect("order publishes");
/// let subscription = Control::resting("product.order", topic, product, log, clock);
/// // Damage here means files of different moments: do not run on them.
/// agreement::check(&[subscription], &[relay]).await
/// # }
/// ```
///
/// # Errors
/// The first thing that does not fit, [`Error::Damaged`] with the publisher or subscription and the
/// stretch of numbers: do not run on these files, restore a backup. Anything else: look again later.
pub async fn check(subscriptions: &[Subscribed], relays: &[Relay]) -> Result<(), Error> {
    let mut publishers = Vec::new();
    for relay in relays {
        publishers.extend(relay.publishers().await?);
    }
    publishers.iter().try_for_each(fits)?;
    for subscription in subscriptions {
        for subscriber in subscription.subscribers().await? {
            follows(&subscriber, &publishers)?;
        }
    }
    Ok(())
}
