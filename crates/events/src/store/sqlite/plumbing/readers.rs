//! A small pool of read-only connections, opened when first needed.
//!
//! The first free one is taken, so that a quiet service keeps one warm cache and not four cold ones.
//! If none is free, the next one in turn is waited for: reads are short, and a fifth connection would
//! only compete for the same cores.
//!
//! A read runs on the caller's thread and never blocks the writer, nor the writer it: each sees the
//! moment at which it began.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use rusqlite::Connection;

use super::connection;
use crate::error::Error;

/// Reads of one database that run at the same time; more wait their turn.
pub const READERS_MAX: usize = 4;

/// The connections to one file that read: each is lent to one read at a time, and comes back when that is over.
pub(crate) struct Readers {
    path: PathBuf,
    slots: [Mutex<Option<Connection>>; READERS_MAX],
    turn: AtomicUsize,
}

impl Readers {
    /// Opens nothing yet: a service that never reads has no connection for it.
    pub(crate) fn new(path: PathBuf) -> Readers {
        Readers { path, slots: Default::default(), turn: AtomicUsize::new(0) }
    }

    /// Runs `work` in a read transaction: all it reads is of one moment.
    pub(crate) fn read<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut slot = self.slot();
        let connection = self.ready(&mut slot).map_err(E::from)?;
        run(connection, "BEGIN").map_err(E::from)?;
        let answer = work(connection);
        run(connection, "COMMIT").map_err(E::from)?;
        answer
    }

    /// A connection for one read. One whose reader panicked is as good as any: see
    /// [`ready`](Self::ready).
    fn slot(&self) -> MutexGuard<'_, Option<Connection>> {
        for slot in &self.slots {
            match slot.try_lock() {
                Ok(free) => return free,
                Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % READERS_MAX;
        self.slots[turn].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The slot's connection, opened if there is none that can be used.
    fn ready<'s>(&self, slot: &'s mut Option<Connection>) -> Result<&'s mut Connection, Error> {
        // A read that panicked left its transaction open: that connection is not used again.
        if slot.as_ref().is_some_and(|connection| !connection.is_autocommit()) {
            *slot = None;
        }
        if slot.is_none() {
            *slot = Some(connection::open_reader(&self.path)?);
        }
        Ok(slot.as_mut().expect("just opened"))
    }
}

fn run(connection: &Connection, statement: &str) -> Result<(), Error> {
    connection.prepare_cached(statement)?.execute([])?;
    Ok(())
}
