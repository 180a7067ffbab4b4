//! Problem documents (RFC 9457): the one place where a refusal becomes HTTP.
//!
//! A problem says in public words what is wrong and, for bad input, which field and which limit; it
//! never carries a stack, a path or an upstream's text. Refusals of our own doing that pass also say
//! when to come back (`Retry-After`) and who refused (`Proxy-Status`, RFC 9209).

use http::header::{ACCEPT_ENCODING, ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::Value;

use super::Response;
use super::body::Body;
use super::trace::Trace;
use crate::chance;
use crate::schema::Schema;
use crate::wire;

/// How many field errors one problem lists.
pub const FIELD_ERRORS_MAX: usize = 100;

/// A refusal on its way to the client.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem(Box<Parts>);

#[derive(Clone, Debug, PartialEq)]
struct Parts {
    status: StatusCode,
    slug: &'static str,
    title: &'static str,
    detail: String,
    errors: Vec<FieldError>,
    error: Option<String>,
    events: Option<Value>,
    headers: HeaderMap,
}

wire! {
    Camel "camelCase":
    /// One field of bad input.
    #[derive(Clone, Debug, PartialEq)]
    pub struct FieldError {
        /// The member as the domain names it.
        pub field: String,
        /// What is wrong with it.
        pub reason: String,
        /// The limit that it broke, where there is one.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub limit: Option<Value>,
    }
}

wire! {
    Camel "camelCase":
    struct Document<'a> {
        r#type: String,
        title: &'a str,
        status: u16,
        detail: &'a str,
        trace: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        errors: Option<&'a [FieldError]>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        events: Option<&'a Value>,
    }
}

/// A refusal's shape is that of its document.
impl Schema for Problem {
    fn schema() -> Value {
        Document::schema()
    }
}

impl Problem {
    /// A problem of the type `/problems/{slug}`.
    pub fn new(status: StatusCode, slug: &'static str, title: &'static str) -> Problem {
        Problem(Box::new(Parts {
            status,
            slug,
            title,
            detail: String::new(),
            errors: Vec::new(),
            error: None,
            events: None,
            headers: HeaderMap::new(),
        }))
    }

