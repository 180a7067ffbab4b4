//! Order: takes orders, and follows what becomes of them.
//!
//! An order is stored as PENDING together with its OrderPlaced and answered at once; whether there
//! is stock is product's to say, by an event. A copy of every product, fed by product's events, lets
//! orders be taken while product is down; only a product whose policy is `reject` is asked first,
//! through the guard.
//!
//! It decides by its own rows alone and reads no view.

mod api;
mod decide;
mod handlers;
mod place;
mod purchase;
mod stock_check;
mod wire;

mod store {
    pub(super) mod sqlite;
}

use std::net::SocketAddr;

use chassis::http::Stop;
use events::{Control, Database};

pub use api::Server;

use self::handlers::{OnDelivery, OnProduct};
use crate::idempotency::Running;
use crate::setting::Loops;
use crate::{Error, Loop, Name, Setting};

/// The order service, open.
#[derive(Clone)]
pub struct Order {
    setting: Setting,
    database: Database,
    running: Running,
}

impl Order {
    /// Opens its database.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open(setting: Setting) -> Result<Order, Error> {
        let database = setting.database(Name::Order, store::sqlite::SCHEMA)?;
        setting.remember_ended(&database)?;
        Ok(Order { setting, database, running: Running::default() })
    }

    /// What answers at `address` on one core; made on the core it serves.
    pub fn server(&self, address: SocketAddr) -> Server {
        Server::new(&self.setting, self.database.clone(), self.running.clone(), address)
    }

    /// Its relay and its subscriptions, each to be run to its end, and the subscriptions' handles.
    pub fn loops(&self, stop: &Stop) -> (Vec<Loop>, Vec<Control>) {
        Loops::new(&self.setting, Name::Order, &self.database, stop)
            .subscribe(Name::Product, OnProduct)
            .subscribe(Name::Delivery, OnDelivery)
            .subscribe(Name::Account, self.setting.on_ended())
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
