//! What several modules' tests need: a clock that is set by hand, events, a wait with a deadline.

pub(crate) mod altered_log;
pub(crate) mod running;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::value::RawValue;

use crate::Clock;
use crate::event::{Cause, Event};
use crate::partition::{Numbered, Partition};
use crate::topic::Topic;

/// How long a test waits for what must happen.
const DEADLINE: Duration = Duration::from_secs(30);

/// A clock that moves only when told to.
#[derive(Clone, Default)]
pub(crate) struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    pub(crate) fn component(&self) -> Clock {
        let now = Arc::clone(&self.0);
        Arc::new(move || Timestamp::from_microsecond(now.load(Ordering::SeqCst)).unwrap())
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
    }

    pub(crate) fn step_back(&self, by: Duration) {
        self.0.fetch_sub(i64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
    }
}

/// A clock that stands still.
pub(crate) fn clock() -> Clock {
    ManualClock::default().component()
}

pub(crate) fn topic(name: &str) -> Topic {
    Topic::parse(name).unwrap()
}

/// A number of the first partition.
pub(crate) fn first(number: u64) -> Numbered {
    Numbered { partition: Partition::FIRST, number }
}

/// An event with `number` as its sequence, outbox sequence and data.
pub(crate) fn stamped(source: &str, key: &str, number: u64) -> Event {
    Event {
        id: format!("id-{number}"),
        source: source.to_owned(),
        kind: "Numbered".to_owned(),
        subject: key.to_owned(),
        time: Timestamp::UNIX_EPOCH,
        key: key.to_owned(),
        sequence: number,
        outbox_sequence: Some(number),
        outbox_previous: None,
        outbox_source: None,
        foreign: None,
        cause: Cause::default(),
        data: RawValue::from_string(number.to_string()).unwrap(),
    }
}

/// Polls until `done`, which says so or says what is still missing.
pub(crate) async fn until(done: impl AsyncFn() -> Result<(), String>) {
    let mut missing = String::new();
    let poll = async {
        while let Err(still) = done().await {
            missing = still;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let outcome = tokio::time::timeout(DEADLINE, poll).await;
    assert!(outcome.is_ok(), "not in time: {missing}");
}
