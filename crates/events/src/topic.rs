//! Topics and their partitions, by name.
//!
//! A name is parsed once, where it comes in; what has a [`Topic`] need not look at it again. Whether there is
//! such a topic the broker says, and nobody here.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::error::Error;
use crate::partition::{Partition, Partitions};

/// Characters a topic's name has at most.
pub const TOPIC_CHARS_MAX: usize = 64;

/// A topic's name, parsed: 1 to [`TOPIC_CHARS_MAX`] of `a-z 0-9 . _ -`, a letter first. Cheap to clone.
///
/// ```
/// use yeoul_events::Topic;
///
/// assert_eq!(Topic::parse("order.v2")?.as_str(), "order.v2");
/// for refused in ["", "Order", "2order", "order/2"] {
///     assert!(Topic::parse(refused).is_err(), "{refused:?}");
/// }
/// # Ok::<(), yeoul_events::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(Arc<str>);

/// One partition of a topic: where order is promised, and what places count in.
///
/// As text it is the topic's name for the first partition, and else `TOPIC/PARTITION`.
///
/// ```
/// use yeoul_events::{Partitions, Topic};
///
/// let topic = Topic::parse("order")?;
/// assert_eq!(topic.first().to_string(), "order");
/// // Where the events of one order are, in a topic of four partitions.
/// let at = topic.at(Partitions::new(4)?.of("order-17"));
/// assert_eq!(at.topic, topic);
/// # Ok::<(), yeoul_events::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic.
    pub topic: Topic,
    /// Which of its partitions.
    pub partition: Partition,
}

/// A topic as it is declared: where there is none yet, one is made of so many partitions; where there is one of
/// another number, it is refused ([`Error::Partitions`]).
///
/// More partitions are more loops side by side and no order between keys of two of them. The number is for long: to
/// change it, everything that publishes and reads has to be at rest.
///
/// ```
/// use yeoul_events::{Declared, Partitions, Topic};
///
/// /// What a shop declares: only orders are so many that one loop may not do.
/// fn declared() -> Result<Vec<Declared>, yeoul_events::Error> {
///     let topic = |name, count| -> Result<Declared, yeoul_events::Error> {
///         Ok(Declared { topic: Topic::parse(name)?, partitions: Partitions::new(count)? })
///     };
///     Ok(vec![topic("order", 8)?, topic("product", 1)?, topic("delivery", 1)?])
/// }
/// # assert_eq!(declared()?.len(), 3);
/// # Ok::<(), yeoul_events::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// Its name.
    pub topic: Topic,
    /// How many partitions it has.
    pub partitions: Partitions,
}

impl Topic {
    /// Parses a name.
    ///
    /// # Errors
    /// [`Error::Decode`] with what is wrong.
    pub fn parse(name: &str) -> Result<Topic, Error> {
        let allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        let sound = name.len() <= TOPIC_CHARS_MAX
            && name.bytes().next().is_some_and(|first| first.is_ascii_lowercase())
            && name.bytes().all(allowed);
        if !sound {
            return Err(Error::decode(
                "a topic is 1 to 64 of a-z, 0-9, dot, dash and underscore, a letter first",
            ));
        }
        Ok(Topic(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// One of its partitions.
    pub fn at(&self, partition: Partition) -> TopicPartition {
        TopicPartition { topic: self.clone(), partition }
    }

    /// Its first partition, which is the whole of it unless it was declared with more.
    pub fn first(&self) -> TopicPartition {
        self.at(Partition::FIRST)
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for Topic {
    type Err = Error;

    fn from_str(name: &str) -> Result<Topic, Error> {
        Topic::parse(name)
    }
}

/// `order`; `order/3` for a partition after the first.
impl fmt::Display for TopicPartition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.topic.fmt(formatter)?;
        if self.partition == Partition::FIRST {
            return Ok(());
        }
        write!(formatter, "/{}", self.partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_name_is_accepted_or_refused() {
        let longest = format!("a{}", "b".repeat(TOPIC_CHARS_MAX - 1));
        let too_long = format!("{longest}b");
        let cases = [
            ("a", true),
            ("order", true),
            ("order.v2_x-9", true),
            (longest.as_str(), true),
            (too_long.as_str(), false),
            ("", false),
            ("1order", false),
            (".order", false),
            ("Order", false),
            ("or der", false),
            ("order/1", false),
            ("주문", false),
        ];
        for (name, accepted) in cases {
            assert_eq!(Topic::parse(name).is_ok(), accepted, "{name:?}");
        }
    }
}
