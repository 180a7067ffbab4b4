//! Brokers in processes of their own, behind the contract of `yeoul-events`.
//!
//! One module for each engine, and nothing of an engine outside of it: who publishes or reads speaks of
//! `events::Broker` and does not know which it is. Each is held to `events::contract::suite` against a real
//! server that its tests start.
//!
//! It knows no views, no HTTP and no service; it reads no settings file and no environment: an engine is
//! given its settings as values.

pub mod kafka;
