//! What is measured with: an event of a usual size, the time, and what the disk takes for a sync.

use std::fs::File;
use std::time::Instant;

use jiff::Timestamp;
use yeoul_events::{Cause, Event};

/// 256 bytes of data, of a publisher that numbers nothing.
pub(crate) fn event(publisher: u64) -> Event {
    let text = format!("\"{}\"", "x".repeat(254));
    Event {
        id: format!("event-{publisher}"),
        source: "bench".to_owned(),
        kind: "Measured".to_owned(),
        subject: publisher.to_string(),
        time: Timestamp::UNIX_EPOCH,
        key: publisher.to_string(),
        sequence: 1,
        outbox_sequence: None,
        outbox_previous: None,
        outbox_source: None,
        foreign: None,
        cause: Cause::default(),
        data: serde_json::value::RawValue::from_string(text).expect("JSON"),
    }
}

/// The median time of a 16 KiB write and its sync, over a file that does not grow.
pub(crate) fn sync_micros(path: &std::path::Path) -> std::io::Result<f64> {
    use std::os::unix::fs::FileExt as _;
    let file = File::create(path)?;
    file.set_len(1024 * 1024)?;
    let block = [7; 16 * 1024];
    let mut taken = Vec::new();
    for round in 0..500 {
        let began = now();
        file.write_all_at(&block, round % 64 * block.len() as u64)?;
        file.sync_data()?;
        taken.push(began.elapsed());
    }
    taken.sort_unstable();
    Ok(taken[taken.len() / 2].as_secs_f64() * 1e6)
}

#[expect(clippy::disallowed_methods, reason = "a measurement is about the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
