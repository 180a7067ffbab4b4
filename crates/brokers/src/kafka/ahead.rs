//! What was received of a partition beyond the place that its readers are at: for whoever reads on, so that Kafka is
//! asked once for all of them.
//!
//! What must stay true: between the place that it begins after and the newest there is nothing that it does not have.
//! So whoever is at one of its places reads on here, and whoever is not, elsewhere.

use std::collections::VecDeque;

use events::{Offset, Stored};

/// Events of a partition that are kept at most, and bytes of their data; the oldest go first.
const EVENTS_MAX: usize = 512;
const BYTES_MAX: usize = 1024 * 1024;

/// Events after a place, all that there were up to the newest.
pub(super) struct Ahead {
    after: Offset,
    stored: VecDeque<Stored>,
    bytes: usize,
}

impl Ahead {
    /// Nothing yet, after this place.
    pub(super) fn after(after: Offset) -> Ahead {
        Ahead { after, stored: VecDeque::new(), bytes: 0 }
    }

    /// Adds what came next.
    pub(super) fn push(&mut self, next: Stored) {
        self.bytes += next.event.data.get().len();
        self.stored.push_back(next);
        while self.stored.len() > EVENTS_MAX || self.bytes > BYTES_MAX {
            let Some(oldest) = self.stored.pop_front() else { return };
            self.bytes -= oldest.event.data.get().len();
            self.after = oldest.offset;
        }
    }

    /// Up to `limit` events after this place, none where it is the newest; `None` where it is none of these.
    pub(super) fn read(&self, after: Offset, limit: usize) -> Option<Vec<Stored>> {
        let first = match after == self.after {
            true => 0,
            false => self.stored.binary_search_by_key(&after, |it| it.offset).ok()? + 1,
        };
        Some(self.stored.range(first..).take(limit).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use events::Event;

    use super::*;

    fn stored(offset: u64, bytes: usize) -> Stored {
        let data = "x".repeat(bytes);
        let text = format!(
            r#"{{"specversion":"1.0", "id":"{offset}", "source":"s", "type":"T", "subject":"k",
            "time":"2024-05-01T12:00:00Z", "data":"{data}"}}"#
        );
        let event = Event::from_json(text.as_bytes()).expect("an event");
        Stored { offset: Offset(offset), event }
    }

    fn read(ahead: &Ahead, after: u64, limit: usize) -> Option<Vec<u64>> {
        let read = ahead.read(Offset(after), limit)?;
        Some(read.iter().map(|it| it.offset.0).collect())
    }

    #[test]
    fn one_reads_on_from_any_of_its_places_and_from_no_other() {
        let mut ahead = Ahead::after(Offset(3));
        assert_eq!(read(&ahead, 3, 9), Some(vec![]));
        // Kafka's own records have places, too.
        for offset in [4, 6, 9] {
            ahead.push(stored(offset, 1));
        }
        assert_eq!(read(&ahead, 3, 9), Some(vec![4, 6, 9]));
        assert_eq!(read(&ahead, 3, 2), Some(vec![4, 6]));
        assert_eq!(read(&ahead, 6, 9), Some(vec![9]));
        assert_eq!(read(&ahead, 9, 9), Some(vec![]));
        for elsewhere in [0, 2, 5, 7, 10] {
            assert_eq!(read(&ahead, elsewhere, 9), None, "{elsewhere}");
        }
    }

    #[test]
    fn the_oldest_go_first_and_their_places_with_them() {
        let mut ahead = Ahead::after(Offset(0));
        for offset in 1..=EVENTS_MAX as u64 + 2 {
            ahead.push(stored(offset, 1));
        }
        assert_eq!(read(&ahead, 1, 1), None);
        assert_eq!(read(&ahead, 2, 1), Some(vec![3]));
        // One that is larger than all of them may be is not kept, and what follows it is.
        ahead.push(stored(600, BYTES_MAX));
        assert_eq!(read(&ahead, 2, 1), None);
        assert_eq!(read(&ahead, 600, 1), Some(vec![]));
        ahead.push(stored(601, 1));
        assert_eq!(read(&ahead, 600, 1), Some(vec![601]));
    }
}
