//! The gateway's memory: sign-ins that it ended, and whom it has still to notify.
//!
//! 1. What ends, and what is owed for it, is one transaction: after it the sign-in is ended here
//!    for good, whatever happens to this process or to the one that gave the token.
//! 2. The verifier's memory is changed inside it, so that a caller who leaves changes nothing. Should
//!    the disk refuse, the caller hears so, and the sign-in is ended until the next start.
//! 3. A debt is struck out when it was paid, and not before; paying twice must be as good as once.
//! 4. A giver that does not take tokens back at all is not asked again, and its refresh token stays
//!    here as ended for as long as a browser would show it: nobody else refuses it.
//!
//! A debt is the token itself, since that is what its giver can be notified by (RFC 7009).

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

use crate::debt::Owed;
use crate::on_ended::OnEnded;
use crate::store;

/// Debts taken for tokens that nobody here knows; past it a sign-out by such a token alone is
/// refused. What a sign-in that is known owes is always taken: see [`DEBTS_MAX`].
pub const OWED_MAX: u64 = 10_000;
/// Debts of all kinds past which no new sign-in should be taken, while every sign-out is: as
/// [`Ended`] does, nothing is forgotten to make room.
pub const DEBTS_MAX: u64 = 100_000;
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

/// A sign-in that ends, and when the last token of it expires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The `sid` of its tokens.
    pub session: String,
    /// From then on nothing has to be refused.
    pub until: Timestamp,
}

/// Somebody has still to be notified that this token's sign-in has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Debt {
    /// Its place in the order in which debts were made.
    pub number: i64,
    /// The token.
    pub token: String,
}

/// What became of a debt for a token that nobody here knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is on disk.
    Noted,
    /// [`OWED_MAX`] wait: come back later.
    TooMany,
}

impl Memory {
    /// Opens `folder`'s memory, making both if absent, and fills `ended` from it.
    ///
    /// # Errors
    /// As [`Database::open`]: the disk, or a damaged file.
    pub fn open(folder: &Path, ended: &Ended, clock: Clock) -> Result<Memory, Error> {
        let trouble = |error: std::io::Error| Error::environment(error.to_string());
        folder::make_private(folder).map_err(trouble)?;
        let path = folder.join("sessions.db");
        let schema = const { &[store::TABLE, store::OWED, store::OWED_BY_SESSION] };
        let database =
            Database::open(Options { path, schema, publishes: None, clock: clock.clone() })?;
        // Before anybody verifies a token: what ended before the restart is refused from the first request on.
        store::load(&database, ended, clock())?;
        // A bound of one tells "some" from "none" without counting them.
        let any = AtomicBool::new(database.read(|rows| store::count(rows, 1))? > 0);
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

    /// Ends sign-ins and owes tokens; resolves once both are on disk and every verifier here refuses.
    ///
    /// # Errors
    /// [`Error::Environment`]: nothing was stored; try again later.
    pub async fn end(&self, endings: Vec<Ending>, owed: Vec<Owed>) -> Result<(), Error> {
        let now = (self.clock)();
        // Raised before the write and never lowered: who renews meanwhile looks into the file rather than not
        // at all, and no debt is overlooked between its commit and the flag.
        self.expect_debts();
        let ended = self.ended.clone();
        let written = self.database.write(move |write| {
            // Room is made first, in the same transaction: a full disk takes neither.
            store::sweep(write.sql(), kept_since(now))?;
            for Ending { session, until } in &endings {
                // The verifier first. Should the commit fail, it refuses what the file does not know: too much for a
                // while, where the other order would let a token pass that its owner was told is ended.
                ended.end(session, *until, now);
                store::remember(write, session, *until)?;
            }
            owed.iter().try_for_each(|it| store::owe(write.sql(), it, digest(&it.token), now))
        });
        written.await
    }

    /// Owes a token whose sign-in nobody here knows. The first of these that its giver would not take
    /// back makes room where there is none.
    ///
    /// # Errors
    /// [`Error::Environment`]: nothing was stored; try again later.
    pub async fn owe(&self, token: String) -> Result<Taken, Error> {
        let now = (self.clock)();
        self.expect_debts();
        let written = self.database.write(move |write| {
            store::sweep(write.sql(), kept_since(now))?;
            let rows = write.sql();
            // Counted where it is written: writes go one after the other, so that no two take the last place.
            if store::count_unknown(rows)? >= OWED_MAX && !store::forget_unknown(rows)? {
                return Ok(Taken::TooMany);
            }
            // No sign-in is named: whose it is, its giver knows alone.
            let owed = Owed { session: None, renews: true, token };
            store::owe(rows, &owed, digest(&owed.token), now)?;
            Ok::<_, Error>(Taken::Noted)
        });
        written.await
    }

    /// Whether a refresh token is of a sign-in that ended here and that its giver may still renew:
    /// the token is known, or its sign-in is.
    ///
    /// # Errors
    /// [`Error::Environment`]: ask again later.
    pub fn is_owed(&self, token: &str, session: Option<&str>) -> Result<bool, Error> {
        if !self.debts.any.load(Ordering::Acquire) {
            return Ok(false);
        }
        self.database.read(|rows| store::is_owed(rows, digest(token), session))
    }

    /// Whether no new sign-in should be taken: there are [`DEBTS_MAX`] debts.
    ///
    /// # Errors
    /// [`Error::Environment`]: ask again later.
    pub fn is_full(&self) -> Result<bool, Error> {
        if !self.debts.any.load(Ordering::Acquire) {
            return Ok(false);
        }
        Ok(self.database.read(|rows| store::count(rows, DEBTS_MAX))? >= DEBTS_MAX)
    }

    /// The oldest debts after the one of that number (0 for all), at most `limit`.
    ///
    /// # Errors
    /// [`Error::Environment`]: read again later.
    pub fn debts(&self, after: i64, limit: usize) -> Result<Vec<Debt>, Error> {
        Memory::oldest(&self.database, after, limit)
    }

    /// Strikes out what is owed for `token`: its giver has heard.
    ///
    /// # Errors
    /// [`Error::Environment`]: it will be owed again.
    pub async fn pay(&self, token: &str) -> Result<(), Error> {
        let digest = digest(token);
        self.database.write(move |write| store::pay(write.sql(), digest)).await
    }

    /// Its giver takes no token back: it is not asked again, and a token that renews a sign-in stays
    /// known as ended for [`OWED_FOR`].
    ///
    /// # Errors
    /// [`Error::Environment`]: its giver will be asked again.
    pub async fn give_up(&self, token: &str) -> Result<(), Error> {
        let digest = digest(token);
        self.database.write(move |write| store::give_up(write.sql(), digest)).await
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

/// Since when debts are kept.
fn kept_since(now: Timestamp) -> Timestamp {
    now.checked_sub(OWED_FOR).unwrap_or(Timestamp::MIN)
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests;
