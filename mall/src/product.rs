//! Product: keeps products, takes stock for orders and gives it back.
//!
//! Stock changes in one transaction with the decision about the order and the events that report
//! it, and a decision is made once an order: that is why stock is never oversold and never given
//! back twice. Every change of a product, its stock included, is its next version and a
//! ProductChanged.
//!
//! It does not know why an order ended, only that it did.

mod api;
mod command;
mod decide;
pub(crate) mod described;
pub(crate) mod handlers;
mod model;
mod seed;
mod store;
mod wire;

use std::net::SocketAddr;

use chassis::http::Stop;
use events::Database;
use tracing::info;

pub use api::Server;

use self::handlers::{OnDelivery, OnOrder};
use crate::components::{Components, Loops, Opened};
use crate::error::Error;
use crate::idempotency::Running;
use crate::settings::Name;

/// The product service, open.
#[derive(Clone)]
pub struct Service {
    opened: Opened,
    running: Running,
}

impl Service {
    /// Opens its database and, where that is wanted and was never done, writes the seeds.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn open(components: Components) -> Result<Service, Error> {
        let opened = Opened::open(components, Name::Product, store::TABLES).await?;
        let (seeds, database) = (opened.components.seed, &opened.database);
        if seeds && database.write((), |(), tx| Box::pin(seed::sow(tx))).await? {
            info!("the demo's products were written");
        }
        Ok(Service { opened, running: Running::default() })
    }

    /// What answers at `address` on one core.
    pub fn server(&self, address: SocketAddr) -> Server {
        let Opened { components, database, .. } = &self.opened;
        Server::new(components, database.clone(), self.running.clone(), address)
    }

    /// Its relay and its subscriptions.
    pub fn loops(&self, stop: &Stop) -> Loops {
        self.opened.loops(stop, |loops| {
            loops.subscribe(Name::Order, OnOrder).subscribe(Name::Delivery, OnDelivery)
        })
    }

    /// Its database.
    pub fn database(&self) -> &Database {
        &self.opened.database
    }
}

/// What the simulation of the whole shop needs to do and see here.
#[cfg(test)]
pub(crate) mod simulated;
