//! Orders and the product replica as tables on this engine.

use events::schedules::MIGRATION;
use events::store::COUNTED;

use crate::idempotency::store::sqlite::{TABLE as REMEMBERED, WITH_ETAG};

/// The schema, one migration after the other.
pub(in crate::order) const SCHEMA: &[&str] = &[
    "CREATE TABLE purchase (
        id INTEGER PRIMARY KEY AUTOINCREMENT, product_id INTEGER NOT NULL,
        product_name TEXT NOT NULL, image_url TEXT NOT NULL, quantity INTEGER NOT NULL,
        price INTEGER NOT NULL, customer_id TEXT NOT NULL, customer_name TEXT NOT NULL,
        customer_addr TEXT NOT NULL, state TEXT NOT NULL, reason TEXT,
        delivered INTEGER NOT NULL, sequence INTEGER NOT NULL, correlation TEXT NOT NULL) STRICT;
     CREATE INDEX purchase_by_customer ON purchase (customer_id, id);
     CREATE TABLE replica (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL, price INTEGER NOT NULL,
        stock INTEGER NOT NULL, image_url TEXT NOT NULL, stock_policy TEXT NOT NULL,
        version INTEGER NOT NULL, deleted INTEGER NOT NULL) STRICT;",
    REMEMBERED,
    WITH_ETAG,
    sessions::TABLE,
    // Tables are called what their rows are called.
    "ALTER TABLE purchase RENAME TO orders;
     DROP INDEX purchase_by_customer;
     CREATE INDEX orders_by_customer ON orders (customer_id, id);",
    COUNTED,
    "INSERT INTO counted VALUES ('orders', 'sequence', 0)",
    MIGRATION,
];

#[cfg(test)]
mod tests {
    use events::{Database, Error};

    use super::*;
    use crate::fixture;
    use crate::idempotency::store::{recall, remember};
    use crate::idempotency::{Once, Remembered, ScopedKey};

    /// The schema before answers had a tag.
    const WITHOUT_ETAG: &[&str] = SCHEMA.split_at(2).0;

    async fn recalled(database: &Database, identity: &ScopedKey) -> Option<Remembered> {
        let read = database.read(identity, |identity, rows| Box::pin(recall(rows, identity)));
        read.await.expect("readable")
    }

    #[tokio::test]
    async fn a_folder_of_an_older_program_opens_and_remembers_what_it_answered() {
        let identity = ScopedKey { principal: "c".into(), route: "/orders", key: "k".into() };
        let (folder, old) = fixture::database(WITHOUT_ETAG);
        let stored = old.write((), |(), tx| {
            let insert = "INSERT INTO remembered
                (principal, route, key, fingerprint, location, position, body)
                VALUES ('c', '/orders', 'k', zeroblob(32), '/orders/1', 'w1.order.1', '{}')";
            Box::pin(async move { tx.execute(insert, &[]).await })
        });
        let stored: Result<u64, Error> = stored.await;
        stored.expect("stored");
        old.close().await;

        let new = fixture::open(&folder, SCHEMA);
        let before = Remembered {
            fingerprint: [0; 32],
            location: "/orders/1".into(),
            position: "w1.order.1".into(),
            etag: String::new(),
            body: "{}".into(),
        };
        let seen = recalled(&new, &identity).await;
        assert_eq!(seen.as_ref(), Some(&before));
        assert!(
            !before
                .into_response("w1.order.1".to_owned())
                .headers()
                .contains_key(http::header::ETAG)
        );

        let once =
            Once { identity: ScopedKey { key: "l".into(), ..identity }, fingerprint: [1; 32] };
        let answer = Remembered { etag: "\"1-a\"".into(), ..seen.expect("it") };
        let given = (once.clone(), answer.clone());
        let stored = new.write(given, |(once, answer), tx| Box::pin(remember(tx, once, answer)));
        stored.await.expect("stored");
        assert_eq!(recalled(&new, &once.identity).await, Some(answer));
        new.close().await;
    }
}
