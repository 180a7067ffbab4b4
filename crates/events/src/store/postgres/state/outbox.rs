//! What a piece of work publishes: kept until its last statement, and numbered by that.
//!
//! Numbers are given under a lock of the partition that is let go when the transaction is over and visible, so that
//! a number that can be seen has none below it that will ever be. What holds that lock must be at its end: so
//! all events of a transaction are inserted at once, partitions ascending, which is the order
//! in which everybody asks for the locks, and in the message that commits it: no client is waited for while the locks
//! are held. That message is always the same text; what it inserts was handed over before, as a value, in a setting of the
//! transaction.

use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::event::id::EventId;
use crate::event::{Cause, Draft};
use crate::partition::{Numbered, PARTITIONS_MAX, Partition};
use crate::store::published::Published;
use crate::topic::Topic;

/// Takes what is drafted over, and says under which id its transaction is to be looked up.
pub(super) const HAND_OVER: &str = "SELECT pg_current_xact_id()::TEXT WHERE set_config('yeoul.drafts', $1::TEXT[]::TEXT, TRUE) IS NOT NULL";

/// Columns of a row that is handed over.
const COLUMNS: usize = 11;

/// The last message of work that publishes; the numbers that were given.
pub(super) const PUBLISH_AND_COMMIT: &str = "SELECT yeoul_publish(); COMMIT";

/// The numbers of rows by their ids, or the newest of their partitions where they are kept no more.
pub(super) fn numbers_of(schema: &str) -> String {
    format!(
        "SELECT coalesce(number, (SELECT max(number) FROM {schema}.yeoul_outbox AS it
            WHERE it.topic = $1 AND it.partition = asked.place), 0)
        FROM ROWS FROM (unnest($2::BYTEA[]), unnest($3::INTEGER[])) WITH ORDINALITY AS asked (id, place, turn)
        LEFT JOIN {schema}.yeoul_outbox AS had ON had.id = encode(asked.id, 'hex')::UUID
        ORDER BY turn"
    )
}

/// An event that is to be numbered.
pub(super) struct Unnumbered {
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
pub(super) struct Drafts(Vec<Unnumbered>);

impl Unnumbered {
    /// Of a draft, in its partition.
    pub(super) fn of(
        draft: Draft,
        partition: Partition,
        time: Timestamp,
        id: EventId,
    ) -> Unnumbered {
        let Draft { kind, subject, sequence, data, cause } = draft;
        let data = data.get().to_owned();
        let number = Arc::default();
        Unnumbered {
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
    pub(super) fn again(
        event: crate::event::Event,
        partition: Partition,
        id: EventId,
    ) -> Unnumbered {
        let crate::event::Event { kind, key, subject, sequence, time, cause, data, .. } = event;
        let data = data.get().to_owned();
        Unnumbered {
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

    /// Its columns as texts, which are spent by that; [`function`] reads them in this order.
    fn texts(&mut self) -> [Option<String>; COLUMNS] {
        let Cause { correlation_id, causation_id, traceparent } = std::mem::take(&mut self.cause);
        [
            Some(self.partition.index().to_string()),
            Some(self.id.to_string()),
            Some(std::mem::take(&mut self.key)),
            Some(std::mem::take(&mut self.kind)),
            Some(std::mem::take(&mut self.subject)),
            Some(self.sequence.to_string()),
            Some(self.time.as_microsecond().to_string()),
            correlation_id,
            causation_id,
            traceparent,
            Some(std::mem::take(&mut self.data)),
        ]
    }

    /// What its publisher is given.
    pub(super) fn published(&self) -> Published {
        Published::to_be_numbered(self.id, Arc::clone(&self.number))
    }
}

impl Drafts {
    pub(super) fn push(&mut self, one: Unnumbered) {
        self.0.push(one);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn truncate(&mut self, to: usize) {
        self.0.truncate(to);
    }

    /// What all of them say, for [`HAND_OVER`], partitions ascending, which is from here on their order.
    pub(super) fn hand_over(&mut self) -> Vec<Option<String>> {
        // Stable: within a partition they stay in the order of the work.
        self.0.sort_by_key(|one| one.partition);
        self.0.iter_mut().flat_map(Unnumbered::texts).collect()
    }

    pub(super) fn ids(&self) -> Vec<Vec<u8>> {
        self.0.iter().map(|one| one.id.as_bytes().to_vec()).collect()
    }

    pub(super) fn places(&self) -> Vec<i32> {
        self.0.iter().map(|one| i32::from(one.partition.index())).collect()
    }

    /// Tells their publishers the numbers that they were given, in their order.
    pub(super) fn numbered(&self, numbers: &[i64]) -> Vec<Numbered> {
        let numbered = self.0.iter().zip(numbers).map(|(one, number)| {
            let at = Numbered { partition: one.partition, number: number.unsigned_abs() };
            // Each is numbered once: the work of a transaction that runs again publishes anew.
            let _ = one.number.set(at);
            at
        });
        numbered.collect()
    }
}

/// What [`PUBLISH_AND_COMMIT`] says.
///
/// # Errors
/// The transaction stands, and what was said of it is not what the function says.
pub(super) fn numbers(rows: &[PgRow]) -> Result<Vec<i64>, sqlx::Error> {
    rows.first().map_or_else(|| Ok(Vec::new()), |row| row.try_get(0))
}

/// What publishes the rows that were handed over, by plans that the connection keeps. It numbers them itself, as the
/// table's trigger does for others, unless an epoch is to be begun or the setting of commits refused: then a row
/// without a number is the trigger's.
pub(super) fn function(schema: &str, topic: &Topic) -> String {
    let table = schema.replace('\'', "''");
    let sequence = table.replace('%', "%%");
    // A topic's name has no quotes.
    format!(
        "CREATE OR REPLACE FUNCTION yeoul_publish() RETURNS BIGINT[] LANGUAGE plpgsql AS $publish$
        DECLARE
            given TEXT[] := current_setting('yeoul.drafts');
            known {schema}.yeoul_outbox_topic;
            place INTEGER;
            next BIGINT;
            numbers BIGINT[];
        BEGIN
            SELECT * INTO known FROM {schema}.yeoul_outbox_topic WHERE topic = '{topic}';
            FOR at IN 0 .. array_length(given, 1) - 1 BY {COLUMNS} LOOP
                place := given[at + 1];
                next := NULL;
                IF known.started = pg_postmaster_start_time() AND known.of = '{table}.yeoul_outbox'::REGCLASS
                    AND current_setting('synchronous_commit') IN ('on', 'remote_apply') THEN
                    PERFORM pg_advisory_xact_lock('{table}.yeoul_outbox'::REGCLASS::INTEGER,
                        known.id * {PARTITIONS_MAX} + place);
                    next := nextval(format('{sequence}.yeoul_outbox_%s_%s', known.id, place)::REGCLASS);
                END IF;
                INSERT INTO {schema}.yeoul_outbox (topic, partition, number, id, key, type, subject, sequence, time,
                        correlation, causation, traceparent, data)
                    VALUES ('{topic}', place, next, given[at + 2]::UUID, given[at + 3], given[at + 4],
                        given[at + 5], given[at + 6]::BIGINT,
                        TIMESTAMPTZ 'epoch' + given[at + 7]::BIGINT * INTERVAL '1 microsecond',
                        given[at + 8], given[at + 9], given[at + 10], given[at + 11])
                    RETURNING number INTO next;
                numbers := numbers || next;
            END LOOP;
            RETURN numbers;
        END $publish$;"
    )
}
