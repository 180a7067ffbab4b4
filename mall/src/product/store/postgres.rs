//! Products and decisions as tables on this engine.

use crate::idempotency::store::postgres::TABLE as REMEMBERED;

/// The schema, one migration after the other.
pub(in crate::product) const SCHEMA: &[&str] = &[
    "CREATE TABLE products (
        id BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY, name TEXT NOT NULL,
        price BIGINT NOT NULL, stock BIGINT NOT NULL CHECK (stock >= 0),
        image_url TEXT NOT NULL, options TEXT NOT NULL, policy TEXT NOT NULL,
        version BIGINT NOT NULL, deleted BIGINT NOT NULL);
     CREATE INDEX products_by_name ON products (name, id);
     CREATE TABLE decision (
        order_id BIGINT PRIMARY KEY, product_id BIGINT NOT NULL, quantity BIGINT NOT NULL,
        decision TEXT NOT NULL);
     CREATE TABLE published (subject BIGINT PRIMARY KEY, sequence BIGINT NOT NULL);
     CREATE TABLE seeded (one BIGINT PRIMARY KEY CHECK (one = 1));",
    REMEMBERED,
    sessions::SERVED_TABLE,
];
