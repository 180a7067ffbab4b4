//! This engine's own limits, each at itself and one past it.

use std::sync::mpsc;

use serde_json::value::RawValue;
use tempfile::TempDir;

use crate::fixture::{clock, stamped, topic};
use crate::local::*;
use crate::store::log::{PUBLISH_QUEUE_MAX, READ_BYTES_MAX, SOURCES_MAX, TOPICS_MAX};

fn open(folder: &TempDir) -> Log {
    Log::open(folder.path(), &[topic("order")], clock()).unwrap()
}

/// An event whose JSON form has so many bytes.
fn sized(bytes: usize) -> Event {
    let mut event = Event { outbox_sequence: None, ..stamped("order", "k", 1) };
    let envelope = event.to_json().len() - event.data.get().len();
    let text = format!("\"{}\"", "x".repeat(bytes - envelope - 2));
    event.data = RawValue::from_string(text).unwrap();
    event
}

#[tokio::test]
async fn a_batch_has_so_many_bytes_and_no_more_and_a_read_stops_early() {
    let folder = TempDir::new().unwrap();
    let log = open(&folder);
    let mut batch = vec![sized(EVENT_BYTES_MAX); BATCH_BYTES_MAX / EVENT_BYTES_MAX];
    batch.push(sized(400));
    let refused = log.publish(&topic("order").first(), batch.clone()).await;
    assert!(matches!(refused, Err(Error::Limit { field: "batch", .. })), "{refused:?}");
    batch.pop();
    let last = log.publish(&topic("order").first(), batch).await.unwrap();
    assert_eq!(
        log.publish(&topic("order").first(), vec![sized(400)]).await.unwrap(),
        Offset(last.0 + 1)
    );
    let page = log.read(&topic("order").first(), Offset::BEGINNING, READ_MAX).await.unwrap();
    assert_eq!(page.len(), READ_BYTES_MAX / EVENT_BYTES_MAX);
    assert_eq!(log.read(&topic("order").first(), last, READ_MAX).await.unwrap().len(), 1);
}

#[tokio::test]
async fn so_many_sources_are_remembered_and_no_more() {
    let folder = TempDir::new().unwrap();
    let log = open(&folder);
    let sources: Vec<Event> =
        (0..SOURCES_MAX).map(|source| stamped(&source.to_string(), "k", 1)).collect();
    for batch in sources.chunks(PUBLISH_MAX) {
        log.publish(&topic("order").first(), batch.to_vec()).await.unwrap();
    }
    let publish = |source: &str| {
        let event = stamped(source, "k", 2);
        let log = &log;
        async move { log.publish(&topic("order").first(), vec![event]).await }
    };
    assert!(matches!(publish("new").await, Err(Error::Limit { field: "sources", .. })));
    assert_eq!(publish("7").await.unwrap(), Offset(SOURCES_MAX as u64 + 1));
}

#[test]
fn so_many_topics_are_opened_and_no_more() {
    let topics: Vec<Topic> = (0..=TOPICS_MAX).map(|number| topic(&format!("t{number}"))).collect();
    let (full, over) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let log = Log::open(full.path(), &topics[..TOPICS_MAX], clock()).unwrap();
    assert_eq!(log.topics().len(), TOPICS_MAX);
    let refused = Log::open(over.path(), &topics, clock()).err();
    assert!(matches!(refused, Some(Error::Limit { field: "topics", .. })), "{refused:?}");
}

#[tokio::test]
async fn the_queue_takes_its_limit_and_refuses_one_more() {
    let folder = TempDir::new().unwrap();
    let log = open(&folder);
    let (release, wait) = mpsc::sync_channel::<()>(0);
    let (started, running) = mpsc::sync_channel(1);
    let busy = log.file.on_writer(move |_| {
        started.send(()).unwrap();
        let _ = wait.recv();
    });
    let fill = async {
        running.recv().unwrap();
        let publish = || log.file.publish(&topic("order").first(), Vec::new());
        let queued: Vec<_> = (0..PUBLISH_QUEUE_MAX).map(|_| publish().unwrap()).collect();
        assert!(publish().unwrap_err().is_environment());
        drop(release);
        for answer in queued {
            assert_eq!(answer.await.unwrap().unwrap(), Offset::BEGINNING);
        }
    };
    tokio::join!(busy, fill);
}
