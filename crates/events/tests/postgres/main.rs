//! PostgreSQL, on a real server that the tests start.
//!
//! Where it is not installed they fail and say what installs it.

mod languages;
mod outbox;
#[allow(dead_code, reason = "tests of other crates use the rest of it")]
mod server;
mod session;
mod starting;
