//! 12st Mall: the shop that runs on Yeoul, and its first user.
//!
//! Four services, each a module with its own tables, its own outbox and its own idea of the events
//! it reads: [`account`], [`product`], [`order`], [`delivery`]. They share events, not code and not
//! tables; what they have in common below the domain (the edge of an HTTP port, idempotency keys,
//! fault switches) is in modules of its own that know no order and no product. My page is no code:
//! it is the rules in [`SETTINGS`], an ordinary settings file.
//!
//! In each service: `decide` has the decisions, pure tables; `handlers` applies them to events and
//! `api` to requests, both in one transaction with the outbox; `model` is what the service keeps,
//! `store` where (only its module of the engine's name speaks SQL); `wire` is what it writes and reads
//! in events and bodies.
//!
//! It does not compose a process: it opens services and hands out their listeners' answers and
//! their loops.

pub mod account;
pub mod delivery;
pub mod endpoint;
pub mod faults;
#[cfg(test)]
mod fixture;
pub mod openapi;
pub mod order;
pub mod pause;
pub mod pictures;
pub mod product;
pub mod settings;
pub mod templates;

mod answers;
mod components;
mod condition;
mod described;
mod edge;
mod error;
mod idempotency;
mod listed;
mod named;
mod proof;
mod role;

#[cfg(test)]
mod simulation;

pub use components::{Components, Loops};
pub use endpoint::Endpoint;
pub use error::Error;
pub use faults::Faults;
pub use role::Role;
pub use settings::{Name, Settings};

/// The mall's settings file: routes, guards, views, pages and the services' own section.
pub const SETTINGS: &str = include_str!("../yeoul.yaml");

/// The topics that the mall's services own; nobody else may publish to them.
pub const TOPICS: [&str; 4] = ["order", "product", "delivery", "account"];
