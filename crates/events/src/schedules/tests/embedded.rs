//! What schedules keep, in a file.

use tempfile::TempDir;

use super::*;

#[path = "suite.rs"]
mod suite;

/// A folder that their file is in.
struct Place(TempDir);

impl Place {
    fn new() -> Place {
        Place(TempDir::new().unwrap())
    }

    fn location(&self) -> Location {
        Location::File(self.0.path().join("schedules.db"))
    }

    /// As a crash: nothing is noted any more.
    async fn crash(&self, running: Running) {
        let database = running.schedules.database();
        drop(running);
        database.close().await;
    }

    async fn many(&self, clock: &ManualClock, count: usize) -> Schedules {
        super::many(self.location(), clock, count).await
    }
}
