//! Ids for new events, of randomness that the server draws: a few hundred ids' worth at a time.

use std::sync::{Mutex, PoisonError};

/// Random UUIDs, the last ten bytes of each are an id's.
pub(super) const DRAW: &str =
    "SELECT string_agg(uuid_send(gen_random_uuid()), ''::BYTEA) FROM generate_series(1, 256)";
const DRAWN: usize = 16;
const RANDOM: usize = 10;

/// What is drawn and not spent.
#[derive(Default)]
pub(super) struct Ids(Mutex<Vec<u8>>);

impl Ids {
    /// An id's worth, if there is any left.
    pub(super) fn take(&self) -> Option<[u8; RANDOM]> {
        let mut drawn = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = drawn.len().checked_sub(DRAWN)?;
        let random = drawn[rest + DRAWN - RANDOM..].try_into().ok();
        drawn.truncate(rest);
        random
    }

    /// What was drawn.
    pub(super) fn add(&self, more: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(more);
    }
}
