//! The switches of `--faults`: services off and on, delays, failures, redelivery.
//!
//! They change what a running mall does, not what it has stored, and every one can be repeated.

use std::sync::Arc;

use chassis::http::fields::Fields;
use chassis::http::{Problem, Response, empty};
use events::subscription::Control;
use http::{HeaderMap, StatusCode};
use mall::{Endpoint, Faults, Name};
use tracing::error;

use super::problem;

/// Where the mall's services are served, and their faults.
pub(crate) struct Switches {
    pub(crate) endpoints: Arc<Vec<Endpoint>>,
    pub(crate) faults: Faults,
}

impl Switches {
    pub(super) async fn stop(&self, name: &str) -> Result<Response, Problem> {
        self.endpoint(name)?.stop().await;
        Ok(empty(StatusCode::NO_CONTENT))
    }

    pub(super) async fn start(&self, name: &str) -> Result<Response, Problem> {
        let started = self.endpoint(name)?.start();
        started.map_err(|cause| {
            error!(%cause, name, "a service could not be started again");
            Problem::conflict("its address has been taken by another process")
        })?;
        Ok(empty(StatusCode::NO_CONTENT))
    }

    pub(super) fn put_fault(
        &self,
        service: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Response, Problem> {
        let name = parse(service)?;
        // The fault is a document of its own shape; Fields says whether it is JSON at all.
        Fields::parse(headers, body)?;
        let fault = serde_json::from_slice(body).map_err(|_| Problem::bad_request("not JSON"))?;
        self.faults.put(name, &fault)?;
        Ok(empty(StatusCode::NO_CONTENT))
    }

    pub(super) fn end_faults(&self, service: &str) -> Result<Response, Problem> {
        self.faults.clear(parse(service)?);
        Ok(empty(StatusCode::NO_CONTENT))
    }

    fn endpoint(&self, name: &str) -> Result<&Endpoint, Problem> {
        let name = parse(name)?;
        self.endpoints.iter().find(|it| it.name() == name).ok_or_else(Problem::not_found)
    }
}

/// Delivers a subscription's topic again from its beginning.
pub(super) async fn rewind(
    controls: &[Control],
    name: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response, Problem> {
    let control =
        controls.iter().find(|control| control.name() == name).ok_or_else(Problem::not_found)?;
    let mut fields = Fields::parse(headers, body)?;
    fields.require("to");
    let to = fields.text("to", 64);
    if to.as_deref().is_some_and(|to| to != "beginning") {
        fields.note("to", "must be `beginning`", None);
    }
    fields.finish()?;
    control.rewind().await.map_err(|error| problem(&error))?;
    Ok(empty(StatusCode::NO_CONTENT))
}

fn parse(name: &str) -> Result<Name, Problem> {
    name.parse().map_err(|_| Problem::not_found())
}
