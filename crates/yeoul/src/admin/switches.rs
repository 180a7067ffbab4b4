//! The switches of `--faults`: services off and on, delays, failures, redelivery.
//!
//! They change what a running process does, not what it has stored, and every one can be repeated. Which
//! services there are, their composition knows.

use std::future::Future;
use std::pin::Pin;

use chassis::http::fields::Fields;
use chassis::http::{Problem, Request, Response, empty, whole};
use events::subscription::Control;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use hyper::body::Bytes;
use serde_json::Value;

use super::problem;

/// What can be switched, service by service; a service that there is none of is 404.
pub(crate) trait Switches: Send + Sync {
    /// Closes a service's listener, its handlers and its relay.
    fn stop<'s>(
        &'s self,
        service: &'s str,
    ) -> Pin<Box<dyn Future<Output = Result<(), Problem>> + 's>>;

    /// Serves it again, at the same address.
    ///
    /// # Errors
    /// 409: another process took the address.
    fn start(&self, service: &str) -> Result<(), Problem>;

    /// Puts a fault in the place of the service's fault of the same kind.
    ///
    /// # Errors
    /// 400: it is none.
    fn put_fault(&self, service: &str, fault: &Value) -> Result<(), Problem>;

    /// Ends every fault of it.
    fn end_faults(&self, service: &str) -> Result<(), Problem>;
}

/// A request whose body is read.
pub(super) struct BodyRequest {
    headers: HeaderMap,
    body: Bytes,
}

impl BodyRequest {
    /// Reads it to its end.
    ///
    /// # Errors
    /// 413, and a body that broke off.
    pub(super) async fn read(request: Request) -> Result<BodyRequest, Problem> {
        let headers = request.headers().clone();
        let body = request.into_body();
        let body = whole::read(&headers, body, whole::BODY_BYTES_MAX).await?;
        Ok(BodyRequest { headers, body })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.body.is_empty()
    }

    /// It, where it is said to be JSON.
    ///
    /// # Errors
    /// 415: it is said to be something else, or nothing.
    pub(super) fn json(&self) -> Result<&[u8], Problem> {
        let is_json =
            |value: &HeaderValue| value.to_str().is_ok_and(events::event::foreign::is_json);
        match self.headers.get(CONTENT_TYPE).is_some_and(is_json) {
            true => Ok(&self.body),
            false => Err(Problem::unsupported_media_type("application/json")),
        }
    }

    /// Its members.
    ///
    /// # Errors
    /// As of [`Fields::parse`].
    pub(super) fn fields(&self) -> Result<Fields, Problem> {
        Fields::parse(&self.headers, &self.body)
    }
}

/// The answer of a switch that was turned.
pub(super) fn turned(done: Result<(), Problem>) -> Result<Response, Problem> {
    done.map(|()| empty(StatusCode::NO_CONTENT))
}

/// Reads the fault of a request and puts it.
pub(super) fn put_fault(
    switches: &dyn Switches,
    service: &str,
    given: &BodyRequest,
) -> Result<Response, Problem> {
    // The fault is a document of its own shape; Fields says whether it is JSON at all.
    given.fields()?;
    let fault =
        serde_json::from_slice(&given.body).map_err(|_| Problem::bad_request("not JSON"))?;
    turned(switches.put_fault(service, &fault))
}

/// Delivers a subscription's topic again from its beginning.
pub(super) async fn rewind(
    controls: &[Control],
    name: &str,
    given: &BodyRequest,
) -> Result<Response, Problem> {
    let control =
        controls.iter().find(|control| control.name() == name).ok_or_else(Problem::not_found)?;
    let mut fields = given.fields()?;
    fields.require("to");
    let to = fields.text("to", 64);
    if to.as_deref().is_some_and(|to| to != "beginning") {
        fields.note("to", "must be `beginning`", None);
    }
    fields.finish()?;
    control.rewind().await.map_err(|error| problem(&error))?;
    Ok(empty(StatusCode::NO_CONTENT))
}
