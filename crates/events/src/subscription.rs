//! One consumer of one topic: reads in order, passes each event to a handler inside the consumer's
//! own transaction, and keeps a failing key from holding up the others.
//!
//! Place, marks of what was received, effects and the outbox rows they cause change in one
//! transaction, so that an effect happens exactly once however often an event arrives: there is no
//! window of remembered ids that could run out. A batch is one transaction of the consumer's database with a
//! savepoint per event where that costs next to nothing; [`parking`](crate::parking) describes what happens to one that
//! fails.
//!
//! Two kinds of trouble are kept apart. A handler's own failure counts towards the dead letter;
//! trouble of the environment takes the whole batch back, is retried for as long as it lasts and
//! shown as stuck.
//!
//! # The life of a subscription
//!
//! | moment | what happens |
//! |---|---|
//! | [`Subscription::new`] | nothing: no table is read, nobody is asked |
//! | [`run`](Subscription::run), the first time under its name | it begins at the topic's first event |
//! | `run`, any later time | it goes on behind the last batch that stands |
//! | an event | handled, parked or recognised as a second copy; see [`Handler::handle`] |
//! | several partitions | a loop for each, with a place and trouble of its own; in a file handlers run one after the other all the same, in its one writer; on a server those of several partitions run at once |
//! | nothing new | it sleeps until the broker wakes it or a parked event is due |
//! | another instance's partition | it rests there, see [`shared`](Subscription::shared) |
//! | paused, by its owner's switch or by [`Control::pause`] | it finishes its batch and rests; it is not stuck |
//! | trouble | it begins again after 50 ms, doubling to 2 s, for as long as it lasts |
//! | `stop` resolves | it finishes its batch and returns |
//! | a crash | what was committed stands with its place; the rest is delivered again |
//!
//! # Testing a handler
//!
//! It needs a database and an event, and neither a broker nor a loop. Give it what it may meet, the late
//! and the doubled included, and look at its rows:
//!
//! ```
//! # use std::sync::Arc;
//! use yeoul_events::store::{Database, Options, Tx};
//! use yeoul_events::{Clock, Error, Event, Failure, Handler};
//!
//! struct Stock;
//! impl Handler for Stock {
//!     type Batch = ();
//!     async fn handle(
//!         &self,
//!         (): &mut (),
//!         tx: &mut Tx<'_>,
//!         event: &Event,
//!     ) -> Result<(), Failure> {
//!         let pieces: u32 = event.decode()?;
//!         let take = "UPDATE product SET stock = stock - ?2 WHERE name = ?1 AND stock >= ?2";
//!         match tx.execute(take, &[&event.subject, &pieces]).await? {
//!             0 => Err(Failure::Handler("not enough".to_owned())),
//!             _ => Ok(()),
//!         }
//!     }
//! }
//!
//! /// An event as it comes from a publisher.
//! fn ordered(product: &str, pieces: u32) -> Event {
//!     let text = format!(
//!         r#"{{"specversion":"1.0", "id":"1", "source":"order", "type":"Ordered",
//!         "subject":"{product}", "time":"2024-05-01T12:00:00Z", "data":{pieces}}}"#
//!     );
//!     Event::from_json(text.as_bytes()).expect("an event")
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Error> {
//! # let folder = tempfile::tempdir().expect("a folder");
//! # let path = folder.path().join("product.db");
//! # let clock: Clock = Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
//! let schema = &["CREATE TABLE product (name TEXT, stock INTEGER); INSERT INTO product VALUES ('tv', 3)"];
//! let database = Database::open(Options { path, schema, publishes: None, clock })?;
//! for (pieces, left, is_done) in [(2, 1, true), (2, 1, false), (1, 0, true)] {
//!     let event = ordered("tv", pieces);
//!     // A failure takes its rows back, as it does in a subscription.
//!     let work = database.write(event, |event, tx| {
//!         Box::pin(async move { Stock.handle(&mut (), tx, event).await })
//!     });
//!     assert_eq!(work.await.is_ok(), is_done);
//!     let stock = database.read(&(), |(), rows| {
//!         Box::pin(rows.one("SELECT stock FROM product", &[], |row| row.get::<u32>(0)))
//!     });
//!     assert_eq!(stock.await?, left);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Its name
//!
//! Its name is its identity: under another one it begins at the first event again and has every
//! effect once more. Two that run at once under one name in one database get in each other's way
//! and stay correct: the place is checked in every transaction. Those that say that they are
//! [`shared`](Subscription::shared) divide the partitions.

pub(crate) mod beginning;
mod consumer;
pub(crate) mod context;
pub(crate) mod control;
mod delivery;
pub(crate) mod gaps;
mod mending;
mod moved;
pub(crate) mod pausing;
mod skip;
mod status;
pub(crate) mod trial;
pub(crate) mod workload;

#[cfg(test)]
mod tests;

use std::future::{Future, ready};
use std::sync::Arc;

use tokio::sync::watch;

use crate::Clock;
use crate::broker::Broker;
use crate::error::Error;
use crate::event::Event;
use crate::failure::Failure;
use crate::opener::Opener;
use crate::store::database::Database;
use crate::store::tx::Tx;
use crate::topic::Topic;
use consumer::Consumer;
use context::Context;
use delivery::Dispatcher;

pub use crate::parking::Retry;
pub use crate::stillness::STUCK_AFTER;
pub use crate::store::inbox::Received;
pub use crate::store::paused::Pause;
pub use context::Ownership;
pub use control::Control;
pub use moved::Destination;
pub use status::{PartitionStatus, Status};

/// Events one transaction of a subscription takes at most.
///
/// Fewer where fewer are there: no timer waits for a batch to fill.
pub const BATCH_MAX: usize = 256;

/// What a service does with an event.
///
/// ```
/// use serde::Deserialize;
/// use yeoul_events::store::Tx;
/// use yeoul_events::{Cause, Draft, Event, Failure, Handler};
///
/// /// The fields that this service reads of another one's event; others may come and go.
/// #[derive(Deserialize)]
/// #[serde(rename_all = "camelCase")]
/// struct OrderPlaced {
///     product_id: i64,
///     quantity: u32,
/// }
///
/// struct Stock;
///
/// impl Handler for Stock {
///     type Batch = ();
///
///     async fn handle(
///         &self,
///         (): &mut (),
///         tx: &mut Tx<'_>,
///         event: &Event,
///     ) -> Result<(), Failure> {
///         // A kind that it does not know is another reader's business, not a failure.
///         if event.kind != "OrderPlaced" {
///             return Ok(());
///         }
///         // Data of another shape is an error that becomes a failure of this event.
///         let order: OrderPlaced = event.decode()?;
///         let take = "UPDATE product SET stock = stock - ?2 WHERE id = ?1 AND stock >= ?2";
///         let taken = tx.execute(take, &[&order.product_id, &order.quantity]).await?;
///         // "No" is an answer, not a failure: a failure would be tried again with the same result.
///         let kind = if taken == 1 { "StockDecreased" } else { "ProductOutOfStock" };
///         // The key is the order, so that who follows orders sees this in its place; there is one
///         // answer for each event of the order, so its count serves for ours.
///         let answer = Draft::new(kind, &event.subject, event.sequence, &(), &Cause::of(event));
///         tx.publish(answer).await?;
///         Ok(())
///     }
/// }
/// ```
pub trait Handler: Send + Sync + 'static {
    /// Scratch of one delivery batch, for handlers that gather and write once; `()` for most.
    ///
    /// It begins as its `Default` for each batch and ends in [`committed`](Self::committed). What a
    /// failed event put into it is never flushed: the batch is then delivered anew, event by event,
    /// each with a scratch of its own.
    type Batch: Default + Send + 'static;

    /// Whether an event whose deadline has come before its turn is passed, counted and marked, and not handled. For handlers
    /// that act. What only keeps what was said, such as a view's fold, says `false`: rebuilt, it would be another one.
    const PASSES_EXPIRED: bool = true;

    /// Called once in each of the consumer's transactions, before its first event and outside of every savepoint:
    /// for what has to hold of all of it, such as a lease that another instance may have taken over.
    ///
    /// # Errors
    /// Any: nothing of the transaction stands, and it comes again later.
    fn begin(&self, _tx: &mut Tx<'_>) -> impl Future<Output = Result<(), Error>> + Send {
        ready(Ok(()))
    }

    /// Runs in the consumer's transaction; where it fails, what it wrote is taken back alone. May run again for an event
    /// whose effects were taken back with its batch, never for one whose effects stand.
    ///
    /// So everything it does goes through `tx`: rows and events stand or fall together, and
    /// nothing else (a mail, a call) may happen here, because nothing else is taken back. It runs in
    /// a transaction that others wait for (in a file on its one writer's thread, on a server beside those of other
    /// partitions and instances): milliseconds, no waiting but for `tx`, and no lock that somebody who waits for
    /// a write may have. On a server a row that is read to be changed is read `FOR UPDATE`, or changed by one
    /// statement. Events of one key come in order, those of different keys in any order. A panic is a failure of this
    /// event, and so is, in a file, waiting for anything but `tx`; on a server that holds the transaction open until the
    /// server ends it, and the batch comes again.
    ///
    /// # Errors
    /// [`Failure::Handler`] counts as an attempt, and the event is parked with its key;
    /// [`Failure::Environment`] takes the batch back and tries it again for as long as it lasts. An
    /// [`Error`] becomes the right one of the two by `?`.
    fn handle(
        &self,
        batch: &mut Self::Batch,
        tx: &mut Tx<'_>,
        event: &Event,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Writes what the batch gathered, before the place is stored.
    ///
    /// # Errors
    /// Anything but [`Error::Environment`] has the batch delivered event by event, to find whose
    /// failure it is.
    fn flush(
        &self,
        _batch: &mut Self::Batch,
        _tx: &mut Tx<'_>,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        ready(Ok(()))
    }

    /// Called after the sync, once per batch that stands: the moment to wake whoever waits for it.
    /// It may not come at all (a crash right after the commit), so nothing may depend on it.
    fn committed(&self, _batch: Self::Batch) {}

    /// Called after the sync and after [`committed`](Self::committed): up to where its publishers' events
    /// have been received here, handled or parked. For readers who wait for their own write. It may not
    /// come at all, like that one; [`Database::received`] says the same at any time.
    ///
    /// ```
    /// # use yeoul_events::store::Tx;
    /// # use yeoul_events::{Event, Failure, Handler, Numbers};
    /// use tokio::sync::watch;
    /// use yeoul_events::subscription::Received;
    ///
    /// /// Keeps a list of orders, and has those wait who wrote one.
    /// struct Orders {
    ///     seen: watch::Sender<Numbers>,
    /// }
    ///
    /// impl Handler for Orders {
    ///     # type Batch = ();
    ///     # async fn handle(&self, (): &mut (), _: &mut Tx<'_>, _: &Event) -> Result<(), Failure> { Ok(()) }
    ///     fn received(&self, received: &[Received]) {
    ///         let of_orders = received.iter().filter(|it| it.source == "order");
    ///         self.seen.send_modify(|seen| of_orders.for_each(|it| _ = seen.raise(it.up_to)));
    ///     }
    /// }
    ///
    /// /// Resolves once the list has all that a position covers.
    /// async fn caught_up(mut seen: watch::Receiver<Numbers>, wanted: &Numbers) {
    ///     // An error means that nobody tells any more.
    ///     _ = seen.wait_for(|seen| seen.cover(wanted)).await;
    /// }
    /// # let orders = Orders { seen: watch::Sender::default() };
    /// # orders.received(&[Received { source: "order".into(), up_to: "3-2".parse().unwrap() }]);
    /// # assert!(orders.seen.borrow().cover(&"3-2".parse().unwrap()));
    /// ```
    fn received(&self, _received: &[Received]) {}
}

/// Asked before the handler; an `Err` is a handler failure with that reason. For tests and drills:
/// it shows what the rest of a system does while one reader fails.
///
/// ```
/// # use std::sync::Arc;
/// # use std::sync::atomic::{AtomicBool, Ordering};
/// use yeoul_events::Event;
/// use yeoul_events::subscription::Fault;
///
/// /// Fails at the events of one key while the switch is on: those of all others must notice nothing.
/// fn drill(key: &'static str, on: Arc<AtomicBool>) -> Fault {
///     Arc::new(move |event: &Event| match on.load(Ordering::Relaxed) && event.key == key {
///         true => Err("a drill".to_owned()),
///         false => Ok(()),
///     })
/// }
/// # let json = br#"{"specversion":"1.0","id":"1","source":"a","type":"A","subject":"9","time":"2024-05-01T12:00:00Z"}"#;
/// # let event = Event::from_json(json).unwrap();
/// # let on = Arc::new(AtomicBool::new(true));
/// # assert!(drill("9", on.clone())(&event).is_err() && drill("8", on)(&event).is_ok());
/// ```
pub type Fault = Arc<dyn Fn(&Event) -> Result<(), String> + Send + Sync>;

/// One consumer of one topic, not yet running.
///
/// ```
/// # use std::sync::Arc;
/// # use std::time::Duration;
/// # use yeoul_events::store::{Database, Options, Tx};
/// # use yeoul_events::{Broker, Clock, Error, Event, Failure, Handler, Log, Retry, Subscription, Topic};
/// # struct Ignore;
/// # impl Handler for Ignore {
/// #     type Batch = ();
/// #     async fn handle(&self, (): &mut (), _: &mut Tx<'_>, _: &Event) -> Result<(), Failure> { Ok(()) }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// # let folder = tempfile::tempdir().expect("a folder");
/// # let clock: Clock = Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
/// # let topic = Topic::parse("order")?;
/// # let log: Arc<dyn Broker> =
/// #     Arc::new(Log::open(folder.path(), std::slice::from_ref(&topic), clock.clone())?);
/// # let path = folder.path().join("product.db");
/// # let options = Options { path, schema: &[], publishes: None, clock: clock.clone() };
/// # let database = Database::open(options)?;
/// let retry = Retry { attempts: 3, backoff: Duration::from_secs(1) };
/// let subscription =
///     Subscription::new("product.order", topic, database, log, Ignore, retry, clock);
/// // Taken before it runs: `run` consumes it.
/// let control = subscription.control();
///
/// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
/// let running = tokio::spawn(subscription.run(async { _ = stopped.await }));
///
/// assert_eq!(control.status().await?.stuck, None);
/// drop(stop);
/// // It has finished its batch: nothing of it writes any more.
/// running.await.expect("a subscription does not panic");
/// # Ok(())
/// # }
/// ```
pub struct Subscription<H: Handler> {
    dispatcher: Dispatcher<H>,
    context: Context,
}

impl<H: Handler> Subscription<H> {
    /// A subscription that keeps its inbox in `database` under `name` (`product.order`), which must
    /// not change between starts. The database may publish as well; then what the handler publishes
    /// is in the same transaction.
    pub fn new(
        name: &str,
        topic: Topic,
        database: Database,
        broker: Arc<dyn Broker>,
        handler: H,
        retry: Retry,
        clock: Clock,
    ) -> Subscription<H> {
        let (fault, opener, name_there) = (None, None, name.to_owned());
        let dispatcher = Dispatcher { name: name_there, handler, retry, fault, opener };
        Subscription { dispatcher, context: Context::new(name, topic, database, broker, clock) }
    }

    /// Rests while `paused` has `true`; a stopped service is not stuck. If the sender goes, it stays
    /// as it was left. A batch under way is finished first; what comes meanwhile waits in the topic, so that nothing is
    /// missed however long it rests (but what the broker removes by itself).
    ///
    /// ```
    /// # use yeoul_events::{Handler, Subscription};
    /// use tokio::sync::watch;
    ///
    /// /// It begins at rest: whoever has the sender lets it go on by `false`.
    /// fn at_rest<H: Handler>(subscription: Subscription<H>) -> (Subscription<H>, watch::Sender<bool>) {
    ///     let (pause, paused) = watch::channel(true);
    ///     (subscription.paused(paused), pause)
    /// }
    /// ```
    #[must_use]
    pub fn paused(mut self, paused: watch::Receiver<bool>) -> Self {
        self.context.paused = paused;
        self
    }

    /// Divides the partitions with the other instances that run under its name on the same database, where that can
    /// have several: its broker's group of that name says whose each is. One that is paused keeps what it has.
    ///
    /// ```
    /// # use yeoul_events::{Handler, Subscription};
    /// # async fn run<H: Handler>(subscription: Subscription<H>) {
    /// subscription.shared().run(std::future::pending()).await;
    /// # }
    /// ```
    #[must_use]
    pub fn shared(mut self) -> Self {
        self.context.shared = true;
        self
    }

    /// Has `fault` asked before the handler, for each event that would get there: second copies and what waits behind a
    /// parked event do not.
    #[must_use]
    pub fn fault(mut self, fault: Fault) -> Self {
        self.dispatcher.fault = Some(fault);
        self
    }

    /// Has the handler be given what is sealed in its events; what is stored of them stays sealed.
    #[must_use]
    pub fn opened_by(mut self, opener: Option<Arc<dyn Opener>>) -> Self {
        self.dispatcher.opener = opener;
        self
    }

    /// A handle for whoever watches and mends it: the admin listener, the command line.
    pub fn control(&self) -> Control {
        Control::new(self.context.clone())
    }

    /// Consumes until `stop` resolves; a batch under way is finished first. Trouble does not end it.
    ///
    /// Dropping the future is like a crash: a batch that was queued is committed or not, with its
    /// place, and the next run goes on from what stands.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        let dispatcher = Arc::new(self.dispatcher);
        let rehearse = mending::rehearsal(Arc::clone(&dispatcher), self.context.database.clone());
        self.context.rehearse.get_or_init(|| rehearse);
        let consumer =
            |lane, member, stop| Consumer::new(Arc::clone(&dispatcher), lane, member).run(stop);
        self.context.run(consumer, stop).await;
    }
}
