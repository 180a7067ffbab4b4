//! The tables of schedules: what is to be published and when, how many wait, and whose turn it is to look.
//!
//! A row is one key's: its definition as it was said, when it is due, and what it did. What is due is found by an index, so
//! that a million rows cost no memory, and one that is far away no look. How many wait is kept in [`SHARDS`] rows by the key's
//! checksum: one for all would be every writer's to wait for, and counting them would pass over all.
//!
//! Whoever changes a row holds its shard first, so that of two one is behind the other; several shards are taken in ascending
//! order.

use crc32fast::hash;

use crate::error::Error;
use crate::store::rows::{Row, Rows};
use crate::store::tx::Tx;
use crate::store::value::Bind;

/// Rows that count what waits.
pub(crate) const SHARDS: u32 = 64;

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScheduleRow {
    pub(crate) key: String,
    /// Of this definition of the key: what its events' ids begin with.
    pub(crate) token: String,
    pub(crate) said: SaidRow,
    /// When it is due, in microseconds since 1970; nothing once nothing comes.
    pub(crate) due: Option<i64>,
    /// The moment that it was published for last.
    pub(crate) fired: Option<i64>,
    /// What the clock said when it was published last.
    pub(crate) published: Option<i64>,
    /// How often it was published.
    pub(crate) occurrences: u64,
    /// Whether it was refused since it is due: it is looked at later than that.
    pub(crate) was_refused: bool,
}

/// What somebody asked for, as texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SaidRow {
    pub(crate) moment: String,
    pub(crate) topic: String,
    pub(crate) kind: String,
    pub(crate) subject: Option<String>,
    pub(crate) data: Option<String>,
}

/// What becomes of a row whose event is published, or is not: the row of a definition and of an occurrence, and no other.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) key: String,
    pub(crate) token: String,
    pub(crate) occurrences: u64,
    pub(crate) becomes: Becomes,
}

#[derive(Clone, Debug)]
pub(crate) enum Becomes {
    /// It was published, and comes again then, if ever.
    Published { fired: i64, at: i64, next: Option<i64> },
    /// It was not; it is looked at again then.
    Later { look: i64 },
    /// It is due then: what it did was in a time that has not been.
    Anew { due: i64 },
}

/// Which shard counts a key.
pub(crate) fn shard(key: &str) -> u32 {
    hash(key.as_bytes()) % SHARDS
}

const COLUMNS: &str =
    "key, token, moment, topic, kind, subject, data, due, fired, published, occurrences, look
    FROM schedule";

fn read(row: &Row<'_>) -> Result<ScheduleRow, Error> {
    let said = SaidRow {
        moment: row.get(2)?,
        topic: row.get(3)?,
        kind: row.get(4)?,
        subject: row.get(5)?,
        data: row.get(6)?,
    };
    let (due, fired, published) = (row.get(7)?, row.get(8)?, row.get(9)?);
    let (key, token, occurrences) = (row.get(0)?, row.get(1)?, row.get(10)?);
    let (look, was_due): (Option<i64>, Option<i64>) = (row.get(11)?, due);
    let was_refused = look > was_due;
    Ok(ScheduleRow { key, token, said, due, fired, published, occurrences, was_refused })
}

/// The one of a key.
pub(crate) async fn find(rows: &mut Rows<'_>, key: &str) -> Result<Option<ScheduleRow>, Error> {
    let select = format!("SELECT {COLUMNS} WHERE key = ?1");
    rows.find(&select, &[&key], read).await
}

/// Those that are to be looked at by now, the longest due first.
pub(crate) async fn due(
    rows: &mut Rows<'_>,
    now: i64,
    limit: usize,
) -> Result<Vec<ScheduleRow>, Error> {
    let select = format!("SELECT {COLUMNS} WHERE look <= ?1 ORDER BY look, key LIMIT ?2");
    rows.all(&select, &[&now, &limit], read).await
}

