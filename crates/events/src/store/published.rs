//! An event on its way out: its id at once, its number once the work that publishes it is committed.

use std::sync::{Arc, OnceLock};

use crate::event::id::EventId;
use crate::partition::Numbered;

/// An event that was put into an outbox.
///
/// The id is known at once. The number is the order of commits, so that it is not known before the commit:
/// give this back from a piece of work, and ask it when the work has been answered.
///
/// ```
/// # use std::sync::Arc;
/// # use yeoul_events::store::{Database, Options, Publishes};
/// # use yeoul_events::{Cause, Clock, Draft, Error, Partitions, Topic, WritePosition};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// # let folder = tempfile::tempdir().expect("a folder");
/// # let clock: Clock = Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
/// # let publishes = Some(Publishes { source: "order".into(), topic: Topic::parse("order")?, partitions: Partitions::ONE });
/// # let path = folder.path().join("order.db");
/// # let order = Database::open(Options { path, schema: &[], publishes, clock })?;
/// let placed = Draft::new("OrderPlaced", 9, 1, &(), &Cause::default());
/// let placed = order.write(placed, |placed, tx| Box::pin(tx.publish(placed.clone()))).await?;
/// assert_eq!(WritePosition::new("order", placed.number()).to_string(), "w1.order");
/// // Whoever kept the id alone finds the number again.
/// assert_eq!(order.number_of(placed.id(), "9").await?, Some(placed.number()));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Published {
    id: EventId,
    number: Number,
}

#[derive(Clone, Debug)]
enum Number {
    Given(Numbered),
    /// By the last statement of its transaction.
    ToBeGiven(Arc<OnceLock<Numbered>>),
}

impl Published {
    /// One whose number is known already.
    pub(super) fn numbered(id: EventId, number: Numbered) -> Published {
        Published { id, number: Number::Given(number) }
    }

    /// One that is numbered when its transaction ends.
    pub(super) fn to_be_numbered(id: EventId, number: Arc<OnceLock<Numbered>>) -> Published {
        Published { id, number: Number::ToBeGiven(number) }
    }

    /// The event's id.
    pub fn id(&self) -> EventId {
        self.id
    }

    /// Its number, once the work that published it is committed: it counts its partition's commits in their
    /// order.
    ///
    /// # Panics
    /// If it is asked before: a mistake of the program, which an engine with one writer does not notice.
    pub fn number(&self) -> Numbered {
        match &self.number {
            Number::Given(number) => *number,
            Number::ToBeGiven(number) => *number.get().expect("asked after the commit"),
        }
    }
}
