//! Whether log, outboxes and inboxes tell one story: looked at before anything of a folder runs.
//!
//! Files that were copied one after the other while a process wrote them are each sound and do not fit:
//! a log that knows events which their service never published gives new orders numbers that everybody
//! takes for second copies. So, per publisher: what the log holds is at most what the store holds; what
//! an inbox received is at most what the log holds, or else the outbox still keeps what is missing and
//! the relay brings it back. A kill at any moment leaves a story that fits, because each of these was on
//! disk before the next could see it.
//!
//! It reads and decides; it mends nothing.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::marks::{fits, follows};
use crate::relay;
use crate::subscription;

/// Compares everything that is there.
///
/// # Errors
/// The first thing that does not fit, [`Error::Damaged`]: do not run on these files. Anything else:
/// look again later.
pub async fn check(
    subscriptions: &[subscription::Control],
    relays: &[relay::Control],
) -> Result<(), Error> {
    let mut publishers = BTreeMap::new();
    for relay in relays {
        let publisher = relay.publisher().await?;
        publishers.insert(publisher.source.clone(), publisher);
    }
    publishers.values().try_for_each(fits)?;
    for subscription in subscriptions {
        follows(&subscription.consumer().await?, &publishers)?;
    }
    Ok(())
}
