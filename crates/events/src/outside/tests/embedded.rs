//! What every such outbox keeps, in a file.

use super::*;

#[path = "suite.rs"]
mod suite;

/// A folder that an outbox's file is in.
struct Place(TempDir);

impl Place {
    fn new() -> Place {
        Place(TempDir::new().unwrap())
    }

    async fn open(&self, partitions: u16) -> Outbox {
        let location = Location::File(self.0.path().join("outbox.db"));
        Outbox::open(location, declared(partitions), clock()).await.unwrap()
    }
}
