//! What the head of a service's answer says of what follows it.
//!
//! It is looked at after the parser, which has taken what it understood: what two readers could read
//! differently is no answer (record 0019). All fields are looked at in one walk: to look one up costs more
//! than to pass over it.

use std::time::Duration;

use chassis::http::problem::PROXY_STATUS;
use http::HeaderMap;
use http_body::Body;
use hyper::body::Incoming;

/// Whether a refusal is one that the service itself was given, or gave for want of a resource.
pub(super) fn is_passed_on(headers: &HeaderMap) -> bool {
    let values = headers.get_all(PROXY_STATUS).iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|list| list.split(','))
        .any(|member| member.split(';').next().is_some_and(|name| name.trim() == "yeoul"))
}

/// What a walk over an answer's head finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Summary {
    /// Whether it says in one way alone where the answer ends. The parser takes what it understands of
    /// several codings and drops the label of the rest; a list of lengths would be passed on as one.
    pub(super) is_framed: bool,
    /// Whether the answer is a stream that ends when somebody leaves.
    pub(super) is_endless: bool,
    /// How long the service keeps the connection, where it says so.
    pub(super) keep_alive: Option<Duration>,
}

/// Reads the head of an answer whose body is this.
pub(super) fn summarise(headers: &HeaderMap, body: &Incoming) -> Summary {
    summarise_sized(headers, body.size_hint().exact().is_some())
}

/// Reads the head of an answer; its length is known or not.
fn summarise_sized(headers: &HeaderMap, is_sized: bool) -> Summary {
    let mut summary = Summary { is_framed: true, is_endless: false, keep_alive: None };
    // The parser has passed all of these on; how it framed the body shows in whether its length is known.
    let (mut framings, mut kinds) = (0, 0);
    for (name, value) in headers {
        match name.as_str() {
            // Beside chunks it says the end a second time, and not always the same one.
            "content-length" => {
                framings += 1;
                summary.is_framed &= value.as_bytes().iter().all(u8::is_ascii_digit);
            }
            "transfer-encoding" if !is_sized => {
                framings += 1;
                summary.is_framed &= value.as_bytes().eq_ignore_ascii_case(b"chunked");
            }
            "content-type" => {
                kinds += 1;
                summary.is_endless |= kinds == 1 && is_events(value.as_bytes());
            }
            "keep-alive" if summary.keep_alive.is_none() => {
                summary.keep_alive = value.to_str().ok().and_then(timeout);
            }
            _ => {}
        }
    }
    summary.is_framed &= framings <= 1;
    summary
}

fn is_events(kind: &[u8]) -> bool {
    let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default();
    kind.trim_ascii().eq_ignore_ascii_case(b"text/event-stream")
}

/// The `timeout` of a `Keep-Alive`: whole seconds.
fn timeout(value: &str) -> Option<Duration> {
    let parameters = value.split(',').filter_map(|it| it.trim().split_once('='));
    let mut timeouts = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("timeout"));
    let seconds = timeouts.next()?.1.trim().trim_matches('"').parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn summary(fields: &[(&str, &str)], is_sized: bool) -> Summary {
        let field = |(name, value): &(&str, &str)| {
            let name = name.parse::<HeaderName>().expect("a name");
            (name, value.parse::<HeaderValue>().expect("a value"))
        };
        let mut headers = HeaderMap::new();
        for (name, value) in fields.iter().map(field) {
            headers.append(name, value);
        }
        summarise_sized(&headers, is_sized)
    }

    #[test]
    fn an_answer_says_in_one_way_where_it_ends() {
        for (fields, is_sized, expected) in [
            (&[][..], true, true),
            (&[("content-length", "12")], true, true),
            (&[("content-length", "12, 12")], true, false),
            (&[("content-length", "1"), ("content-length", "1")], true, false),
            (&[("transfer-encoding", "Chunked")], false, true),
            (&[("transfer-encoding", "gzip, chunked")], false, false),
            (&[("transfer-encoding", "gzip")], false, false),
            (&[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")], false, false),
            (&[("content-length", "2"), ("transfer-encoding", "chunked")], false, false),
            (&[("transfer-encoding", "chunked"), ("content-length", "50")], false, false),
            (&[("content-length", "2"), ("transfer-encoding", "chunked")], true, true),
            (&[], false, true),
        ] {
            assert_eq!(summary(fields, is_sized).is_framed, expected, "{fields:?} {is_sized}");
        }
    }

    #[test]
    fn a_stream_of_events_is_told_by_its_first_media_type() {
        for (kind, expected) in [
            ("text/event-stream", true),
            ("Text/Event-Stream; charset=utf-8", true),
            ("text/event-streams", false),
            ("application/x-ndjson", false),
        ] {
            assert_eq!(summary(&[("content-type", kind)], false).is_endless, expected, "{kind}");
        }
        let two = [("content-type", "text/plain"), ("content-type", "text/event-stream")];
        assert!(!summary(&two, false).is_endless);
    }

    #[test]
    fn a_service_says_how_long_it_keeps_a_connection() {
        for (value, expected) in [
            ("timeout=5", Some(5)),
            ("max=100, Timeout = \"2\"", Some(2)),
            ("timeout=0", Some(0)),
            ("timeout=-1", None),
            ("timeout=x", None),
            ("max=5", None),
            ("", None),
        ] {
            let expected = expected.map(Duration::from_secs);
            assert_eq!(summary(&[("keep-alive", value)], true).keep_alive, expected, "{value}");
        }
    }
}
