//! A round's reading: what the broker has is read ahead into the window, as far as there is room, and looked at once.
//!
//! What comes next and cannot be read ends nothing that is under way: it is noted, shown, and asked for again at the next
//! look, while what was read before it is delivered. The run ends by it when there is nothing else left to do.

use std::mem;
use std::sync::Arc;

use jiff::Timestamp;

use super::Round;
use crate::broker::{Offset, Stored};
use crate::deliveries::Receiver;
use crate::deliveries::settlement::Park;
use crate::deliveries::window::Admitted;
use crate::error::Error;
use crate::store::inbox::Counted;
use crate::subscription::BATCH_MAX;

impl<R: Receiver> Round<R> {
    /// Whether there is more to read, and room for it.
    pub(in crate::deliveries) fn has_more(&self) -> bool {
        !self.is_read && self.has_room()
    }

    /// Reads on where there is room; the broker has events up to `end`.
    ///
    /// What cannot be read now does not end what is under way: it is asked for again at the next look, and what was read
    /// before it is delivered meanwhile.
    pub(in crate::deliveries) async fn read_ahead(&mut self, end: Offset) {
        if mem::replace(&mut self.end, end) != end && self.unread.is_none() {
            self.is_read = false;
        }
        if !self.has_more() {
            return;
        }
        let broker = Arc::clone(&self.lane.context.broker);
        match broker.read(&self.lane.at, self.window.read_to(), BATCH_MAX).await {
            Ok(events) => self.admit_page(events, broker.is_compacted(&self.lane.at)),
            Err(error) => self.cannot_read(error),
        }
    }

    fn admit_page(&mut self, mut events: Vec<Stored>, is_compacted: bool) {
        if is_compacted {
            events.iter_mut().for_each(|stored| stored.event.outbox_previous = None);
        }
        if self.unread.take().is_some() {
            self.show_trouble();
        }
        // A page that is not full says nothing: an engine gives as many as it has at hand.
        let is_empty = events.is_empty();
        events.into_iter().for_each(|stored| self.admit(Arc::new(stored)));
        self.is_read = is_empty || self.window.read_to() >= self.end;
    }

    fn cannot_read(&mut self, error: Error) {
        tracing::warn!(subscription = &*self.lane.context.name, %error, "what comes next is not read");
        self.is_read = true;
        self.unread = Some(error);
        self.show_trouble();
    }

    /// Why there is nothing left to do in this run, once that is so: what comes next cannot be read.
    pub(in crate::deliveries) fn ends_unread(&mut self, now: Timestamp) -> Result<(), Error> {
        let is_idle = self.window.is_empty() && !self.is_under_way() && !self.has_work(now);
        match self.unread.take_if(|_| is_idle) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// New, a second copy, settled before the start, or one whose key has something parked.
    fn admit(&mut self, stored: Arc<Stored>) {
        let is_new = self.receive(&stored);
        let settled = self.settled.remove(&stored.offset.0);
        if !is_new || settled.is_some_and(|event| event.is(&stored)) {
            return self.window.admit_settled(stored);
        }
        if self.window.admit(Arc::clone(&stored)) == Admitted::Behind {
            self.outcomes.parks.push(Park::behind(stored));
        }
    }

    /// Whether it was not read before, as the marks will say once it is settled.
    fn receive(&mut self, stored: &Stored) -> bool {
        let Counted { source, number } = Counted::of(stored);
        let highest = self.marks.get(source).copied().unwrap_or(0);
        if number > highest {
            self.marks.insert(source.to_owned(), number);
        }
        number > highest
    }
}
