//! Views in a file of the folder.

use std::path::Path;

use views::{Definitions, Look, Views};
use yeoul_views as views;

/// Random inputs per property.
pub(crate) const CASES: u32 = 48;

pub(crate) fn open(
    folder: &Path,
    definitions: Definitions,
    look: Look,
    clock: events::Clock,
) -> Views {
    Views::open(folder, definitions, look, clock).expect("views open")
}
