//! Where a service's database is, for whoever leaves the choice of an engine to settings.

use std::path::PathBuf;

use crate::Clock;
use crate::error::Error;
use crate::store::database::Database;
use crate::store::options::{Host, Options, Publishes, Served};

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
