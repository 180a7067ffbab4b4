//! What is done to files that no writer has open: looking into them, checking them, leaving out numbers,
//! whatever service made them.
//!
//! A restored copy is brought into use like this, file by file, before anything runs on it:
//!
//! ```
//! # use std::sync::Arc;
//! use yeoul_events::store::{Database, Options, Publishes, upkeep};
//! # use yeoul_events::{Cause, Clock, Draft, Error, Topic};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Error> {
//! # let folder = tempfile::tempdir().expect("a folder");
//! # let path = folder.path().join("order.db");
//! # let open = || {
//! #     let clock: Clock = Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
//! #     let (topic, partitions) = (Topic::parse("order")?, yeoul_events::Partitions::ONE);
//! #     let publishes = Some(Publishes { source: "order".into(), topic, partitions });
//! #     Database::open(Options { path: path.clone(), schema: &[], publishes, clock })
//! # };
//! # let event = || Draft::new("OrderPlaced", 7, 1, &(), &Cause::default());
//! # let order = open()?;
//! # order.write(event(), |event, tx| Box::pin(tx.publish(event.clone()))).await?;
//! # order.close().await;
//! # drop(order);
//! // Every page, every index, every number that waits: a hurt copy is refused here.
//! upkeep::check(&path)?;
//! // What was acknowledged after the copy may have had the next numbers. None of them is given again.
//! upkeep::jump(&path, 1_000_000)?;
//! assert!(upkeep::publishes(&path)?);
//!
//! let order = open()?;
//! let next = order.write(event(), |event, tx| Box::pin(tx.publish(event.clone()))).await?;
//! // The outbox is in a new epoch: above all that it could have numbered, however much that was.
//! assert_eq!(next.number().number, (1 << 32) + 1);
//! # Ok(())
//! # }
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::log::rows;
use super::plumbing::connection::{self, has_table};
use super::plumbing::numbering;
use super::plumbing::private::{ENDS, WRITE_AHEAD, beside};
use super::plumbing::skipped;
use super::plumbing::statements;
use super::plumbing::versions;
use super::state::gaps;
use super::state::outbox;
use crate::error::Error;
use crate::event::Event;
use crate::event::id::EventId;
use crate::partition::numbers::Numbers;
use crate::partition::{Numbered, Partitions};
use crate::skipped::Skipped;
use crate::store::epoch;
use crate::store::options::LeftOut;
use crate::store::outbox::UNRELAYED;
use crate::store::packed;
use crate::store::paused::{self, Pause};
use crate::store::rows::Row;
use crate::store::whole::WHOLE;
use crate::topic::Topic;

/// How a store's name ends.
const STORE: &str = ".db";

/// Whether a file is a store, by its name.
pub fn is_store(path: &Path) -> bool {
    is_named(path, STORE)
}

/// Whether a file is a store or was laid beside one by the engine: who copies stores by [`Cut`](super::cut::Cut)
/// copies none of them as a file.
pub fn is_of_a_store(path: &Path) -> bool {
    ENDS.iter().any(|end| is_named(path, &format!("{STORE}{end}")))
}

/// Whether something was written that stands beside the store and not in it, as whoever does not close one
/// leaves it: the file alone is not all of it.
pub fn is_unclosed(store: &Path) -> bool {
    fs::metadata(beside(store, WRITE_AHEAD)).is_ok_and(|meta| meta.len() > 0)
}

fn is_named(path: &Path, end: &str) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().ends_with(end.as_bytes()))
}

/// The subscriptions whose places or parked events this file keeps.
///
/// # Errors
/// [`Error::Environment`]: cure the disk; [`Error::Damaged`]: the file is hurt or not a database.
pub fn subscriptions(path: &Path) -> Result<BTreeSet<String>, Error> {
    let sql = connection::open_reader(path)?;
    let mut names = BTreeSet::new();
    for table in ["inbox", "parked"] {
        if has_table(&sql, table)? {
            let select = format!("SELECT DISTINCT subscription FROM {table}");
            let mut select = sql.prepare(&select)?;
            let rows = select.query_map([], |row| row.get(0))?;
            names.extend(rows.collect::<Result<Vec<String>, _>>()?);
        }
    }
    Ok(names)
}

