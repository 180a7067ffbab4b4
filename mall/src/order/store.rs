//! Orders and the product replica as rows.

mod postgres;
mod sqlite;

use chassis::http::hal::Slice;
use events::Error;
use events::store::{Bind, Row, Rows, Tables, Tx};

use crate::listed::Listed;
use crate::listed::store::{Narrowing, Selection};
use crate::order::decide::State;
use crate::order::model::{Order, Replica};

use postgres::SCHEMA as SERVED;
use sqlite::SCHEMA as EMBEDDED;

/// What order keeps.
pub(super) const TABLES: Tables = Tables { embedded: EMBEDDED, served: SERVED };

/// The order of that id.
pub(super) async fn find(rows: &mut Rows<'_>, id: u64) -> Result<Option<Order>, Error> {
    rows.find("SELECT * FROM orders WHERE id = ?1", &[&id], order).await
}

/// The same, to be changed: nobody else changes it until this is over.
pub(super) async fn take(tx: &mut Tx<'_>, id: u64) -> Result<Option<Order>, Error> {
    tx.find("SELECT * FROM orders WHERE id = ?1 FOR UPDATE", &[&id], order).await
}

/// One slice of the orders, by id, of `customer` or of all; and how many there are.
pub(super) async fn list(
    rows: &mut Rows<'_>,
    customer: Option<&str>,
    slice: Slice,
) -> Result<Listed<Order>, Error> {
    let narrowed = customer.map(|value| Narrowing { column: "customer_id", value });
    Selection { table: "orders", standing: None, narrowed }.list(rows, slice, order).await
}

/// Stores a new order; its id.
pub(super) async fn insert(rows: &mut Rows<'_>, order: &Order) -> Result<u64, Error> {
    let insert = "INSERT INTO orders (product_id, product_name, image_url, quantity, price,
        customer_id, customer_name, customer_addr, state, reason, delivered, sequence, correlation)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    let row: [&dyn Bind; 13] = [
        &order.product_id,
        &order.product_name,
        &order.image_url,
        &order.quantity,
        &order.price,
        &order.customer_id,
        &order.customer_name,
        &order.customer_addr,
        &order.state.as_str(),
        &order.reason,
        &order.delivered,
        &order.sequence,
        &order.correlation,
    ];
    rows.insert(insert, &row).await
}

/// Stores what may change of an order.
pub(super) async fn update(rows: &mut Rows<'_>, order: &Order) -> Result<(), Error> {
    // What was ordered stays as it was ordered: price and name are of that moment.
    let update = "UPDATE orders SET state = ?2, reason = ?3, delivered = ?4, sequence = ?5
        WHERE id = ?1";
    let Order { id, reason, delivered, sequence, .. } = order;
    let row: [&dyn Bind; 5] = [id, &order.state.as_str(), reason, delivered, sequence];
    rows.execute(update, &row).await?;
    Ok(())
}

/// The copy of the product of that id.
pub(super) async fn replica(rows: &mut Rows<'_>, id: u64) -> Result<Option<Replica>, Error> {
    let select = "SELECT id, name, price, stock, image_url, stock_policy, version, deleted
        FROM replica WHERE id = ?1";
    rows.find(select, &[&id], copy).await
}

fn copy(row: &Row<'_>) -> Result<Replica, Error> {
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
}

/// Keeps the newer of what is stored and what is given.
pub(super) async fn keep_newest(rows: &mut Rows<'_>, replica: &Replica) -> Result<(), Error> {
    // By the product's own count of versions: events and answers of product overtake each other, and the older one
    // loses.
    let upsert = "INSERT INTO replica
        (id, name, price, stock, image_url, stock_policy, version, deleted)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
        ON CONFLICT (id) DO UPDATE SET name = excluded.name, price = excluded.price,
        stock = excluded.stock, image_url = excluded.image_url,
        stock_policy = excluded.stock_policy, version = excluded.version,
        deleted = excluded.deleted WHERE excluded.version > replica.version";
    let Replica { id, name, price, stock, image_url, stock_policy, version, deleted } = replica;
    let row: [&dyn Bind; 8] = [id, name, price, stock, image_url, stock_policy, version, deleted];
    rows.execute(upsert, &row).await?;
    Ok(())
}

fn order(row: &Row<'_>) -> Result<Order, Error> {
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
        state: row.parse("state", State::parse)?,
        reason: row.get("reason")?,
        delivered: row.get("delivered")?,
        sequence: row.get("sequence")?,
        correlation: row.get("correlation")?,
    })
}
