//! Order: takes orders, and follows what becomes of them.
//!
//! An order is stored as PENDING together with its OrderPlaced and answered at once; whether there
//! is stock is product's to say, by an event. A copy of every product, fed by product's events, lets
//! orders be taken while product is down; only a product whose policy is `reject` is asked first,
//! through the guard.
//!
//! Where orders have a deadline, one that is still PENDING then is rejected.
//!
//! It decides by its own rows alone and reads no view.

mod api;
mod command;
mod deadline;
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
use events::schedules::Schedules;

pub use api::Server;

use self::deadline::Deadlines;
use self::handlers::{OnDelivery, OnProduct};
use self::place::Intake;
use crate::components::{Components, Loops, Opened};
use crate::error::Error;
use crate::idempotency::Running;
use crate::settings::Name;

/// The order service, open.
#[derive(Clone)]
pub struct Service {
    opened: Opened,
    running: Running,
    /// Where orders have one.
    deadlines: Option<Deadlines>,
}

impl Service {
    /// Opens its database.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn open(components: Components) -> Result<Service, Error> {
        let opened = Opened::open(components, Name::Order, store::TABLES).await?;
        let deadlines = Deadlines::of(&opened.components, &opened.database);
        Ok(Service { opened, running: Running::default(), deadlines })
    }

    /// What answers at `address` on one core; made on the core it serves.
    pub fn server(&self, address: SocketAddr) -> Server {
        let Opened { components, database, .. } = &self.opened;
        let (running, deadlines) = (self.running.clone(), self.deadlines.clone());
        let intake = Intake::new(components, database.clone(), running, deadlines);
        Server::new(components, intake, address)
    }

    /// Its relay and its subscriptions.
    pub fn loops(&self, stop: &Stop) -> Loops {
        self.opened.loops(stop, |loops| {
            let loops = loops.subscribe(Name::Product, OnProduct);
            let loops = loops.subscribe(Name::Delivery, OnDelivery);
            match &self.deadlines {
                Some(deadlines) => loops.beside(|it| deadlines.clone().run(it)),
                None => loops,
            }
        })
    }

    /// The deadlines of orders, where orders have one.
    pub fn deadlines(&self) -> Option<&Schedules> {
        self.deadlines.as_ref().map(Deadlines::schedules)
    }

    /// Its database.
    pub fn database(&self) -> &Database {
        &self.opened.database
    }
}

/// What the simulation of the whole shop needs to do and see here.
#[cfg(test)]
pub(crate) mod simulated;
