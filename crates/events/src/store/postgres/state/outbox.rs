//! What a piece of work publishes: kept until its last statement, and numbered by that.
//!
//! Numbers are given under a lock of the partition that is let go when the transaction is over and visible, so that
//! a number that can be seen has none below it that will ever be. What holds that lock must be at its end: so
//! all events of a transaction are inserted by the message that commits it, partitions ascending, which is the order
//! in which everybody asks for the locks: no client is waited for while the locks are held, nor is a disk. The
//! transaction is over and visible before it is on disk, and what waits for that comes behind it in the same message.
//! So what can be seen may be lost by a server that dies right then, with all that came behind it: nobody is answered,
//! and nothing is relayed, before it is on disk.

use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::event::id::EventId;
use crate::event::{Cause, Draft};
use crate::partition::{Numbered, PARTITIONS_MAX, Partition};
use crate::store::published::Published;
use crate::store::whole::{self, WHOLE};
use crate::topic::Topic;

/// Commits a record of its own that says nothing, and with it everything that was committed before: once it is answered,
/// that is on disk.
pub(super) const FLUSH: &str = "SELECT pg_logical_emit_message(TRUE, 'yeoul', '')";

/// Partition and number of a row as one ([`packed`](crate::store::packed)), in the words of its index: whoever asks by others
/// has every row read.
pub(super) const PLACE: &str = "((partition::BIGINT << 48) | number)";

/// The newest row of this partition, of the topic that is the first value: a part of a statement.
pub(super) fn newest_in(schema: &str, partition: &str) -> String {
    format!(
        "SELECT number FROM {schema}.yeoul_outbox WHERE topic = $1
            AND {PLACE} >= {partition}::BIGINT << 48 AND {PLACE} < ({partition}::BIGINT + 1) << 48
            ORDER BY topic DESC, {PLACE} DESC LIMIT 1"
    )
}

/// Removes rows of a topic, the lowest places first, that lie in a span and whose letter is not open.
pub(super) fn prune(schema: &str) -> String {
    // Nobody changes a row, so it is where it was seen.
    format!(
        "DELETE FROM {schema}.yeoul_outbox WHERE ctid = ANY (ARRAY
        (SELECT ctid FROM {schema}.yeoul_outbox WHERE topic = $1 AND {PLACE} BETWEEN $2 AND $3
            AND {PLACE} NOT IN (SELECT sequence FROM outbox_stepped WHERE dead = 1)
        ORDER BY {PLACE} LIMIT $4))"
    )
}

/// The numbers of rows by their ids, or the newest of their partitions where they are kept no more.
pub(super) fn numbers_of(schema: &str) -> String {
    let newest = newest_in(schema, "asked.place");
    format!(
        "SELECT coalesce(number, ({newest}), 0)
        FROM ROWS FROM (unnest($2::BYTEA[]), unnest($3::INTEGER[])) WITH ORDINALITY AS asked (id, place, turn)
        LEFT JOIN {schema}.yeoul_outbox AS had ON had.id = encode(asked.id, 'hex')::UUID
        ORDER BY turn"
    )
}

/// Takes a partition's lock, as whoever numbers does.
pub(super) fn lock(schema: &str) -> String {
    let table = schema.replace('\'', "''");
    format!(
        "SELECT pg_advisory_xact_lock('{table}.yeoul_outbox'::REGCLASS::INTEGER, id * {PARTITIONS_MAX} + $2)
        FROM {schema}.yeoul_outbox_topic WHERE topic = $1"
    )
}

