//! Remembered answers as rows of the service that gave them.

pub(crate) mod postgres;
pub(crate) mod sqlite;

use events::Error;
use events::store::{Bind, Row, Rows};

use crate::idempotency::{Once, REMEMBERED_MAX, Remembered, ScopedKey};

/// What was answered under this key.
pub(crate) async fn recall(
    rows: &mut Rows<'_>,
    identity: &ScopedKey,
) -> Result<Option<Remembered>, Error> {
    let select = "SELECT fingerprint, location, position, body, etag FROM remembered
        WHERE principal = ?1 AND route = ?2 AND key = ?3";
    let ScopedKey { principal, route, key } = identity;
    rows.find(select, &[principal, route, key], remembered).await
}

fn remembered(row: &Row<'_>) -> Result<Remembered, Error> {
    Ok(Remembered {
        fingerprint: row.get(0)?,
        location: row.get(1)?,
        position: row.get(2)?,
        body: row.get(3)?,
        etag: row.get(4)?,
    })
}

/// Remembers an answer, and forgets the one that is too many; `false` where another instance has remembered one
/// under this key since it was looked up, and then nothing of this work may stand.
///
/// Answers are numbered by those that are there and not by the engine's count, which a restore raises for
/// what outsiders have seen: nobody sees these numbers, and behind a gap all that was remembered before
/// would be too old. Where several are numbered at once they may get the same number: all it says is how old
/// they are.
pub(crate) async fn remember(
    rows: &mut Rows<'_>,
    once: &Once,
    answer: &Remembered,
) -> Result<bool, Error> {
    let ScopedKey { principal, route, key } = &once.identity;
    let insert = "INSERT INTO remembered
        (number, principal, route, key, fingerprint, location, position, body, etag)
        VALUES ((SELECT coalesce(max(number), 0) + 1 FROM remembered), ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
        ON CONFLICT (principal, route, key) DO NOTHING RETURNING number";
    let Remembered { fingerprint, location, position, body, etag } = answer;
    let row: [&dyn Bind; 8] = [principal, route, key, fingerprint, location, position, body, etag];
    let Some(newest) = rows.find(insert, &row, |row| row.get::<u64>(0)).await? else {
        return Ok(false);
    };
    let oldest = newest.saturating_sub(REMEMBERED_MAX);
    rows.execute("DELETE FROM remembered WHERE number <= ?1", &[&oldest]).await?;
    Ok(true)
}
