//! What the mall's services do, for its description: the operation at each path of each port.
//!
//! Each service says it by its own table, the types that it writes and its readers (see
//! [`chassis::openapi`]). Which of the paths are let in from outside, and to whom, is the settings'
//! business: whoever has compiled them asks here for what a route's service does.

use chassis::openapi::About;

pub use crate::described::Described;
use crate::{account, delivery, order, product};

/// Where the gateway shows it.
pub const PATH: &str = "/openapi.json";

/// What stands above the paths.
pub const ABOUT: About = About {
    title: "12st Mall",
    version: env!("CARGO_PKG_VERSION"),
    description: "What the mall answers at the gateway. A GET that accepts text/html is shown a page of \
        the same status in the place of a problem document.",
};

/// What every service's port does.
pub fn services() -> Vec<Described> {
    let mut all = order::described::operations();
    all.extend(product::described::operations());
    all.extend(delivery::described::operations());
    all.extend(account::described::operations());
    all
}
