//! What other processes have ended, seen here: read from the store that they keep it in.
//!
//! Every end announces itself; a look every [`LOOK_EVERY`] is the net beneath. What ended is numbered in the order of its
//! commits, so that who has read up to a number has missed none below it. Where that cannot be read for
//! [`UNKNOWN_AFTER`], nobody here knows any more whether a token is still good, and [`Ended`] says so.

use std::time::Duration;

use chassis::clock;
use chassis::identity::Ended;
use events::{Clock, Database, Error};

use crate::store::followed::{self, Read};

/// How late an end is seen at most whose announcement was not heard.
pub const LOOK_EVERY: Duration = Duration::from_millis(500);

/// For how long it may not be read before nobody knows what has ended.
pub const UNKNOWN_AFTER: Duration = Duration::from_secs(2);

/// How long one look may take.
const LOOK_MAX: Duration = Duration::from_secs(1);

/// Whether this follower has said that it does not know.
struct Knowledge<'e> {
    ended: &'e Ended,
    unknown: bool,
}

impl Knowledge<'_> {
    fn is(&mut self, unknown: bool) {
        if self.unknown != unknown {
            self.unknown = unknown;
            if unknown { self.ended.lose_a_source() } else { self.ended.regain_a_source() }
        }
    }
}

impl Drop for Knowledge<'_> {
    fn drop(&mut self) {
        self.is(false);
    }
}

/// Looks again and again into a store on a server that others write to, and ends here what ended there. Never
/// resolves; drop it to end it.
pub async fn follow(database: &Database, ended: &Ended, time: Clock) {
    let mut announced = database.announcements();
    let mut knowledge = Knowledge { ended, unknown: false };
    let (mut up_to, mut known_at) = (0, clock::now());
    loop {
        let looked = tokio::time::timeout(LOOK_MAX, look(database, up_to, ended, &time)).await;
        match looked.unwrap_or_else(|_| Err(Error::environment("it takes too long"))) {
            Ok(read) => {
                (up_to, known_at) = (read.up_to, clock::now());
                knowledge.is(false);
                if read.more {
                    continue;
                }
            }
            Err(error) => {
                tracing::debug!(%error, "which sign-ins have ended cannot be read");
                if clock::now() - known_at >= UNKNOWN_AFTER {
                    knowledge.is(true);
                }
            }
        }
        tokio::select! {
            () = announced.next() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

async fn look(database: &Database, after: u64, ended: &Ended, time: &Clock) -> Result<Read, Error> {
    let given = (after, ended, time());
    let read = database.read(&given, |&(after, ended, now), rows| {
        Box::pin(followed::ended_after(rows, after, ended, now))
    });
    read.await
}

#[cfg(test)]
pub(crate) mod tests;
