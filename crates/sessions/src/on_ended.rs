//! What an ended sign-in is as an event, and what everybody does about it.

use chassis::identity::Ended;
use events::store::Tx;
use events::{Clock, Event, Failure, Handler};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::store;

/// The event's type.
pub const SESSION_ENDED: &str = "SessionEnded";

/// The event's data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionEnded {
    /// The sign-in: the `sid` of its tokens.
    pub sid: String,
    /// When the last of its tokens expires: RFC 3339.
    until: String,
}

impl SessionEnded {
    /// The sign-in `sid` has ended, and its last token expires at `until`.
    pub fn new(sid: &str, until: Timestamp) -> SessionEnded {
        SessionEnded { sid: sid.to_owned(), until: until.to_string() }
    }

    /// When the last of its tokens expires.
    ///
    /// # Errors
    /// The text is no time: the publisher's mistake.
    pub fn until(&self) -> Result<Timestamp, Failure> {
        let refuse = |_| Failure::Handler(format!("no time. until=`{}`", self.until));
        self.until.parse().map_err(refuse)
    }
}

/// Remembers what ended, in the consumer's own database ([`TABLE`](crate::TABLE) is part of its
/// schema) and in its verifier's memory. Every other event is passed over.
pub struct OnEnded {
    ended: Ended,
    clock: Clock,
}

/// A sign-in that the database remembers as ended, until its last token expires.
pub struct EndedSignIn {
    sid: String,
    until: Timestamp,
}

impl OnEnded {
    /// For a verifier whose memory is `ended`.
    pub fn new(ended: Ended, clock: Clock) -> OnEnded {
        OnEnded { ended, clock }
    }
}

impl Handler for OnEnded {
    type Batch = Vec<EndedSignIn>;

    /// A sign-in that has ended stays so, however late one hears of it.
    const PASSES_EXPIRED: bool = false;

    async fn handle(
        &self,
        batch: &mut Self::Batch,
        tx: &mut Tx<'_>,
        event: &Event,
    ) -> Result<(), Failure> {
        if event.kind != SESSION_ENDED {
            return Ok(());
        }
        let ended: SessionEnded = event.decode()?;
        let until = ended.until()?;
        store::remember(tx, &ended.sid, until).await?;
        batch.push(EndedSignIn { sid: ended.sid, until });
        Ok(())
    }

    fn committed(&self, batch: Self::Batch) {
        let now = (self.clock)();
        for EndedSignIn { sid, until } in batch {
            self.ended.end(&sid, until, now);
        }
    }
}
