//! Services with a file each.

use std::path::Path;

use chassis::sealing::SealingKey;
use events::store::Host;

/// No server.
pub(crate) fn host(_: &Path) -> Option<Host> {
    None
}

/// Keys are in files.
pub(crate) fn sealing() -> Option<SealingKey> {
    None
}
