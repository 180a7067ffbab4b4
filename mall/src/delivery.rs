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
use crate::components::{Components, Composed, Loops};
use crate::error::Error;
use crate::settings::Name;

/// The delivery service, open.
#[derive(Clone)]
pub struct Service {
    components: Components,
    database: Database,
}

impl Service {
    /// Opens its database.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn open(components: Components) -> Result<Service, Error> {
        let database = components.database(Name::Delivery, store::TABLES).await?;
        components.remember_ended(&database).await?;
        Ok(Service { components, database })
    }

    /// What answers at `address` on one core.
    pub fn server(&self, address: SocketAddr) -> Server {
        Server::new(&self.components, self.database.clone(), address)
    }

    /// Its relay and its subscription.
    pub fn loops(&self, stop: &Stop) -> Loops {
        Composed::new(&self.components, Name::Delivery, &self.database, stop)
            .subscribe(Name::Order, OnOrder)
            .subscribe(Name::Account, self.components.on_ended())
            .finish()
    }

    /// Its database.
    pub fn database(&self) -> &Database {
        &self.database
    }
}

/// What the simulation of the whole shop needs to do and see here.
#[cfg(test)]
pub(crate) mod simulated;
