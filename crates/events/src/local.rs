//! The local log.

use std::path::Path;

use tokio::sync::watch;

use crate::broker::{Broker, Offset, Pending, Stored, Topic};
use crate::{Clock, Error, Event};

/// Durable topics in one file.
pub struct Log {}

/// What a full check found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Events read.
    pub events: u64,
    /// Every stretch that is hurt: always [`Error::Damaged`].
    pub damage: Vec<Error>,
}

impl Log {
    /// Opens or creates `log.db` in `folder` with at least `topics`.
    pub fn open(folder: &Path, topics: &[Topic], clock: Clock) -> Result<Log, Error> {
        let _ = (folder, topics, clock);
        todo!()
    }

    /// Reads everything and checks every checksum.
    pub fn check(&self) -> Result<Report, Error> {
        todo!()
    }

    /// Finishes what is queued and stops the writer.
    pub async fn close(&self) {
        todo!()
    }
}

impl Broker for Log {
    fn publish<'a>(&'a self, _topic: &'a Topic, _batch: Vec<Event>) -> Pending<'a, Offset> {
        todo!()
    }

    fn read<'a>(
        &'a self,
        _topic: &'a Topic,
        _after: Offset,
        _limit: usize,
    ) -> Pending<'a, Vec<Stored>> {
        todo!()
    }

    fn end(&self, _topic: &Topic) -> Result<Offset, Error> {
        todo!()
    }

    fn watch(&self, _topic: &Topic) -> Result<watch::Receiver<Offset>, Error> {
        todo!()
    }

    fn published<'a>(&'a self, _topic: &'a Topic, _source: &'a str) -> Pending<'a, u64> {
        todo!()
    }

    fn topics(&self) -> Vec<Topic> {
        todo!()
    }

    fn promise(&self) -> String {
        todo!()
    }
}