/// What operators stepped over in this file, oldest first.
///
/// # Errors
/// As for [`subscriptions`].
pub fn skipped(path: &Path) -> Result<Vec<Skipped>, Error> {
    let sql = connection::open_reader(path)?;
    if has_table(&sql, "skipped")? { skipped::everything(&sql) } else { Ok(Vec::new()) }
}

/// The subscriptions that operators have paused in this file, by name; whether each pause still
/// [holds](Pause::holds) is the caller's to say.
///
/// # Errors
/// As for [`subscriptions`].
pub fn paused(path: &Path) -> Result<BTreeMap<String, Pause>, Error> {
    let sql = connection::open_reader(path)?;
    let mut all = BTreeMap::new();
    if has_table(&sql, "paused")? {
        let add = |row: statements::Row<'_>| {
            let row = Row::embedded(row);
            all.insert(row.get(2)?, paused::read(&row)?);
            Ok::<_, Error>(())
        };
        statements::each(&sql, paused::ALL, &[], add)?;
    }
    Ok(all)
}

/// Whether the file is the outbox of a service.
///
/// # Errors
/// As for [`subscriptions`].
pub fn publishes(path: &Path) -> Result<bool, Error> {
    has_table(&connection::open_reader(path)?, "outbox")
}

/// Reads the whole file: every page, every index against its table, and every number that waits in
/// an outbox. For a file whose pages may be of different moments.
///
/// # Errors
/// [`Error::Damaged`] with what is hurt; [`Error::Environment`]: cure the disk.
pub fn check(path: &Path) -> Result<(), Error> {
    let damaged =
        |what: String| Error::Damaged { topic: path.display().to_string(), from: 0, to: 0, what };
    let sql = connection::open_reader(path)?;
    let verdict = sql.query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0));
    match verdict.map_err(Error::from) {
        Ok(verdict) if verdict == "ok" => {}
        Ok(verdict) => return Err(damaged(verdict)),
        Err(Error::Damaged { what, .. }) => return Err(damaged(what)),
        Err(error) => return Err(error),
    }
    let missing = if has_table(&sql, "outbox")? { gaps::missing(&sql)? } else { 0 };
    if missing > 0 {
        return Err(damaged(format!("{missing} rows of the outbox are missing")));
    }
    Ok(())
}

/// How many numbers restores have left out of every count of this file, together.
///
/// # Errors
/// As for [`subscriptions`].
pub fn left_out(path: &Path) -> Result<u64, Error> {
    let sql = connection::open_reader(path)?;
    if has_table(&sql, "numbering")? { numbering::base(&sql) } else { Ok(0) }
}

/// Leaves out the next `by` of every number that the file gives: ids that count up, the log's offsets, and the columns
/// that count what outsiders see of a row; and all of an outbox's epoch, whose next number is of the next one. What was
/// acknowledged after the moment of a copy is not given again.
///
/// # Errors
/// [`Error::Environment`]: nothing can be written there. [`Error::Damaged`]: the file is hurt.
pub fn jump(path: &Path, by: u64) -> Result<(), Error> {
    let mut sql = connection::open_beside(path)?;
    let jumping = sql.transaction()?;
    let counting = "SELECT name FROM sqlite_schema WHERE type = 'table'
        AND upper(sql) LIKE '%AUTOINCREMENT%'";
    let tables: Vec<String> =
        jumping.prepare(counting)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for table in tables {
        let raise = "UPDATE sqlite_sequence SET seq = seq + ?2 WHERE name = ?1";
        if jumping.execute(raise, params![table, by])? == 0 {
            // A table that never had a row has no count yet.
            jumping.execute("INSERT INTO sqlite_sequence VALUES (?1, ?2)", params![table, by])?;
        }
    }
    if has_table(&jumping, "outbox")? {
        versions::upgrade_within(&jumping, &[&outbox::TABLES])?;
        outbox::begin_epoch(&jumping)?;
    }
    if has_table(&jumping, "topic")? && has_table(&jumping, "publisher")? {
        rows::leave_out(&jumping, by)?;
    } else {
        numbering::leave_out(&jumping, by)?;
    }
    jumping.commit()?;
    Ok(())
}

