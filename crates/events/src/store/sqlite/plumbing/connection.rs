//! Connections as this crate wants them, and what the engine's errors mean here.
//!
//! Write-ahead log and a sync per commit (`synchronous=FULL`): an acknowledgement means "on disk".
//! No memory mapping, because a truncated mapped file is a signal and not an error.
//!
//! An engine's error becomes one of three here, by what a caller can do about it: damage (nothing), the
//! environment (try later), or the statement's own fault (mend the program). A code that is new to this
//! list counts as the statement's: better a refusal than an endless retry.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::private::keep_private;
use crate::error::Error;

/// How long a connection waits for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes in the write-ahead file after which a commit folds it into the database.
///
/// Four times the engine's default: the file is written over and over instead of growing, and the
/// folding, which needs syncs of its own, comes a quarter as often.
const CHECKPOINT_BYTES: u32 = 16 * 1024 * 1024;

/// Page size of a service's file, which is read and written here and there.
pub(crate) const PAGE_BYTES: u32 = 4096;

/// Page size of a file that is written at its end: half the write calls, a tenth more events/s.
pub(crate) const APPENDED_PAGE_BYTES: u32 = 8192;

/// Prepared statements a connection remembers.
const STATEMENTS_MAX: usize = 128;

/// Opens the one connection that writes, to a file that is its owner's alone. `page_bytes` holds for
/// one that is yet to be created.
pub(crate) fn open_writer(path: &Path, page_bytes: u32) -> Result<Connection, Error> {
    keep_private(path);
    let connection = open(path, OpenFlags::SQLITE_OPEN_CREATE)?;
    connection.pragma_update(None, "page_size", page_bytes)?;
    let mode: String = connection.query_row("PRAGMA journal_mode=WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(Error::environment(format!("no write-ahead log on this file system: {mode}")));
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    // What a savepoint would roll back is kept in memory, not in a file: every piece of work has one,
    // and half of all write calls went there. It is let go with the savepoint.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_BYTES / page_bytes)?;
    Ok(connection)
}

/// Opens a connection that cannot write.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, Error> {
    let connection = open(path, OpenFlags::empty())?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// Opens a connection that writes beside whoever else does.
pub(crate) fn open_beside(path: &Path) -> Result<Connection, Error> {
    open(path, OpenFlags::empty())
}

/// What all connections have in common: they wait for other processes' locks, and remember statements.
fn open(path: &Path, flags: OpenFlags) -> Result<Connection, Error> {
    let flags = flags | OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(connection)
}

/// Applies the migrations the file has not seen; `user_version` counts them. Each in a transaction of
/// its own: one that fails leaves those before it applied, and the file as it was before itself.
pub(crate) fn migrate(connection: &mut Connection, schema: &[&str]) -> Result<(), Error> {
    let applied: usize = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if applied > schema.len() {
        return Err(Error::Newer { version: format!("schema {applied}"), known: schema.len() });
    }
    for (index, migration) in schema.iter().enumerate().skip(applied) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", index + 1)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Whether the file has a table of this name.
pub(crate) fn has_table(sql: &Connection, name: &str) -> Result<bool, Error> {
    let select = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1";
    Ok(sql.prepare(select)?.exists([name])?)
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Error {
        let what = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Error::Damaged { topic: String::new(), from: 0, to: 0, what }
            }
            Some(code) if is_environment(code) => {
                Error::Environment { what, source: Some(Arc::new(error)) }
            }
            _ => Error::Statement { what },
        }
    }
}

/// Trouble that may pass without anybody changing the program or its input.
fn is_environment(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::ReadOnly
            | ErrorCode::CannotOpen
            | ErrorCode::PermissionDenied
            | ErrorCode::OutOfMemory
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::OperationInterrupted
            | ErrorCode::OperationAborted
            | ErrorCode::SchemaChanged
    )
}

impl From<rusqlite::Error> for crate::failure::Failure {
    fn from(error: rusqlite::Error) -> crate::failure::Failure {
        Error::from(error).into()
    }
}
