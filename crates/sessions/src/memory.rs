//! The gateway's memory: sign-ins that it ended, and whom it has still to tell.
//!
//! 1. What ends, and what is owed for it, is one transaction: after it the sign-in is ended here
//!    for good, whatever happens to this process or to the one that gave the token.
//! 2. The verifier's memory is told inside it, so that a caller who leaves changes nothing. Should
//!    the disk refuse, the caller hears so, and the sign-in is ended until the next start.
//! 3. A debt is struck out when it was paid, and not before; paying twice must be as good as once.
//!
//! A debt is the token itself, since that is what its giver can be told by (RFC 7009). The file is
//! its owner's alone (0600).

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chassis::folder;
use chassis::identity::Ended;
use events::store::Options;
use events::{Clock, Database, Error};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use tokio::sync::Notify;

use crate::on_ended::OnEnded;
use crate::store;

/// Debts taken for tokens that nobody here can verify; past it a sign-out by such a token alone is
/// refused. What a verified token owes is always taken: there is one for each living sign-in.
pub const OWED_MAX: u64 = 10_000;
/// How long a debt is kept: the longest that a refresh token lives in a browser.
pub const OWED_FOR: SignedDuration = SignedDuration::from_hours(14 * 24);

/// A durable memory; clones are handles.
#[derive(Clone)]
pub struct Memory {
    database: Database,
    ended: Ended,
    clock: Clock,
    debts: Arc<Debts>,
}

struct Debts {
    /// Whether there may be any: nearly always not, and then nobody has to look.
    any: AtomicBool,
    grew: Notify,
}

/// Somebody has still to be told that this token's sign-in has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Debt {
    /// Its place in the order in which debts were made.
    pub number: i64,
    /// The token.
    pub token: String,
}

/// [`OWED_MAX`] debts wait: come back later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many sign-outs wait to be told. limit=`{OWED_MAX}`")]
pub struct TooMany;

impl Memory {
    /// Opens `folder`'s memory, making both if absent, and fills `ended` from it.
    ///
    /// # Errors
    /// As [`Database::open`]: the disk, or a damaged file.
    pub fn open(folder: &Path, ended: &Ended, clock: Clock) -> Result<Memory, Error> {
        let trouble = |error: std::io::Error| Error::environment(error.to_string());
        folder::make_private(folder).map_err(trouble)?;
        let path = folder.join("sessions.db");
        let schema = const { &[store::TABLE, store::OWED] };
        let database =
            Database::open(Options { path, schema, publishes: None, clock: clock.clone() })?;
        store::load(&database, ended, clock())?;
        let any = AtomicBool::new(!Memory::oldest(&database, 0, 1)?.is_empty());
        let debts = Arc::new(Debts { any, grew: Notify::new() });
        Ok(Memory { database, ended: ended.clone(), clock, debts })
    }

    /// Its database, for the inbox of what is heard of ended sign-ins, and to be closed.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// What hears of them.
    pub fn handler(&self) -> OnEnded {
        OnEnded::new(self.ended.clone(), self.clock.clone())
    }

    /// Ends a sign-in whose last token expires at `until`, and owes `tokens`; resolves once both are
    /// on disk and every verifier here refuses.
    ///
    /// # Errors
    /// [`Error::Environment`]: nothing was stored; try again later.
    pub async fn end(
        &self,
        session: &str,
        until: Timestamp,
        tokens: Vec<String>,
    ) -> Result<(), Error> {
        let (name, now) = (session.to_owned(), (self.clock)());
        self.expect_debts();
        let ended = self.ended.clone();
        let written = self.database.write(move |write| {
            ended.end(&name, until, now);
            store::remember(write, &name, until)?;
            tokens.iter().try_for_each(|it| store::owe(write.sql(), it, digest(it), now))?;
            Ok::<_, Error>(())
        });
        written.await
    }

    /// Owes a token whose sign-in nobody here knows.
    ///
    /// # Errors
    /// [`Error::Environment`] as above; the inner one: [`OWED_MAX`] wait.
    pub async fn owe(&self, token: String) -> Result<Result<(), TooMany>, Error> {
        let now = (self.clock)();
        self.expect_debts();
        let written = self.database.write(move |write| {
            let since = now.checked_sub(OWED_FOR).unwrap_or(Timestamp::MIN);
            if store::count_owed(write.sql(), since)? >= OWED_MAX {
                return Ok(Err(TooMany));
            }
            store::owe(write.sql(), &token, digest(&token), now).map(Ok)
        });
        written.await
    }

    /// Whether this token's sign-in has ended here and its giver has still to hear of it.
    ///
    /// # Errors
    /// [`Error::Environment`]: ask again later.
    pub fn is_owed(&self, token: &str) -> Result<bool, Error> {
        if !self.debts.any.load(Ordering::Acquire) {
            return Ok(false);
        }
        self.database.read(|sql| store::is_owed(sql, digest(token)))
    }

    /// The oldest debts after the one of that number (0 for all), at most `limit`.
    ///
    /// # Errors
    /// [`Error::Environment`]: read again later.
    pub fn debts(&self, after: i64, limit: usize) -> Result<Vec<Debt>, Error> {
        Memory::oldest(&self.database, after, limit)
    }

    /// Strikes out what is owed for `token`: it was told.
    ///
    /// # Errors
    /// [`Error::Environment`]: it will be told again.
    pub async fn pay(&self, token: &str) -> Result<(), Error> {
        let digest = digest(token);
        self.database.write(move |write| store::pay(write.sql(), digest)).await
    }

    /// Resolves once there may be more debts than before.
    pub async fn grew(&self) {
        self.debts.grew.notified().await;
    }

    /// Says that somebody should look for debts.
    pub fn poke(&self) {
        self.debts.grew.notify_one();
    }

    fn expect_debts(&self) {
        self.debts.any.store(true, Ordering::Release);
    }

    fn oldest(database: &Database, after: i64, limit: usize) -> Result<Vec<Debt>, Error> {
        let rows = database.read(|sql| store::owed(sql, after, limit))?;
        Ok(rows.into_iter().map(|(number, token)| Debt { number, token }).collect())
    }
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory").field("ended", &self.ended).finish_non_exhaustive()
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests;