    /// With a sentence about this very case.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Problem {
        self.0.detail = detail.into();
        self
    }

    /// With one more field that is wrong; past [`FIELD_ERRORS_MAX`] they are left out.
    #[must_use]
    pub fn field(
        mut self,
        field: impl Into<String>,
        reason: impl Into<String>,
        limit: Option<Value>,
    ) -> Problem {
        if self.0.errors.len() < FIELD_ERRORS_MAX {
            self.0.errors.push(FieldError { field: field.into(), reason: reason.into(), limit });
        }
        self
    }

    /// With this field alone as what is wrong.
    #[must_use]
    pub fn only(
        mut self,
        field: impl Into<String>,
        reason: impl Into<String>,
        limit: usize,
    ) -> Problem {
        self.0.errors.clear();
        self.field(field, reason, Some(limit.into()))
    }

    /// With the word that RFC 6749 has for it, as the member `error`; an empty one is left out.
    #[must_use]
    pub fn error(mut self, word: impl Into<String>) -> Problem {
        self.0.error = Some(word.into()).filter(|word| !word.is_empty());
        self
    }

    /// With the events that stand against what was asked for, as the member `events`.
    #[must_use]
    pub fn events(mut self, events: Value) -> Problem {
        self.0.events = Some(events);
        self
    }

    /// With a header of its own.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Problem {
        self.0.headers.insert(name, value);
        self
    }

    /// With the whole seconds after which it is worth coming back.
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Problem {
        self.header(RETRY_AFTER, seconds.max(1).into())
    }

    /// With who refused: `Proxy-Status: yeoul; error=…` (an error type of RFC 9209).
    #[must_use]
    pub fn proxy_status(self, error: &str) -> Problem {
        let value = HeaderValue::try_from(format!("yeoul; error={error}"));
        self.header(PROXY_STATUS, value.expect("error types are plain words"))
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The fields that are wrong.
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// The answer, with the request's trace.
    pub fn into_response(self, trace: &Trace) -> Response {
        // In a box until here: every handler returns one of these in its `Result`.
        let parts = *self.0;
        let document = Document {
            r#type: format!("/problems/{}", parts.slug),
            title: parts.title,
            status: parts.status.as_u16(),
            detail: if parts.detail.is_empty() { parts.title } else { &parts.detail },
            trace: trace.id(),
            errors: Some(&*parts.errors).filter(|errors| !errors.is_empty()),
            error: parts.error.as_deref(),
            events: parts.events.as_ref(),
        };
        let body = serde_json::to_vec(&document).expect("our own types serialise");
        let mut response = Response::new(Body::full(body));
        *response.status_mut() = parts.status;
        *response.headers_mut() = parts.headers;
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
            .headers_mut()
            .insert(http::header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

/// What a 401 asks for (RFC 6750, section 3).
pub const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"yeoul\"");
const INVALID_TOKEN: &str = "Bearer realm=\"yeoul\", error=\"invalid_token\", \
     error_description=\"the token is not valid, or no longer\"";

/// `Proxy-Status` (RFC 9209).
pub const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

/// The refusals that several listeners share.
impl Problem {
    /// 400: the path could stand for another one.
    pub fn bad_path() -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "bad-path", "The path is not acceptable")
    }

    /// 400 with a sentence.
    pub fn bad_request(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "bad-request", "The request is not acceptable")
            .detail(detail)
    }

    /// 400 for one field.
    pub fn bad_field(field: &str, reason: impl Into<String>) -> Problem {
        let reason = reason.into();
        Problem::bad_request(format!("{field} {reason}")).field(field, reason, None)
    }

    /// 401: nothing was presented; sign in first.
    pub fn unauthorized() -> Problem {
        Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "Sign in first")
            .header(WWW_AUTHENTICATE, CHALLENGE)
    }

    /// 401: what was presented is no token, or no longer one (RFC 6750, section 3.1).
    pub fn invalid_token() -> Problem {
        Problem::unauthorized()
            .detail("the token is not valid, or no longer")
            .header(WWW_AUTHENTICATE, HeaderValue::from_static(INVALID_TOKEN))
    }

    /// 403 with a sentence.
    pub fn forbidden(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::FORBIDDEN, "forbidden", "Not allowed").detail(detail)
    }

    /// 404.
    pub fn not_found() -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "not-found", "There is no such thing")
    }

    /// 405 with what is allowed.
    pub fn method_not_allowed(allowed: &[Method]) -> Problem {
        let list = allowed.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        let value = HeaderValue::try_from(list).expect("methods are plain words");
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Wrong method")
            .header(ALLOW, value)
    }

    /// 408: the client did not send in time what it declared.
    pub fn request_timeout() -> Problem {
        Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "request-timeout",
            "The request did not come in time",
        )
    }

    /// 409 with the reason.
    pub fn conflict(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::CONFLICT, "conflict", "The present state does not allow it")
            .detail(detail)
    }

    /// 412: the state is another one than the request was made for; nothing was changed.
    pub fn precondition_failed() -> Problem {
        let title = "It has changed, or is not as expected";
        Problem::new(StatusCode::PRECONDITION_FAILED, "precondition-failed", title)
            .detail("the condition of If-Match or If-None-Match is false; nothing was changed")
    }

    /// 413 past `limit` bytes.
    pub fn too_large(limit: usize) -> Problem {
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large")
            .detail(format!("the body has more than {limit} bytes"))
            .field("body", "is too large", Some(limit.into()))
    }

    /// 415.
    pub fn unsupported_media_type(expected: &'static str) -> Problem {
        Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", "Unsupported media type")
            .detail(format!("the body must be {expected} and say so in Content-Type"))
    }

    /// 415 for a body in a content coding, with the one that is taken.
    pub fn coded() -> Problem {
        let says = "the body must be as it is (`identity`), in no content coding";
        Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "content-coding",
            "Unsupported content coding",
        )
        .detail(says)
        .field("Content-Encoding", "must be `identity`, or absent", None)
        .header(ACCEPT_ENCODING, HeaderValue::from_static("identity"))
    }

    /// 422 with the reason.
    pub fn unprocessable(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unprocessable", "Cannot be processed")
            .detail(detail)
    }

    /// 429, back after `seconds`.
    pub fn too_many(seconds: u64) -> Problem {
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many requests")
            .detail("the rate limit is used up")
            .retry_after(seconds)
            .proxy_status("http_request_denied")
    }

    /// 503 of our own doing, with an RFC 9209 error type, back after `seconds`.
    pub fn unavailable(error: &str, seconds: u64) -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not available just now")
            .retry_after(seconds)
            .proxy_status(error)
    }

    /// 503: the disk refused a write; nothing was done. Back after 5 s and a little more.
    pub fn storage_unavailable() -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "storage", "Cannot be stored just now")
            .detail("nothing was stored; try again later")
            .retry_after(chance::seconds(STORAGE_RETRY_SECONDS))
            .proxy_status("destination_unavailable")
    }

    /// 503: what was asked for cannot be read at the moment; nothing is said of what is stored.
    pub fn unreadable() -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not available just now")
            .detail("it cannot be read just now; try again later")
            .retry_after(chance::seconds(STORAGE_RETRY_SECONDS))
            .proxy_status("destination_unavailable")
    }

    /// 503: whether it was stored is not known, so a client that asks again may have it done twice.
    pub fn outcome_unknown() -> Problem {
        Problem::storage_unavailable().detail(
            "it is not known whether it was stored; look, or ask again with the same Idempotency-Key",
        )
    }

    /// 500: our mistake; the cause is in the log under this trace.
    pub fn internal() -> Problem {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong here")
    }
}

/// The shortest wait for a disk that refused a write.
const STORAGE_RETRY_SECONDS: u64 = 5;
