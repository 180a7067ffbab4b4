//! Deliveries and tombstones as tables.

use chassis::http::hal::Slice;
use events::Error;
use events::store::COUNTED;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::delivery::decide::State;
use crate::delivery::model::Delivery;
use crate::listed::Listed;
use crate::listed::store::sqlite::Rows;

/// The schema, one migration after the other.
pub(in crate::delivery) const SCHEMA: &[&str] = &[
    "CREATE TABLE parcel (
        id INTEGER PRIMARY KEY AUTOINCREMENT, order_id INTEGER NOT NULL UNIQUE,
        quantity INTEGER NOT NULL, product_id INTEGER NOT NULL, product_name TEXT NOT NULL,
        customer_id TEXT NOT NULL, customer_name TEXT NOT NULL, address TEXT NOT NULL,
        state TEXT NOT NULL, sequence INTEGER NOT NULL, correlation TEXT) STRICT;
     CREATE INDEX parcel_by_customer ON parcel (customer_id, id);
     CREATE TABLE tombstone (order_id INTEGER PRIMARY KEY) STRICT;",
    sessions::TABLE,
    // Tables are called what their rows are called.
    "ALTER TABLE parcel RENAME TO deliveries;
     DROP INDEX parcel_by_customer;
     CREATE INDEX deliveries_by_customer ON deliveries (customer_id, id);",
    COUNTED,
    "INSERT INTO counted VALUES ('deliveries', 'sequence', 0)",
];

/// The delivery of that id.
pub(in crate::delivery) fn find(
    connection: &Connection,
    id: u64,
) -> Result<Option<Delivery>, Error> {
    let mut select = connection.prepare_cached("SELECT * FROM deliveries WHERE id = ?1")?;
    Ok(select.query_row([id], read).optional()?)
}

/// The delivery of that order.
pub(in crate::delivery) fn of_order(
    connection: &Connection,
    order_id: u64,
) -> Result<Option<Delivery>, Error> {
    let mut select = connection.prepare_cached("SELECT * FROM deliveries WHERE order_id = ?1")?;
    Ok(select.query_row([order_id], read).optional()?)
}

/// Whether the order ended before it was confirmed.
pub(in crate::delivery) fn is_buried(
    connection: &Connection,
    order_id: u64,
) -> Result<bool, Error> {
    let mut select = connection.prepare_cached("SELECT 1 FROM tombstone WHERE order_id = ?1")?;
    Ok(select.exists([order_id])?)
}

/// Remembers that the order ended before it was confirmed.
pub(in crate::delivery) fn bury(connection: &Connection, order_id: u64) -> Result<(), Error> {
    connection.prepare_cached("INSERT INTO tombstone VALUES (?1)")?.execute([order_id])?;
    Ok(())
}

/// One slice of the deliveries, by id, of `customer` or of all; and how many there are.
pub(in crate::delivery) fn list(
    connection: &Connection,
    customer: Option<&str>,
    slice: Slice,
) -> Result<Listed<Delivery>, Error> {
    let narrowed = if customer.is_some() { "customer_id = ?1" } else { "?1 IS NULL" };
    Rows { table: "deliveries", narrowed, value: customer }.list(connection, slice, read)
}

/// Stores a new delivery; its id.
pub(in crate::delivery) fn insert(
    connection: &Connection,
    delivery: &Delivery,
) -> Result<u64, Error> {
    let insert =
        "INSERT INTO deliveries (order_id, quantity, product_id, product_name, customer_id,
        customer_name, address, state, sequence, correlation)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    connection.prepare_cached(insert)?.execute(params![
        delivery.order_id,
        delivery.quantity,
        delivery.product_id,
        delivery.product_name,
        delivery.customer_id,
        delivery.customer_name,
        delivery.address,
        delivery.state.as_str(),
        delivery.sequence,
        delivery.correlation,
    ])?;
    Ok(connection.last_insert_rowid().unsigned_abs())
}

/// Stores what may change of a delivery.
pub(in crate::delivery) fn update(
    connection: &Connection,
    delivery: &Delivery,
) -> Result<(), Error> {
    let update = "UPDATE deliveries SET state = ?2, sequence = ?3 WHERE id = ?1";
    let row = params![delivery.id, delivery.state.as_str(), delivery.sequence];
    connection.prepare_cached(update)?.execute(row)?;
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    let state: String = row.get("state")?;
    Ok(Delivery {
        id: row.get("id")?,
        order_id: row.get("order_id")?,
        quantity: row.get("quantity")?,
        product_id: row.get("product_id")?,
        product_name: row.get("product_name")?,
        customer_id: row.get("customer_id")?,
        customer_name: row.get("customer_name")?,
        address: row.get("address")?,
        state: State::parse(&state).ok_or(rusqlite::Error::InvalidQuery)?,
        sequence: row.get("sequence")?,
        correlation: row.get("correlation")?,
    })
}
