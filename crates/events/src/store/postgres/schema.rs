//! The outbox as a table that a service in any language inserts into.
//!
//! What numbers its rows, refuses them and says where they go is the database's own: a trigger, so that no
//! library is needed. Here it is only handed out, with the topics that it is to know.

use std::fmt::Write;

use crate::error::Error;
use crate::topic::Declared;

/// What its tables' version is; the statements know it too.
pub(super) const OUTBOX_VERSION: i32 = 5;

/// Refuses an outbox of a program that came after this one.
pub(super) fn must_not_be_newer(noted: Option<i32>) -> Result<(), Error> {
    let Some(newer) = noted.filter(|noted| *noted > OUTBOX_VERSION) else { return Ok(()) };
    let (version, known) =
        (format!("yeoul_outbox {newer}"), OUTBOX_VERSION.unsigned_abs() as usize);
    Err(Error::Newer { version, known })
}

/// Tables, functions and rights of the outbox; run again it changes nothing.
const OUTBOX: &str = include_str!("outbox.sql");

/// Of the transaction alone. Where there is something to be made, who writes waits behind it, and not without an end.
const SETTINGS: &str = "SET LOCAL client_min_messages = warning;\nSET LOCAL lock_timeout = '5s';\n";

/// Statements that make the outbox in the first schema of a connection's search path, as one transaction, and
/// make these topics known to it. Run again they change nothing; a topic that is there with another number of
/// partitions is refused by the server, and then nothing was changed.
///
/// ```
/// use yeoul_events::store::outbox_schema;
/// use yeoul_events::{Declared, Partitions, Topic};
///
/// let order = Declared { topic: Topic::parse("order")?, partitions: Partitions::new(8)? };
/// let statements = outbox_schema(&[order]);
/// assert!(statements.contains("CREATE TABLE IF NOT EXISTS yeoul_outbox ("));
/// assert!(statements.contains("yeoul_outbox_declare('order', 8)"));
/// # Ok::<(), yeoul_events::Error>(())
/// ```
pub fn outbox_schema(topics: &[Declared]) -> String {
    outbox_schema_with(topics, "")
}

/// The same with more that is to be made in the same transaction, behind the rest.
pub(super) fn outbox_schema_with(topics: &[Declared], more: &str) -> String {
    let mut text = format!("BEGIN;\n{SETTINGS}\n{OUTBOX}");
    for Declared { topic, partitions } in topics {
        let count = partitions.count();
        // A topic's name has no quotes; nobody reads the row that a `SELECT` would give.
        let declare = format!("PERFORM yeoul_outbox_declare('{topic}', {count});");
        write!(text, "\nDO $topic$ BEGIN {declare} END $topic$;\n").expect("memory");
    }
    write!(text, "\n{more}\nCOMMIT;\n").expect("memory");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{CAUSE_BYTES_MAX, KEY_BYTES_MAX};
    use crate::partition::PARTITIONS_MAX;
    use crate::store::DATA_BYTES_MAX;

    #[test]
    fn the_statements_know_the_limits_that_events_have() {
        for (field, limit) in [
            ("key", KEY_BYTES_MAX),
            ("subject", KEY_BYTES_MAX),
            ("correlation", CAUSE_BYTES_MAX),
            ("causation", CAUSE_BYTES_MAX),
            ("traceparent", CAUSE_BYTES_MAX),
            ("data", DATA_BYTES_MAX),
        ] {
            for line in [
                format!("pg_catalog.octet_length(NEW.{field}) > {limit}"),
                format!(
                    "yeoul_outbox_within('{field}', pg_catalog.octet_length(NEW.{field}), {limit});"
                ),
            ] {
                assert!(OUTBOX.contains(&line), "{line}");
            }
        }
        for line in [
            format!("has > {OUTBOX_VERSION} "),
            format!("VALUES ('yeoul_outbox', {OUTBOX_VERSION})"),
            format!("CHECK (partitions BETWEEN 1 AND {PARTITIONS_MAX})"),
            format!("count NOT BETWEEN 1 AND {PARTITIONS_MAX}"),
            format!("known.id * {PARTITIONS_MAX} + NEW.partition"),
        ] {
            assert!(OUTBOX.contains(&line), "{line}");
        }
    }
}
