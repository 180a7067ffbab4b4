//! Numbers of several partitions: what a reader has of each.
//!
//! As text they are part of tokens: `17` for the first partition's number alone, `17_3-20` with the fourth's
//! beside it.

use std::fmt;
use std::iter;
use std::str::FromStr;

use super::{Numbered, Partition};
use crate::error::Error;

/// Numbers of several partitions: one a partition, partitions ascending; what is not there is 0.
///
/// What a reader has, and what a position asks for, are both of this shape; one is reached when the other
/// covers it, each partition by itself:
///
/// ```
/// use yeoul_events::partition::Numbers;
///
/// let wanted: Numbers = "17_3-20".parse()?;
/// let mut read: Numbers = "18_3-19".parse()?;
/// assert!(!read.cover(&wanted), "ahead in the first, behind in the fourth");
///
/// assert!(read.raise("3-21".parse()?));
/// assert!(read.cover(&wanted));
/// // A number never goes down.
/// assert!(!read.raise("3-2".parse()?));
/// assert_eq!(read.to_string(), "18_3-21");
/// # Ok::<(), yeoul_events::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Numbers(Vec<Numbered>);

impl Numbers {
    /// The number of this partition; 0 where there is none, which is before its first event.
    pub fn of(&self, partition: Partition) -> u64 {
        self.at(partition).map_or(0, |at| self.0[at].number)
    }

    /// Raises a partition's number to this one; whether it was lower. What was told late or twice changes nothing, so
    /// marks may be raised in whatever order news of them comes.
    pub fn raise(&mut self, to: Numbered) -> bool {
        match self.at(to.partition) {
            Ok(at) if self.0[at].number >= to.number => return false,
            Ok(at) => self.0[at] = to,
            Err(at) if to.number > 0 => self.0.insert(at, to),
            Err(_) => return false,
        }
        true
    }

    /// Each of them, partitions ascending.
    pub fn iter(&self) -> impl Iterator<Item = Numbered> {
        self.0.iter().copied()
    }

    /// Whether each of these is at most ours: whoever has got this far has got as far as they say, too. Neither of two
    /// may cover the other.
    pub fn cover(&self, others: &Numbers) -> bool {
        others.iter().all(|other| other.number <= self.of(other.partition))
    }

    /// Where the partition's number is, or would have to go.
    fn at(&self, partition: Partition) -> Result<usize, usize> {
        self.0.binary_search_by_key(&partition, |known| known.partition)
    }
}

impl FromIterator<Numbered> for Numbers {
    fn from_iter<I: IntoIterator<Item = Numbered>>(all: I) -> Numbers {
        let mut numbers = Numbers::default();
        all.into_iter().for_each(|one| _ = numbers.raise(one));
        numbers
    }
}

impl From<Numbered> for Numbers {
    fn from(one: Numbered) -> Numbers {
        iter::once(one).collect()
    }
}

/// A number of the first partition.
impl From<u64> for Numbers {
    fn from(number: u64) -> Numbers {
        Numbered { partition: Partition::FIRST, number }.into()
    }
}

/// `17_3-20`; `0` where there are none.
impl fmt::Display for Numbers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((first, rest)) = self.0.split_first() else { return formatter.write_str("0") };
        first.fmt(formatter)?;
        rest.iter().try_for_each(|one| write!(formatter, "_{one}"))
    }
}

impl FromStr for Numbers {
    type Err = Error;

    /// Reads its own text and no other spelling.
    fn from_str(text: &str) -> Result<Numbers, Error> {
        let all = text.split('_').map(str::parse::<Numbered>);
        let numbers: Numbers = all.collect::<Result<_, Error>>()?;
        if numbers.to_string() == text {
            Ok(numbers)
        } else {
            Err(Error::decode("no numbers of partitions, ascending"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_of_several_partitions_covers_what_each_of_them_has_passed() {
        let numbers = |text: &str| text.parse::<Numbers>().unwrap();
        for (ours, theirs, covers) in [
            ("7", "7", true),
            ("7", "8", false),
            ("7_3-20", "3-20", true),
            ("7_3-20", "6_3-21", false),
            ("7", "3-1", false),
            ("0", "0", true),
            ("3-20", "0", true),
        ] {
            assert_eq!(numbers(ours).cover(&numbers(theirs)), covers, "{ours} {theirs}");
        }
        assert_eq!(Numbers::from(0).to_string(), "0");
    }
}
