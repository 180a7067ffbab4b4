//! Services in a database of a real server's, called after the folder that files would be in.

use std::path::Path;

use chassis::sealing::SealingKey;
use events::store::Host;

use crate::server::{Server, sql};

/// Few: tests have many services open at once.
const CONNECTIONS: u32 = 5;

/// The server, with the folder's database on it.
pub(crate) fn host(folder: &Path) -> Option<Host> {
    let name = folder.file_name().expect("a folder").to_string_lossy();
    let name = name.replace(|one: char| !one.is_ascii_alphanumeric(), "_").to_lowercase();
    let (name, server) = (format!("mall{name}"), Server::shared().address());
    // Whoever restarts finds it there.
    let there = format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'");
    if sql(&server, &there).expect("databases") == "0" {
        sql(&server, &format!("CREATE DATABASE {name}")).expect("a database");
    }
    let (place, _) = server.rsplit_once('/').expect("an address");
    let address = format!("{place}/{name}").parse().expect("an address");
    Some(Host { address, password: None, connections: CONNECTIONS })
}

/// What seals the keys on it.
pub(crate) fn sealing() -> Option<SealingKey> {
    Some("5".repeat(64).parse().expect("a key"))
}
