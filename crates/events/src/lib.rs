//! Publish and subscribe with promises: an acknowledgement means "on disk", an effect happens
//! exactly once, and a failing event holds up only its own key.
//!
//! The road of an event, with the module that owns each step:
//!
//! ```text
//!  service: state + outbox row, one transaction ── store              (Tx::publish)
//!     └─ woken by the commit ── relay                               (Relay)
//!          └─ durable, ordered log ── broker (trait), local (one file)
//!               └─ woken by the commit ── subscription               (Subscription)
//!                    └─ inbox position + effects + next outbox rows, one transaction
//!                         └─ a failing key waits ── parking          (retry, dead letter, redrive)
//! ```
//!
//! Why this way: a position that lives in the consumer's own transaction needs no window of
//! remembered ids; an outbox read in commit order needs no polling and no update per message; a key
//! parked in the consumer's own database keeps its order without stopping its neighbours.
//!
//! ```
//! use std::sync::Arc;
//! use yeoul_events::store::{Database, Options, Publishes, Tx};
//! use yeoul_events::*;
//!
//! struct Greet;
//! impl Handler for Greet {
//!     type Batch = ();
//!     async fn handle(
//!         &self,
//!         (): &mut (),
//!         tx: &mut Tx<'_>,
//!         event: &Event,
//!     ) -> Result<(), Failure> {
//!         tx.execute("INSERT INTO greeted VALUES (?1)", &[&event.subject]).await?;
//!         Ok(())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Error> {
//! # let folder = tempfile::tempdir().expect("a folder");
//! # let folder = folder.path();
//! let clock: Clock = Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
//! let topic = Topic::parse("account")?;
//! let log = Arc::new(Log::open(folder, std::slice::from_ref(&topic), clock.clone())?);
//! let open = |name: &str, publishes| {
//!     let schema: &[&str] = &["CREATE TABLE greeted (name TEXT NOT NULL)"];
//!     Database::open(Options { path: folder.join(name), schema, publishes, clock: clock.clone() })
//! };
//! let publishes = Publishes {
//!     source: "account".into(),
//!     topic: topic.clone(),
//!     partitions: Partitions::ONE,
//! };
//! let account = open("account.db", Some(publishes))?;
//! let mail = open("mail.db", None)?;
//!
//! // State and event, one transaction; the answer comes after the sync.
//! let registered = Draft::new("UserRegistered", "yeoul", 1, &"hello", &Cause::default());
//! account.write(registered, |draft, tx| Box::pin(tx.publish(draft.clone()))).await?;
//!
//! tokio::spawn(Relay::new(account, log.clone()).run(std::future::pending()));
//! let retry = Retry { attempts: 3, backoff: std::time::Duration::from_secs(1) };
//! let greet = Subscription::new("mail.account", topic, mail.clone(), log, Greet, retry, clock);
//! tokio::spawn(greet.run(std::future::pending()));
//! let greeted = || mail.read(&(), |(), rows| {
//!     Box::pin(rows.one("SELECT count(*) FROM greeted", &[], |row| row.get::<u64>(0)))
//! });
//! while greeted().await? == 0 {
//!     tokio::time::sleep(std::time::Duration::from_millis(1)).await;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! What cannot go on is nobody's secret: an event that no broker takes is a dead letter of its outbox, a
//! hurt row or record stops its loop until an operator steps over it with a note
//! ([`skipped`]), and before anything of a folder runs, [`agreement`] looks whether log,
//! outboxes and inboxes agree. [`store::cut`] copies one moment of all of them.
//!
//! # What is promised
//!
//! * **Acknowledged is durable.** What that means is the broker's to put in words:
//!   [`Broker::promise`].
//! * **Exactly one effect.** An event may be delivered again after a crash, a rewind or a restart of
//!   the broker; its effect in the consumer's database stands once. Effects elsewhere are not
//!   covered: publish an event and let a consumer with a store of its own act on it.
//! * **Order per key.** Events of one key are handled in the order of their publication, also through
//!   failures. Between keys there is none.
//! * **Nothing is lost in silence.** Whatever is not handled is pending, parked, a dead letter or a
//!   note, and each of these can be counted.
//! * **Everything has a limit with a name**, and reaching one is an error that names it.
//!
//! # Limits
//!
//! | what | at most | past it |
//! |---|---|---|
//! | an event in JSON | [`event::EVENT_BYTES_MAX`] | refused |
//! | data given to an outbox | [`store::DATA_BYTES_MAX`] | refused |
//! | a key, a subject | [`event::KEY_BYTES_MAX`] | refused |
//! | events in a batch | [`broker::PUBLISH_MAX`], [`broker::READ_MAX`], [`subscription::BATCH_MAX`] | refused, or the next batch |
//! | writes that are queued | [`store::WRITE_QUEUE_MAX`] | environment trouble: try later |
//! | events taken from outside that an outbox remembers | [`outside::REMEMBERED_MAX`] of a partition | the oldest are forgotten |
//! | events pending in an outbox | [`store::OUTBOX_WAITING_MAX`] | the service refuses to publish |
//! | schedules that wait, and how far ahead | [`schedules::Limits`] | refused |
//! | events parked by a subscription | [`parking::PARKED_MAX`] | it takes no new ones |
//! | events read ahead of a place, whose turns go by shares | [`deliveries::SHARED_WINDOW_EVENTS_MAX`], [`deliveries::WINDOW_BYTES_MAX`] of a partition | it reads on once some are settled |
//! | a value by which shares are told apart | [`share::SHARE_BYTES_MAX`] | its beginning counts |
//! | events marked as passed for their deadline | 1,000 of a subscription | the oldest are forgotten; all are counted |
//! | notes on what was stepped over | [`skipped::SKIPPED_MAX`] | nothing more is skipped |
//!
//! Two programs in `examples/` show it whole: `outbox_service`, a web service that publishes what it
//! commits, and `projection`, a reader that keeps a table of its own. A page for teams is
//! `docs/guide.md` in the repository.
//!
//! It does not know views, HTTP or any vendor's broker: other engines implement [`Broker`] and pass
//! the same [`contract`] suite.

