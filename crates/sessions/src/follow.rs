//! What other processes have ended, seen here: read from the store that they keep it in.
//!
//! Every end announces itself; a look every [`LOOK_EVERY`] is the net beneath. What ended is numbered in the order of its
//! commits, so that who has read up to a number has missed none below it. Where that cannot be read for
//! [`UNKNOWN_AFTER`], nobody here knows any more whether a token is still good, and [`Ended`] says so.

use std::time::Duration;

use chassis::clock;
use chassis::identity::Ended;
use events::{Clock, Database, Error};

use crate::store::followed::{self, Reached};

/// How late an end is seen at most whose announcement was not heard.
pub const LOOK_EVERY: Duration = Duration::from_millis(500);

/// For how long it may not be read before nobody knows what has ended.
pub const UNKNOWN_AFTER: Duration = Duration::from_secs(2);

/// How long one look may take.
const LOOK_MAX: Duration = Duration::from_secs(1);

/// Follows what ends in one store on a server that others write to, and ends it here.
pub struct Follower {
    database: Database,
    ended: Ended,
    time: Clock,
    reached: Reached,
    /// Whether it has said that nobody knows.
    is_lost: bool,
}

impl Follower {
    /// Reads all that has ended there before anybody verifies a token here.
    ///
    /// # Errors
    /// [`Error::Environment`]: the store cannot be read; begin again later.
    pub async fn begin(database: Database, ended: Ended, time: Clock) -> Result<Follower, Error> {
        let reached = Reached::default();
        let mut follower = Follower { database, ended, time, reached, is_lost: false };
        while follower.look().await? {}
        Ok(follower)
    }

    /// Looks again and again. Never resolves; drop it to end it.
    pub async fn follow(&mut self) {
        self.follow_every(LOOK_EVERY).await;
    }

    async fn follow_every(&mut self, pause: Duration) {
        let mut announced = self.database.announcements();
        let mut known_at = clock::now();
        loop {
            match self.look().await {
                Ok(more) => {
                    known_at = clock::now();
                    self.find();
                    if more {
                        continue;
                    }
                }
                Err(error) if clock::now() - known_at >= UNKNOWN_AFTER => self.lose(&error),
                Err(error) => tracing::debug!(%error, "which sign-ins have ended cannot be read"),
            }
            tokio::select! {
                () = announced.next() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Closes its connection.
    pub async fn close(&self) {
        self.database.close().await;
    }

    /// Ends what ended since the last look; whether there may be more.
    async fn look(&mut self) -> Result<bool, Error> {
        let given = (&self.reached, &self.ended, (self.time)());
        let read = self.database.read(&given, |&(after, ended, now), rows| {
            Box::pin(followed::ended_after(rows, after, ended, now))
        });
        let read = tokio::time::timeout(LOOK_MAX, read).await;
        let read = read.unwrap_or_else(|_| Err(Error::environment("it takes too long")))?;
        self.reached = read.reached;
        Ok(read.more)
    }

    /// Said once, however long it lasts.
    fn lose(&mut self, error: &Error) {
        if !std::mem::replace(&mut self.is_lost, true) {
            tracing::warn!(%error, "nobody knows which sign-ins have ended: what needs one is refused");
            self.ended.lose_a_source();
        }
    }

    fn find(&mut self) {
        if std::mem::take(&mut self.is_lost) {
            tracing::info!("it is known again which sign-ins have ended");
            self.ended.regain_a_source();
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        if self.is_lost {
            self.ended.regain_a_source();
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
