//! Partitions of a topic: how many there are, and which one a key's events go to.
//!
//! Order is promised within a partition, so events of one key go to one partition, always the same. The
//! rule is Kafka's own (murmur2 of the key's bytes, its sign taken away), so that a producer in any
//! language that leaves the choice to its client library chooses as we do.
//!
//! ```
//! use yeoul_events::partition::{Partition, Partitions};
//!
//! let four = Partitions::new(4)?;
//! // The same for every event of an order, in every process, whoever wrote the producer.
//! assert_eq!(four.of("order-17"), four.of("order-17"));
//! assert!(four.has(four.of("order-18")));
//! // With one partition there is nothing to choose.
//! assert_eq!(Partitions::ONE.of("order-17"), Partition::FIRST);
//! # Ok::<(), yeoul_events::Error>(())
//! ```
//!
//! # How many
//!
//! A partition is the unit of everything that is done in order: numbered, relayed, read, parked, stepped
//! over. More of them let a stuck one hold up less, and let engines that sync each by itself do more at
//! once; the local log has one sync for all of them, so there one is as fast as many. A topic keeps the
//! number it was made with, because the rule above sends a key elsewhere when it changes: more can be
//! given only while nothing of the topic is under way, and fewer never.
//!
//! It does not know what a topic is called, nor where events are kept.

pub(crate) mod numbers;

use std::fmt;
use std::str::FromStr;

use crate::error::Error;

pub use numbers::Numbers;

/// Partitions one topic has at most: a reader's token carries a place in each of them.
pub const PARTITIONS_MAX: u16 = 128;

/// Numbers given within one partition at most: nine years at a million a second.
pub const NUMBER_MAX: u64 = (1 << 48) - 1;

/// One of a topic's partitions, counted from 0.
///
/// A topic always has the first, and what was kept before there were partitions is in it. In words it is
/// left out: `order` is the first partition of that topic, `order/3` the fourth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(u16);

/// How many partitions a topic has: 1 to [`PARTITIONS_MAX`], and never fewer than it had.
///
/// How many to choose:
///
/// | what is true of the topic | then |
/// |---|---|
/// | one process publishes and reads it, on files | one: its writer does one thing after the other anyway |
/// | instances of a service share what they read | at least as many as there will ever be at work at once |
/// | its outbox is a table on a server | a partition commits once a sync, so as many as commits are wanted side by side |
/// | a reader needs everything of it in one order | one, and no second instance |
///
/// More cost a loop each in every relay and reader, and a number each in positions. Adding some later needs everything
/// that publishes and reads to be at rest, because a key's events change their partition.
///
/// ```
/// use yeoul_events::Error;
/// use yeoul_events::partition::{PARTITIONS_MAX, Partition, Partitions};
///
/// assert!(matches!(Partitions::new(PARTITIONS_MAX + 1), Err(Error::Limit { limit: 128, .. })));
/// assert!(Partitions::new(0).is_err(), "a topic has at least one");
///
/// let three = Partitions::new(3)?;
/// assert_eq!(three.each().map(Partition::index).collect::<Vec<_>>(), [0, 1, 2]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partitions(u16);

/// A number that was given within a partition: an outbox sequence, an offset.
///
/// Its text is the number alone for the first partition (`17`), and else `PARTITION-NUMBER` (`3-17`).
/// Only its own text is read, so two are the same exactly when their texts are.
///
/// ```
/// use yeoul_events::partition::{Numbered, Partition};
///
/// let fourth = Partition::new(3).expect("an index that a topic can have");
/// let number = Numbered { partition: fourth, number: 17 };
/// assert_eq!(number.to_string(), "3-17");
/// assert_eq!("3-17".parse::<Numbered>()?, number);
/// // As it was written before there were partitions.
/// assert_eq!("17".parse::<Numbered>()?.partition, Partition::FIRST);
/// for refused in ["0-17", "3-017", "3-"] {
///     assert!(refused.parse::<Numbered>().is_err(), "{refused}");
/// }
/// # Ok::<(), yeoul_events::Error>(())
/// ```
///
/// Numbers of two partitions say nothing about each other: the order of this type, by partition first, is
/// for tables and not for time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Numbered {
    /// Where it counts.
    pub partition: Partition,
    /// The count.
    pub number: u64,
}

impl Partition {
    /// The one that every topic has.
    pub const FIRST: Partition = Partition(0);

    /// The partition of this index, if a topic can have one: below [`PARTITIONS_MAX`].
    pub fn new(index: u16) -> Option<Partition> {
        (index < PARTITIONS_MAX).then_some(Partition(index))
    }

    /// Its index.
    pub fn index(self) -> u16 {
        self.0
    }

    /// What this partition of a topic or an outbox is called: `order`, `order/3`.
    pub(crate) fn of(self, name: &str) -> String {
        if self == Partition::FIRST { name.to_owned() } else { format!("{name}/{self}") }
    }
}

impl Partitions {
    /// Just one: order over the whole topic, and one loop that relays it and one that reads it in each consumer.
    pub const ONE: Partitions = Partitions(1);

