//! Where a service's database is, for whoever leaves the choice of an engine to settings.

use std::path::PathBuf;

use crate::Clock;
use crate::error::Error;
use crate::store::Server;
use crate::store::database::{Database, Engine};
use crate::store::options::{Host, Options, Publishes, Served};

/// Where one database is.
///
/// A service says what its tables are and does what it does in words that both engines speak; which of them it is on
/// is one value that its settings make:
///
/// ```
/// use yeoul_events::store::{Database, Location, Tables};
/// use yeoul_events::{Clock, Error};
///
/// /// One statement where a column's type has another name on a server, and else the same.
/// const TABLES: Tables = Tables {
///     embedded: &["CREATE TABLE product (name TEXT PRIMARY KEY, stock INTEGER NOT NULL) STRICT"],
///     served: &["CREATE TABLE product (name TEXT PRIMARY KEY, stock BIGINT NOT NULL)"],
/// };
///
/// async fn open(location: Location, clock: Clock) -> Result<Database, Error> {
///     Database::at(location, TABLES, None, clock).await
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// # let folder = tempfile::tempdir().expect("a folder");
/// # let clock: Clock = std::sync::Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
/// let database = open(Location::File(folder.path().join("product.db")), clock).await?;
/// # database.close().await;
/// # Ok(())
/// # }
/// ```
///
/// A file is one process's at a time and asks for nothing to be run beside it. A schema may be shared by instances of
/// the same service on several machines, and needs the server to be there: while it is away, every call is
/// [`Error::Environment`].
#[derive(Clone, Debug)]
pub enum Location {
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
///
/// Both lists make the same tables, step by step: a statement of the service names their columns without knowing
/// which of the two was run. A service that is on one engine for good leaves the other list empty.
#[derive(Clone, Copy, Debug)]
pub struct Tables {
    /// For [`Options::schema`].
    pub embedded: &'static [&'static str],
    /// For [`Served::schema`].
    pub served: &'static [&'static str],
}

impl Database {
    /// Opens a schema of another service's to read in it, with one connection: whatever its tables are, none is made or
    /// brought up to date, nor is the schema.
    ///
    /// # Errors
    /// [`Error::Environment`]: the server refuses or is away; cure it and open again.
    pub async fn beside(host: &Host, name: &str, clock: Clock) -> Result<Database, Error> {
        let one = Host { connections: 1, ..host.clone() };
        let server = Box::pin(Server::open_as_it_is(&one, name, clock)).await?;
        Ok(Database { engine: Engine::Served(server) })
    }

    /// Opens the one at this location, as [`Database::open`] or [`Database::connect`] does.
    ///
    /// # Errors
    /// As of the two.
    pub async fn at(
        location: Location,
        tables: Tables,
        publishes: Option<Publishes>,
        clock: Clock,
    ) -> Result<Database, Error> {
        match location {
            Location::File(path) => {
                Database::open(Options { path, schema: tables.embedded, publishes, clock })
            }
            Location::Schema { host, name } => {
                let (address, connections) = (host.whole_address(), host.connections);
                let schema = tables.served;
                let served = Served { address, name, schema, publishes, connections, clock };
                Database::connect(served).await
            }
        }
    }
}
