//! The log's writing thread: whatever came during the last sync goes into one transaction.
//!
//! 1. *A group* opens with the first batch that comes, of whichever topic, and takes what else comes while it
//!    is filled.
//! 2. *Each batch* is appended to its partition: limits are checked before its first row, second copies are
//!    passed over, and every new record gets the next offset and a link of the chain.
//! 3. *Who published* is noted for the partitions that the group touched: once each, not once an event.
//! 4. *The commit* is the one sync of all of them. Then followers wake, then publishers are answered.
//! 5. *If it fails*, what is in memory of the ends of partitions is thrown away and read from the file
//!    before the next group: it is of a transaction that never was.
//!
//! A batch needs no savepoint of its own: all that can be wrong with it is checked before its first
//! row, and what fails afterwards is the disk, which fails everybody.

use std::collections::BTreeSet;
use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::Record;
use super::keeping::Slice;
use super::offered::Offering;
use super::recent::Recent;
use super::rows::PartitionRows;
use super::tail::Tail;
use crate::Clock;
use crate::broker::Offset;
use crate::error::Error;
use crate::offer::{Offer, Outcome};
use crate::partition::Partitions;
use crate::skipped::Skipped;
use crate::store::sqlite::plumbing::group::Group;
use crate::store::sqlite::plumbing::skipped;

/// Batches that may wait for the writer; one more is refused as environment trouble.
pub(crate) const PUBLISH_QUEUE_MAX: usize = 8192;

/// Batches one transaction carries at most.
const GROUP_MAX: usize = 1024;

/// What can be queued.
pub(super) enum Input {
    Publish(Publish),
    Offer(TopicOffer),
    Note(Box<Skipped>, oneshot::Sender<Result<Offset, Error>>),
    Keep(Keep),
    Close(oneshot::Sender<()>),
    #[cfg(test)]
    Test(Box<dyn FnOnce(&Connection) + Send>, oneshot::Sender<()>),
}

/// One batch on its way, and where its answer goes.
pub(super) struct Publish {
    /// Its place among the partitions.
    pub(super) partition: usize,
    pub(super) records: Vec<Record>,
    pub(super) reply: oneshot::Sender<Result<Offset, Error>>,
}

/// A slice of a partition that is looked at for what is not to be kept; answered whether more is left to do.
pub(super) struct Keep {
    /// Its place among the partitions.
    pub(super) partition: usize,
    pub(super) reply: oneshot::Sender<Result<bool, Error>>,
}

/// An offer on its way, and where its answer goes.
pub(super) struct TopicOffer {
    /// The place of the topic's first partition; the others are behind it.
    pub(super) first: usize,
    pub(super) partitions: Partitions,
    pub(super) offer: Offer,
    pub(super) reply: oneshot::Sender<Result<Outcome, Error>>,
}

/// What will be answered once the sync is through.
enum Acknowledgement {
    Publish { reply: oneshot::Sender<Result<Offset, Error>>, ran: Result<Offset, Error> },
    Offer { reply: oneshot::Sender<Result<Outcome, Error>>, ran: Result<Outcome, Error> },
    Keep { reply: oneshot::Sender<Result<bool, Error>>, ran: Result<bool, Error> },
}

impl Acknowledgement {
    /// The transaction's outcome where it failed, else one's own. Who went away wants no answer; the events stand all
    /// the same.
    fn send(self, outcome: Result<(), Error>) {
        match self {
            Acknowledgement::Publish { reply, ran } => drop(reply.send(outcome.and(ran))),
            Acknowledgement::Offer { reply, ran } => drop(reply.send(outcome.and(ran))),
            Acknowledgement::Keep { reply, ran } => drop(reply.send(outcome.and(ran))),
        }
    }
}

/// What readers see of what is written.
pub(super) struct Shared {
    pub(super) partitions: Arc<[PartitionRows]>,
    pub(super) recent: Arc<Recent>,
}

