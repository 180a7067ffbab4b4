//! What every outbox keeps, in a file.

use super::*;

#[path = "suite.rs"]
mod suite;

/// A folder that a service's file is in.
struct Place(TempDir);

impl Place {
    fn new() -> Place {
        Place(TempDir::new().unwrap())
    }

    async fn open(&self, partitions: u16) -> Database {
        let path = self.0.path().join("order.db");
        let publishes = Some(publishes(partitions));
        Database::open(Options { path, schema: &[], publishes, clock: clock() }).unwrap()
    }
}
