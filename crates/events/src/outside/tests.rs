//! What is taken from outside is there once, and as it came: one suite that every engine passes unchanged.

mod embedded;
mod served;

use std::collections::BTreeSet;
use std::sync::Arc;

use tempfile::TempDir;

use super::left::unrelayed;
use super::{OTHERS_SOUGHT, Outbox};
use crate::broker::{Broker, Offset, Pending, Stored};
use crate::error::Error;
use crate::event::Event;
use crate::fixture::altered_log::{AlteredLog, Uncounting};
use crate::fixture::{clock, first, topic, until};
use crate::local::Log;
use crate::offer::{CAME_MAX, LOOKED_AT_MAX, Offer, Outcome, Unless};
use crate::partition::{Numbered, Numbers, Partition, Partitions};
use crate::relay::Relay;
use crate::store::location::Location;
use crate::store::remembered;
use crate::store::{DATA_BYTES_MAX, packed};
use crate::topic::{Declared, TopicPartition};

/// Somebody else's event, with an extension.
#[expect(clippy::needless_pass_by_value, reason = "so that numbers and texts both go in")]
fn event(id: impl ToString, kind: &str, key: &str) -> Event {
    let id = id.to_string();
    let text = format!(
        r#"{{"specversion":"1.0","id":"{id}","source":"/till","type":"{kind}","subject":"{key}","receivedtime":"2024-05-01T12:00:00Z","tenant":7,"data_base64":"/w=="}}"#
    );
    Event::from_json(text.as_bytes()).unwrap()
}

fn paid(id: impl ToString) -> Event {
    event(id, "Paid", "k")
}

async fn offer(outbox: &Outbox, events: &[Event]) -> Vec<Numbered> {
    match outbox.offer(Offer::new(events).unwrap()).await.unwrap() {
        Outcome::Stored(places) => places,
        other => panic!("no condition: {other:?}"),
    }
}

async fn offer_unless(
    outbox: &Outbox,
    event: Event,
    kind: &str,
    after: impl Into<Numbers>,
) -> Result<Outcome, Error> {
    let (kinds, key) = (vec![kind.to_owned()], event.key.clone());
    let unless = Unless { kinds, key, after: after.into() };
    outbox.offer(Offer::new(&[event]).unwrap().unless(unless).unwrap()).await
}

/// The ids of what came, or nothing where it is stored.
fn came(outcome: &Outcome) -> Vec<&str> {
    match outcome {
        Outcome::Stored(_) => Vec::new(),
        Outcome::Came(came) => came.iter().map(|it| &*it.event.id).collect(),
        Outcome::Others => panic!("nobody else publishes"),
    }
}

/// Everything that waits in a partition.
async fn waiting(outbox: &Outbox, at: u16) -> Vec<Event> {
    let partition = Partition::new(at).unwrap();
    outbox.database().waiting(Numbered { partition, number: 0 }, 100_000).await.unwrap()
}

fn declared(partitions: u16) -> Declared {
    Declared { topic: topic("paid"), partitions: Partitions::new(partitions).unwrap() }
}
