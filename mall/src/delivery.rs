//! Delivery: sends out what was confirmed, once an order, and calls it back while it can.
//!
//! It hears of an order by OrderConfirmed and of its end by OrderCancelled or OrderRejected, in any
//! order and as often as they come. Completing and returning is the operator's.

mod api;
mod decide;
mod handlers;
mod parcel;
mod wire;

mod store {
    pub(super) mod sqlite;
}

use std::net::SocketAddr;

use chassis::http::Stop;
use events::{Control, Database};

pub use api::Server;

use self::handlers::OnOrder;
use crate::setting::Loops;
use crate::{Error, Loop, Name, Setting};

/// The delivery service, open.
#[derive(Clone)]
pub struct Delivery {
    setting: Setting,
    database: Database,
}

impl Delivery {
    /// Opens its database.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open(setting: Setting) -> Result<Delivery, Error> {
        let database = setting.database(Name::Delivery, store::sqlite::SCHEMA)?;
        setting.remember_ended(&database)?;
        Ok(Delivery { setting, database })
    }

    /// What answers at `address` on one core.
    pub fn server(&self, address: SocketAddr) -> Server {
        Server::new(&self.setting, self.database.clone(), address)
    }

    /// Its relay and its subscription, each to be run to its end, and the subscription's handle.
    pub fn loops(&self, stop: &Stop) -> (Vec<Loop>, Vec<Control>) {
        Loops::new(&self.setting, Name::Delivery, &self.database, stop)
            .subscribe(Name::Order, OnOrder)
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
