//! Asks product for a product, through the guard on the gateway's inner listener.
//!
//! One client for each core: its connections are kept alive and its tasks never leave the core. A call
//! that is dropped (its customer went away) drops its connection with it, which the guard sees as a
//! cancelled call and no failure. Limits in time are the guard's; the one here ([`ASK_FOR`]) only
//! keeps a broken listener from holding an order forever.
//!
//! It says that it is order that asks, by a token that it signs for product ([`ServiceKey`]) where the parts have a
//! secret in common: neither the guard nor product has to believe an address.
//!
//! It does not retry a call that was answered and does not judge the answer.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use chassis::chance;
use chassis::http::Trace;
use chassis::http::problem::PROXY_STATUS;
use chassis::http::trace::TRACEPARENT;
use chassis::http::whole;
use chassis::identity::service::ServiceKey;
use events::Clock;
use http::header::{AUTHORIZATION, RETRY_AFTER};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper_util::client::legacy::{self, Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tracing::{debug, warn};

use super::model::Replica;
use super::wire::ProductAnswer;
use crate::components::Components;
use crate::settings::Name;

/// The longest an answer is waited for: above any timeout a guard is likely to have.
pub(super) const ASK_FOR: Duration = Duration::from_secs(30);

/// Idle connections kept on a core.
const IDLE_MAX: usize = 64;
/// How long one is kept: less than a listener of ours waits for the next request.
const IDLE_FOR: Duration = Duration::from_secs(30);

/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// The error that is passed on where the answer names none (RFC 9209).
const NO_ERROR_NAMED: &str = "destination_unavailable";

/// The client of one core.
pub(super) struct StockCheck {
    address: SocketAddr,
    /// What its tokens are signed with, and when.
    key: Option<ServiceKey>,
    clock: Clock,
    client: Client<HttpConnector, Empty<Bytes>>,
}

/// What came of asking.
#[derive(Debug)]
pub(super) enum Availability {
    /// The product as it is now.
    Product(Replica),
    /// Product knows no such product.
    Unknown,
    /// No answer; when to come back, and what the guard called it.
    Unavailable { retry_after: u64, error: String },
}

impl StockCheck {
    /// A client of the guarded route at [`Components::stock_check`].
    pub(super) fn new(components: &Components) -> StockCheck {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_FOR)
            .pool_max_idle_per_host(IDLE_MAX)
            .build(connector);
        let key = components.gateway.as_deref().map(ServiceKey::of);
        let (address, clock) = (components.stock_check, components.clock.clone());
        StockCheck { address, key, clock, client }
    }

    /// Asks for the product `id`.
    pub(super) async fn ask(&self, id: u64, trace: &Trace) -> Availability {
        // However it ends, there is an answer: no order waits for a question that nobody answers, and none is
        // taken on a guess.
        match tokio::time::timeout(ASK_FOR, self.answer(id, trace)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                warn!(error, trace = trace.id(), "the stock check was not answered");
                Availability::unavailable(&HeaderMap::new())
            }
            Err(_) => Availability::unavailable(&HeaderMap::new()),
        }
    }

    async fn answer(&self, id: u64, trace: &Trace) -> Result<Availability, String> {
        let response = self.send(id, trace).await.map_err(|error| error.to_string())?;
        let (head, body) = response.into_parts();
        let body = whole::answered(body, ANSWER_BYTES_MAX).await;
        let body = body.map_err(|error| error.to_string())?;
        match head.status {
            StatusCode::OK => {
                let answer: ProductAnswer = serde_json::from_slice(&body)
                    .map_err(|error| format!("not a product: {error}"))?;
                Ok(Availability::Product(answer.into()))
            }
            // Product's own word; that it cannot be reached is a 5xx of the guard's, and no product that is
            // unknown.
            StatusCode::NOT_FOUND => Ok(Availability::Unknown),
            _ => Ok(Availability::unavailable(&head.headers)),
        }
    }

    /// Sends on an idle connection or a new one. An idle one may be closed at the far end in this very
    /// moment; then the request, which changes nothing, goes out once more.
    async fn send(&self, id: u64, trace: &Trace) -> Result<Response<Incoming>, legacy::Error> {
        match self.client.request(self.request(id, trace)).await {
            Err(error) if !error.is_connect() => {
                debug!(%error, "a connection to the inner listener broke");
                self.client.request(self.request(id, trace)).await
            }
            answered => answered,
        }
    }

    fn request(&self, id: u64, trace: &Trace) -> Request<Empty<Bytes>> {
        let mut request = Request::get(format!("http://{}/product/{id}", self.address))
            .header(TRACEPARENT, trace.traceparent());
        if let Some(key) = &self.key {
            let token = key.sign(Name::Order.as_str(), Name::Product.as_str(), (self.clock)());
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        request.body(Empty::new()).expect("a number, an address and a trace make a request")
    }
}

impl Availability {
    fn unavailable(headers: &HeaderMap) -> Availability {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        // Passed on as the guard says it: the client comes back when the circuit lets somebody through, not
        // before.
        let named = text(RETRY_AFTER).and_then(|text| text.parse().ok());
        let error = text(PROXY_STATUS).and_then(error_named).unwrap_or(NO_ERROR_NAMED);
        let retry_after = named.unwrap_or_else(|| chance::seconds(1));
        Availability::Unavailable { retry_after, error: error.to_owned() }
    }
}

/// The `error` parameter of a Proxy-Status.
fn error_named(status: &str) -> Option<&str> {
    let (_, rest) = status.split_once("error=")?;
    let end = rest.find(|c: char| !(c.is_ascii_lowercase() || c == '_')).unwrap_or(rest.len());
    Some(&rest[..end]).filter(|error| !error.is_empty())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_refusal_is_passed_on_with_its_time_and_its_name() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static("4"));
        let status = HeaderValue::from_static("yeoul; error=http_response_timeout; details=\"x\"");
        headers.insert(PROXY_STATUS, status);
        let Availability::Unavailable { retry_after, error } = Availability::unavailable(&headers)
        else {
            panic!("a refusal");
        };
        assert_eq!((retry_after, error.as_str()), (4, "http_response_timeout"));

        let Availability::Unavailable { retry_after, error } =
            Availability::unavailable(&HeaderMap::new())
        else {
            panic!("a refusal");
        };
        assert!((1..=2).contains(&retry_after) && error == NO_ERROR_NAMED);
    }

    #[test]
    fn an_error_that_is_no_plain_word_is_not_passed_on() {
        for (status, error) in [
            ("yeoul; error=connection_refused", Some("connection_refused")),
            ("yeoul", None),
            ("yeoul; error=", None),
            ("yeoul; error=\"x\"", None),
        ] {
            assert_eq!(error_named(status), error, "{status}");
        }
    }
}