pub mod agreement;
pub mod broker;
pub mod contract;
pub mod deliveries;
pub mod event;
pub mod group;
pub mod local;
pub mod offer;
pub mod outside;
pub mod parking;
pub mod partition;
pub mod position;
pub mod relay;
pub mod schedules;
pub mod share;
pub mod skipped;
pub mod store;
pub mod subscription;
pub mod topic;
pub mod trace;

mod error;
mod failure;
#[cfg(test)]
mod fixture;
mod lanes;
mod marks;
mod opener;
mod relay_progress;
mod retention;
mod standing;
mod stillness;
mod trouble;
mod wait;

pub use broker::{Broker, Offset, Stored};
pub use error::{Error, Source};
pub use event::id::EventId;
pub use event::{Cause, Draft, Event};
pub use failure::Failure;
pub use local::Log;
pub use offer::{Offer, Outcome, Unless};
pub use opener::{Opener, Opening};
pub use parking::{DeadLetter, Retry};
pub use partition::{Numbered, Numbers, Partition, Partitions};
pub use position::{FeedPosition, TopicPosition, WritePosition};
pub use relay::Relay;
pub use retention::Retention;
pub use store::Database;
pub use subscription::{Control, Handler, Status, Subscription};
pub use topic::{Declared, Topic, TopicPartition};

/// The clock as a component: what time it is, as the caller has it.
///
/// Passed to constructors so that tests own time; the program passes the chassis' wall clock.
pub type Clock = std::sync::Arc<dyn Fn() -> jiff::Timestamp + Send + Sync>;

/// The code in the guide for teams is compiled and run like any other example.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide.md")]
struct Guide;
