//! Rows of the outbox and what is known of their numbers: one suite that every engine passes unchanged.

mod embedded;
mod served;

use tempfile::TempDir;

use crate::error::Error;
use crate::event::{CAUSE_BYTES_MAX, Cause, Draft, EVENT_BYTES_MAX, KEY_BYTES_MAX};
use crate::fixture::{clock, first, topic};
use crate::partition::numbers::Numbers;
use crate::partition::{Numbered, Partitions};
use crate::store::bounds::Reconciled;
use crate::store::database::Database;
use crate::store::options::{Options, Publishes};
use crate::store::{DATA_BYTES_MAX, OUTBOX_KEPT, Published, epoch};

/// Events that one piece of work publishes.
const AT_ONCE: u64 = 1_000;

fn publishes(partitions: u16) -> Publishes {
    let (source, topic) = ("order".to_owned(), topic("order"));
    Publishes { source, topic, partitions: Partitions::new(partitions).unwrap() }
}

fn draft(number: u64) -> Draft {
    Draft::new("Placed", number, 1, &number, &Cause::default())
}

async fn give(database: &Database, draft: Draft) -> Result<Published, Error> {
    database.write(draft, |draft, tx| Box::pin(tx.publish(draft.clone()))).await
}

/// Publishes these; the newest number then.
async fn publish(database: &Database, numbers: std::ops::RangeInclusive<u64>) -> u64 {
    let all: Vec<u64> = numbers.collect();
    for some in all.chunks(AT_ONCE as usize) {
        let work = database.write(some.to_vec(), |numbers, tx| {
            Box::pin(async move {
                for number in numbers {
                    tx.publish(draft(*number)).await?;
                }
                Ok::<_, Error>(())
            })
        });
        work.await.unwrap();
    }
    database.newest("any").await.unwrap().number
}

/// What waits in the first partition, from its beginning.
async fn subjects(database: &Database) -> Vec<String> {
    let waiting = database.waiting(first(0), 100_000).await.unwrap();
    waiting.into_iter().map(|event| event.subject).collect()
}
