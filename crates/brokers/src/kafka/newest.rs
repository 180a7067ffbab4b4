//! The newest number of a source, looked for from the end of a partition back.
//!
//! A topic has one publisher as a rule, and the last record is its own. Where others publish there as well, or the
//! last records are none that one can read, more and more is read. It is asked once for each partition at a start.

use events::broker::READ_MAX;
use events::{Error, Event, Offset, TopicPartition};

use super::client::Watermarks;
use super::readers::Readers;

/// How many places before the end are looked at, at most: behind so many of others a source counts as one that has
/// nothing there.
pub const SOUGHT_MAX: u64 = 10_000;
/// How many are looked at first; then four times as many. More than a relay publishes at once: a copy of what is older,
/// that came late, hides nothing.
const SOUGHT_FIRST: u64 = 1_024;

impl Readers {
    /// The highest outbox sequence of this source among the newest events; 0 where there is none.
    pub(super) async fn newest(
        &self,
        name: &str,
        at: &TopicPartition,
        source: &str,
    ) -> Result<u64, Error> {
        let _room = self.looking.acquire().await.map_err(|_| Error::Closed)?;
        let marks = self.watermarks(name, at).await?;
        let mut sought = SOUGHT_FIRST;
        loop {
            let from = Offset(marks.oldest.0.max(marks.end.0.saturating_sub(sought)));
            let newest = self.newest_after(name, at, from, &marks, source).await?;
            if newest > 0 || from == marks.oldest || sought >= SOUGHT_MAX {
                return Ok(newest);
            }
            sought = SOUGHT_MAX.min(sought * 4);
        }
    }

    /// The highest between a place and the end.
    async fn newest_after(
        &self,
        name: &str,
        at: &TopicPartition,
        mut after: Offset,
        marks: &Watermarks,
        source: &str,
    ) -> Result<u64, Error> {
        let mut newest = 0;
        while after < marks.end {
            let page = match self.read(name, at, after, READ_MAX).await {
                Ok(page) => page,
                // What is no event has no number.
                Err(Error::Damaged { to, .. }) => {
                    after = Offset(to);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let Some(last) = page.last() else { break };
            after = last.offset;
            let numbers = page.iter().filter_map(|stored| number_of(&stored.event, source));
            newest = numbers.fold(newest, u64::max);
        }
        Ok(newest)
    }
}

fn number_of(event: &Event, source: &str) -> Option<u64> {
    event.outbox_sequence.filter(|_| event.source == source)
}
