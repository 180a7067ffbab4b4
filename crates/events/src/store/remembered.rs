//! What was taken from outside: where each event's first copy is in the outbox, by source and id and by key.
//!
//! A row is written in the transaction that puts its event into the outbox, and outlives the outbox's row: that goes soon
//! after it was relayed. So a second copy is known, and a condition decided, without what the event says. Where it is, is its
//! number and partition in one ([`packed`]); on a server that is noted by the outbox itself, when it numbers.
//!
//! What is forgotten is noted, partition by partition, so that a condition about it is refused and not guessed.

use serde_json::value::RawValue;

use crate::error::Error;
use crate::event::{Cause, Draft};
use crate::offer::{Drafted, Offered, Unless};
use crate::partition::{Numbered, Partition};
use crate::store::database::{Database, Engine};
use crate::store::packed;
use crate::store::published::Published;
use crate::store::rows::{Row, Rows};
use crate::store::tx::Tx;
use crate::store::value::Bind;
use crate::store::whole::WHOLE;

/// Rows that one transaction forgets at most.
pub(crate) const FORGOTTEN_AT_ONCE: u64 = 1_000;

/// An event of a key, as it is remembered.
pub(crate) struct Remembered {
    pub(crate) at: Numbered,
    pub(crate) source: String,
    pub(crate) id: String,
    pub(crate) kind: String,
    /// When it came, in microseconds since 1970.
    pub(crate) taken: i64,
}

impl Database {
    /// Has what came from outside remembered with its place, where that is given by another than who writes; its rows are whole
    /// events from here on.
    pub(crate) async fn remember(&self) -> Result<(), Error> {
        self.kept().take_whole();
        match &self.engine {
            Engine::Embedded(_) => Ok(()),
            Engine::Served(server) => Box::pin(server.remember()).await,
        }
    }
}

/// Where the first copy of an event is; `None` for one that never came, or is forgotten.
pub(crate) async fn first(
    rows: &mut Rows<'_>,
    source: &str,
    id: &str,
) -> Result<Option<Numbered>, Error> {
    let select = "SELECT place FROM remembered WHERE source = ?1 AND id = ?2";
    let place: Option<u64> = rows.find(select, &[&source, &id], |row| row.get::<u64>(0)).await?;
    Ok(place.map(packed::unpack))
}

/// Puts each of these events, of which none is there twice, into the outbox and remembers it, if nobody did before; what of
/// each is new.
pub(crate) async fn publish_once(
    tx: &mut Tx<'_>,
    events: &[&Offered],
) -> Result<Vec<Option<Published>>, Error> {
    if tx.is_at_once() {
        return publish_each(tx, events).await;
    }
    let mut published = Vec::with_capacity(events.len());
    for event in events {
        published.push(tx.publish_to_remember(draft(event)?).await?);
    }
    let named = events.iter().zip(&published);
    let drafted: Vec<Drafted<'_>> =
        named.map(|(offered, it)| Drafted { offered, id: it.id() }).collect();
    let new = tx.remember(&drafted).await?;
    Ok(published.into_iter().map(|it| new.contains(&it.id()).then_some(it)).collect())
}

/// Its row in the outbox, which has all of it.
fn draft(offered: &Offered) -> Result<Draft, Error> {
    let text = String::from_utf8(offered.bytes.clone()).map_err(Error::decode)?;
    let data = RawValue::from_string(text).map_err(Error::decode)?;
    let subject = offered.key.clone();
    Ok(Draft { kind: WHOLE, subject, sequence: 0, data, cause: Cause::default() })
}

/// Publishes one after the other what is not remembered, where nobody else writes.
async fn publish_each(
    tx: &mut Tx<'_>,
    events: &[&Offered],
) -> Result<Vec<Option<Published>>, Error> {
    let mut all = Vec::with_capacity(events.len());
    for event in events {
        let published = match first(tx, &event.source, &event.id).await? {
            Some(_) => None,
            None => Some(tx.publish(draft(event)?).await?),
        };
        if let Some(published) = &published {
            remember(tx, event, published).await?;
        }
        all.push(published);
    }
    Ok(all)
}

async fn remember(tx: &mut Tx<'_>, offered: &Offered, published: &Published) -> Result<(), Error> {
    let (place, taken) = (packed::pack(published.number()), tx.now().as_microsecond());
    let Offered { source, id, key, kind, .. } = offered;
    let insert = "INSERT INTO remembered (place, source, id, key, kind, taken)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let row: [&dyn Bind; 6] = [&place, source, id, key, kind, &taken];
    tx.execute(insert, &row).await.map(drop)
}

/// What came for the condition's key after its place, oldest first; in other partitions than the key's all of it, of
/// before the topic was given more. One more than `limit` at most.
pub(crate) async fn of_key(
    rows: &mut Rows<'_>,
    unless: &Unless,
    partition: Partition,
    limit: usize,
) -> Result<Vec<Remembered>, Error> {
    let select = "SELECT place, source, id, kind, taken FROM remembered
        WHERE key = ?1 AND (place < ?2 OR place > ?3) ORDER BY place LIMIT ?4";
    let number = unless.after.of(partition);
    let after = packed::pack(Numbered { partition, number });
    let span: [&dyn Bind; 4] = [&unless.key, &packed::base(partition), &after, &(limit + 1)];
    rows.all(select, &span, remembered).await
}

fn remembered(row: &Row<'_>) -> Result<Remembered, Error> {
    Ok(Remembered {
        at: packed::unpack(row.get(0)?),
        source: row.get(1)?,
        id: row.get(2)?,
        kind: row.get(3)?,
        taken: row.get(4)?,
    })
}

/// Up to which number nothing is remembered of a partition.
pub(crate) async fn forgotten(rows: &mut Rows<'_>, partition: Partition) -> Result<u64, Error> {
    let select = "SELECT up_to FROM forgotten WHERE partition = ?1";
    let up_to = rows.find(select, &[&partition.index()], |row| row.get::<u64>(0)).await?;
    Ok(up_to.unwrap_or(0))
}

/// The newest event of a partition that is one too many, where so many are kept.
pub(crate) async fn surplus(
    rows: &mut Rows<'_>,
    partition: Partition,
    kept: u64,
) -> Result<Option<Numbered>, Error> {
    let select = "SELECT place FROM remembered WHERE place BETWEEN ?1 AND ?2
        ORDER BY place DESC LIMIT 1 OFFSET ?3";
    let span: [&dyn Bind; 3] = [&packed::base(partition), &packed::end(partition), &kept];
    let place: Option<u64> = rows.find(select, &span, |row| row.get::<u64>(0)).await?;
    Ok(place.map(packed::unpack))
}

/// Forgets the oldest of a partition, up to this one and [`FORGOTTEN_AT_ONCE`]; how many. From before the first of them on
/// a condition is refused.
pub(crate) async fn forget(tx: &mut Tx<'_>, up_to: Numbered) -> Result<u64, Error> {
    let note = "INSERT INTO forgotten (partition, up_to) VALUES (?1, ?2)
        ON CONFLICT (partition) DO UPDATE SET up_to = excluded.up_to
        WHERE forgotten.up_to < excluded.up_to";
    tx.execute(note, &[&up_to.partition.index(), &up_to.number]).await?;
    let delete = "DELETE FROM remembered WHERE place IN (SELECT place FROM remembered
        WHERE place BETWEEN ?1 AND ?2 ORDER BY place LIMIT ?3)";
    let span: [&dyn Bind; 3] =
        [&packed::base(up_to.partition), &packed::pack(up_to), &FORGOTTEN_AT_ONCE];
    tx.execute(delete, &span).await
}
