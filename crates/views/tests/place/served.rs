//! Views in a schema of a real server's, called after the folder that a file would be in.

use std::path::Path;

use views::{Definitions, Look, Server, Views};
use yeoul_views as views;

use crate::mall::block_on;
use crate::server;

/// Few: tests have many schemas open at once.
const CONNECTIONS: u32 = 3;

/// Random inputs per property: each statement goes over a wire.
pub(crate) const CASES: u32 = 6;

pub(crate) fn open(
    folder: &Path,
    definitions: Definitions,
    look: Look,
    clock: events::Clock,
) -> Views {
    let server = connect(folder, server::Server::shared().address());
    block_on(Views::connect(server, definitions, look, clock)).expect("views open")
}

/// The schema of a folder, on the server there.
pub(crate) fn connect(folder: &Path, address: String) -> Server {
    let name = folder.file_name().expect("a folder").to_string_lossy();
    let name = name.replace(|one: char| !one.is_ascii_alphanumeric(), "_").to_lowercase();
    Server { address, name: format!("views{name}"), connections: CONNECTIONS, folds: true }
}
