//! The newest event of a source, looked for from the end of a partition back.
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

/// What is looked for: the highest outbox sequence of a source, of those that are at most this.
#[derive(Clone, Copy)]
pub(super) struct Sought<'a> {
    pub(super) source: &'a str,
    pub(super) up_to: u64,
}

impl Sought<'_> {
    /// By what an event is compared with others; `None` where it is none of those.
    fn number(&self, event: &Event) -> Option<u64> {
        event.outbox_sequence.filter(|number| event.source == self.source && *number <= self.up_to)
    }
}

impl Readers {
    /// It, among the newest events.
    pub(super) async fn newest(
        &self,
        name: &str,
        at: &TopicPartition,
        of: Sought<'_>,
    ) -> Result<Option<Event>, Error> {
        let _room = self.looking.acquire().await.map_err(|_| Error::Closed)?;
        let marks = self.watermarks(name, at).await?;
        let mut sought = SOUGHT_FIRST;
        loop {
            let from = Offset(marks.oldest.0.max(marks.end.0.saturating_sub(sought)));
            let newest = self.newest_after(name, at, from, &marks, of).await?;
            if newest.is_some() || from == marks.oldest || sought >= SOUGHT_MAX {
                return Ok(newest);
            }
            sought = SOUGHT_MAX.min(sought * 4);
        }
    }

    /// It, between a place and the end.
    async fn newest_after(
        &self,
        name: &str,
        at: &TopicPartition,
        mut after: Offset,
        marks: &Watermarks,
        of: Sought<'_>,
    ) -> Result<Option<Event>, Error> {
        let mut newest: Option<Event> = None;
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
            let events = page.into_iter().map(|stored| stored.event);
            let of_it = events.filter(|event| of.number(event).is_some());
            newest = newest.into_iter().chain(of_it).max_by_key(|event| of.number(event));
        }
        Ok(newest)
    }
}
