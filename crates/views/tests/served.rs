//! The same read side on PostgreSQL: what holds in a file holds there, and between instances.
//!
//! Against a real server: `cargo xtask services install postgres`.

#[path = "views/any_order.rs"]
mod any_order;
#[path = "views/cuts.rs"]
mod cuts;
#[path = "views/folding.rs"]
mod folding;
#[path = "views/instances.rs"]
mod instances;
#[path = "views/live.rs"]
mod live;
#[path = "views/mall.rs"]
mod mall;
#[path = "views/owners.rs"]
mod owners;
#[path = "views/pages.rs"]
mod pages;
#[path = "place/served.rs"]
mod place;
#[path = "../../events/tests/postgres/server.rs"]
#[allow(dead_code, reason = "the store's own tests use the rest")]
mod server;
#[path = "views/waiting.rs"]
mod waiting;