/// When one is to be looked at next.
pub(crate) async fn next_look(rows: &mut Rows<'_>) -> Result<Option<i64>, Error> {
    let select = "SELECT look FROM schedule WHERE look IS NOT NULL ORDER BY look LIMIT 1";
    rows.find(select, &[], |row| row.get(0)).await
}

/// Whether any is due and to be looked at later.
pub(crate) async fn has_postponed(rows: &mut Rows<'_>) -> Result<bool, Error> {
    let select = "SELECT due FROM schedule WHERE look > due ORDER BY due LIMIT 1";
    rows.find(select, &[], |row| row.get::<i64>(0)).await.map(|it| it.is_some())
}

/// Those that come again and were published when the clock said more than this.
pub(crate) async fn published_after(
    rows: &mut Rows<'_>,
    moment: i64,
    limit: usize,
) -> Result<Vec<ScheduleRow>, Error> {
    let select = format!(
        "SELECT {COLUMNS} WHERE published > ?1 AND due IS NOT NULL AND published IS NOT NULL
        ORDER BY published LIMIT ?2"
    );
    rows.all(&select, &[&moment, &limit], read).await
}

/// How many wait.
pub(crate) async fn pending(rows: &mut Rows<'_>) -> Result<u64, Error> {
    let select = "SELECT CAST(sum(pending) AS BIGINT) FROM schedule_count";
    rows.one(select, &[], |row| row.get(0)).await
}

/// Holds what is counted with a key, until the transaction is over.
pub(crate) async fn hold(tx: &mut Tx<'_>, shard: u32) -> Result<(), Error> {
    let select = "SELECT pending FROM schedule_count WHERE shard = ?1 FOR UPDATE";
    tx.one(select, &[&shard], |row| row.get::<i64>(0)).await.map(drop)
}

/// Puts a row in the place of whatever its key has; whether that waited is to be said.
pub(crate) async fn put(tx: &mut Tx<'_>, row: &ScheduleRow, had_waited: bool) -> Result<(), Error> {
    let insert = "INSERT INTO schedule
        (key, token, moment, topic, kind, subject, data, due, look, fired, published,
        occurrences) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, NULL, NULL, 0)
        ON CONFLICT (key) DO UPDATE SET token = excluded.token, moment = excluded.moment,
            topic = excluded.topic, kind = excluded.kind, subject = excluded.subject,
            data = excluded.data, due = excluded.due, look = excluded.look, fired = NULL,
            published = NULL, occurrences = 0";
    let ScheduleRow { key, token, said, due, .. } = row;
    let SaidRow { moment, topic, kind, subject, data } = said;
    let values: [&dyn Bind; 8] = [key, token, moment, topic, kind, subject, data, due];
    tx.execute(insert, &values).await?;
    if had_waited { Ok(()) } else { count(tx, shard(key), 1).await }
}

/// Takes a key's row out; whether something waited.
pub(crate) async fn remove(tx: &mut Tx<'_>, key: &str) -> Result<bool, Error> {
    hold(tx, shard(key)).await?;
    let Some(row) = find(tx, key).await? else { return Ok(false) };
    tx.execute("DELETE FROM schedule WHERE key = ?1", &[&key]).await?;
    if row.due.is_some() {
        count(tx, shard(key), -1).await?;
    }
    Ok(row.due.is_some())
}

/// Changes rows that are still what they were.
pub(crate) async fn change(tx: &mut Tx<'_>, changes: &[Change]) -> Result<(), Error> {
    let mut shards: Vec<u32> = changes.iter().map(|it| shard(&it.key)).collect();
    shards.sort_unstable();
    shards.dedup();
    for held in shards {
        hold(tx, held).await?;
    }
    for change in changes {
        if apply(tx, change).await?
            && matches!(change.becomes, Becomes::Published { next: None, .. })
        {
            count(tx, shard(&change.key), -1).await?;
        }
    }
    Ok(())
}

