//! Composition: the members joined into a running process.
//!
//! Everything that can fail for a reason of the environment (ports, folders, damaged files) fails
//! before the first request is taken.

mod another_folder;
mod broker;
mod ended;
pub(crate) mod layer;
pub(crate) mod loops;
pub(crate) mod mall;
mod outboxes;
mod outside;
mod people;
pub(crate) mod ports;
mod pull;
pub(crate) mod push;
mod put_back;
mod retention;
mod schedules;
pub(crate) mod sealing;
mod sessions;
mod store;
mod vouch;
