//! Deliveries and tombstones as tables on this engine.

/// The schema, one migration after the other.
pub(in crate::delivery) const SCHEMA: &[&str] = &[
    "CREATE TABLE deliveries (
        id BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY, order_id BIGINT NOT NULL UNIQUE,
        quantity BIGINT NOT NULL, product_id BIGINT NOT NULL, product_name TEXT NOT NULL,
        customer_id TEXT NOT NULL, customer_name TEXT NOT NULL, address TEXT NOT NULL,
        state TEXT NOT NULL, sequence BIGINT NOT NULL, correlation TEXT);
     CREATE INDEX deliveries_by_customer ON deliveries (customer_id, id);
     CREATE TABLE tombstone (order_id BIGINT PRIMARY KEY);",
    sessions::SERVED_TABLE,
];
