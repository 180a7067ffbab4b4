//! An engine that gives few events at a time, and sometimes none: what of it is the reader's own to bear.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::broker::{Pending, Stored};
use crate::error::Error;
use crate::fixture::altered_log::AlteredLog;
use crate::topic::TopicPartition;

/// The log, page by page.
struct Paged {
    log: Arc<Log>,
    page: usize,
    /// What lies beyond this place cannot be read.
    readable_to: AtomicU64,
}

impl Paged {
    fn of(bench: &Bench, page: usize, readable_to: u64) -> Arc<Paged> {
        Arc::new(Paged { log: bench.log.clone(), page, readable_to: readable_to.into() })
    }
}

impl AlteredLog for Paged {
    fn log(&self) -> &Log {
        &self.log
    }

    fn read<'a>(
        &'a self,
        at: &'a TopicPartition,
        after: Offset,
        limit: usize,
    ) -> Pending<'a, Vec<Stored>> {
        let left = self.readable_to.load(Ordering::SeqCst).saturating_sub(after.0);
        let page = limit.min(self.page).min(usize::try_from(left).unwrap());
        if left == 0 {
            return Box::pin(async { Err(Error::environment("nobody reads this now")) });
        }
        self.log.read(at, after, page)
    }
}

/// A page that is not full is followed by the next one at once: with a pause after each this takes two minutes.
#[tokio::test]
async fn what_comes_in_short_pages_is_read_on_at_once() {
    let bench = Bench::new();
    bench.publish(1, &["a"; 60]).await;
    let running = bench.start_with(Paged::of(&bench, 1, u64::MAX));
    bench.caught_up(&running.control).await;
    running.stop().await;
    assert_eq!(bench.mailbox.taken("a").len(), 60);
}

#[tokio::test]
async fn what_lies_before_something_that_cannot_be_read_is_delivered_once() {
    let bench = Bench::new();
    let keys: Vec<String> = (1..=300).map(|number| format!("k{number}")).collect();
    bench.publish(1, &keys.iter().map(String::as_str).collect::<Vec<_>>()).await;
    // One of them takes its time, and the next page fails meanwhile.
    bench.mailbox.tell(|said| _ = said.silent.insert("k7".to_owned()));
    let broker = Paged::of(&bench, BATCH_MAX, BATCH_MAX as u64);
    let running = bench.start_with(broker.clone());
    until(async || {
        let taken = bench.mailbox.said().taken.len();
        let stuck = running.control.status().await.unwrap().stuck.unwrap_or_default();
        let is_told = stuck.contains("nobody reads this now");
        let is_there = taken == BATCH_MAX - 1 && is_told;
        if is_there { Ok(()) } else { Err(format!("{taken} taken, {stuck}")) }
    })
    .await;
    bench.mailbox.tell(|said| said.silent.clear());
    until(async || {
        let position = running.control.status().await.unwrap().partitions[0].position;
        if position.0 == BATCH_MAX as u64 { Ok(()) } else { Err(format!("{position}")) }
    })
    .await;
    broker.readable_to.store(u64::MAX, Ordering::SeqCst);
    bench.caught_up(&running.control).await;
    assert_eq!(running.control.status().await.unwrap().stuck, None);
    running.stop().await;
    let mut asked = bench.mailbox.said().asked.clone();
    asked.sort_unstable();
    assert_eq!(asked, (1..=300).collect::<Vec<u64>>());
}
