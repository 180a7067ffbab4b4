//! What both rooms stand on: connections, statements, readers, the thread that writes, which pieces of work share
//! one transaction, numbers that a restore leaves out, and notes of what was skipped, which either room's file may
//! have. It knows no table that is one room's own.

pub(super) mod connection;
pub(super) mod group;
pub(super) mod jump;
pub(super) mod numbering;
pub(super) mod private;
pub(super) mod readers;
pub(super) mod ready;
pub(super) mod skipped;
pub(super) mod statements;
pub(super) mod thread;
pub(super) mod versions;