/// What a broker has of an outbox's numbers that its file does not know: it was put back to a moment before them.
#[derive(Debug, Default)]
pub struct Ahead {
    /// Those numbers, of each partition that has some.
    pub lost: Vec<LeftOut>,
    /// How often the file has to [`jump`] until none of them is given again: they may be of several epochs.
    pub epochs: u64,
}

/// Compares the outbox of a file with the newest numbers that a broker has of it.
///
/// # Errors
/// [`Error::Environment`]: nothing can be written there. [`Error::Damaged`]: the file is hurt.
pub fn ahead(path: &Path, newest: &Numbers) -> Result<Ahead, Error> {
    let mut sql = connection::open_beside(path)?;
    let reading = sql.transaction()?;
    versions::upgrade_within(&reading, &[&outbox::TABLES])?;
    let mut ahead = Ahead::default();
    for Numbered { partition, number } in outbox::numbered_up_to(&reading)? {
        let newest = newest.of(partition);
        ahead.epochs = ahead.epochs.max(epoch::behind(number, newest));
        if newest > number {
            ahead.lost.push(LeftOut { partition, numbers: number + 1..=newest });
        }
    }
    reading.commit()?;
    Ok(ahead)
}

/// Up to where each partition's numbers of an outbox were given, or left out.
///
/// # Errors
/// [`Error::Environment`]: nothing can be written there. [`Error::Damaged`]: the file is hurt.
pub fn numbered_up_to(path: &Path) -> Result<Vec<Numbered>, Error> {
    let mut sql = connection::open_beside(path)?;
    let reading = sql.transaction()?;
    versions::upgrade_within(&reading, &[&outbox::TABLES])?;
    let numbered = outbox::numbered_up_to(&reading)?;
    reading.commit()?;
    Ok(numbered)
}

/// Events of an outbox that no relay has passed, as far as that is saved; none of a file that has no outbox.
///
/// # Errors
/// As for [`subscriptions`].
pub fn unrelayed(path: &Path) -> Result<u64, Error> {
    let sql = connection::open_reader(path)?;
    for table in ["outbox", "outbox_relayed", "outbox_stepped"] {
        if !has_table(&sql, table)? {
            return Ok(0);
        }
    }
    Ok(sql.query_row(UNRELAYED, [], |row| row.get(0))?)
}

/// The ids of the events of these numbers, in their order; `None` where a row is kept no more, or is from before ids were
/// kept.
///
/// # Errors
/// As for [`numbered_up_to`].
pub fn ids_of(path: &Path, numbers: &[Numbered]) -> Result<Vec<Option<String>>, Error> {
    let mut sql = connection::open_beside(path)?;
    let reading = sql.transaction()?;
    versions::upgrade_within(&reading, &[&outbox::TABLES])?;
    let mut select = reading
        .prepare("SELECT id, CASE kind WHEN ?2 THEN data END FROM outbox WHERE sequence = ?1")?;
    let id = |at: &Numbered| {
        let stored = select.query_row(params![packed::pack(*at), WHOLE], |row| {
            let (id, whole): (Option<[u8; 16]>, Option<String>) = (row.get(0)?, row.get(1)?);
            let whole = whole.and_then(|data| Event::from_json(data.as_bytes()).ok());
            let own = id.map(|bytes| EventId::from_bytes(bytes).to_string());
            Ok(whole.map(|event| event.id).or(own))
        });
        Ok(stored.optional()?.flatten())
    };
    let ids = numbers.iter().map(id).collect::<Result<_, Error>>()?;
    drop(select);
    reading.commit()?;
    Ok(ids)
}

