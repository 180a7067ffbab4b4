//! Kafka keeps the contract, and what is Kafka's own: sizes, replicas, outages, topics that are made anew.
//!
//! Against a real server: `cargo xtask services install kafka` puts it where these tests find it.

mod contract;
mod gone;
mod languages;
mod outage;
mod readers;
mod refused;
#[allow(dead_code, reason = "the mall's own tests use the rest")]
mod server;
mod silent;
mod support;
