//! How long a server may be silent. Past that whoever asked goes on without an answer, and the connection is closed:
//! what it would say later is about a question that nobody has any more.

use std::future::Future;
use std::io;
use std::time::Duration;

/// For a connection to be made: one that is refused says so at once.
pub(super) const CONNECT: Duration = Duration::from_secs(10);

/// For what a server has ready: BEGIN, ROLLBACK.
pub(super) const ANSWER: Duration = Duration::from_secs(5);

/// For a statement of a piece of work, which may wait for a lock first
/// ([`HELD_MILLISECONDS_MAX`](super::connection::HELD_MILLISECONDS_MAX)).
pub(super) const STATEMENT: Duration = Duration::from_secs(15);

/// For the last message of a piece of work: its locks, and the disk.
pub(super) const COMMIT: Duration = Duration::from_secs(10);

/// For a server to say what became of a commit whose answer was lost, its own start included.
pub(super) const LOOK_UP: Duration = Duration::from_secs(15);

/// For works that are under way to end when nobody is given another one.
pub(super) const CLOSE: Duration = Duration::from_secs(10);

/// The answer, unless it does not come in time. Nothing is known of what was asked then.
pub(super) async fn within<T>(
    limit: Duration,
    asked: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    tokio::time::timeout(limit, asked).await.unwrap_or_else(|_| Err(silent(limit)))
}

/// A connection whose server does not answer.
pub(super) fn silent(limit: Duration) -> sqlx::Error {
    let what = format!("the server does not answer within {} s", limit.as_secs());
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, what))
}
