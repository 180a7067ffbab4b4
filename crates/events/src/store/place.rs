//! Where a service's database is, for whoever leaves the choice of an engine to settings.

use std::fmt;
use std::path::PathBuf;

use crate::Clock;
use crate::error::Error;
use crate::store::Address;
use crate::store::database::Database;
use crate::store::options::{Options, Publishes, Served};

/// A server on which each service has a schema of its own.
#[derive(Clone)]
pub struct Host {
    /// Where it is.
    pub address: Address,
    /// What it asks of whoever speaks to it, if it does.
    pub password: Option<String>,
    /// Connections of one service's database that are open at a time.
    pub connections: u32,
}

/// The secret is nobody's to read.
impl fmt::Debug for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Host").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Host {
    /// The address as [`Served::address`] takes it, with the password in it.
    pub fn whole_address(&self) -> String {
        self.address.with_password(self.password.as_deref())
    }
}

/// Where one database is.
#[derive(Clone, Debug)]
pub enum Place {
    /// In a file, whose folder exists.
    File(PathBuf),
    /// In a schema of this name on a server.
    Schema {
        /// The server.
        host: Host,
        /// The schema.
        name: String,
    },
}

/// A service's own tables in the words of each engine: migrations in order, only ever appended to.
#[derive(Clone, Copy, Debug)]
pub struct Tables {
    /// For [`Options::schema`].
    pub embedded: &'static [&'static str],
    /// For [`Served::schema`].
    pub served: &'static [&'static str],
}

impl Database {
    /// Opens the one at this place, as [`Database::open`] or [`Database::connect`] does.
    ///
    /// # Errors
    /// As of the two.
    pub async fn at(
        place: Place,
        tables: Tables,
        publishes: Option<Publishes>,
        clock: Clock,
    ) -> Result<Database, Error> {
        match place {
            Place::File(path) => {
                Database::open(Options { path, schema: tables.embedded, publishes, clock })
            }
            Place::Schema { host, name } => {
                let (address, connections) = (host.whole_address(), host.connections);
                let schema = tables.served;
                let served = Served { address, name, schema, publishes, connections, clock };
                Database::connect(served).await
            }
        }
    }
}
