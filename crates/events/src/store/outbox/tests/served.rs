//! The same on a server, word for word.

#![expect(clippy::duplicate_mod, reason = "one suite for every engine")]

use super::*;
use crate::store::served::TestSchema;

#[path = "suite.rs"]
mod suite;

/// A schema that a service's tables are in.
struct Place(TestSchema);

impl Place {
    fn new() -> Place {
        Place(TestSchema::fresh())
    }

    async fn open(&self, partitions: u16) -> Database {
        self.0.open(&[], Some(publishes(partitions)), clock()).await
    }
}
