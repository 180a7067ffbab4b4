//! Events to services of any language, by HTTP: each a POST that is answered, signed, and guarded like any other call.
//!
//! ```text
//!  events::deliveries ── which event is next, of each key one at a time, and what came of it
//!     └─ Subscriber ─── permit: no pause asked for, a slot free, the circuit closed
//!          ├─ binary ──── the event as headers and body       (CloudEvents, HTTP binding)
//!          ├─ signature ─ so that the receiver knows from whom (Standard Webhooks)
//!          ├─ client ──── a connection, to an address that is allowed
//!          └─ judgement ─ what an answer means: delivered, failed, not now
//! ```
//!
//! A receiver answers 2xx once he has the event. 429 and 503 with `Retry-After` make a pause for all of his events;
//! anything else is a failed attempt of that one event, which is tried again and holds up its own key alone. A receiver
//! who is away opens his circuit, and an open one uses up no attempts. Redirects are not followed, and of an answer's body
//! nothing is read but what keeps the connection usable.
//!
//! What was attempted is in an [`AttemptLog`] that forgets the oldest. It decides nothing about order, parking or dead letters:
//! those are the events' own.

mod address;
mod binary;
mod client;
mod judgement;
mod log;
mod meters;
mod signature;
mod subscriber;

pub use address::{Address, Allowed, AllowedEntry, NotAnAddress};
pub use binary::header_value;
pub use client::IDLE_MAX;
pub use judgement::RETRY_AFTER_MAX;
pub use log::{ATTEMPT_LOG_MAX, Attempt, AttemptLog, AttemptResult};
pub use meters::Meters;
pub use signature::{NoSecret, SECRETS_MAX, Secret, sign};
pub use subscriber::{Settings, Subscriber};
