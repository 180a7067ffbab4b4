//! Kafka keeps the contract, and what is Kafka's own: sizes, replicas, outages, topics that are made anew.
//!
//! Against a real server: `cargo xtask services install kafka` puts it where these tests find it.

mod contract;
mod gone;
mod languages;
mod outage;
mod refused;
mod server;
mod support;
