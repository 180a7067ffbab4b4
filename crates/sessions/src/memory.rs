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
use events::store::{Location, Rows, Tx};
use events::{Clock, Database, Error};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use tokio::sync::Notify;

use crate::debt::{Debt, Owed};
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
    /// Whether there may be any: nearly always not, and then nobody has to look. Where other processes note theirs in
    /// the same location, that is never known here.
    any: AtomicBool,
    /// Whether they do.
    shared: bool,
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

/// What became of a debt for a token that nobody here knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DebtOutcome {
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
    pub async fn open(folder: &Path, ended: &Ended, clock: Clock) -> Result<Memory, Error> {
        let trouble = |error: std::io::Error| Error::environment(error.to_string());
        folder::make_private(folder).map_err(trouble)?;
        Memory::at(Location::File(folder.join("sessions.db")), ended, clock).await
    }

    /// Opens the memory at this location, making it if absent, and fills `ended` from it.
    ///
    /// # Errors
    /// As [`Database::at`].
    pub async fn at(location: Location, ended: &Ended, clock: Clock) -> Result<Memory, Error> {
        let shared = matches!(location, Location::Schema { .. });
        let database = Database::at(location, store::TABLES, None, clock.clone()).await?;
        // Before anybody verifies a token: what ended before the restart is refused from the first request on.
        store::load(&database, ended, clock()).await?;
        // A bound of one tells "some" from "none" without counting them.
        let debts = database.read(&1, |&limit, rows| Box::pin(store::count(rows, limit))).await?;
        let any = AtomicBool::new(shared || debts > 0);
        let debts = Arc::new(Debts { any, shared, grew: Notify::new() });
        Ok(Memory { database, ended: ended.clone(), clock, debts })
    }

    /// Its database, for the inbox of what is heard of ended sign-ins, and to be closed.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Whose this is, on a server: `by`, or whoever said so before.
    ///
    /// # Errors
    /// As [`Database::write`].
    pub async fn claim(&self, what: &'static str, by: String) -> Result<String, Error> {
        self.database.write(by, move |by, tx| Box::pin(store::claim(tx, what, by))).await
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
        let ends = Ends { ended: self.ended.clone(), endings, owed, now };
        self.database.write(ends, |ends, tx| Box::pin(ends.write(tx))).await
    }

    /// Owes a token whose sign-in nobody here knows. The first of these that its giver would not take
    /// back makes room where there is none.
    ///
    /// # Errors
    /// [`Error::Environment`]: nothing was stored; try again later.
    pub async fn owe(&self, token: String) -> Result<DebtOutcome, Error> {
        let now = (self.clock)();
        self.expect_debts();
        // No sign-in is named: whose it is, its giver knows alone.
        let owed = Owed { session: None, renews: true, token };
        self.database.write((owed, now), |(owed, now), tx| Box::pin(take(tx, owed, *now))).await
    }

    /// Whether a refresh token is of a sign-in that ended here and that its giver may still renew:
    /// the token is known, or its sign-in is.
    ///
    /// # Errors
    /// [`Error::Environment`]: ask again later.
    pub async fn is_owed(&self, token: &str, session: Option<&str>) -> Result<bool, Error> {
        if !self.debts.any.load(Ordering::Acquire) {
            return Ok(false);
        }
        let given = (digest(token), session);
        let read = self.database.read(&given, |(digest, session), rows| {
            Box::pin(store::is_owed(rows, *digest, *session))
        });
        read.await
    }

    /// Whether no new sign-in should be taken: there are [`DEBTS_MAX`] debts.
    ///
    /// # Errors
    /// [`Error::Environment`]: ask again later.
    pub async fn is_full(&self) -> Result<bool, Error> {
        if !self.debts.any.load(Ordering::Acquire) {
            return Ok(false);
        }
        let count = self.database.read(&(), |(), rows| Box::pin(store::count(rows, DEBTS_MAX)));
        Ok(count.await? >= DEBTS_MAX)
    }

    /// The oldest debts after the one of that number (0 for all), at most `limit`.
    ///
    /// # Errors
    /// [`Error::Environment`]: read again later.
    pub async fn debts(&self, after: i64, limit: usize) -> Result<Vec<Debt>, Error> {
        let given = (after, limit);
        self.database
            .read(&given, |&(after, limit), rows| Box::pin(store::owed(rows, after, limit)))
            .await
    }

    /// Strikes out what is owed for `token`: its giver has heard.
    ///
    /// # Errors
    /// [`Error::Environment`]: it will be owed again.
    pub async fn pay(&self, token: &str) -> Result<(), Error> {
        self.database.write(digest(token), |&digest, tx| Box::pin(store::pay(tx, digest))).await
    }

    /// Its giver takes no token back: it is not asked again, and a token that renews a sign-in stays
    /// known as ended for [`OWED_FOR`].
    ///
    /// # Errors
    /// [`Error::Environment`]: its giver will be asked again.
    pub async fn give_up(&self, token: &str) -> Result<(), Error> {
        self.database.write(digest(token), |&digest, tx| Box::pin(store::give_up(tx, digest))).await
    }

    /// Whether other processes note what they owe in the same place: nobody here hears when they do.
    pub fn is_shared(&self) -> bool {
        self.debts.shared
    }

    /// Resolves once there may be more debts than before, of this process's own.
    pub async fn grew(&self) {
        self.debts.grew.notified().await;
    }

    /// Says that somebody should look for debts.
    pub fn wake(&self) {
        self.debts.grew.notify_one();
    }

    fn expect_debts(&self) {
        self.debts.any.store(true, Ordering::Release);
    }
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory").field("ended", &self.ended).finish_non_exhaustive()
    }
}

/// Sign-ins that end at one moment, and what is owed for them.
struct Ends {
    ended: Ended,
    endings: Vec<Ending>,
    owed: Vec<Owed>,
    now: Timestamp,
}

impl Ends {
    async fn write(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        // Room is made first, in the same transaction: a full disk takes neither.
        store::sweep(tx, kept_since(self.now)).await?;
        for Ending { session, until } in &self.endings {
            // The verifier first. Should the commit fail, it refuses what the file does not know: too much
            // for a while, where the other order would let a token pass that its owner was told is ended.
            self.ended.end(session, *until, self.now);
            store::remember(tx, session, *until).await?;
        }
        for owed in &self.owed {
            store::owe(tx, owed, digest(&owed.token), self.now).await?;
        }
        Ok(())
    }
}

async fn take(rows: &mut Rows<'_>, owed: &Owed, now: Timestamp) -> Result<DebtOutcome, Error> {
    store::sweep(rows, kept_since(now)).await?;
    // Counted where it is written: where writes go one after the other no two take the last place, and where
    // several run at once they are past it by as many at most.
    let is_full = store::count_unknown(rows).await? >= OWED_MAX;
    if is_full && !store::forget_unknown(rows).await? {
        return Ok(DebtOutcome::TooMany);
    }
    store::owe(rows, owed, digest(&owed.token), now).await?;
    Ok(DebtOutcome::Noted)
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
