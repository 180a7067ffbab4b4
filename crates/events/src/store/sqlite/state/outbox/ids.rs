//! Ids for new events, of randomness that the engine draws: a few hundred ids' worth at a time.

use jiff::Timestamp;
use rusqlite::Connection;

use crate::error::Error;
use crate::event::id::EventId;

/// Bytes of randomness in an id.
const RANDOM: usize = 10;

/// What is drawn and not spent.
#[derive(Default)]
pub(super) struct Ids(Vec<u8>);

impl Ids {
    /// The id of an event of `now`. One whose transaction is taken back is not given again.
    pub(super) fn next(
        &mut self,
        connection: &Connection,
        now: Timestamp,
    ) -> Result<EventId, Error> {
        if self.0.is_empty() {
            let draw = "SELECT randomblob(4000)";
            self.0 = connection.prepare_cached(draw)?.query_row([], |row| row.get(0))?;
        }
        let rest = self.0.len().saturating_sub(RANDOM);
        let mut random = [0; RANDOM];
        for (to, from) in random.iter_mut().zip(self.0.drain(rest..)) {
            *to = from;
        }
        Ok(EventId::new(now, random))
    }
}
