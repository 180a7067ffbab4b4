//! The table of remembered answers on this engine.

/// The table, for the schema of each service that remembers.
pub(crate) const TABLE: &str = "
    CREATE TABLE remembered (
        number INTEGER PRIMARY KEY AUTOINCREMENT, principal TEXT NOT NULL, route TEXT NOT NULL,
        key TEXT NOT NULL, fingerprint BLOB NOT NULL, location TEXT NOT NULL,
        position TEXT NOT NULL, body TEXT NOT NULL, UNIQUE (principal, route, key)) STRICT;";

/// What an older table lacks.
pub(crate) const WITH_ETAG: &str =
    "ALTER TABLE remembered ADD COLUMN etag TEXT NOT NULL DEFAULT '';";

#[cfg(test)]
mod tests {
    use events::Database;

    use crate::fixture;
    use crate::idempotency::store::{recall, remember};
    use crate::idempotency::{Once, REMEMBERED_MAX, Remembered, ScopedKey};

    const SCHEMA: &[&str] = &[super::TABLE, super::WITH_ETAG];

    fn once(key: &str) -> Once {
        let (principal, key) = ("c1".to_owned(), key.to_owned());
        Once { identity: ScopedKey { principal, route: "/orders", key }, fingerprint: [1; 32] }
    }

    async fn keep(database: &Database, key: &str) {
        let [location, position, etag, body] = ["/orders/1", "p", "\"e\"", "{}"].map(str::to_owned);
        let answer = Remembered { fingerprint: [1; 32], location, position, etag, body };
        let kept = database
            .write((once(key), answer), |(once, answer), tx| Box::pin(remember(tx, once, answer)));
        kept.await.expect("remembered");
    }

    async fn is_known(database: &Database, key: &str) -> bool {
        let once = once(key);
        let read = database.read(&once, |once, rows| Box::pin(recall(rows, &once.identity)));
        read.await.expect("read").is_some()
    }

    async fn execute(database: &Database, statement: &'static str, number: u64) {
        let done = database.write(number, move |number, tx| {
            Box::pin(async move { tx.execute(statement, &[number]).await })
        });
        let done: Result<u64, events::Error> = done.await;
        assert_eq!(done.expect("executed"), 1);
    }

    #[tokio::test]
    async fn what_was_remembered_before_a_restore_is_remembered_after_it() {
        let (_folder, table) = fixture::database(SCHEMA);
        keep(&table, "before").await;
        let jump = "UPDATE sqlite_sequence SET seq = seq + ?1 WHERE name = 'remembered'";
        execute(&table, jump, 1_000_000).await;
        for key in ["after", "later"] {
            keep(&table, key).await;
            assert!(is_known(&table, key).await && is_known(&table, "before").await, "{key}");
        }
    }

    #[tokio::test]
    async fn the_oldest_answer_is_forgotten_past_the_limit_and_not_at_it() {
        let (_folder, table) = fixture::database(SCHEMA);
        keep(&table, "oldest").await;
        // As if there had been all but one of those that fit.
        let skip = "UPDATE remembered SET number = ?1 WHERE key = 'next'";
        keep(&table, "next").await;
        execute(&table, skip, REMEMBERED_MAX - 1).await;
        keep(&table, "last").await;
        assert!(is_known(&table, "oldest").await, "at the limit");
        keep(&table, "one more").await;
        assert!(!is_known(&table, "oldest").await, "past it");
        for key in ["next", "last", "one more"] {
            assert!(is_known(&table, key).await, "{key}");
        }
    }
}
