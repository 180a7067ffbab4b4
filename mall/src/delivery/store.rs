//! Deliveries and tombstones as rows.

mod postgres;
mod sqlite;

use chassis::http::hal::Slice;
use events::Error;
use events::store::{Bind, Row, Rows, Tables, Tx};

use crate::delivery::decide::State;
use crate::delivery::model::Delivery;
use crate::listed::Listed;
use crate::listed::store::{Narrowing, Selection};

use postgres::SCHEMA as SERVED;
use sqlite::SCHEMA as EMBEDDED;

/// What delivery keeps.
pub(super) const TABLES: Tables = Tables { embedded: EMBEDDED, served: SERVED };

/// The delivery of that id.
pub(super) async fn find(rows: &mut Rows<'_>, id: u64) -> Result<Option<Delivery>, Error> {
    rows.find("SELECT * FROM deliveries WHERE id = ?1", &[&id], delivery).await
}

/// The same, to be changed: nobody else changes it until this is over.
pub(super) async fn take(tx: &mut Tx<'_>, id: u64) -> Result<Option<Delivery>, Error> {
    tx.find("SELECT * FROM deliveries WHERE id = ?1 FOR UPDATE", &[&id], delivery).await
}

/// The delivery of that order.
pub(super) async fn of_order(
    rows: &mut Rows<'_>,
    order_id: u64,
) -> Result<Option<Delivery>, Error> {
    rows.find("SELECT * FROM deliveries WHERE order_id = ?1", &[&order_id], delivery).await
}

/// The same, to be changed.
pub(super) async fn take_of_order(
    tx: &mut Tx<'_>,
    order_id: u64,
) -> Result<Option<Delivery>, Error> {
    let select = "SELECT * FROM deliveries WHERE order_id = ?1 FOR UPDATE";
    tx.find(select, &[&order_id], delivery).await
}

/// Whether the order ended before it was confirmed.
pub(super) async fn is_buried(rows: &mut Rows<'_>, order_id: u64) -> Result<bool, Error> {
    let select = "SELECT 1 FROM tombstone WHERE order_id = ?1";
    Ok(rows.find(select, &[&order_id], |_| Ok::<_, Error>(())).await?.is_some())
}

/// Remembers that the order ended before it was confirmed.
pub(super) async fn bury(rows: &mut Rows<'_>, order_id: u64) -> Result<(), Error> {
    rows.execute("INSERT INTO tombstone VALUES (?1)", &[&order_id]).await?;
    Ok(())
}

/// One slice of the deliveries, by id, of `customer` or of all; and how many there are.
pub(super) async fn list(
    rows: &mut Rows<'_>,
    customer: Option<&str>,
    slice: Slice,
) -> Result<Listed<Delivery>, Error> {
    let narrowed = customer.map(|value| Narrowing { column: "customer_id", value });
    Selection { table: "deliveries", standing: None, narrowed }.list(rows, slice, delivery).await
}

/// Stores a new delivery; its id.
pub(super) async fn insert(rows: &mut Rows<'_>, delivery: &Delivery) -> Result<u64, Error> {
    let insert =
        "INSERT INTO deliveries (order_id, quantity, product_id, product_name, customer_id,
        customer_name, address, state, sequence, correlation)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    let row: [&dyn Bind; 10] = [
        &delivery.order_id,
        &delivery.quantity,
        &delivery.product_id,
        &delivery.product_name,
        &delivery.customer_id,
        &delivery.customer_name,
        &delivery.address,
        &delivery.state.as_str(),
        &delivery.sequence,
        &delivery.correlation,
    ];
    rows.insert(insert, &row).await
}

/// Stores what may change of a delivery.
pub(super) async fn update(rows: &mut Rows<'_>, delivery: &Delivery) -> Result<(), Error> {
    let update = "UPDATE deliveries SET state = ?2, sequence = ?3 WHERE id = ?1";
    let Delivery { id, state, sequence, .. } = delivery;
    rows.execute(update, &[id, &state.as_str(), sequence]).await?;
    Ok(())
}

fn delivery(row: &Row<'_>) -> Result<Delivery, Error> {
    Ok(Delivery {
        id: row.get("id")?,
        order_id: row.get("order_id")?,
        quantity: row.get("quantity")?,
        product_id: row.get("product_id")?,
        product_name: row.get("product_name")?,
        customer_id: row.get("customer_id")?,
        customer_name: row.get("customer_name")?,
        address: row.get("address")?,
        state: row.parse("state", State::parse)?,
        sequence: row.get("sequence")?,
        correlation: row.get("correlation")?,
    })
}
