//! Rows in a schema on a server: a table per view, each column bytes that sort as values do.
//!
//! What is here is derived, as in a file: under other definitions the views' tables are dropped with the feed and
//! with the subscriptions' places, in one transaction, and the events make them again. Instances that open at once
//! take turns.

pub(crate) mod instances;
mod schema;

use events::Database;
use events::store::Served;

use super::Store;
use super::rows::{Comparison, Statements};
use crate::definition::Definitions;
use crate::error::Error;

/// A packed value tells by its bytes alone what it is, and nothing is bytes too.
const COMPARED: Comparison = Comparison { same, differs };

/// Connections beside those: one sees what others fold, the other says that this instance is there.
const CONNECTIONS_APART: u32 = 2;

/// Where the views are kept on a server.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where it is; see [`Served::address`].
    pub address: String,
    /// What the schema is called there.
    pub name: String,
    /// Connections that are open at a time for pages and batches; two more are for seeing what others fold.
    pub connections: u32,
    /// Whether it may fold there. One that only reads what others fold drops nobody's rows: under other definitions it
    /// is refused.
    pub folds: bool,
}

/// Opens the schema, made anew if its rows were folded under other definitions.
pub(crate) async fn connect(
    server: Server,
    definitions: &Definitions,
    clock: events::Clock,
) -> Result<Store, Error> {
    let Server { address, name, connections, folds } = server;
    let now = clock();
    let (schema, publishes) = (schema::TABLES, None);
    let served = Served { address, name, schema, publishes, connections, clock };
    let apart = Served { connections: CONNECTIONS_APART, ..served.clone() };
    let database = Database::connect(served).await?;
    let apart = Database::connect(apart).await?;
    let feed_id = schema::prepare(&database, definitions, folds, now).await?;
    let statements = definitions.views.iter().map(|view| Statements::new(view, COMPARED)).collect();
    Ok(Store { database, apart, feed_id, statements })
}

fn same(name: &str, number: usize) -> String {
    format!("\"{name}\" = ?{number}")
}

fn differs(name: &str, number: usize) -> String {
    format!("\"{name}\" <> ?{number}")
}
