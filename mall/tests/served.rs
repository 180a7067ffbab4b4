//! The same services on PostgreSQL: what holds with a file each holds there.
//!
//! Against a real server: `cargo xtask services install postgres`.

// The name that everybody else knows the crate by.
extern crate yeoul_mall as mall;

#[path = "served/place.rs"]
mod place;
#[path = "../../crates/events/tests/postgres/server.rs"]
#[allow(dead_code, reason = "the store's own tests use the rest")]
mod server;
#[path = "mall/support.rs"]
mod support;

#[path = "mall/accounts.rs"]
mod accounts;
#[path = "mall/conditions.rs"]
mod conditions;
#[path = "mall/defects.rs"]
mod defects;
#[path = "mall/deliveries.rs"]
mod deliveries;
#[path = "mall/edge.rs"]
mod edge;
#[path = "served/instances.rs"]
mod instances;
#[path = "mall/orders.rs"]
mod orders;
#[path = "mall/products.rs"]
mod products;
#[path = "mall/texts.rs"]
mod texts;
