//! The log's writing thread: whatever came during the last sync goes into one transaction.
//!
//! A batch needs no savepoint of its own: all that can be wrong with it is checked before its first
//! row, and what fails afterwards is the disk, which fails everybody.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::{mpsc, oneshot};

use super::chain::Chain;
use super::{Record, Table};
use crate::store::sqlite::group;
use crate::{Error, Offset};

/// Batches that may wait for the writer; one more is refused as environment trouble.
pub(super) const PUBLISH_QUEUE_MAX: usize = 8192;

/// Batches one transaction carries at most.
const GROUP_MAX: usize = 1024;

/// Sources with an outbox one log remembers.
pub(super) const SOURCES_MAX: usize = 10_000;

pub(super) enum Input {
    Publish(Publish),
    Close(oneshot::Sender<()>),
    #[cfg(test)]
    Test(Box<dyn FnOnce(&Connection) + Send>, oneshot::Sender<()>),
}

pub(super) struct Publish {
    pub(super) table: usize,
    pub(super) records: Vec<Record>,
    pub(super) reply: oneshot::Sender<Result<Offset, Error>>,
}

/// A batch that ran, and what it will be answered once the sync is through.
type Answer = (oneshot::Sender<Result<Offset, Error>>, Result<Offset, Error>);

pub(super) struct Writer {
    connection: Connection,
    tables: Arc<[Table]>,
    /// `None` until read from the file: at the start, and after a transaction failed.
    tails: Option<Vec<Tail>>,
}

/// Where a topic goes on.
struct Tail {
    last: u64,
    chain: Chain,
    /// The highest outbox sequence of every source, and whether this transaction raised it.
    highest: HashMap<String, (u64, bool)>,
    insert: String,
}

impl Writer {
    pub(super) fn new(connection: Connection, tables: Arc<[Table]>) -> Writer {
        Writer { connection, tables, tails: None }
    }

    pub(super) fn run(mut self, mut inputs: mpsc::Receiver<Input>) {
        let mut closing = Vec::new();
        let mut size = 0;
        loop {
            let group = group::collect(&mut inputs, size, GROUP_MAX);
            if group.is_empty() {
                break;
            }
            let mut batches = Vec::with_capacity(group.len());
            for input in group {
                match input {
                    Input::Publish(publish) => batches.push(publish),
                    Input::Close(reply) => {
                        inputs.close();
                        closing.push(reply);
                    }
                    #[cfg(test)]
                    Input::Test(work, reply) => {
                        work(&self.connection);
                        let _ = reply.send(());
                    }
                }
            }
            size = batches.len();
            self.group(batches);
        }
        self.finish();
        for reply in closing {
            let _ = reply.send(());
        }
    }

    fn group(&mut self, batches: Vec<Publish>) {
        if batches.is_empty() {
            return;
        }
        let mut answers = Vec::with_capacity(batches.len());
        let outcome = self.transaction(batches, &mut answers);
        match &outcome {
            Ok(()) => self.tell_ends(),
            Err(error) => {
                tracing::error!(%error, batches = answers.len(), "a publish failed");
                self.undo();
            }
        }
        for (reply, answer) in answers {
            // A publisher that went away does not want its answer; the events stand all the same.
            let _ = reply.send(outcome.clone().and(answer));
        }
    }

    fn transaction(
        &mut self,
        batches: Vec<Publish>,
        answers: &mut Vec<Answer>,
    ) -> Result<(), Error> {
        let mut begun = self.begin();
        for batch in batches {
            let answer = match (&mut begun, &mut self.tails) {
                (Ok(()), Some(tails)) => {
                    append(&self.connection, tails, batch.table, batch.records)
                }
                _ => Err(Error::Closed),
            };
            // A limit is refused before the batch's first row; anything else leaves some behind.
            if let Err(error) = &answer
                && !matches!(error, Error::Limit { .. })
            {
                begun = Err(error.clone());
            }
            answers.push((batch.reply, answer));
        }
        begun?;
        self.save_highest()?;
        run(&self.connection, "COMMIT")
    }

