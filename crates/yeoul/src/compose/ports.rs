//! The ports of a process, bound before anything is opened.

use chassis::http::Listener;

use crate::exit::Failure;
use crate::process;
use crate::settings::Checked;

/// Three listeners that do not accept yet.
pub(crate) struct Ports {
    pub(crate) outer: Listener,
    pub(crate) inner: Listener,
    pub(crate) admin: Listener,
}

impl Ports {
    /// Binds them all: a taken port is found before anything is done.
    pub(crate) fn bind(plan: &Checked) -> Result<Ports, Failure> {
        Ok(Ports {
            outer: Listener::bind(plan.listen)
                .map_err(process::port)?
                .for_clients(plan.gateway.trusted().clone()),
            inner: Listener::bind(plan.inner).map_err(process::port)?,
            admin: Listener::bind(plan.admin).map_err(process::port)?,
        })
    }
}
