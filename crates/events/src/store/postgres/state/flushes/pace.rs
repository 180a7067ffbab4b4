//! How long a record is put off, and how long it is waited for before another one goes beside it: by how long the last
//! one took, which is the disk's doing.
//!
//! A fast disk is done before a second work comes, so somebody has to wait for others or nothing is shared. While a slow one
//! is waited for they come by themselves: whoever put a record off then would add to a wait that is long already.
//!
//! | the last one took | the next is put off | another one goes beside it |
//! |---|---|---|
//! | less than [`SLOW`] | until half of the works wait, [`GATHERING`] at most | after [`PATIENCE`] |
//! | longer | not at all | after a share of that: [`LANES`] of them divide the wait, so that who comes late waits for one more only where all are on their way |
//!
//! Pure. It does not know what is slow about it: a machine whose cores are taken is slow, too, and is spared the less.

use std::time::Duration;

use super::LANES;

/// How long a record is put off at most, so that more wait for it.
const GATHERING: Duration = Duration::from_millis(1);

/// How long a record is waited for at least before another one is sent beside it.
const PATIENCE: Duration = Duration::from_millis(1);

/// A record that takes so long has gathered those who came meanwhile: more than it is put off for and half of that again.
const SLOW: Duration = Duration::from_millis(2);

/// How the next record is gone about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    /// How long it is put off at most.
    pub(super) gathering: Duration,
    /// How long it is waited for before another one is sent beside it.
    pub(super) patience: Duration,
}

impl Pace {
    /// Behind a record that took so long.
    pub(super) fn behind(last: Duration) -> Pace {
        let gathering = if last < SLOW { GATHERING } else { Duration::ZERO };
        Pace { gathering, patience: PATIENCE.max(last / LANES as u32) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_for_a_fast_disk_gathers_and_a_slow_one_has_its_wait_divided() {
        for (took, gathering, patience) in [
            (0, 1_000, 1_000),
            (1_999, 1_000, 1_000),
            (2_000, 0, 1_000),
            (4_000, 0, 1_000),
            (5_000, 0, 1_250),
            (100_000, 0, 25_000),
        ] {
            let expected = Pace {
                gathering: Duration::from_micros(gathering),
                patience: Duration::from_micros(patience),
            };
            assert_eq!(Pace::behind(Duration::from_micros(took)), expected, "{took} µs");
        }
    }
}
