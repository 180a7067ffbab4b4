//! Orders and the product replica as tables on this engine.

use events::schedules::SERVED_MIGRATION;

use crate::idempotency::store::postgres::TABLE as REMEMBERED;

/// The schema, one migration after the other.
pub(in crate::order) const SCHEMA: &[&str] = &[
    "CREATE TABLE orders (
        id BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY, product_id BIGINT NOT NULL,
        product_name TEXT NOT NULL, image_url TEXT NOT NULL, quantity BIGINT NOT NULL,
        price BIGINT NOT NULL, customer_id TEXT NOT NULL, customer_name TEXT NOT NULL,
        customer_addr TEXT NOT NULL, state TEXT NOT NULL, reason TEXT,
        delivered BIGINT NOT NULL, sequence BIGINT NOT NULL, correlation TEXT NOT NULL);
     CREATE INDEX orders_by_customer ON orders (customer_id, id);
     CREATE TABLE replica (
        id BIGINT PRIMARY KEY, name TEXT NOT NULL, price BIGINT NOT NULL,
        stock BIGINT NOT NULL, image_url TEXT NOT NULL, stock_policy TEXT NOT NULL,
        version BIGINT NOT NULL, deleted BIGINT NOT NULL);",
    REMEMBERED,
    sessions::SERVED_TABLE,
    SERVED_MIGRATION,
];
