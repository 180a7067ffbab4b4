//! Which pieces of work share one transaction.
//!
//! Whatever came during the last sync goes together. One thing more: callers that were answered
//! together come back together, but not at the same instant, and a group that starts with the first
//! of them makes all others wait for a whole sync. So a group waits for as many as the one before
//! it had, as long as they keep coming; a lone caller never waits.

use std::thread;

use tokio::sync::mpsc::Receiver;

/// How often a group looks for one more caller and finds none before it goes without.
///
/// A look costs under a microsecond when nothing else wants the processor, and gives it to the
/// callers when they do.
const LOOKS_MAX: usize = 100;

/// Blocks for the first message, then takes what is there, at most `max`. Empty means closed.
pub(super) fn collect<M>(queue: &mut Receiver<M>, before: usize, max: usize) -> Vec<M> {
    let mut group = Vec::with_capacity(before.max(1));
    group.extend(queue.blocking_recv());
    let mut looks = 0;
    while !group.is_empty() && group.len() < max {
        match queue.try_recv() {
            Ok(message) => {
                group.push(message);
                looks = 0;
            }
            Err(_) if group.len() < before && looks < LOOKS_MAX => {
                looks += 1;
                thread::yield_now();
            }
            Err(_) => break,
        }
    }
    group
}
