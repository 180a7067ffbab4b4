//! What waits for the disk, together: one record behind all that was committed before it, for everybody who waits.
//!
//! A commit that numbers is over, and its locks are let go, before it is on disk. What waits for that is a transaction
//! of its own, which costs the server a third of an order, so that it is shared as the sync is:
//!
//! 1. Before COMMIT is sent, a work takes a [turn](Turn), which names the connection that stands at that moment.
//! 2. Once COMMIT is answered, it waits for a record that is sent from then on: by itself where none is under way, else
//!    by whoever comes first after that one. The connection of its own is free by then.
//!
//! What must stay true: the record is answered by the very connection that the turn names. A server that was killed in
//! between has lost what was not on disk, and with it every connection; what a new one answers says nothing about
//! before. So nothing is repeated here: a record that failed leaves all who waited to [look up](super::look_up) what
//! became of theirs.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use sqlx::{PgConnection, PgPool};
use tokio::sync::{Mutex, MutexGuard, watch};

use crate::store::postgres::connection;
use crate::store::postgres::timeouts::{self, within};

/// Which connection is to answer: the first is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn(u64);

/// As [`FLUSH`](super::outbox::FLUSH), and told apart from it where the server lists what is going on.
const FLUSH_ALL: &str = "SELECT pg_logical_emit_message(TRUE, 'yeoul', 'all')";

/// No connection stands.
const NONE: u64 = 0;

pub(super) struct Flushes(Arc<Inner>);

struct Inner {
    /// What the connection is opened like.
    pool: PgPool,
    connection: Mutex<Option<PgConnection>>,
    /// Which connection stands, or [`NONE`].
    stands: AtomicU64,
    opened: AtomicU64,
    is_opening: AtomicBool,
    /// Records that were sent.
    sent: AtomicU64,
    answered: watch::Sender<Answered>,
}

/// The newest record that is over.
#[derive(Clone, Copy, Default)]
struct Answered {
    record: u64,
    /// By which connection, unless it was lost.
    by: Option<Turn>,
}

impl Flushes {
    pub(super) fn new(pool: PgPool) -> Flushes {
        Flushes(Arc::new(Inner {
            pool,
            connection: Mutex::new(None),
            stands: AtomicU64::new(NONE),
            opened: AtomicU64::new(NONE),
            is_opening: AtomicBool::new(false),
            sent: AtomicU64::new(0),
            answered: watch::Sender::default(),
        }))
    }

    /// A turn of whoever is about to commit, if a connection stands; otherwise one is being opened.
    pub(super) fn turn(&self) -> Option<Turn> {
        let turn = self.0.stands();
        if turn.is_none() {
            self.open();
        }
        turn
    }

    /// Resolves once everything is on disk whose commit was answered before the call.
    ///
    /// # Errors
    /// The connection of the turn did not answer: whether it is on disk is to be found out.
    pub(super) async fn flushed(&self, turn: Turn) -> Result<(), sqlx::Error> {
        let inner = &*self.0;
        // What is sent already may have been sent before that answer came.
        let next = inner.sent.load(Ordering::SeqCst) + 1;
        let mut answered = inner.answered.subscribe();
        let mut connection = tokio::select! {
            biased;
            _ = answered.wait_for(|it| it.record >= next) => None,
            connection = inner.connection.lock() => Some(connection),
        };
        // Who had the connection before may have sent ours.
        let last = *inner.answered.borrow();
        let last = match connection.take() {
            Some(connection) if last.record < next => inner.send(connection, turn).await,
            _ => last,
        };
        if last.by == Some(turn) { Ok(()) } else { Err(lost()) }
    }

    /// Opens a connection, unless somebody is about to.
    fn open(&self) {
        if self.0.is_opening.swap(true, Ordering::AcqRel) {
            return;
        }
        let inner = Arc::clone(&self.0);
        tokio::spawn(async move {
            match connection::to_flush(&inner.pool).await {
                Ok(connection) => {
                    *inner.connection.lock().await = Some(connection);
                    let number = inner.opened.fetch_add(1, Ordering::AcqRel) + 1;
                    inner.stands.store(number, Ordering::Release);
                }
                Err(error) => tracing::debug!(%error, "each commit waits for the disk by itself"),
            }
            inner.is_opening.store(false, Ordering::Release);
        });
    }
}

impl Inner {
    /// Sends one on the connection of this turn, and tells everybody how it went; nothing where another one stands.
    async fn send(
        &self,
        mut connection: MutexGuard<'_, Option<PgConnection>>,
        turn: Turn,
    ) -> Answered {
        let Some(stands) = connection.as_mut().filter(|_| self.stands() == Some(turn)) else {
            return Answered::default();
        };
        let record = self.sent.fetch_add(1, Ordering::SeqCst) + 1;
        let flushed = within(timeouts::COMMIT, sqlx::raw_sql(FLUSH_ALL).execute(stands)).await;
        if let Err(error) = &flushed {
            tracing::warn!(%error, "the connection that waits for the disk is lost");
            self.stands.store(NONE, Ordering::Release);
            *connection = None;
        }
        let answered = Answered { record, by: flushed.is_ok().then_some(turn) };
        self.answered.send_replace(answered);
        answered
    }

    fn stands(&self) -> Option<Turn> {
        Some(self.stands.load(Ordering::Acquire)).filter(|it| *it != NONE).map(Turn)
    }
}

fn lost() -> sqlx::Error {
    sqlx::Error::Io(io::Error::other("the connection that waits for the disk is lost"))
}
