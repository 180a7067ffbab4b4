//! Products and decisions as tables.

use chassis::http::hal::Slice;
use events::Error;
use events::store::{COUNTED, Write};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::idempotency::store::sqlite::{TABLE as REMEMBERED, WITH_ETAG};
use crate::listed::Listed;
use crate::listed::store::sqlite::Rows;
use crate::product::decide::Decision;
use crate::product::model::{Policy, Product};

/// The schema, one migration after the other.
pub(in crate::product) const SCHEMA: &[&str] = &[
    "CREATE TABLE article (
        id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, price INTEGER NOT NULL,
        stock INTEGER NOT NULL CHECK (stock >= 0), image_url TEXT NOT NULL,
        options TEXT NOT NULL, policy TEXT NOT NULL, version INTEGER NOT NULL,
        deleted INTEGER NOT NULL) STRICT;
     CREATE INDEX article_by_name ON article (name, id);
     CREATE TABLE decision (
        order_id INTEGER PRIMARY KEY, product_id INTEGER NOT NULL, quantity INTEGER NOT NULL,
        decision TEXT NOT NULL) STRICT;
     CREATE TABLE published (subject INTEGER PRIMARY KEY, sequence INTEGER NOT NULL) STRICT;
     CREATE TABLE seeded (one INTEGER PRIMARY KEY CHECK (one = 1)) STRICT;",
    REMEMBERED,
    WITH_ETAG,
    sessions::TABLE,
    // Tables are called what their rows are called.
    "ALTER TABLE article RENAME TO products;
     DROP INDEX article_by_name;
     CREATE INDEX products_by_name ON products (name, id);",
    COUNTED,
    "INSERT INTO counted VALUES ('products', 'version', 0), ('published', 'sequence', 0)",
];

/// What was decided about an order, and what it wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::product) struct Decided {
    pub(in crate::product) product_id: u64,
    pub(in crate::product) quantity: u64,
    pub(in crate::product) decision: Decision,
}

/// The product of that id, deleted or not.
pub(in crate::product) fn find(connection: &Connection, id: u64) -> Result<Option<Product>, Error> {
    let mut select = connection.prepare_cached("SELECT * FROM products WHERE id = ?1")?;
    Ok(select.query_row([id], read).optional()?)
}

/// One slice of the products, by id, all or those of one name; and how many there are.
pub(in crate::product) fn list(
    connection: &Connection,
    name: Option<&str>,
    slice: Slice,
) -> Result<Listed<Product>, Error> {
    let narrowed = match name {
        Some(_) => "deleted = 0 AND name = ?1",
        None => "deleted = 0 AND ?1 IS NULL",
    };
    Rows { table: "products", narrowed, value: name }.list(connection, slice, read)
}

/// Stores a new product; its id.
pub(in crate::product) fn insert(connection: &Connection, product: &Product) -> Result<u64, Error> {
    let insert = "INSERT INTO products
        (name, price, stock, image_url, options, policy, version, deleted)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    connection.prepare_cached(insert)?.execute(params![
        product.name,
        product.price,
        product.stock,
        product.image_url,
        options_text(product),
        product.policy.as_str(),
        product.version,
        product.deleted,
    ])?;
    Ok(connection.last_insert_rowid().unsigned_abs())
}

/// Stores a changed product.
pub(in crate::product) fn update(connection: &Connection, product: &Product) -> Result<(), Error> {
    let update = "UPDATE products SET name = ?2, price = ?3, stock = ?4, image_url = ?5,
        options = ?6, policy = ?7, version = ?8, deleted = ?9 WHERE id = ?1";
    connection.prepare_cached(update)?.execute(params![
        product.id,
        product.name,
        product.price,
        product.stock,
        product.image_url,
        options_text(product),
        product.policy.as_str(),
        product.version,
        product.deleted,
    ])?;
    Ok(())
}

/// What was decided about the order.
pub(in crate::product) fn decided(
    connection: &Connection,
    order_id: u64,
) -> Result<Option<Decided>, Error> {
    let select = "SELECT product_id, quantity, decision FROM decision WHERE order_id = ?1";
    let row = connection.prepare_cached(select)?.query_row([order_id], |row| {
        let decision: String = row.get(2)?;
        let decision = Decision::parse(&decision).ok_or(rusqlite::Error::InvalidQuery)?;
        Ok(Decided { product_id: row.get(0)?, quantity: row.get(1)?, decision })
    });
    Ok(row.optional()?)
}

/// Keeps what was decided about the order.
pub(in crate::product) fn decide(
    connection: &Connection,
    order_id: u64,
    decided: Decided,
) -> Result<(), Error> {
    let upsert = "INSERT INTO decision VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (order_id) DO UPDATE SET decision = excluded.decision";
    connection.prepare_cached(upsert)?.execute(params![
        order_id,
        decided.product_id,
        decided.quantity,
        decided.decision.as_str(),
    ])?;
    Ok(())
}

/// The next count of the events about `subject`, which may be an order's id or a product's: the
/// envelope tells subjects apart by their text alone, so they are counted by it.
pub(in crate::product) fn next_sequence(write: &Write<'_>, subject: u64) -> Result<u64, Error> {
    let upsert = "INSERT INTO published VALUES (?1, ?2)
        ON CONFLICT (subject) DO UPDATE SET sequence = sequence + 1 RETURNING sequence";
    let next = [subject, write.first_count()];
    Ok(write.sql().prepare_cached(upsert)?.query_row(next, |row| row.get(0))?)
}

/// Claims the writing of the seeds: `true` once in the life of the file.
pub(in crate::product) fn claim_seeding(connection: &Connection) -> Result<bool, Error> {
    Ok(connection.execute("INSERT OR IGNORE INTO seeded VALUES (1)", [])? == 1)
}

fn options_text(product: &Product) -> String {
    serde_json::to_string(&product.options).expect("options are JSON")
}

fn read(row: &Row<'_>) -> rusqlite::Result<Product> {
    let policy: String = row.get("policy")?;
    let options: String = row.get("options")?;
    Ok(Product {
        id: row.get("id")?,
        name: row.get("name")?,
        price: row.get("price")?,
        stock: row.get("stock")?,
        image_url: row.get("image_url")?,
        options: serde_json::from_str(&options).map_err(|_| rusqlite::Error::InvalidQuery)?,
        policy: Policy::parse(&policy).ok_or(rusqlite::Error::InvalidQuery)?,
        version: row.get("version")?,
        deleted: row.get("deleted")?,
    })
}
