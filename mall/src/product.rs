//! Product: keeps products, takes stock for orders and gives it back.
//!
//! Stock changes in one transaction with the decision about the order and the events that report
//! it, and a decision is made once an order: that is why stock is never oversold and never given
//! back twice. Every change of a product, its stock included, is its next version and a
//! ProductChanged.
//!
//! It does not know why an order ended, only that it did.

mod api;
mod article;
mod command;
mod decide;
mod handlers;
mod seed;
mod wire;

mod store {
    pub(super) mod sqlite;
}

use std::net::SocketAddr;

use chassis::http::Stop;
use events::{Control, Database};
use tracing::info;

pub use api::Server;

use self::handlers::{OnDelivery, OnOrder};
use crate::idempotency::Running;
use crate::setting::Loops;
use crate::{Error, Loop, Name, Setting, blocking};

/// The product service, open.
#[derive(Clone)]
pub struct Product {
    setting: Setting,
    database: Database,
    running: Running,
}

impl Product {
    /// Opens its database and, where that is wanted and was never done, writes the seeds.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open(setting: Setting) -> Result<Product, Error> {
        let database = setting.database(Name::Product, store::sqlite::SCHEMA)?;
        setting.remember_ended(&database)?;
        if setting.seed && blocking::wait(database.write(seed::sow))? {
            info!("the demo's products were written");
        }
        Ok(Product { setting, database, running: Running::default() })
    }

    /// What answers at `address` on one core.
    pub fn server(&self, address: SocketAddr) -> Server {
        Server::new(&self.setting, self.database.clone(), self.running.clone(), address)
    }

    /// Its relay and its subscriptions, each to be run to its end, and the subscriptions' handles.
    pub fn loops(&self, stop: &Stop) -> (Vec<Loop>, Vec<Control>) {
        Loops::new(&self.setting, Name::Product, &self.database, stop)
            .subscribe(Name::Order, OnOrder)
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