/// What the thread owns.
pub(super) struct Writer {
    connection: Connection,
    partitions: Arc<[PartitionRows]>,
    recent: Arc<Recent>,
    /// `None` until read from the file: at the start, and after a transaction failed.
    tails: Option<Vec<Tail>>,
    clock: Clock,
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        Shared { partitions, recent }: Shared,
        clock: Clock,
    ) -> Writer {
        Writer { connection, partitions, recent, tails: None, clock }
    }

    /// Group after group, until nobody can send any more or somebody closed it.
    pub(super) fn run(mut self, mut inputs: mpsc::Receiver<Input>) {
        let mut closing = Vec::new();
        let mut size = 0;
        while let Some(mut group) = Group::open(&mut inputs, size, GROUP_MAX) {
            let mut answers = Vec::with_capacity(size);
            // One outcome for all of them: they share the sync, so either all are on disk or none is.
            let outcome = self.transaction(&mut group, &mut answers, &mut closing);
            size = group.taken();
            if let Err(error) = &outcome {
                tracing::error!(%error, batches = answers.len(), "a publish failed");
                self.undo();
            }
            // Only now does the file show to nobody what it has no more.
            if answers.iter().any(|answer| matches!(answer, Acknowledgement::Keep { .. })) {
                self.recent.forget();
            }
            for answer in answers {
                answer.send(outcome.clone());
            }
        }
        self.finish();
        // Last: whoever waits for this may copy the file, or open it again.
        for reply in closing {
            let _ = reply.send(());
        }
    }

    /// One group, from its first batch to the sync; what it was answered is the caller's to send.
    fn transaction(
        &mut self,
        group: &mut Group<'_, Input>,
        answers: &mut Vec<Acknowledgement>,
        closing: &mut Vec<oneshot::Sender<()>>,
    ) -> Result<(), Error> {
        // A beginning that fails is every batch's failure: they are taken out all the same, to be told.
        let begun = self.begin();
        let touched = self.fill(group, begun, answers, closing)?;
        let tails = self.tails.as_mut().expect("loaded when the transaction began");
        for &index in &touched {
            tails[index].save_highest(&self.connection, &self.partitions[index])?;
        }
        // The sync. Nothing before it has been seen by anybody, and everything after it may be.
        run(&self.connection, "COMMIT")?;
        for index in touched {
            let last = Offset(tails[index].last);
            self.partitions[index].end.send_if_modified(|end| std::mem::replace(end, last) != last);
        }
        Ok(())
    }

    /// Reads the ends of partitions where they are not known, and begins.
    fn begin(&mut self) -> Result<(), Error> {
        if self.tails.is_none() {
            let tails = self.partitions.iter().map(|rows| Tail::load(&self.connection, rows));
            self.tails = Some(tails.collect::<Result<_, _>>()?);
        }
        run(&self.connection, "BEGIN IMMEDIATE")
    }

    /// Appends a group; the partitions it touched. Once something failed for everybody, the rest of it
    /// is taken out to be refused.
    fn fill(
        &mut self,
        group: &mut Group<'_, Input>,
        mut state: Result<(), Error>,
        answers: &mut Vec<Acknowledgement>,
        closing: &mut Vec<oneshot::Sender<()>>,
    ) -> Result<BTreeSet<usize>, Error> {
        let mut touched = BTreeSet::new();
        // The statement of the partition before: looked up once for a run of batches of one.
        let mut prepared = None;
        while let Some(input) = group.next() {
            let Publish { partition, records, reply } = match input {
                Input::Publish(batch) => batch,
                Input::Offer(offered) => {
                    let tails = self.tails.as_deref_mut();
                    let on =
                        On { connection: &self.connection, partitions: &self.partitions, tails };
                    answers.push(on.offer(offered, &mut state, &mut touched));
                    continue;
                }
                Input::Note(note, reply) => {
                    let ran = note_down(&self.connection, &note, &mut state);
                    answers.push(Acknowledgement::Publish { reply, ran });
                    continue;
                }
                Input::Keep(slice) => {
                    answers.push(self.keep(slice, &state));
                    continue;
                }
                Input::Close(reply) => {
                    group.close_queue();
                    closing.push(reply);
                    continue;
                }
                #[cfg(test)]
                Input::Test(work, reply) => {
                    work(&self.connection);
                    let _ = reply.send(());
                    continue;
                }
            };
            let appended = match (&state, &mut self.tails) {
                (Ok(()), Some(tails)) => {
                    touched.insert(partition);
                    prepare(&self.connection, &mut prepared, &self.partitions, partition)
                        .and_then(|insert| tails[partition].append(insert, records))
                }
                _ => Ok(Offset::BEGINNING),
            };
            fail_all(&mut state, &appended);
            answers.push(Acknowledgement::Publish { reply, ran: appended });
        }
        state.map(|()| touched)
    }

    /// Removes a slice of what a partition is not to keep.
    fn keep(&self, slice: Keep, state: &Result<(), Error>) -> Acknowledgement {
        let Keep { partition, reply } = slice;
        let rows = &self.partitions[partition];
        let slice = Slice { sql: &self.connection, rows, clock: &self.clock };
        let ran = if state.is_ok() { slice.run() } else { Ok(false) };
        Acknowledgement::Keep { reply, ran }
    }

    /// Back to before the group, in memory and in the file; the engine may have rolled back already.
    fn undo(&mut self) {
        // What was counted up in memory was of rows that are gone: it is read from the file again.
        self.tails = None;
        if !self.connection.is_autocommit()
            && let Err(error) = run(&self.connection, "ROLLBACK")
        {
            tracing::error!(%error, "a failed publish could not be rolled back");
        }
        for rows in &*self.partitions {
            rows.read_floor(&self.connection);
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

/// What an offer is looked at with.
struct On<'w> {
    connection: &'w Connection,
    partitions: &'w [PartitionRows],
    /// None where the transaction did not begin.
    tails: Option<&'w mut [Tail]>,
}

impl On<'_> {
    /// Looks at an offer, and stores it where nothing stands against it.
    fn offer(
        self,
        TopicOffer { first, partitions, offer, reply }: TopicOffer,
        state: &mut Result<(), Error>,
        touched: &mut BTreeSet<usize>,
    ) -> Acknowledgement {
        let its = first..first + usize::from(partitions.count());
        let (Ok(()), Some(tails)) = (&state, self.tails) else {
            // What failed for everybody is what it will be answered.
            let ran = Ok(Outcome::Stored(Vec::new()));
            return Acknowledgement::Offer { reply, ran };
        };
        let (rows, tails) = (&self.partitions[its.clone()], &mut tails[its.clone()]);
        let mut offering = Offering { sql: self.connection, count: partitions, rows, tails };
        let ran = match offering.settled(&offer) {
            Ok(Some(outcome)) => Ok(outcome),
            // Nothing was written: what is wrong here is nobody else's.
            Err(error) => Err(error),
            Ok(None) => {
                let stored = offering.store(&offer);
                touched.extend(its);
                fail_all(state, &stored);
                stored
            }
        };
        Acknowledgement::Offer { reply, ran }
    }
}

