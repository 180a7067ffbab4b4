//! The table of subscriptions that take nothing for now, because an operator said so.
//!
//! A row is a wish and belongs where the place is: it is there after a restart, in a copy of the store, and for every
//! instance that reads it. One whose time is over stays until somebody says something else; whether it still holds is
//! its reader's to say, by his own clock.

use jiff::Timestamp;

use crate::error::Error;
use crate::store::database::Database;
use crate::store::options::Reading;
use crate::store::rows::{Row, Rows};
use crate::store::tx::Tx;

/// That a subscription takes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Since when.
    pub since: Timestamp,
    /// Until when; `None` until somebody says so.
    pub until: Option<Timestamp>,
}

impl Pause {
    /// Whether it still holds.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl Database {
    /// Has a subscription of this database take nothing, until then or until [`Database::resume`]; done once it is on
    /// disk. One that is paused already is so since the first time, and until what was said last.
    ///
    /// # Errors
    /// [`Error::Environment`]: nothing was done, ask again later.
    pub async fn pause(&self, subscription: &str, until: Option<Timestamp>) -> Result<(), Error> {
        let given = (subscription.to_owned(), until);
        self.write(given, |(name, until), tx| Box::pin(pause(tx, name, *until))).await
    }

    /// Has it go on; one that is not paused does.
    ///
    /// # Errors
    /// [`Error::Environment`]: nothing was done, ask again later.
    pub async fn resume(&self, subscription: &str) -> Result<(), Error> {
        self.write(subscription.to_owned(), |name, tx| Box::pin(resume(tx, name))).await
    }

    /// What was said last of pausing it, whether or not that still [holds](Pause::holds).
    ///
    /// # Errors
    /// [`Error::Environment`]: ask again later.
    pub async fn pause_of(&self, subscription: &str) -> Result<Option<Pause>, Error> {
        let read =
            self.read_by(Reading::Statement, subscription, |name, rows| Box::pin(find(rows, name)));
        read.await
    }
}

async fn pause(tx: &mut Tx<'_>, subscription: &str, until: Option<Timestamp>) -> Result<(), Error> {
    // What is over by now does not count as the beginning of this one.
    let upsert = "INSERT INTO paused (subscription, since, until) VALUES (?1, ?2, ?3)
        ON CONFLICT (subscription) DO UPDATE SET until = excluded.until,
            since = CASE WHEN paused.until <= excluded.since THEN excluded.since ELSE paused.since END";
    let (since, until) = (tx.now().as_microsecond(), until.map(Timestamp::as_microsecond));
    tx.execute(upsert, &[&subscription, &since, &until]).await?;
    Ok(())
}

async fn resume(tx: &mut Tx<'_>, subscription: &str) -> Result<(), Error> {
    tx.execute("DELETE FROM paused WHERE subscription = ?1", &[&subscription]).await?;
    Ok(())
}

/// Every row, with its subscription behind what [`read`] reads.
pub(crate) const ALL: &str = "SELECT since, until, subscription FROM paused";

async fn find(rows: &mut Rows<'_>, subscription: &str) -> Result<Option<Pause>, Error> {
    let select = "SELECT since, until FROM paused WHERE subscription = ?1";
    rows.find(select, &[&subscription], read).await
}

pub(crate) fn read(row: &Row<'_>) -> Result<Pause, Error> {
    let moment = |micros| Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH);
    let until: Option<i64> = row.get(1)?;
    Ok(Pause { since: moment(row.get(0)?), until: until.map(moment) })
}
