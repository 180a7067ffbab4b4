//! Products and decisions as rows.

mod postgres;
mod sqlite;

use chassis::http::hal::Slice;
use events::Error;
use events::store::{Bind, Row, Rows, Tables, Tx};

use crate::listed::Listed;
use crate::listed::store::{Narrowing, Selection};
use crate::product::decide::Decision;
use crate::product::model::{Policy, Product};

use postgres::SCHEMA as SERVED;
use sqlite::SCHEMA as EMBEDDED;

/// What product keeps.
pub(super) const TABLES: Tables = Tables { embedded: EMBEDDED, served: SERVED };

/// What was decided about an order, and what it wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decided {
    pub(super) product_id: u64,
    pub(super) quantity: u64,
    pub(super) decision: Decision,
}

/// The product of that id, deleted or not.
pub(super) async fn find(rows: &mut Rows<'_>, id: u64) -> Result<Option<Product>, Error> {
    rows.find("SELECT * FROM products WHERE id = ?1", &[&id], product).await
}

/// The same, to be changed: nobody else changes it until this is over.
pub(super) async fn take(tx: &mut Tx<'_>, id: u64) -> Result<Option<Product>, Error> {
    tx.find("SELECT * FROM products WHERE id = ?1 FOR UPDATE", &[&id], product).await
}

/// One slice of the products, by id, all or those of one name; and how many there are.
pub(super) async fn list(
    rows: &mut Rows<'_>,
    name: Option<&str>,
    slice: Slice,
) -> Result<Listed<Product>, Error> {
    let standing = Some("deleted = 0");
    let narrowed = name.map(|value| Narrowing { column: "name", value });
    Selection { table: "products", standing, narrowed }.list(rows, slice, product).await
}

/// Stores a new product; its id.
pub(super) async fn insert(rows: &mut Rows<'_>, product: &Product) -> Result<u64, Error> {
    let insert = "INSERT INTO products
        (name, price, stock, image_url, options, policy, version, deleted)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let Product { name, price, stock, image_url, version, deleted, .. } = product;
    let (options, policy) = (options_text(product), product.policy.as_str());
    let row: [&dyn Bind; 8] = [name, price, stock, image_url, &options, &policy, version, deleted];
    rows.insert(insert, &row).await
}

/// Stores a changed product.
pub(super) async fn update(rows: &mut Rows<'_>, product: &Product) -> Result<(), Error> {
    let update = "UPDATE products SET name = ?2, price = ?3, stock = ?4, image_url = ?5,
        options = ?6, policy = ?7, version = ?8, deleted = ?9 WHERE id = ?1";
    let Product { id, name, price, stock, image_url, version, deleted, .. } = product;
    let (options, policy) = (options_text(product), product.policy.as_str());
    let row: [&dyn Bind; 9] =
        [id, name, price, stock, image_url, &options, &policy, version, deleted];
    rows.execute(update, &row).await?;
    Ok(())
}

/// What was decided about the order, to be decided anew: nobody else does until this is over.
pub(super) async fn take_decided(tx: &mut Tx<'_>, order_id: u64) -> Result<Option<Decided>, Error> {
    let select =
        "SELECT product_id, quantity, decision FROM decision WHERE order_id = ?1 FOR UPDATE";
    tx.find(select, &[&order_id], decision).await
}

/// What was decided about the order.
#[cfg(test)]
pub(super) async fn decided(rows: &mut Rows<'_>, order_id: u64) -> Result<Option<Decided>, Error> {
    let select = "SELECT product_id, quantity, decision FROM decision WHERE order_id = ?1";
    rows.find(select, &[&order_id], decision).await
}

fn decision(row: &Row<'_>) -> Result<Decided, Error> {
    let decision = row.parse(2, Decision::parse)?;
    Ok(Decided { product_id: row.get(0)?, quantity: row.get(1)?, decision })
}

/// Keeps what was decided about the order.
pub(super) async fn decide(
    rows: &mut Rows<'_>,
    order_id: u64,
    decided: Decided,
) -> Result<(), Error> {
    let upsert = "INSERT INTO decision VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (order_id) DO UPDATE SET decision = excluded.decision";
    let Decided { product_id, quantity, decision } = decided;
    rows.execute(upsert, &[&order_id, &product_id, &quantity, &decision.as_str()]).await?;
    Ok(())
}

/// The next count of the events about `subject`, which may be an order's id or a product's: the
/// envelope tells subjects apart by their text alone, so they are counted by it.
pub(super) async fn next_sequence(tx: &mut Tx<'_>, subject: u64) -> Result<u64, Error> {
    let upsert = "INSERT INTO published VALUES (?1, ?2)
        ON CONFLICT (subject) DO UPDATE SET sequence = published.sequence + 1 RETURNING sequence";
    let first = tx.first_count();
    tx.one(upsert, &[&subject, &first], |row| row.get(0)).await
}

/// Claims the writing of the seeds: `true` once in the life of the file.
pub(super) async fn claim_seeding(rows: &mut Rows<'_>) -> Result<bool, Error> {
    let claim = "INSERT INTO seeded VALUES (1) ON CONFLICT DO NOTHING";
    Ok(rows.execute(claim, &[]).await? == 1)
}

fn options_text(product: &Product) -> String {
    serde_json::to_string(&product.options).expect("options are JSON")
}

fn product(row: &Row<'_>) -> Result<Product, Error> {
    Ok(Product {
        id: row.get("id")?,
        name: row.get("name")?,
        price: row.get("price")?,
        stock: row.get("stock")?,
        image_url: row.get("image_url")?,
        options: row.parse("options", |options| serde_json::from_str(options).ok())?,
        policy: row.parse("policy", Policy::parse)?,
        version: row.get("version")?,
        deleted: row.get("deleted")?,
    })
}
