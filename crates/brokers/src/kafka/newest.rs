//! The newest events of a source, looked for from the end of a partition back.
//!
//! A topic has one publisher as a rule, and the last record is its own. Where others publish there as well, or the
//! last records are none that one can read, more and more is read. It is asked once for each partition at a start.

use events::broker::{NumberedId, READ_MAX};
use events::{Error, Event, Offset, TopicPartition};

use super::client::Watermarks;
use super::readers::Readers;

/// How many places before the end are looked at, at most: behind so many of others a source counts as one that has
/// nothing there.
pub const SOUGHT_MAX: u64 = 10_000;
/// How many are looked at first; then four times as many. More than a relay publishes at once: a copy of what is older,
/// that came late, hides nothing.
const SOUGHT_FIRST: u64 = 1_024;

/// Between which places a source is looked for.
struct Stretch {
    after: Offset,
    end: Offset,
}

impl Stretch {
    /// The last so many places.
    fn last(places: u64, of: &Watermarks) -> Stretch {
        let after = Offset(of.oldest.0.max(of.end.0.saturating_sub(places)));
        Stretch { after, end: of.end }
    }
}

impl Readers {
    /// The highest number of the source among the newest events; 0 if there is none.
    pub(super) async fn newest_number(
        &self,
        name: &str,
        at: &TopicPartition,
        source: &str,
    ) -> Result<u64, Error> {
        let found = self.newest_ids(name, at, source).await?;
        Ok(found.iter().map(|it| it.number).max().unwrap_or(0))
    }

    /// What the source has among the newest events, in the order in which it is stored.
    pub(super) async fn newest_ids(
        &self,
        name: &str,
        at: &TopicPartition,
        source: &str,
    ) -> Result<Vec<NumberedId>, Error> {
        let _room = self.looking.acquire().await.map_err(|_| Error::Closed)?;
        let marks = self.watermarks(name, at).await?;
        let mut sought = SOUGHT_FIRST;
        loop {
            let stretch = Stretch::last(sought, &marks);
            let is_all = stretch.after == marks.oldest || sought >= SOUGHT_MAX;
            let mut found = Vec::new();
            let note = |Event { outbox_sequence, source, id, .. }: Event| {
                found.extend(outbox_sequence.map(|number| NumberedId { number, source, id }));
            };
            self.each_of(name, at, source, stretch, note).await?;
            if !found.is_empty() || is_all {
                return Ok(found);
            }
            sought = SOUGHT_MAX.min(sought * 4);
        }
    }

    /// Calls `note` with each event of the source there.
    async fn each_of(
        &self,
        name: &str,
        at: &TopicPartition,
        source: &str,
        Stretch { mut after, end }: Stretch,
        mut note: impl FnMut(Event),
    ) -> Result<(), Error> {
        while after < end {
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
            events.filter(|event| event.publisher() == source).for_each(&mut note);
        }
        self.forget(at, after);
        Ok(())
    }
}
