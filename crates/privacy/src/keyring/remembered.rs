//! Keys that were read lately, so that not every event asks the store. Pure: time is an argument.
//!
//! A key that was thrown away by another process is told here until it is read again: that is bounded by
//! [`REMEMBERED_FOR`]. That a person has none is never remembered: what was sealed since would be taken for forgotten.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use chassis::sealing::SealingKey;

/// For how long a key is told that another process may have thrown away.
pub const REMEMBERED_FOR: Duration = Duration::from_secs(1);

/// Keys that are remembered at most; past it all of them are read again.
pub const REMEMBERED_MAX: usize = 10_000;

/// See the module.
#[derive(Default)]
pub(super) struct Remembered {
    keys: HashMap<String, Known>,
}

struct Known {
    key: SealingKey,
    until: Instant,
}

impl Remembered {
    pub(super) fn find(&self, person: &str, now: Instant) -> Option<SealingKey> {
        self.keys.get(person).filter(|known| now < known.until).map(|known| known.key.clone())
    }

    /// Takes a key that was asked for at this moment.
    pub(super) fn remember(&mut self, person: &str, key: SealingKey, asked: Instant) {
        if self.keys.len() >= REMEMBERED_MAX {
            self.keys.clear();
        }
        self.keys.insert(person.to_owned(), Known { key, until: asked + REMEMBERED_FOR });
    }

    pub(super) fn forget(&mut self, person: &str) {
        self.keys.remove(person);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "some moment to count from")]
    fn a_key_is_told_until_its_time_is_over_or_it_is_forgotten() {
        let (mut remembered, now) = (Remembered::default(), Instant::now());
        remembered.remember("a", SealingKey::drawn(), now);
        remembered.remember("b", SealingKey::drawn(), now);
        let just_before = now + REMEMBERED_FOR - Duration::from_nanos(1);
        assert!(remembered.find("a", just_before).is_some());
        assert!(remembered.find("a", now + REMEMBERED_FOR).is_none());
        remembered.forget("a");
        assert!(remembered.find("a", now).is_none() && remembered.find("b", now).is_some());
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "some moment to count from")]
    fn no_more_keys_are_remembered_than_may_be() {
        let (mut remembered, now) = (Remembered::default(), Instant::now());
        for person in 0..=REMEMBERED_MAX {
            remembered.remember(&person.to_string(), SealingKey::drawn(), now);
            assert!(remembered.keys.len() <= REMEMBERED_MAX);
        }
        assert!(remembered.find(&REMEMBERED_MAX.to_string(), now).is_some(), "the newest is known");
    }
}
