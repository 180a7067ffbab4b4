//! What the head of a service's answer says of what follows it.
//!
//! It is looked at after the parser, which has taken what it understood: what two readers could read
//! differently is no answer (record 0019).

use chassis::http::problem::PROXY_STATUS;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue};
use http_body::Body;
use hyper::body::Incoming;

/// Whether a refusal is one that the service itself was given, or gave for want of a resource.
pub(super) fn is_passed_on(headers: &HeaderMap) -> bool {
    let values = headers.get_all(PROXY_STATUS).iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|list| list.split(','))
        .any(|member| member.split(';').next().is_some_and(|name| name.trim() == "yeoul"))
}

/// Whether an answer says in one way alone where it ends. The parser takes what it understands of
/// several codings and drops the label of the rest; a list of lengths would be passed on as one.
pub(super) fn is_framed(headers: &HeaderMap, body: &Incoming) -> bool {
    let name = match body.size_hint().exact() {
        Some(_) => CONTENT_LENGTH,
        None => TRANSFER_ENCODING,
    };
    let is_length = name == CONTENT_LENGTH;
    let mut values = headers.get_all(name).iter();
    let sound = |value: &HeaderValue| match is_length {
        true => value.as_bytes().iter().all(u8::is_ascii_digit),
        false => value.as_bytes().eq_ignore_ascii_case(b"chunked"),
    };
    values.next().is_none_or(sound) && values.next().is_none()
}

/// Whether the answer is a stream that ends when somebody leaves.
pub(super) fn is_endless(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default();
    kind.trim_ascii().eq_ignore_ascii_case(b"text/event-stream")
}
