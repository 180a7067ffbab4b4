//! The HTTP data plane: one address in front of services, pages, live updates, topics and the app.
//!
//! ```text
//!  browser ─▶ server ─┬─ app      files from memory
//!                     ├─ pages    ◀─ views: cached bytes, live updates
//!                     ├─ topics   ◀─ events
//!                     ├─ session  ─▶ token endpoint, cookies
//!                     └─ proxy    ─▶ guards ─▶ pooled connection ─▶ service
//! ```
//!
//! Why this way: a request stays on the core that took it, and everything that can be refused is
//! refused before anything is done, the cheapest reason first (`server::admit`). What is open to
//! whom, what is cached and what is guarded comes from settings, never from a request.
//!
//! It knows no shop: every path, page and route is a setting, compiled once into a [`Plan`].

pub mod settings;
pub mod topics;

mod access;
mod app;
mod cookies;
mod credentials;
pub mod described;
mod endpoint;
mod error_page;
mod gateway;
mod guards;
mod html;
mod hygiene;
mod meters;
mod negotiation;
mod origin;
mod over_limit;
mod pages;
mod paths;
mod plan;
mod proxy;
mod publishing;
mod pulling;
mod scheduling;
mod seal;
mod server;
mod session;
mod shared;
mod streams;
mod traces;
mod who;

pub use app::{AppFile, AppFiles};
pub use gateway::{Components, Gateway, Sessions};
pub use guards::KEYS_MAX;
pub use hygiene::{IDENTITY_HEADERS_MAX, WITHHELD};
pub use over_limit::over_limit;
pub use pages::live::HEARTBEAT;
pub use pages::wait::{WAIT_DEFAULT, WAIT_MAX};
pub use plan::{ForwardingLoop, Plan, compile};
pub use proxy::{IDLE_MAX, KEPT_MAX, WHOLE_BYTES_MAX};
pub use publishing::promised::check_data;
pub use publishing::{Contracts, Promises, Takers};
pub use pulling::{Desks, Lender};
pub use seal::{SEAL_KEY_BYTES, identity_of};
pub use server::Server;
pub use settings::Settings;
pub use streams::STREAMS_MAX;
