//! A database of a test's own: a schema on the server that the tests of a program share.

use super::server;
use crate::Clock;
use crate::store::database::Database;
use crate::store::options::{Publishes, Served};

/// A schema that no other test has.
#[derive(Clone)]
pub(crate) struct TestSchema {
    pub(crate) address: String,
    pub(crate) name: String,
}

impl TestSchema {
    /// A new one, on the shared server.
    pub(crate) fn fresh() -> TestSchema {
        TestSchema::on(&server::Server::shared().address())
    }

    /// A new one, by way of this address.
    pub(crate) fn on(address: &str) -> TestSchema {
        TestSchema { address: address.to_owned(), name: server::unique("test") }
    }

    /// As an instance of a service is given it.
    pub(crate) fn options(
        &self,
        schema: &'static [&'static str],
        publishes: Option<Publishes>,
        clock: Clock,
    ) -> Served {
        let TestSchema { address, name } = self.clone();
        Served { address, name, schema, publishes, connections: 8, clock }
    }

    /// Opens it, once more where it is open.
    pub(crate) async fn open(
        &self,
        schema: &'static [&'static str],
        publishes: Option<Publishes>,
        clock: Clock,
    ) -> Database {
        Database::connect(self.options(schema, publishes, clock)).await.unwrap()
    }

    /// Runs statements in it behind everybody's back.
    pub(crate) fn execute(&self, statements: &str) -> String {
        let here = format!("SET search_path = {}; {statements}", self.name);
        server::sql(&self.address, &here).unwrap()
    }
}