    fn begin(&mut self) -> Result<(), Error> {
        if self.tails.is_none() {
            let tails = self.tables.iter().map(|table| Tail::load(&self.connection, table));
            self.tails = Some(tails.collect::<Result<_, _>>()?);
        }
        run(&self.connection, "BEGIN IMMEDIATE")
    }

    fn save_highest(&mut self) -> Result<(), Error> {
        let upsert = "INSERT INTO publisher VALUES (?1, ?2, ?3)
            ON CONFLICT (topic, source) DO UPDATE SET sequence = excluded.sequence";
        let tails = self.tails.iter_mut().flatten();
        for (table, tail) in self.tables.iter().zip(tails) {
            for (source, (highest, raised)) in &mut tail.highest {
                if std::mem::take(raised) {
                    let mut upsert = self.connection.prepare_cached(upsert)?;
                    upsert.execute(params![table.id, source, *highest])?;
                }
            }
        }
        Ok(())
    }

    fn tell_ends(&self) {
        for (table, tail) in self.tables.iter().zip(self.tails.iter().flatten()) {
            table.end.send_if_modified(|end| {
                let changed = end.0 != tail.last;
                *end = Offset(tail.last);
                changed
            });
        }
    }

    fn undo(&mut self) {
        self.tails = None;
        if !self.connection.is_autocommit()
            && let Err(error) = run(&self.connection, "ROLLBACK")
        {
            tracing::error!(%error, "a failed publish could not be rolled back");
        }
    }

    /// Folds the write-ahead file in, so that a copy of the one file is a whole copy.
    fn finish(self) {
        let fold = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err(error) = fold {
            tracing::warn!(%error, "the write-ahead file was not folded in");
        }
    }
}

/// Stores what is new of one batch; the offset of its last event, or of the topic's newest.
fn append(
    connection: &Connection,
    tails: &mut [Tail],
    table: usize,
    records: Vec<Record>,
) -> Result<Offset, Error> {
    let sources: usize = tails.iter().map(|tail| tail.highest.len()).sum();
    let tail = &mut tails[table];
    let unknown = |it: &&Record| {
        it.stamp.as_ref().is_some_and(|(source, _)| !tail.highest.contains_key(source))
    };
    Error::check("sources", sources + records.iter().filter(unknown).count(), SOURCES_MAX)?;
    let mut insert = connection.prepare_cached(&tail.insert)?;
    for record in records {
        if record.stamp.is_some_and(|(source, sequence)| tail.knows(source, sequence)) {
            continue;
        }
        let offset = tail.last + 1;
        insert.execute(params![offset, tail.chain.link(offset, &record.bytes), record.bytes])?;
        tail.last = offset;
    }
    Ok(Offset(tail.last))
}

impl Tail {
    fn load(connection: &Connection, table: &Table) -> Result<Tail, Error> {
        let newest = format!("SELECT offset, crc FROM t{} ORDER BY offset DESC LIMIT 1", table.id);
        let newest = connection.query_row(&newest, [], |row| Ok((row.get(0)?, row.get(1)?)));
        let (last, chain) = match newest.optional()? {
            Some((last, crc)) => (last, Chain::resumed(crc)),
            None => (0, table.chain()),
        };
        let select = "SELECT source, sequence FROM publisher WHERE topic = ?1";
        let mut select = connection.prepare_cached(select)?;
        let rows = select.query_map([table.id], |row| Ok((row.get(0)?, (row.get(1)?, false))))?;
        let insert = format!("INSERT INTO t{} VALUES (?1, ?2, ?3)", table.id);
        Ok(Tail { last, chain, highest: rows.collect::<Result<_, _>>()?, insert })
    }

    /// Whether this event was stored before; if not, it counts as stored from now on.
    fn knows(&mut self, source: String, sequence: u64) -> bool {
        let (highest, raised) = self.highest.entry(source).or_default();
        if sequence <= *highest {
            return true;
        }
        (*highest, *raised) = (sequence, true);
        false
    }
}

fn run(connection: &Connection, statement: &str) -> Result<(), Error> {
    connection.prepare_cached(statement)?.execute([])?;
    Ok(())
}
