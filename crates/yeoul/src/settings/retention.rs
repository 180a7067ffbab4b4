//! `events.topics.NAME.retain`: what a topic of the data folder's own log keeps of its events.

use chassis::settings::text::{Period, Size};
use events::Retention;
use serde::Deserialize;

/// As it is written; what is left out sets no limit.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Retain {
    /// How long.
    #[serde(rename = "for")]
    keep_for: Option<Period>,
    /// How many bytes of events, all partitions together.
    bytes: Option<Size>,
    /// Of each key the newest event alone.
    #[serde(default)]
    latest_per_key: bool,
}

/// The fewest bytes that can be asked for of each partition: what one event may have.
const BYTES_MIN: u64 = events::event::EVENT_BYTES_MAX as u64;

impl Retain {
    /// What is kept by a topic of so many partitions.
    ///
    /// # Errors
    /// What is wrong, in a sentence, and with which field.
    pub(super) fn compile(&self, partitions: u64) -> Result<Retention, WrongRetain> {
        let Retain { keep_for, bytes, latest_per_key } = self;
        let bytes = bytes.map(|it| it.0);
        let retention =
            Retention { keep_for: keep_for.map(|it| it.0), bytes, latest_per_key: *latest_per_key };
        if retention.keeps_all() {
            let says = "says nothing: set `for`, `bytes` or `latest_per_key: true`, or leave it out and \
                        everything is kept";
            return Err(WrongRetain { field: None, says: says.to_owned() });
        }
        let least = BYTES_MIN.saturating_mul(partitions);
        if let Some(few) = bytes.filter(|it| *it < least) {
            let says = format!(
                "must be at least what one event may have in each partition, {least} bytes. value=`{few}`"
            );
            return Err(WrongRetain { field: Some("bytes"), says });
        }
        Ok(retention)
    }
}

/// What is wrong with it, and with which of its fields.
pub(super) struct WrongRetain {
    pub(super) field: Option<&'static str>,
    pub(super) says: String,
}
