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
        Outbox::open(self.location(), declared(partitions), clock()).await.unwrap()
    }

    fn location(&self) -> Location {
        Location::File(self.0.path().join("outbox.db"))
    }
}
