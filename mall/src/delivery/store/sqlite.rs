//! Deliveries and tombstones as tables on this engine.

use events::store::COUNTED;

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
