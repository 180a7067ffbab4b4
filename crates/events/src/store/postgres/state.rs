//! A service's own schema: every piece of work a task with a connection, the outbox numbered by its last statement.
//!
//! | | a write | a read |
//! |---|---|---|
//! | runs on | a task of its own, so that a caller who leaves takes nothing back | the caller's task |
//! | sees | all that is committed, statement by statement, and what it wrote itself | one moment |
//! | resolves | when the server has it on disk | when the server has answered |
//! | at most | [`WRITE_QUEUE_MAX`](crate::store::WRITE_QUEUE_MAX) are under way or wait | the pool's connections |
//! | in another's way | runs again from its beginning, five times at most | never is |
//!
//! What is read to be changed is read with `FOR UPDATE`, keys ascending. A commit whose answer is lost is looked
//! up; what became of it is never guessed. A server may be silent for as long as [`timeouts`](super::timeouts) say.

pub(in crate::store) mod announcements;
pub(in crate::store) mod rows;
pub(in crate::store) mod tx;

mod commit;
mod flushes;
mod follow;
mod ids;
mod leases;
mod look_up;
mod open;
mod outbox;
mod relayed;
pub(in crate::store) mod server;
mod table;
pub(crate) mod tables;
mod transaction;
mod versions;

#[cfg(test)]
mod tests;