/// Writes a note into a file that no writer has open.
///
/// # Errors
/// [`Error::Limit`]: no room for it. [`Error::Environment`]: nothing can be written there.
pub fn note(path: &Path, one: &Skipped) -> Result<(), Error> {
    let sql = connection::open_beside(path)?;
    versions::upgrade(&sql, &[&skipped::TABLES])?;
    skipped::note(&sql, one)
}

/// Gives a topic of a log more partitions. Its keys change theirs: to be done while every subscription has
/// taken, and handled, all that there is.
///
/// The outbox that publishes to it numbers for as many partitions, so it goes along
/// ([`grow_outbox`]). Whoever is broken off between the two opens neither until both agree: the same two
/// calls again do what is left.
///
/// ```
/// # use std::sync::Arc;
/// # use jiff::Timestamp;
/// use yeoul_events::store::upkeep;
/// # use yeoul_events::{Broker, Clock, Error, Log, Partitions, Topic};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// # let folder = tempfile::tempdir().expect("a folder");
/// # let clock: Clock = Arc::new(|| Timestamp::UNIX_EPOCH);
/// let topic = Topic::parse("order")?;
/// let log = Log::open(folder.path(), std::slice::from_ref(&topic), clock.clone())?;
/// log.close().await;
/// drop(log);
///
/// let file = folder.path().join("log.db");
/// upkeep::grow_topic(&file, &topic, Partitions::new(3)?, Timestamp::UNIX_EPOCH)?;
/// // Never fewer: what is in a partition stays there.
/// let fewer = upkeep::grow_topic(&file, &topic, Partitions::ONE, Timestamp::UNIX_EPOCH);
/// assert!(matches!(fewer, Err(Error::Partitions { has: 3, asked: 1, .. })));
/// assert_eq!(Log::open(folder.path(), &[], clock)?.partitions(&topic)?.count(), 3);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::UnknownTopic`]; [`Error::Partitions`]: it has more already, and none is ever taken away;
/// [`Error::Environment`]: nothing can be written there.
pub fn grow_topic(path: &Path, topic: &Topic, to: Partitions, now: Timestamp) -> Result<(), Error> {
    let mut sql = connection::open_beside(path)?;
    let growing = sql.transaction()?;
    rows::grow(&growing, topic, to, now.as_microsecond())?;
    Ok(growing.commit()?)
}

/// Has an outbox number its events for so many partitions, once every event in it is relayed.
///
/// # Errors
/// As for [`grow_topic`].
pub fn grow_outbox(path: &Path, topic: &Topic, to: Partitions) -> Result<(), Error> {
    let mut sql = connection::open_beside(path)?;
    let growing = sql.transaction()?;
    versions::upgrade_within(&growing, &[&outbox::TABLES])?;
    outbox::grow(&growing, topic, to)?;
    Ok(growing.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_and_what_lies_beside_it_are_known_by_their_names() {
        for (name, store, of_one) in [
            ("a/service.db", true, true),
            ("a/service.db-wal", false, true),
            ("a/service.db-shm", false, true),
            ("a/service.db-old", false, false),
            ("a/service.db.txt", false, false),
            ("a.db/key", false, false),
            ("a/db", false, false),
        ] {
            let path = Path::new(name);
            assert_eq!((is_store(path), is_of_a_store(path)), (store, of_one), "{name}");
        }
    }

    #[test]
    fn a_store_that_was_not_closed_is_known_by_what_lies_beside_it() {
        let place = tempfile::tempdir().unwrap();
        let store = place.path().join("a.db");
        let sql = connection::open_writer(&store, connection::PAGE_BYTES).unwrap();
        sql.execute_batch("CREATE TABLE a (b); INSERT INTO a VALUES (1)").unwrap();
        assert!(is_unclosed(&store));
        drop(sql);
        assert!(!is_unclosed(&store));
        fs::write(beside(&store, WRITE_AHEAD), "").unwrap();
        assert!(!is_unclosed(&store), "an empty one holds nothing");
    }
}
