//! What a piece of work publishes: kept until its last statement, and numbered by that.
//!
//! Numbers are given under a lock of the partition that is let go when the transaction is over and visible, so that
//! a number that can be seen has none below it that will ever be. What holds that lock must be at its end: so
//! all events of a transaction are inserted at once, right before it commits, partitions ascending, which is the order
//! in which everybody asks for the locks. The table's own trigger numbers them, as it does for writers in other
//! languages.

use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use sqlx::PgConnection;

use crate::event::id::EventId;
use crate::event::{Cause, Draft};
use crate::partition::{Numbered, Partition};
use crate::store::published::Published;

/// An event that is to be numbered.
pub(super) struct Pending {
    pub(super) partition: Partition,
    pub(super) kind: String,
    pub(super) key: String,
    pub(super) subject: String,
    pub(super) sequence: u64,
    pub(super) time: Timestamp,
    pub(super) cause: Cause,
    pub(super) data: String,
    id: EventId,
    number: Arc<OnceLock<Numbered>>,
}

/// Those of one piece of work, in the order in which it published them.
#[derive(Default)]
pub(super) struct Drafts(Vec<Pending>);

impl Pending {
    /// Of a draft, in its partition.
    pub(super) fn of(draft: Draft, partition: Partition, time: Timestamp, id: EventId) -> Pending {
        let Draft { kind, subject, sequence, data, cause } = draft;
        let data = data.get().to_owned();
        let number = Arc::default();
        Pending {
            partition,
            kind: kind.to_owned(),
            key: subject.clone(),
            subject,
            sequence,
            time,
            cause,
            data,
            id,
            number,
        }
    }

    /// Of an event that was published before, under an id of its own.
    pub(super) fn again(event: crate::event::Event, partition: Partition, id: EventId) -> Pending {
        let crate::event::Event { kind, key, subject, sequence, time, cause, data, .. } = event;
        let data = data.get().to_owned();
        Pending {
            partition,
            kind,
            key,
            subject,
            sequence,
            time,
            cause,
            data,
            id,
            number: Arc::default(),
        }
    }

    /// What its publisher is given.
    pub(super) fn published(&self) -> Published {
        Published::to_be_numbered(self.id, Arc::clone(&self.number))
    }
}

impl Drafts {
    pub(super) fn push(&mut self, one: Pending) {
        self.0.push(one);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn truncate(&mut self, to: usize) {
        self.0.truncate(to);
    }

    /// Inserts all of them in one statement, partitions ascending; their numbers.
    pub(super) async fn insert(
        mut self,
        connection: &mut PgConnection,
        topic: &str,
    ) -> Result<Vec<Numbered>, sqlx::Error> {
        if self.0.is_empty() {
            return Ok(Vec::new());
        }
        // Stable: within a partition they stay in the order of the work.
        self.0.sort_by_key(|one| one.partition);
        let insert = "INSERT INTO yeoul_outbox (topic, partition, id, key, type, subject, sequence, time,
                correlation, causation, traceparent, data)
            SELECT $1, place, encode(id, 'hex')::UUID, key, kind, subject, sequence,
                TIMESTAMPTZ 'epoch' + time * INTERVAL '1 microsecond', correlation, causation, traceparent, data
            FROM unnest($2::INTEGER[], $3::BYTEA[], $4::TEXT[], $5::TEXT[], $6::TEXT[], $7::BIGINT[], $8::BIGINT[],
                $9::TEXT[], $10::TEXT[], $11::TEXT[], $12::TEXT[]) WITH ORDINALITY
                AS given (place, id, key, kind, subject, sequence, time, correlation, causation, traceparent, data, turn)
            ORDER BY turn
            RETURNING number";
        let all = &self.0;
        let numbers: Vec<i64> = sqlx::query_scalar(insert)
            .bind(topic)
            .bind(all.iter().map(|it| i32::from(it.partition.index())).collect::<Vec<_>>())
            .bind(all.iter().map(|it| it.id.as_bytes().to_vec()).collect::<Vec<_>>())
            .bind(all.iter().map(|it| it.key.as_str()).collect::<Vec<_>>())
            .bind(all.iter().map(|it| it.kind.as_str()).collect::<Vec<_>>())
            .bind(all.iter().map(|it| it.subject.as_str()).collect::<Vec<_>>())
            .bind(all.iter().map(|it| it.sequence as i64).collect::<Vec<_>>())
            .bind(all.iter().map(|it| it.time.as_microsecond()).collect::<Vec<_>>())
            .bind(all.iter().map(|it| it.cause.correlation_id.as_deref()).collect::<Vec<_>>())
            .bind(all.iter().map(|it| it.cause.causation_id.as_deref()).collect::<Vec<_>>())
            .bind(all.iter().map(|it| it.cause.traceparent.as_deref()).collect::<Vec<_>>())
            .bind(all.iter().map(|it| it.data.as_str()).collect::<Vec<_>>())
            .fetch_all(connection)
            .await?;
        let numbered = all.iter().zip(numbers).map(|(one, number)| {
            let at = Numbered { partition: one.partition, number: number.unsigned_abs() };
            // Each is numbered once: the work of a transaction that runs again publishes anew.
            let _ = one.number.set(at);
            at
        });
        Ok(numbered.collect())
    }
}
