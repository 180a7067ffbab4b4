//! What publishers and subscribers know of how far events came, and whether it fits together.
//!
//! Pure: [`agreement`](crate::agreement) asks them, and explains why this matters.

#[cfg(test)]
mod tests;

use crate::error::Error;
use crate::partition::Partition;

/// A publisher in one partition, as its own store and the log know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Publisher {
    pub(crate) source: String,
    pub(crate) partition: Partition,
    /// The highest sequence that its store holds.
    pub(crate) newest: u64,
    /// The lowest that its outbox keeps; `None` if it keeps none.
    pub(crate) oldest: Option<u64>,
    /// The highest that it once relayed.
    pub(crate) relayed: u64,
    /// The highest that the log holds.
    pub(crate) published: u64,
}

/// A subscription in one partition, as its inbox and the log know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subscriber {
    pub(crate) name: String,
    pub(crate) partition: Partition,
    /// The last offset taken, and the log's last.
    pub(crate) position: u64,
    pub(crate) end: u64,
    /// The highest offset received of events that have no sequence.
    pub(crate) unstamped: u64,
    /// One for each source that it received anything of.
    pub(crate) receipts: Vec<Receipt>,
}

/// What was received of one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub(crate) source: String,
    /// The highest sequence received: the inbox's mark.
    pub(crate) received: u64,
    /// The highest that the log holds.
    pub(crate) published: u64,
}

/// The log holds nothing that the store does not, and what it lost the outbox still keeps.
pub(crate) fn fits(publisher: &Publisher) -> Result<(), Error> {
    let Publisher { source, partition, newest, relayed, published, .. } = publisher;
    let source = &partition.of(source);
    if published > newest {
        let what = "the log holds events that their service's store does not";
        return Err(torn(source, newest + 1, *published, what));
    }
    if published < relayed && !publisher.keeps(published + 1, *relayed) {
        let what = "the log lost events that the outbox keeps no more";
        return Err(torn(source, published + 1, *relayed, what));
    }
    Ok(())
}

/// Nothing was received that is neither in the log nor kept by its publisher.
pub(crate) fn follows(subscriber: &Subscriber, publishers: &[Publisher]) -> Result<(), Error> {
    let Subscriber { name, partition, position, end, unstamped, receipts } = subscriber;
    let torn = |from, to, what: &str| torn(&partition.of(name), from, to, what);
    let mut mended = false;
    for Receipt { source, received, published } in receipts {
        if received <= published {
            continue;
        }
        // The log lost what was received. That is well as long as the relay can bring it back.
        let is_its = |it: &&Publisher| it.source == *source && it.partition == *partition;
        let publisher = publishers.iter().find(is_its);
        if !publisher.is_some_and(|it| it.keeps(published + 1, *received)) {
            let what = format!("`{name}` received events of `{source}` that are nowhere any more");
            return Err(torn(published + 1, *received, &what));
        }
        mended = true;
    }
    if unstamped > end {
        return Err(torn(end + 1, *unstamped, "the log ends before what was received of it"));
    }
    // Behind events that come back there is nothing to compare with: the offsets are theirs.
    if position > end && !mended {
        return Err(torn(end + 1, *position, "the log ends before what was read of it"));
    }
    Ok(())
}

impl Publisher {
    /// Whether its outbox still has all of these, so that the relay can bring them back.
    fn keeps(&self, from: u64, to: u64) -> bool {
        self.newest >= to && self.oldest.is_some_and(|oldest| oldest <= from)
    }
}

/// Files that do not belong together: the numbers that one has and the other does not.
fn torn(topic: &str, from: u64, to: u64, what: &str) -> Error {
    Error::Damaged { topic: topic.to_owned(), from, to, what: what.to_owned() }
}
