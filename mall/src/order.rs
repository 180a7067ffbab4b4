//! Order: takes orders, and follows what becomes of them.
//!
//! An order is stored as PENDING together with its OrderPlaced and answered at once; whether there
//! is stock is product's to say, by an event. A copy of every product, fed by product's events, lets
//! orders be taken while product is down; only a product whose policy is `reject` is asked first,
//! through the guard.
//!
//! It decides by its own rows alone and reads no view.

mod api;
mod command;
mod decide;
pub(crate) mod described;
pub(crate) mod handlers;
mod model;
mod place;
mod stock_check;
mod store;
mod wire;

use std::net::SocketAddr;

use chassis::http::Stop;
use events::Database;

pub use api::Server;

use self::handlers::{OnDelivery, OnProduct};
use crate::components::{Components, Composed, Loops};
use crate::error::Error;
use crate::idempotency::Running;
use crate::settings::Name;

/// The order service, open.
#[derive(Clone)]
pub struct Service {
    components: Components,
    database: Database,
    running: Running,
}

impl Service {
    /// Opens its database.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn open(components: Components) -> Result<Service, Error> {
        let database = components.database(Name::Order, store::TABLES).await?;
        components.remember_ended(&database).await?;
        Ok(Service { components, database, running: Running::default() })
    }

    /// What answers at `address` on one core; made on the core it serves.
    pub fn server(&self, address: SocketAddr) -> Server {
        Server::new(&self.components, self.database.clone(), self.running.clone(), address)
    }

    /// Its relay and its subscriptions.
    pub fn loops(&self, stop: &Stop) -> Loops {
        Composed::new(&self.components, Name::Order, &self.database, stop)
            .subscribe(Name::Product, OnProduct)
            .subscribe(Name::Delivery, OnDelivery)
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
