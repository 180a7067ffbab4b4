//! One partition of a consumer, with a queue of its own: what is fetched of it, its end and its trouble come there and
//! nowhere else.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::{Context, Poll, Waker};

use events::{Error, Offset, TopicPartition};
use rdkafka::consumer::stream_consumer::StreamPartitionQueue;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::topic_partition_list::TopicPartitionList;
use tokio::sync::mpsc;

use crate::kafka::client::{ClientLog, index, offset_after};
use crate::kafka::trouble;

pub(super) type Consumer = StreamConsumer<ClientLog>;
/// What is fetched of one partition.
pub(super) type Queue = StreamPartitionQueue<ClientLog>;

/// After which place of which partition a reader goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::kafka) struct Cursor {
    pub(in crate::kafka) at: TopicPartition,
    pub(in crate::kafka) after: Offset,
}

/// A consumer is in use while somebody has one of these; dropped behind what is used, so that whoever attends to the
/// consumer has it last. The last one to drop it waits for its threads, which is no thing to do on one of the runtime's.
pub(super) type Used = mpsc::Sender<Infallible>;

/// How many records and ends were taken from a consumer, of all its partitions.
pub(super) type Came = Arc<AtomicU64>;

/// What was said of a partition's end where its reader stands: Kafka's client says an end once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::kafka) struct Ends {
    /// One was met since the last record. What was stored since may be on its way.
    pub(in crate::kafka) is_met: bool,
    /// Nothing was there up to this end but what Kafka keeps for itself.
    pub(in crate::kafka) nothing_until: Option<Offset>,
}

/// One partition of a consumer.
pub(super) struct Reader {
    /// Uses the consumer: it is dropped before that one's sign of use is.
    pub(super) queue: Queue,
    pub(super) of: Chosen,
    /// Kafka's name of the topic.
    pub(super) name: String,
    pub(super) place: Cursor,
    pub(super) ends: Ends,
}

/// A consumer that has a partition for whoever is to read it.
pub(super) struct Chosen {
    pub(super) number: u64,
    pub(super) consumer: Arc<Consumer>,
    pub(super) came: Came,
    pub(super) _used: Used,
}

impl Reader {
    /// Takes its partition from the consumer.
    pub(super) fn unassigned(self) -> Chosen {
        let Reader { queue, of, name, place, .. } = self;
        let mut taken = TopicPartitionList::with_capacity(1);
        taken.add_partition(&name, index(&place.at));
        if let Err(error) = of.consumer.incremental_unassign(&taken) {
            tracing::debug!(%error, "a partition was not given back");
        }
        // Only one queue of a partition can tell that it has something: this one ends before there is another.
        drop(queue);
        of
    }
}

/// Has a consumer fetch the partition from behind this place.
pub(super) fn assign(
    consumer: &Arc<Consumer>,
    name: &str,
    at: &TopicPartition,
    after: Offset,
) -> Result<Queue, Error> {
    let from = rdkafka::Offset::Offset(offset_after(after));
    let mut assigned = TopicPartitionList::with_capacity(1);
    assigned.add_partition_offset(name, index(at), from).map_err(trouble::of)?;
    // Before it is assigned: nothing of it comes elsewhere.
    let queue = consumer.split_partition_queue(name, index(at)).ok_or(Error::UnknownTopic)?;
    // What was said of it when it was pointed elsewhere is said of that place; nothing is fetched now.
    while at_once(queue.recv()).is_some() {}
    consumer.incremental_assign(&assigned).map_err(trouble::of)?;
    Ok(queue)
}

/// What is ready now.
pub(in crate::kafka) fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(ready) => Some(ready),
        Poll::Pending => None,
    }
}
