//! A number within a partition as one whole number: how rows of several partitions share a table.
//!
//! The partition stands in the high bits, so that one clustered key keeps the rows of a partition together
//! and in their order, and those of the first partition have the keys that they had before there were
//! others.

use crate::partition::{NUMBER_MAX, Numbered, Partition};

/// Bits of the number.
const NUMBER_BITS: u32 = NUMBER_MAX.count_ones();

/// The key of this number's row.
pub(crate) fn pack(of: Numbered) -> u64 {
    base(of.partition) | of.number.min(NUMBER_MAX)
}

/// What is added to a number of this partition.
pub(crate) fn base(partition: Partition) -> u64 {
    u64::from(partition.index()) << NUMBER_BITS
}

/// The last key that a row of this partition may have.
pub(crate) fn end(partition: Partition) -> u64 {
    base(partition) | NUMBER_MAX
}

/// The number of a row; of a hurt key, one that no row of its partition has.
pub(crate) fn unpack(key: u64) -> Numbered {
    let partition = u16::try_from(key >> NUMBER_BITS).ok().and_then(Partition::new);
    Numbered { partition: partition.unwrap_or_default(), number: key & NUMBER_MAX }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::partition::PARTITIONS_MAX;

    proptest! {
        #[test]
        fn a_key_reads_back_and_keeps_the_order(
            one in (0..PARTITIONS_MAX, 0..=NUMBER_MAX),
            other in (0..PARTITIONS_MAX, 0..=NUMBER_MAX),
        ) {
            let numbered = |(at, number)| Numbered { partition: Partition::new(at).unwrap(), number };
            let (one, other) = (numbered(one), numbered(other));
            prop_assert_eq!(unpack(pack(one)), one);
            prop_assert_eq!(pack(one).cmp(&pack(other)), one.cmp(&other));
            prop_assert!(i64::try_from(pack(one)).is_ok(), "the engine's keys have a sign");
        }
    }

    #[test]
    fn the_first_partition_has_the_keys_that_rows_had_before() {
        let first = |number| Numbered { partition: Partition::FIRST, number };
        assert_eq!(pack(first(17)), 17);
        assert_eq!((base(Partition::FIRST), end(Partition::FIRST)), (0, NUMBER_MAX));
    }
}
