//! Services with a file each.

use std::path::Path;

use events::store::Host;

/// No server.
pub(crate) fn host(_: &Path) -> Option<Host> {
    None
}
