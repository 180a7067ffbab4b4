//! Walking along a topic's rows: whether each is what was written, and what is hurt between two of them.
//!
//! A row is sound if it fits the chain, which hangs it on the row before. Where that one is hurt or
//! missing there is nothing to hang it on, and the row's own checksum decides: so one damage is one
//! stretch, and the intact row behind it stays readable. A row that fits only its own checksum although
//! the one before is sound is of another story (an old page, say), and hurt. Rows of older programs have
//! no checksum of their own: behind a damage they stay unproven. The row of a stretch that was removed
//! ([`removed`]) hangs on nothing, because what it hung on is gone: its own checksum decides, and the chain goes on
//! from it.

use rusqlite::types::Type;

use super::chain::Chain;
use super::jumps::Jumps;
use super::removed;

/// What is wrong with a stretch.
const CHECKSUM: &str = "a checksum does not fit";
const MISSING: &str = "rows are missing";
const NEVER_GIVEN: &str = "a row is where no offset was given";
const JUMP: &str = "the link of a jump does not fit";

/// A row as it is stored.
pub(super) struct StoredRow<'r> {
    pub(super) offset: u64,
    /// The chain behind it.
    pub(super) crc: u32,
    /// Of this row alone, as if it were the topic's first.
    pub(super) own: Option<u32>,
    pub(super) record: &'r [u8],
}

/// A stretch of a topic that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Damage {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) what: &'static str,
}

/// What one step found.
pub(super) struct Step {
    /// Missing before the row.
    pub(super) gap: Option<Damage>,
    /// The row itself.
    pub(super) row: Option<Damage>,
    /// The link of a jump behind it; rows stay readable without.
    pub(super) jump: Option<Damage>,
}

/// Where one is.
pub(super) struct Walk<'t> {
    jumps: &'t Jumps,
    /// The chain before the topic's first row.
    seed: Chain,
    chain: Chain,
    at: u64,
    /// Nothing vouches for the chain: the row at hand is hurt, or missing.
    broken: bool,
}

/// The columns of a row, in the order that [`StoredRow::read`] takes them.
pub(super) const COLUMNS: &str = "offset, crc, own, record";

impl<'r> StoredRow<'r> {
    pub(super) fn read(row: &'r rusqlite::Row<'_>) -> rusqlite::Result<StoredRow<'r>> {
        let record = row.get_ref(3)?;
        // What is no blob any more fits no checksum.
        let record = if record.data_type() == Type::Blob { record.as_blob()? } else { &[] };
        Ok(StoredRow { offset: row.get(0)?, crc: row.get(1)?, own: row.get(2)?, record })
    }

    /// Whether it fits its own checksum.
    pub(super) fn stands_alone(&self, seed: Chain) -> bool {
        let own = match self.removed_from() {
            Some(first) => removed::own(seed, first, self.offset, self.crc),
            None => own(seed, self.offset, self.record),
        };
        self.own == Some(own)
    }

    /// The first place that it stands for, if what was there is removed.
    pub(super) fn removed_from(&self) -> Option<u64> {
        removed::first(self.record)
    }
}

/// A row's own checksum: of its topic, its place and its record.
pub(super) fn own(seed: Chain, offset: u64, record: &[u8]) -> u32 {
    let mut chain = seed;
    chain.link(offset, record)
}

/// A walk that begins, and what is wrong with the link of a jump that begins there.
pub(super) struct Begun<'t> {
    pub(super) walk: Walk<'t>,
    pub(super) jump: Option<Damage>,
}

impl<'t> Walk<'t> {
    /// From the row `at`, behind which the chain is stored as `chain`; `None` where that row is missing.
    pub(super) fn from(jumps: &'t Jumps, seed: Chain, at: u64, chain: Option<Chain>) -> Begun<'t> {
        let broken = chain.is_none();
        let mut walk = Walk { jumps, seed, chain: chain.unwrap_or(seed), at, broken };
        let jump = walk.leap();
        Begun { walk, jump }
    }

    /// The last offset walked over.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// Walks over the row that comes next.
    pub(super) fn step(&mut self, row: &StoredRow<'_>) -> Step {
        let removed_from = row.removed_from();
        let gap = self.gap(removed_from.unwrap_or(row.offset));
        let is_hurt = match row.offset < self.jumps.after(self.at) {
            true => Some(NEVER_GIVEN),
            false => {
                let fits =
                    removed_from.is_none() && self.chain.link(row.offset, row.record) == row.crc;
                let may_stand_alone = self.broken || removed_from.is_some();
                let sound = fits || may_stand_alone && row.stands_alone(self.seed);
                (!sound).then_some(CHECKSUM)
            }
        };
        self.at = row.offset;
        self.broken = is_hurt.is_some();
        self.chain = Chain::resumed(row.crc);
        let row = is_hurt.map(|what| Damage { from: row.offset, to: row.offset, what });
        Step { gap, row, jump: self.leap() }
    }

    /// What is missing before the row of this offset.
    fn gap(&mut self, offset: u64) -> Option<Damage> {
        let from = self.jumps.after(self.at);
        if offset <= from {
            return None;
        }
        let to = self.jumps.given(offset - 1);
        (self.at, self.broken) = (to, true);
        // The row that a jump hangs on is lost with the others.
        self.leap();
        Some(Damage { from, to, what: MISSING })
    }

    /// Goes over the jump that begins here, if one does; what is wrong with its link. Where nothing
    /// vouches for the chain before it, the link vouches for itself.
    fn leap(&mut self) -> Option<Damage> {
        if self.broken {
            if let Some(chain) = self.jumps.resumed(self.at) {
                (self.chain, self.broken) = (chain, false);
            }
            return None;
        }
        if self.jumps.leap(self.at, &mut self.chain) {
            return None;
        }
        Some(Damage { from: self.at + 1, to: self.jumps.after(self.at) - 1, what: JUMP })
    }
}
