//! Several producers, so that what is published to one partition waits for fewer others.
//!
//! A producer sends a request for each partition, and Kafka takes what comes on one connection in turn: where each message is on
//! the disk before it is acknowledged, the last of eight partitions waits for seven syncs. So each producer has every
//! [`PRODUCERS_MAX`]th partition. A partition's events all go by the same one, whose order is all that they need; what ends one
//! producer ([`publish`](super::publish)) the others do not notice.
//!
//! One is made with the first event of a partition that is its own: topics of one partition have one producer together.

use std::sync::{Arc, Mutex, PoisonError};

use events::{Clock, Error, TopicPartition};

use super::client::Client;
use super::publish::Publisher;
use super::terms::Terms;

/// Producers at most.
pub const PRODUCERS_MAX: usize = 4;

/// All that publish.
pub(super) struct Producers {
    client: Arc<Client>,
    terms: Arc<Terms>,
    clock: Clock,
    made: Mutex<[Option<Arc<Publisher>>; PRODUCERS_MAX]>,
}

impl Producers {
    pub(super) fn new(client: &Arc<Client>, terms: Terms, clock: Clock) -> Producers {
        let (client, terms) = (Arc::clone(client), Arc::new(terms));
        Producers { client, terms, clock, made: Mutex::default() }
    }

    /// The one that publishes to this partition.
    pub(super) fn of(&self, at: &TopicPartition) -> Result<Arc<Publisher>, Error> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let one = &mut made[usize::from(at.partition.index()) % PRODUCERS_MAX];
        if let Some(publisher) = one {
            return Ok(Arc::clone(publisher));
        }
        let new = Publisher::new(&self.client, Arc::clone(&self.terms), Arc::clone(&self.clock))?;
        Ok(Arc::clone(one.insert(Arc::new(new))))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use events::{Partition, Topic};

    use super::*;

    fn at(topic: &str, partition: usize) -> TopicPartition {
        let index = u16::try_from(partition).expect("in range");
        Topic::parse(topic).expect("a name").at(Partition::new(index).expect("in range"))
    }

    #[test]
    fn a_partition_has_one_producer_for_ever_and_its_neighbours_have_others() {
        let nobody = "kafka://127.0.0.1:1".parse().expect("an address");
        let client = Arc::new(Client::new(&nobody, Duration::from_secs(1)));
        let clock: Clock = Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
        let producers = Producers::new(&client, Terms::default(), clock);
        let made =
            || producers.made.lock().expect("nobody panics with it").iter().flatten().count();
        assert_eq!(made(), 0, "nothing is published yet");
        let of = |topic, partition| producers.of(&at(topic, partition)).expect("a producer");
        let first = of("order", 0);
        assert!(Arc::ptr_eq(&first, &of("order", 0)));
        assert!(Arc::ptr_eq(&first, &of("product", 0)), "topics of one partition have one");
        assert_eq!(made(), 1);
        for partition in 1..PRODUCERS_MAX {
            assert!(!Arc::ptr_eq(&first, &of("order", partition)), "{partition}");
        }
        assert!(Arc::ptr_eq(&first, &of("order", PRODUCERS_MAX)));
        assert_eq!(made(), PRODUCERS_MAX);
    }
}
