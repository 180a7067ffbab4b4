//! Orders and the product replica as tables.

use chassis::http::hal::Slice;
use events::Error;
use events::store::COUNTED;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::idempotency::store::sqlite::{TABLE as REMEMBERED, WITH_ETAG};
use crate::listed::Listed;
use crate::listed::store::sqlite::Rows;
use crate::order::decide::State;
use crate::order::model::{Order, Replica};

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
];

/// The order of that id.
pub(in crate::order) fn find(connection: &Connection, id: u64) -> Result<Option<Order>, Error> {
    let mut select = connection.prepare_cached("SELECT * FROM orders WHERE id = ?1")?;
    Ok(select.query_row([id], read).optional()?)
}

/// One slice of the orders, by id, of `customer` or of all; and how many there are.
pub(in crate::order) fn list(
    connection: &Connection,
    customer: Option<&str>,
    slice: Slice,
) -> Result<Listed<Order>, Error> {
    let narrowed = if customer.is_some() { "customer_id = ?1" } else { "?1 IS NULL" };
    Rows { table: "orders", narrowed, value: customer }.list(connection, slice, read)
}

/// Stores a new order; its id.
pub(in crate::order) fn insert(connection: &Connection, order: &Order) -> Result<u64, Error> {
    let insert = "INSERT INTO orders (product_id, product_name, image_url, quantity, price,
        customer_id, customer_name, customer_addr, state, reason, delivered, sequence, correlation)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    connection.prepare_cached(insert)?.execute(params![
        order.product_id,
        order.product_name,
        order.image_url,
        order.quantity,
        order.price,
        order.customer_id,
        order.customer_name,
        order.customer_addr,
        order.state.as_str(),
        order.reason,
        order.delivered,
        order.sequence,
        order.correlation,
    ])?;
    Ok(connection.last_insert_rowid().unsigned_abs())
}

/// Stores what may change of an order.
pub(in crate::order) fn update(connection: &Connection, order: &Order) -> Result<(), Error> {
    let update = "UPDATE orders SET state = ?2, reason = ?3, delivered = ?4, sequence = ?5
        WHERE id = ?1";
    connection.prepare_cached(update)?.execute(params![
        order.id,
        order.state.as_str(),
        order.reason,
        order.delivered,
        order.sequence,
    ])?;
    Ok(())
}

/// The copy of the product of that id.
pub(in crate::order) fn replica(
    connection: &Connection,
    id: u64,
) -> Result<Option<Replica>, Error> {
    let select = "SELECT id, name, price, stock, image_url, stock_policy, version, deleted
        FROM replica WHERE id = ?1";
    let row = connection.prepare_cached(select)?.query_row([id], |row| {
        Ok(Replica {
            id: row.get(0)?,
            name: row.get(1)?,
            price: row.get(2)?,
            stock: row.get(3)?,
            image_url: row.get(4)?,
            stock_policy: row.get(5)?,
            version: row.get(6)?,
            deleted: row.get(7)?,
        })
    });
    Ok(row.optional()?)
}

/// Keeps the newer of what is stored and what is given.
pub(in crate::order) fn keep_newest(
    connection: &Connection,
    replica: &Replica,
) -> Result<(), Error> {
    let upsert = "INSERT INTO replica
        (id, name, price, stock, image_url, stock_policy, version, deleted)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
        ON CONFLICT (id) DO UPDATE SET name = excluded.name, price = excluded.price,
        stock = excluded.stock, image_url = excluded.image_url,
        stock_policy = excluded.stock_policy, version = excluded.version,
        deleted = excluded.deleted WHERE excluded.version > replica.version";
    connection.prepare_cached(upsert)?.execute(params![
        replica.id,
        replica.name,
        replica.price,
        replica.stock,
        replica.image_url,
        replica.stock_policy,
        replica.version,
        replica.deleted,
    ])?;
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<Order> {
    let state: String = row.get("state")?;
    let state = State::parse(&state).ok_or(rusqlite::Error::InvalidQuery)?;
    Ok(Order {
        id: row.get("id")?,
        product_id: row.get("product_id")?,
        product_name: row.get("product_name")?,
        image_url: row.get("image_url")?,
        quantity: row.get("quantity")?,
        price: row.get("price")?,
        customer_id: row.get("customer_id")?,
        customer_name: row.get("customer_name")?,
        customer_addr: row.get("customer_addr")?,
        state,
        reason: row.get("reason")?,
        delivered: row.get("delivered")?,
        sequence: row.get("sequence")?,
        correlation: row.get("correlation")?,
    })
}

#[cfg(test)]
mod tests {
    use events::store::{Database, Options};

    use super::*;
    use crate::idempotency::store::sqlite::{recall, remember};
    use crate::idempotency::{Identity, Once, Remembered};

    /// The schema before answers had a tag.
    const WITHOUT_ETAG: &[&str] = SCHEMA.split_at(2).0;

    #[tokio::test]
    async fn a_folder_of_an_older_program_opens_and_remembers_what_it_answered() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = |schema| {
            let path = folder.path().join("service.db");
            let clock = chassis::clock::component();
            Database::open(Options { path, schema, publishes: None, clock }).expect("it opens")
        };
        let identity = Identity { principal: "c".into(), route: "/orders", key: "k".into() };
        let old = open(WITHOUT_ETAG);
        let stored = old.write(|write| {
            let insert = "INSERT INTO remembered
                (principal, route, key, fingerprint, location, position, body)
                VALUES ('c', '/orders', 'k', zeroblob(32), '/orders/1', 'w1.order.1', '{}')";
            write.sql().execute(insert, [])?;
            Ok::<_, Error>(())
        });
        stored.await.expect("stored");
        old.close().await;

        let new = open(SCHEMA);
        let before = Remembered {
            fingerprint: [0; 32],
            location: "/orders/1".into(),
            position: "w1.order.1".into(),
            etag: String::new(),
            body: "{}".into(),
        };
        let seen = new.read(|connection| recall(connection, &identity)).expect("readable");
        assert_eq!(seen.as_ref(), Some(&before));
        assert!(!before.into_response().headers().contains_key(http::header::ETAG));

        let once =
            Once { identity: Identity { key: "l".into(), ..identity }, fingerprint: [1; 32] };
        let (answer, key) =
            (Remembered { etag: "\"1-a\"".into(), ..seen.expect("it") }, once.clone());
        let kept = answer.clone();
        let stored = new.write(move |write| remember(write.sql(), &key, &kept));
        stored.await.expect("stored");
        let seen = new.read(|connection| recall(connection, &once.identity)).expect("readable");
        assert_eq!(seen, Some(answer));
        new.close().await;
    }
}
