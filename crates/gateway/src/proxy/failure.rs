//! Why a call got no answer, whose fault that is, and what the client is told.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use chassis::chance;
use chassis::http::Problem;
use guard::refusal::retry_after_seconds;
use http::StatusCode;

use crate::meters::RequestEnd;

/// How soon it is worth trying again after a failure.
const RETRY: Duration = Duration::from_secs(1);

/// A call without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Nobody listens there.
    ConnectionRefused,
    /// The connection did not come about in time.
    ConnectedLate,
    /// The answer's head did not come in time.
    Late,
    /// The connection broke before the answer was there.
    Broken,
    /// What came is no HTTP.
    Nonsense,
    /// The client did not send in time what it declared.
    Client,
    /// What the client sends as a body is none, or broke off.
    Unreadable,
}

impl Failure {
    /// What an HTTP error means.
    pub(crate) fn of(error: &hyper::Error) -> Failure {
        // Asked in this order: what cannot be read is the service's, even where it came while the client was
        // still sending.
        if error.is_parse() || error.is_parse_too_large() || is_garbled(error) {
            Failure::Nonsense
        } else if error.is_user() {
            Failure::Unreadable
        } else {
            Failure::Broken
        }
    }

    /// Whether the service is to blame.
    pub(crate) fn is_the_services(self) -> bool {
        !matches!(self, Failure::Client | Failure::Unreadable)
    }

    /// How the request is counted.
    pub(crate) fn ended(self) -> RequestEnd {
        match self {
            Failure::ConnectionRefused => RequestEnd::ConnectionRefused,
            Failure::ConnectedLate | Failure::Late => RequestEnd::TimedOut,
            Failure::Broken => RequestEnd::Broken,
            Failure::Nonsense => RequestEnd::Nonsense,
            Failure::Client => RequestEnd::Cancelled,
            Failure::Unreadable => RequestEnd::Mistaken,
        }
    }

    /// What the client is told, in words of RFC 9209.
    pub(crate) fn problem(self) -> Problem {
        let seconds = || retry_after_seconds(RETRY, chance::jitter());
        let late = |error: &str| {
            Problem::new(
                StatusCode::GATEWAY_TIMEOUT,
                "timeout",
                "The service did not answer in time",
            )
            .retry_after(seconds())
            .proxy_status(error)
        };
        match self {
            Failure::ConnectionRefused => Problem::unavailable("connection_refused", seconds())
                .detail("the service takes no connections"),
            Failure::Broken => Problem::unavailable("connection_terminated", seconds())
                .detail("the service broke off before it had answered"),
            Failure::ConnectedLate => late("connection_timeout"),
            Failure::Late => late("http_response_timeout"),
            Failure::Nonsense => Problem::new(
                StatusCode::BAD_GATEWAY,
                "bad-gateway",
                "The service's answer cannot be understood",
            )
            .proxy_status("http_protocol_error"),
            Failure::Unreadable => Problem::bad_request("the body cannot be read"),
            Failure::Client => Problem::request_timeout(),
        }
    }
}

/// Whether what came of a body is none: a chunk's size that is no number, or no end where it ends.
fn is_garbled(error: &hyper::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| {
        matches!(cause.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_its_status_and_its_blame() {
        let table = [
            (Failure::ConnectionRefused, 503, "connection_refused", true),
            (Failure::ConnectedLate, 504, "connection_timeout", true),
            (Failure::Late, 504, "http_response_timeout", true),
            (Failure::Broken, 503, "connection_terminated", true),
            (Failure::Nonsense, 502, "http_protocol_error", true),
            (Failure::Client, 408, "", false),
            (Failure::Unreadable, 400, "", false),
        ];
        for (failure, status, error, blamed) in table {
            let response = failure.problem().into_response(&chassis::http::Trace::start());
            assert_eq!(response.status(), status, "{failure:?}");
            assert_eq!(failure.is_the_services(), blamed, "{failure:?}");
            let status_field = response.headers().get("proxy-status").map(|value| value.to_str());
            let expected = format!("yeoul; error={error}");
            assert_eq!(status_field.and_then(Result::ok), blamed.then_some(expected.as_str()));
            let again = response.headers().contains_key("retry-after");
            assert_eq!(again, matches!(status, 503 | 504), "{failure:?}");
        }
    }
}