/// Whether there was such a row.
async fn apply(tx: &mut Tx<'_>, change: &Change) -> Result<bool, Error> {
    let Change { key, token, occurrences, becomes } = change;
    let changed = match becomes {
        Becomes::Published { fired, at, next } => {
            let update = "UPDATE schedule SET fired = ?4, due = ?5, look = ?5, published = ?6,
                occurrences = occurrences + 1
                WHERE key = ?1 AND token = ?2 AND occurrences = ?3 AND due IS NOT NULL";
            tx.execute(update, &[key, token, occurrences, fired, next, at]).await?
        }
        Becomes::Later { look } => {
            let update = "UPDATE schedule SET look = ?4
                WHERE key = ?1 AND token = ?2 AND occurrences = ?3 AND due IS NOT NULL";
            tx.execute(update, &[key, token, occurrences, look]).await?
        }
        Becomes::Anew { due } => {
            let update = "UPDATE schedule SET published = NULL, due = ?4, look = ?4
                WHERE key = ?1 AND token = ?2 AND occurrences = ?3 AND due IS NOT NULL";
            tx.execute(update, &[key, token, occurrences, due]).await?
        }
    };
    Ok(changed == 1)
}

async fn count(tx: &mut Tx<'_>, shard: u32, by: i64) -> Result<(), Error> {
    let update = "UPDATE schedule_count SET pending = pending + ?2 WHERE shard = ?1";
    tx.execute(update, &[&shard, &by]).await.map(drop)
}

/// Forgets the oldest of those that are over, beyond so many; how many, at most `limit`.
pub(crate) async fn forget(tx: &mut Tx<'_>, kept: usize, limit: usize) -> Result<u64, Error> {
    let delete = "DELETE FROM schedule WHERE due IS NULL AND key IN (SELECT key FROM schedule
        WHERE due IS NULL ORDER BY fired DESC, key DESC LIMIT ?2 OFFSET ?1)";
    tx.execute(delete, &[&kept, &limit]).await
}

/// Who looks after them, where several instances share them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    /// Goes up with every holder.
    pub(crate) fence: u64,
    /// Goes up while he lives.
    pub(crate) beat: u64,
    /// Whether there is one at all.
    pub(crate) is_there: bool,
}

/// The one that there is.
pub(crate) async fn holder(rows: &mut Rows<'_>) -> Result<Holder, Error> {
    let select = "SELECT fence, beat, held FROM schedule_lease WHERE one = 1";
    let read = |row: &Row<'_>| {
        let held: i64 = row.get(2)?;
        Ok(Holder { fence: row.get(0)?, beat: row.get(1)?, is_there: held == 1 })
    };
    rows.one(select, &[], read).await
}

/// Follows this one, if he is what he was when he was seen; the new one's fence.
pub(crate) async fn follow(tx: &mut Tx<'_>, seen: Holder) -> Result<Option<u64>, Error> {
    let update = "UPDATE schedule_lease SET fence = fence + 1, beat = beat + 1, held = 1
        WHERE one = 1 AND fence = ?1 AND beat = ?2";
    let followed = tx.execute(update, &[&seen.fence, &seen.beat]).await? == 1;
    Ok(followed.then_some(seen.fence + 1))
}

/// Says that he lives; whether he still is the one.
pub(crate) async fn beat(tx: &mut Tx<'_>, fence: u64) -> Result<bool, Error> {
    let update = "UPDATE schedule_lease SET beat = beat + 1 WHERE one = 1 AND fence = ?1";
    Ok(tx.execute(update, &[&fence]).await? == 1)
}

/// Gives it back.
pub(crate) async fn let_go(tx: &mut Tx<'_>, fence: u64) -> Result<(), Error> {
    let update = "UPDATE schedule_lease SET held = 0 WHERE one = 1 AND fence = ?1";
    tx.execute(update, &[&fence]).await.map(drop)
}
