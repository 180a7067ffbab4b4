//! The checksum of a row: over its record, its offset and the checksum of the row before.
//!
//! A row that changed, moved, or was put in another's place no longer fits its neighbours. The
//! first row hangs on the topic's name. It guards against accidents, not against an attacker.

use crate::topic::TopicPartition;

/// So that no record can be taken for a jump.
const JUMP: &[u8] = b"jump";

/// The running checksum of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chain(u32);

/// Where a topic ends.
#[derive(Clone, Copy)]
pub(super) struct Newest {
    pub(super) offset: u64,
    pub(super) chain: Chain,
}

impl Chain {
    /// Before the first row of a partition.
    pub(super) fn of(at: &TopicPartition) -> Chain {
        Chain(crc32fast::hash(at.to_string().as_bytes()))
    }

    /// After a row whose stored checksum is `crc`.
    pub(super) fn resumed(crc: u32) -> Chain {
        Chain(crc)
    }

    /// The checksum of the next row.
    pub(super) fn link(&mut self, offset: u64, record: &[u8]) -> u32 {
        let mut head = [0; 12];
        head[..4].copy_from_slice(&self.0.to_le_bytes());
        head[4..].copy_from_slice(&offset.to_le_bytes());
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&head);
        hasher.update(record);
        self.0 = hasher.finalize();
        self.0
    }

    /// The checksum of a jump: the offsets after `base` up to `floor` are never given.
    pub(super) fn leap(&mut self, base: u64, floor: u64) -> u32 {
        let mut hasher = crc32fast::Hasher::new_with_initial(self.0);
        for part in [JUMP, &base.to_le_bytes()[..], &floor.to_le_bytes()[..]] {
            hasher.update(part);
        }
        self.0 = hasher.finalize();
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::topic;
    use crate::partition::Partition;

    fn order() -> TopicPartition {
        topic("order").first()
    }

    #[test]
    fn a_row_fits_only_its_own_place_bytes_and_topic() {
        let right = Chain::of(&order()).link(1, b"record");
        assert_eq!(right, Chain::of(&order()).link(1, b"record"));
        assert_ne!(right, Chain::of(&order()).link(2, b"record"));
        assert_ne!(right, Chain::of(&order()).link(1, b"recorD"));
        assert_ne!(right, Chain::resumed(right).link(1, b"record"));
        assert_ne!(right, Chain::of(&topic("product").first()).link(1, b"record"));
        let second = Partition::new(1).expect("a partition");
        assert_ne!(right, Chain::of(&topic("order").at(second)).link(1, b"record"));
    }

    #[test]
    fn a_jump_fits_only_its_own_place_and_width() {
        let before = Chain::of(&order());
        let leap = |chain: Chain, base, floor| {
            let mut chain = chain;
            chain.leap(base, floor)
        };
        let right = leap(before, 7, 17);
        assert_eq!(right, leap(before, 7, 17));
        assert_ne!(right, leap(before, 7, 18));
        assert_ne!(right, leap(before, 6, 17));
        assert_ne!(right, leap(Chain::resumed(right), 7, 17));
    }

    #[test]
    fn every_single_flipped_bit_is_seen() {
        let record = b"a record of some length";
        let right = Chain::of(&order()).link(7, record);
        for bit in 0..record.len() * 8 {
            let mut flipped = record.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(right, Chain::of(&order()).link(7, &flipped), "bit {bit}");
        }
    }
}