    /// So many.
    ///
    /// # Errors
    /// [`Error::Limit`]: more than [`PARTITIONS_MAX`]; [`Error::Decode`]: none at all.
    pub fn new(count: u16) -> Result<Partitions, Error> {
        Error::check("partitions", usize::from(count), usize::from(PARTITIONS_MAX))?;
        if count == 0 {
            return Err(Error::decode("a topic has at least one partition"));
        }
        Ok(Partitions(count))
    }

    /// How many.
    pub fn count(self) -> u16 {
        self.0
    }

    /// Each of them, in order.
    pub fn each(self) -> impl Iterator<Item = Partition> {
        (0..self.0).map(Partition)
    }

    /// Whether this is one of them.
    pub fn has(self, partition: Partition) -> bool {
        partition.0 < self.0
    }

    /// Whether all these numbers were given in one of them.
    pub fn have(self, numbers: &Numbers) -> bool {
        numbers.iter().all(|number| self.has(number.partition))
    }

    /// Where events of this key go: by Kafka's own rule for keys, so that a producer of another language sends them
    /// to the same partition. It costs a pass over the key's bytes, and nothing for one partition.
    ///
    /// ```
    /// use yeoul_events::{Partition, Partitions};
    ///
    /// let four = Partitions::new(4)?;
    /// // Always the same one; of another count it is another.
    /// assert_eq!(four.of("order-17"), four.of("order-17"));
    /// assert!(four.has(four.of("order-17")));
    /// assert_eq!(Partitions::ONE.of("order-17"), Partition::FIRST);
    /// # Ok::<(), yeoul_events::Error>(())
    /// ```
    pub fn of(self, key: &str) -> Partition {
        if self.0 == 1 {
            return Partition::FIRST;
        }
        let positive = murmur2(key.as_bytes()) & 0x7fff_ffff;
        Partition((positive % u32::from(self.0)) as u16)
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Display for Numbered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.partition != Partition::FIRST {
            write!(formatter, "{}-", self.partition)?;
        }
        self.number.fmt(formatter)
    }
}

impl FromStr for Numbered {
    type Err = Error;

    /// Reads its own text and no other spelling.
    fn from_str(text: &str) -> Result<Numbered, Error> {
        let refused = || Error::decode("no number within a partition");
        let (partition, number) = text.split_once('-').unwrap_or(("0", text));
        let partition = partition.parse().ok().and_then(Partition::new).ok_or_else(refused)?;
        let number = number.parse().map_err(|_| refused())?;
        let read = Numbered { partition, number };
        if read.to_string() == text { Ok(read) } else { Err(refused()) }
    }
}

/// Kafka's hash of a key: `murmur2` with the seed of its default partitioner.
fn murmur2(bytes: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    // The length goes in as 32 bits there: no key is as long as that.
    let mut hash = SEED ^ bytes.len() as u32;
    let (words, rest) = bytes.as_chunks::<4>();
    for word in words {
        let mut mixed = u32::from_le_bytes(*word).wrapping_mul(M);
        mixed ^= mixed >> R;
        hash = hash.wrapping_mul(M) ^ mixed.wrapping_mul(M);
    }
    if !rest.is_empty() {
        for (at, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * at);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Of Kafka's own `UtilsTest.testMurmur2`.
    #[test]
    fn a_key_is_hashed_as_kafka_hashes_it() {
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
    }

    #[test]
    fn counts_are_accepted_or_refused() {
        for (count, accepted) in
            [(0, false), (1, true), (PARTITIONS_MAX, true), (PARTITIONS_MAX + 1, false)]
        {
            assert_eq!(Partitions::new(count).is_ok(), accepted, "{count}");
        }
        assert_eq!(Partition::new(PARTITIONS_MAX), None);
        let four = Partitions::new(4).expect("a count");
        assert_eq!(four.each().map(Partition::index).collect::<Vec<_>>(), [0, 1, 2, 3]);
    }

    #[test]
    fn a_number_reads_back_in_its_own_text_alone() {
        for text in ["0", "17", "1-0", "3-17", "127-18446744073709551615"] {
            assert_eq!(text.parse::<Numbered>().expect("its text").to_string(), text);
        }
        for text in
            ["", "-", "x", "017", "0-17", "3-", "-17", "3-017", "03-17", "128-1", "1-2-3", "+1"]
        {
            assert!(text.parse::<Numbered>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_key_has_one_of_the_partitions(key in ".{0,40}", count in 1..=PARTITIONS_MAX) {
            let partitions = Partitions::new(count).expect("a count");
            prop_assert!(partitions.has(partitions.of(&key)));
            prop_assert_eq!(Partitions::ONE.of(&key), Partition::FIRST);
        }
    }

    #[test]
    fn keys_spread_over_the_partitions() {
        let eight = Partitions::new(8).expect("a count");
        let mut events = [0; 8];
        for key in 0..8_000 {
            events[usize::from(eight.of(&key.to_string()).index())] += 1;
        }
        assert!(events.iter().all(|count| (800..1_200).contains(count)), "{events:?}");
    }
}
