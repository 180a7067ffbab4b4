//! Publish and subscribe with promises: an acknowledgement means "on disk", an effect happens
//! exactly once, and a failing event holds up only its own key.
//!
//! The road of an event, with the module that owns each step:
//!
//! ```text
//!  service: state + outbox row, one transaction ── store::sqlite   (Write::publish)
//!     └─ woken by the commit ── relay                               (Relay)
//!          └─ durable, ordered log ── broker (trait), local (SQLite engine)
//!               └─ woken by the commit ── subscription               (Subscription)
//!                    └─ inbox position + effects + next outbox rows, one transaction
//!                         └─ a failing key waits ── parking          (retry, dead letter, redrive)
//! ```
//!
//! Why this way: a position that lives in the consumer's own transaction needs no window of
//! remembered ids; an outbox read in commit order needs no polling and no update per message; a key
//! parked in the consumer's own database keeps its order without stopping its neighbours.
//!
//! It does not know views, HTTP or any vendor's broker: other engines implement [`Broker`] and pass
//! the same [`contract`] suite.

pub mod broker;
pub mod contract;
pub mod event;
pub mod local;
pub mod parking;
pub mod position;
pub mod relay;
pub mod store;
pub mod subscription;

mod error;
#[cfg(test)]
mod fixture;
mod wait;

pub use broker::{Broker, Offset, Stored, Topic};
pub use error::{Error, Source};
pub use event::{Cause, Draft, Event};
pub use local::Log;
pub use parking::{DeadLetter, Retry};
pub use position::{FeedPosition, TopicPosition, WritePosition};
pub use relay::Relay;
pub use store::sqlite::Database;
pub use subscription::{Control, Failure, Handler, Status, Subscription};

/// The clock as a component: what time it is, in the reader's own words.
///
/// Passed to constructors so that tests own time; the program passes the chassis' wall clock.
pub type Clock = std::sync::Arc<dyn Fn() -> jiff::Timestamp + Send + Sync>;