/// Whether the row of an event is there.
pub(super) fn is_there(schema: &str) -> String {
    format!(
        "SELECT EXISTS (SELECT FROM {schema}.yeoul_outbox WHERE id = encode($1::BYTEA, 'hex')::UUID)"
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
        if event.outbox_source.is_some() {
            let (key, time, data) = (event.key.clone(), event.time, whole::data(event));
            return Unnumbered {
                partition,
                kind: WHOLE.to_owned(),
                subject: key.clone(),
                key,
                sequence: 0,
                time,
                cause: Cause::default(),
                data,
                id,
                number: Arc::default(),
            };
        }
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

    /// The statement that inserts it, and gives its number.
    fn write_statement(&self, into: &mut String) {
        let Cause { correlation_id, causation_id, traceparent } = &self.cause;
        let id = self.id.to_string();
        let before = [&id, &self.key, &self.kind, &self.subject].map(|text| Some(text.as_str()));
        let causes = [correlation_id, causation_id, traceparent].map(Option::as_deref);
        write!(into, "SELECT yeoul_publish({}", self.partition.index()).expect("memory");
        before.into_iter().for_each(|text| write_value(into, text));
        write!(into, ", {}, {}", self.sequence, self.time.as_microsecond()).expect("memory");
        causes.into_iter().chain([Some(&*self.data)]).for_each(|text| write_value(into, text));
        into.push_str("); ");
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

    /// How many are of this partition.
    pub(super) fn count_in(&self, partition: Partition) -> u64 {
        self.0.iter().filter(|one| one.partition == partition).count() as u64
    }

    /// Takes back those of other ids.
    pub(super) fn retain(&mut self, is_kept: impl Fn(EventId) -> bool) {
        self.0.retain(|one| is_kept(one.id));
    }

    pub(super) fn truncate(&mut self, to: usize) {
        self.0.truncate(to);
    }

    /// The last message of work: all of them, partitions ascending, which is from here on their order, and COMMIT. What
    /// waits for the disk, if it `flushes` here, comes behind that: their locks are let go by then.
    pub(super) fn publish_and_commit(&mut self, flushes: bool) -> String {
        // Stable: within a partition they stay in the order of the work.
        self.0.sort_by_key(|one| one.partition);
        let mut message = String::new();
        self.0.iter().for_each(|one| one.write_statement(&mut message));
        message.push_str("COMMIT");
        if flushes {
            write!(message, "; {FLUSH}").expect("memory");
        }
        message
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

/// What the last message says of so many events: a row for each, whatever comes behind them.
///
/// # Errors
/// The transaction stands, and what was said of it is not what the function says.
pub(super) fn numbers(rows: &[PgRow], events: usize) -> Result<Vec<i64>, sqlx::Error> {
    // What is asked for without values is answered in texts.
    let number = |row: &PgRow| row.try_get_unchecked::<&str, _>(0)?.parse().map_err(decoding);
    rows.iter().take(events).map(number).collect()
}

fn decoding(error: std::num::ParseIntError) -> sqlx::Error {
    sqlx::Error::Decode(error.into())
}

/// One more value of a function, quoted so that it is the same whatever is set on the connection.
fn write_value(into: &mut String, text: Option<&str>) {
    let Some(text) = text else { return into.push_str(", NULL") };
    into.push_str(", E'");
    for part in text.split_inclusive(['\'', '\\']) {
        into.push_str(part);
        // A quote and a backslash are written twice.
        into.push_str(part.matches(['\'', '\\']).next().unwrap_or_default());
    }
    into.push('\'');
}

/// What publishes an event, by plans that the connection keeps. It numbers it itself, as the table's trigger does for
/// others, unless an epoch is to be begun: then a row without a number is the trigger's. Its transaction does not wait
/// for the disk: what comes after it in [the last message](Drafts::publish_and_commit) does. What is called for what it does
/// is an expression whose value nobody reads: `PERFORM` would be a query of its own each time (record 0099).
pub(super) fn function(schema: &str, topic: &Topic) -> String {
    let table = schema.replace('\'', "''");
    let sequence = table.replace('%', "%%");
    // A topic's name has no quotes.
    let insert = format!(
        "INSERT INTO {schema}.yeoul_outbox AS it (topic, partition, number, id, key, type, subject, sequence, time,
                correlation, causation, traceparent, data)
            VALUES ('{topic}', place, own, id, key, type, subject, sequence,
                TIMESTAMPTZ 'epoch' + microseconds * INTERVAL '1 microsecond',
                correlation, causation, traceparent, data)"
    );
    format!(
        "CREATE OR REPLACE FUNCTION yeoul_publish(place INTEGER, id UUID, key TEXT, type TEXT, subject TEXT,
            sequence BIGINT, microseconds BIGINT, correlation TEXT, causation TEXT, traceparent TEXT, data TEXT)
        RETURNS BIGINT LANGUAGE plpgsql AS $publish$
        #variable_conflict use_variable
        DECLARE
            known INTEGER;
            own BIGINT;
            ignored BOOLEAN;
        BEGIN
            SELECT it.id INTO known FROM {schema}.yeoul_outbox_topic AS it WHERE it.topic = '{topic}'
                AND it.started = pg_postmaster_start_time() AND it.of = '{table}.yeoul_outbox'::REGCLASS;
            IF known IS NULL THEN
                {insert} RETURNING it.number INTO own;
            ELSE
                ignored := pg_advisory_xact_lock('{table}.yeoul_outbox'::REGCLASS::INTEGER,
                    known * {PARTITIONS_MAX} + place) IS NULL;
                own := nextval(format('{sequence}.yeoul_outbox_%s_%s', known, place)::REGCLASS);
                {insert};
            END IF;
            ignored := set_config('synchronous_commit', 'off', TRUE) IS NULL;
            RETURN own;
        END $publish$;"
    )
}
