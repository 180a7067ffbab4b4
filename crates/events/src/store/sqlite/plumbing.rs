//! What both rooms stand on: connections, readers, the thread that writes, which pieces of work share one
//! transaction, and numbers that a restore leaves out. It knows no room's tables.

pub(super) mod connection;
pub(super) mod group;
pub(super) mod jump;
pub(super) mod numbering;
pub(super) mod private;
pub(super) mod readers;
pub(super) mod ready;
pub(super) mod thread;
pub(super) mod versions;
