//! What an outbox, a queue of writes and a piece of work may have at most, and what a comparison with the broker finds:
//! the same on every engine.

use std::ops::RangeInclusive;

use crate::error::Error;
use crate::event::{CAUSE_BYTES_MAX, Draft, EVENT_BYTES_MAX, KEY_BYTES_MAX, check_texts};

/// Relayed rows of a partition kept for mending a log: how much of its tail a log may lose and get back. What is older
/// is removed by the relay as it goes; readers never need it, since they read the broker.
pub const OUTBOX_KEPT: u64 = 10_000;

/// Committed events of a partition that may wait for the broker; past it the service refuses to publish,
/// and with that the write that wanted to ([`Error::Environment`]: nothing was done, the client comes again).
///
/// A broker that is away for a day is no reason to refuse an order, and a disk that fills up in silence is worse than a
/// refusal: at ten orders a second this is a day and some hours. A relay's status says how far it is.
pub const OUTBOX_WAITING_MAX: u64 = 1_000_000;

/// Bytes of data that one read of waiting rows gathers, unless the first row alone has more.
///
/// Half of what the local broker takes in a batch: ample room for every envelope, and a memory
/// that does not grow with what waits.
pub const WAITING_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of data an outbox takes: what an event may have, less ample room for its envelope. Larger data is refused when
/// it is published ([`Error::Limit`]), while somebody is there to hear it, and not by the broker later; a picture is a
/// link.
pub const DATA_BYTES_MAX: usize = EVENT_BYTES_MAX - 64 * 1024;

/// Pieces of work that may wait for their turn; one more is refused as environment trouble.
pub const WRITE_QUEUE_MAX: usize = 8192;

/// Savepoints within savepoints of one piece of work, its own included; one more is [`Error::Limit`], most likely of a
/// recursion without an end.
pub const SAVEPOINTS_DEEP_MAX: usize = 8;

/// What comparing a partition with the broker found, each as the sequences that are lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reconciled {
    /// In the log and not here any more: the service's file lost its tail.
    pub(crate) outbox_lost: Option<RangeInclusive<u64>>,
    /// Relayed once and not in the log any more: the log lost its tail.
    pub(crate) log_lost: Option<RangeInclusive<u64>>,
    /// The part of `log_lost` whose rows are not kept any more.
    pub(crate) unmendable: Option<RangeInclusive<u64>>,
}

/// Refuses here what the broker would refuse later, when nobody is left to answer.
pub(crate) fn check(draft: &Draft) -> Result<(), Error> {
    Error::check("subject", draft.subject.len(), KEY_BYTES_MAX)?;
    for text in draft.cause.texts() {
        Error::check("cause", text.len(), CAUSE_BYTES_MAX)?;
    }
    check_texts(draft.cause.texts().chain([&draft.subject]))?;
    Error::check("data", draft.data.get().len(), DATA_BYTES_MAX)
}

/// Refuses where as many wait already as may.
pub(crate) fn check_room(waiting: u64) -> Result<(), Error> {
    if waiting >= OUTBOX_WAITING_MAX {
        return Err(Error::environment(format!("{waiting} events wait for the broker")));
    }
    Ok(())
}
