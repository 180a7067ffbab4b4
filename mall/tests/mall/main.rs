//! The four services wired to a local log, each on a port of its own, and asked from outside.
//!
//! Nothing is replaced but the gateway: order asks product for stock without a guard in between.

// The name that everybody else knows the crate by.
extern crate yeoul_mall as mall;

mod place;
mod support;

mod accounts;
mod conditions;
mod defects;
mod deliveries;
mod edge;
mod my_page;
mod orders;
mod products;
mod texts;
mod upgrade;
