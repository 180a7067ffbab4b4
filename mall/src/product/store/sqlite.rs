//! Products and decisions as tables on this engine.

use events::store::COUNTED;

use crate::idempotency::store::sqlite::{TABLE as REMEMBERED, WITH_ETAG};

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
