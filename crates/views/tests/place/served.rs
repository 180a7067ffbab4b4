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
    let name = folder.file_name().expect("a folder").to_string_lossy();
    let name = name.replace(|one: char| !one.is_ascii_alphanumeric(), "_").to_lowercase();
    let address = server::Server::shared().address();
    let server = Server { address, name: format!("views{name}"), connections: CONNECTIONS };
    block_on(Views::connect(server, definitions, look, clock)).expect("views open")
}
