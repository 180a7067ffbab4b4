//! What both rooms stand on: connections, readers, the thread that writes, and which pieces of work
//! share one transaction. It knows no table.

pub(super) mod connection;
pub(super) mod group;
pub(super) mod private;
pub(super) mod readers;
pub(super) mod thread;