/// Notes what was stepped over, unless something failed for everybody before.
fn note_down(
    connection: &Connection,
    note: &Skipped,
    state: &mut Result<(), Error>,
) -> Result<Offset, Error> {
    let noted = if state.is_ok() { skipped::note(connection, note) } else { Ok(()) };
    fail_all(state, &noted);
    noted.map(|()| Offset(note.last))
}

/// A limit is refused before the first row; anything else leaves some behind, and takes the group with it.
fn fail_all<T>(state: &mut Result<(), Error>, ran: &Result<T, Error>) {
    if let Err(error) = ran
        && !matches!(error, Error::Limit { .. })
    {
        *state = Err(error.clone());
    }
}

/// The statement that appends to one partition.
struct Prepared<'c> {
    partition: usize,
    insert: rusqlite::CachedStatement<'c>,
}

fn prepare<'p, 'c>(
    connection: &'c Connection,
    prepared: &'p mut Option<Prepared<'c>>,
    partitions: &[PartitionRows],
    partition: usize,
) -> Result<&'p mut rusqlite::CachedStatement<'c>, Error> {
    if prepared.as_ref().is_none_or(|before| before.partition != partition) {
        let insert = connection.prepare_cached(&partitions[partition].insert())?;
        *prepared = Some(Prepared { partition, insert });
    }
    Ok(&mut prepared.as_mut().expect("just prepared").insert)
}

fn run(connection: &Connection, statement: &str) -> Result<(), Error> {
    connection.prepare_cached(statement)?.execute([])?;
    Ok(())
}
