//! PostgreSQL, on a real server that the tests start.
//!
//! Where it is not installed they fail and say what installs it.

mod languages;
mod outbox;
mod server;
mod session;
mod starting;
