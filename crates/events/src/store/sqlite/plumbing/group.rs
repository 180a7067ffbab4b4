//! Which pieces of work share one transaction.
//!
//! Whatever came during the last sync goes together, and what comes while the transaction is being
//! filled joins it. One thing more: callers that were answered together come back together, but
//! not at the same instant, and a group that closes between the first and the rest of them makes
//! the rest wait for a whole sync. So a group stays open for as many as the one before it had, as
//! long as they keep coming; a lone caller never waits, and no timer is involved.

use std::thread;

use tokio::sync::mpsc::Receiver;

/// How often an open group looks for one more caller and finds none before it goes without.
///
/// A look costs under a microsecond when nothing else wants the processor, and gives it to the
/// callers when they do.
const LOOKS_MAX: usize = 100;

/// One group while it is being filled: an iterator that ends when the group closes, because `max` are
/// in it, or because nobody came while it looked.
pub(crate) struct Group<'q, M> {
    queue: &'q mut Receiver<M>,
    first: Option<M>,
    /// How many the group before had.
    before: usize,
    taken: usize,
    max: usize,
}

impl<'q, M> Group<'q, M> {
    /// Blocks until there is a first message; `None` when the queue is closed and empty.
    pub(crate) fn open(queue: &'q mut Receiver<M>, before: usize, max: usize) -> Option<Self> {
        let first = queue.blocking_recv()?;
        Some(Group { queue, first: Some(first), before, taken: 0, max })
    }

    /// How many came out of it.
    pub(crate) fn taken(&self) -> usize {
        self.taken
    }

    /// Lets nobody in any more; what is queued already still comes out, in later groups.
    pub(crate) fn close_queue(&mut self) {
        self.queue.close();
    }

    /// One more who is there already, or who comes while those of the group before are still coming.
    fn wait_for_one_more(&mut self) -> Option<M> {
        for _ in 0..LOOKS_MAX {
            if let Ok(message) = self.queue.try_recv() {
                return Some(message);
            }
            if self.taken >= self.before {
                break;
            }
            thread::yield_now();
        }
        None
    }
}

impl<M> Iterator for Group<'_, M> {
    type Item = M;

    fn next(&mut self) -> Option<M> {
        if self.taken == self.max {
            return None;
        }
        let message = self.first.take().or_else(|| self.wait_for_one_more())?;
        self.taken += 1;
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    fn sizes(queued: usize, max: usize) -> Vec<usize> {
        let (send, mut queue) = mpsc::channel(100);
        (0..queued).for_each(|number| send.try_send(number).unwrap());
        drop(send);
        let (mut sizes, mut expected) = (Vec::new(), 0);
        while let Some(group) = Group::open(&mut queue, sizes.last().copied().unwrap_or(0), max) {
            let messages: Vec<usize> = group.collect();
            assert_eq!(messages, (expected..expected + messages.len()).collect::<Vec<_>>());
            expected += messages.len();
            sizes.push(messages.len());
        }
        sizes
    }

    #[test]
    fn all_that_is_queued_goes_together_up_to_the_limit_in_order() {
        assert_eq!(sizes(0, 4), [0; 0]);
        assert_eq!(sizes(3, 4), [3]);
        assert_eq!(sizes(4, 4), [4]);
        assert_eq!(sizes(5, 4), [4, 1]);
    }

    #[test]
    fn a_group_waits_for_as_many_as_the_one_before_had() {
        let (send, mut queue) = mpsc::channel(100);
        let mut groups = Vec::new();
        for round in 0..3 {
            let send = send.clone();
            // The second of them comes a little later.
            send.try_send(round).unwrap();
            let mut group = Group::open(&mut queue, 2, 100).unwrap();
            let first = group.next();
            let late = thread::spawn(move || send.try_send(round).unwrap());
            late.join().unwrap();
            groups.push((first, group.next()));
        }
        assert!(groups.iter().all(|(first, second)| first == second), "{groups:?}");
    }
}
