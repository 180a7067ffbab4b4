//! Chance that can be repeated: xorshift64*, seeded by `YEOUL_SEED` or by the clock, and printed.

use std::time::{SystemTime, UNIX_EPOCH};

use super::setting;

/// A stream of numbers decided by its seed.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// Seeded by `YEOUL_SEED` if it is set; prints the seed either way.
    pub(crate) fn announced() -> Random {
        let seed = setting("YEOUL_SEED")
            .map_or_else(clock_seed, |text| text.parse().expect("YEOUL_SEED is a whole number"));
        eprintln!("YEOUL_SEED={seed}");
        Random::new(seed)
    }

    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + (self.next() >> 16) % (high - low + 1)
    }
}

#[allow(clippy::disallowed_methods, reason = "a seed is what the clock is for here")]
fn clock_seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    since.as_nanos() as u64
}
