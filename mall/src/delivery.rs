//! Delivery: sends out what was confirmed, once an order, and calls it back while it can.
//!
//! It hears of an order by OrderConfirmed and of its end by OrderCancelled or OrderRejected, in any
//! order and as often as they come. Completing and returning is the operator's.

mod api;
mod decide;
pub(crate) mod described;
pub(crate) mod handlers;
mod model;
mod store;
mod wire;

use std::net::SocketAddr;

use chassis::http::Stop;
use events::Database;

pub use api::Server;

use self::handlers::OnOrder;
use crate::components::{Components, Loops, Opened};
use crate::error::Error;
use crate::settings::Name;

/// The delivery service, open.
#[derive(Clone)]
pub struct Service {
    opened: Opened,
}

impl Service {
    /// Opens its database.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn open(components: Components) -> Result<Service, Error> {
        let opened = Opened::open(components, Name::Delivery, store::TABLES).await?;
        Ok(Service { opened })
    }

    /// What answers at `address` on one core.
    pub fn server(&self, address: SocketAddr) -> Server {
        Server::new(&self.opened.components, self.opened.database.clone(), address)
    }

    /// Its relay and its subscription.
    pub fn loops(&self, stop: &Stop) -> Loops {
        self.opened.loops(stop, |loops| loops.subscribe(Name::Order, OnOrder))
    }

    /// Its database.
    pub fn database(&self) -> &Database {
        &self.opened.database
    }
}

/// What the simulation of the whole shop needs to do and see here.
#[cfg(test)]
pub(crate) mod simulated;
