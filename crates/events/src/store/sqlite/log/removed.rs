//! What is left of events that were removed: one row for a stretch of them, so that the chain goes on behind it.
//!
//! The row has the last place of the stretch and that event's checksum, on which the next row hangs. In place of a record it
//! has the first place of the stretch (eight bytes that begin with 0, as no JSON does), and its own checksum covers
//! all three. So a stretch that was removed is told from rows that are missing, a reader who begins behind it has what to hang
//! the next row on, and a byte of it that changed is found like any other.
//!
//! Bytes in, bytes out: where such rows are, [`stretches`](super::stretches) finds.

use super::chain::Chain;

/// The first place of a stretch, if this is in a row's place for a record.
pub(super) fn first(record: &[u8]) -> Option<u64> {
    let bytes: [u8; 8] = record.try_into().ok()?;
    (bytes[0] == 0).then(|| u64::from_be_bytes(bytes))
}

/// The own checksum of such a row.
pub(super) fn own(seed: Chain, first: u64, last: u64, crc: u32) -> u32 {
    let mut chain = seed;
    let mut covered = [0; 12];
    covered[..8].copy_from_slice(&first.to_be_bytes());
    covered[8..].copy_from_slice(&crc.to_be_bytes());
    chain.link(last, &covered)
}
