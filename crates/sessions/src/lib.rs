//! Ended sign-ins, remembered durably by everybody who verifies tokens.
//!
//! ```text
//!  account: {family away, ended, outbox SessionEnded} ─▶ log ─▶ each service: {inbox, ended}
//!                         ▲                              └───▶ gateway: {inbox, ended}
//!                         └─ notified, again until it hears ─── gateway: {ended, owed}
//! ```
//!
//! A verifier's own memory ([`Ended`]) is its process'. Here are the table that outlives it
//! ([`TABLE`] and [`SERVED_TABLE`], one for each engine, [`remember`], [`load`]), the handler that fills it from the
//! event ([`OnEnded`]), and the gateway's own memory ([`Memory`]), which ends a sign-in where it is asked and keeps
//! what it owes to who gave the token until that one has heard. With several processes each has its own copy, fed by
//! the same event; in one they share the verifier, so that an end is seen at once. Where they keep it on a server they
//! see it there ([`Follower`]), whether or not the event comes through.
//!
//! The keys that such tokens and cookies are made with are in that store too, sealed ([`keys`](keys())).
//!
//! It knows no user, no password and no HTTP: how a debt is paid is the caller's.

mod debt;
mod follow;
mod keys;
mod memory;
mod on_ended;
mod store;

pub use chassis::identity::Ended;
pub use debt::{Debt, Owed};
pub use follow::{Follower, LOOK_EVERY, UNKNOWN_AFTER};
pub use keys::{Key, KeyRequest, NoKeys, keys};
pub use memory::{DEBTS_MAX, DebtOutcome, Ending, Memory, OWED_FOR, OWED_MAX};
pub use on_ended::{OnEnded, SESSION_ENDED, SessionEnded};
pub use store::{SERVED_KEYS, SERVED_TABLE, TABLE, is_remembered, load, remember};
