//! The trace that a publisher's request belongs to, continued into its events (CloudEvents' Distributed Tracing extension).
//!
//! An event that says itself which trace it belongs to keeps that: it may have been written long before it is published. One
//! that says nothing belongs to the request, with the caller's own span, in which the event was made; `tracestate` is of its
//! `traceparent` and goes with it. Where the request says nothing, neither does the event.
//!
//! What names no trace is taken for none, the event's as well as the request's, and its `tracestate` is not looked at
//! (W3C Trace Context, section 3.2.2.3 to 3.3): who hands on what he was handed must not be refused a sale by it.

use chassis::http::trace;
use events::Event;
use events::event::foreign::Extension;
use http::HeaderMap;
use serde_json::value::to_raw_value;

/// What the extension and the header are called.
const TRACESTATE: &str = "tracestate";

/// Characters of a state that are passed on, as the recommendation has them at least (W3C Trace Context, section 3.3.1.5);
/// a longer one is left out, which it allows.
const TRACESTATE_CHARS_MAX: usize = 512;

/// Has events without a trace continue the request's.
pub(super) fn continued(events: &mut [Event], headers: &HeaderMap) {
    events.iter_mut().for_each(without_what_is_none);
    let Some(traceparent) = trace::given(headers) else { return };
    let state = state(headers);
    for event in events.iter_mut().filter(|event| event.cause.traceparent.is_none()) {
        event.cause.traceparent = Some(traceparent.to_owned());
        // An event's own state is of no trace that it names.
        without_state(event);
        // What comes from outside has room for what it says beside.
        let Some(foreign) = &mut event.foreign else { continue };
        foreign.extensions.extend(state.clone());
    }
}

/// Takes away a trace that is none, with its state.
fn without_what_is_none(event: &mut Event) {
    if event.cause.traceparent.take_if(|text| !trace::is_traceparent(text)).is_some() {
        without_state(event);
    }
}

fn without_state(event: &mut Event) {
    if let Some(foreign) = &mut event.foreign {
        foreign.extensions.retain(|extension| extension.name != TRACESTATE);
    }
}

/// The request's state: a list, so its fields are one text.
fn state(headers: &HeaderMap) -> Option<Extension> {
    let lists: Result<Vec<&str>, _> =
        headers.get_all(TRACESTATE).iter().map(|list| list.to_str()).collect();
    let state = lists.ok()?.join(",");
    let fits = (1..=TRACESTATE_CHARS_MAX).contains(&state.len());
    let value = fits.then(|| to_raw_value(&state).expect("a text is JSON"))?;
    Some(Extension { name: TRACESTATE.to_owned(), value })
}

#[cfg(test)]
mod tests {
    use events::event::incoming::incoming;
    use http::{HeaderName, HeaderValue};
    use jiff::Timestamp;
    use serde_json::Value;

    use super::*;

    const REQUEST: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const OWN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn traced(members: &str, headers: &[(&'static str, &str)]) -> [Value; 2] {
        let event =
            format!(r#"{{"specversion":"1.0","id":"1","source":"/a","type":"A"{members}}}"#);
        let event = incoming(event.as_bytes(), Timestamp::UNIX_EPOCH).expect("an event");
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            let value: HeaderValue = value.parse().expect("a value");
            all.append(HeaderName::from_static(name), value);
        }
        let mut events = [event];
        continued(&mut events, &all);
        let shown: Value = serde_json::from_slice(&events[0].to_json()).expect("JSON");
        ["traceparent", TRACESTATE].map(|name| shown[name].clone())
    }

    #[test]
    fn an_event_without_a_trace_belongs_to_the_request_and_one_with_it_to_its_own() {
        let request = [("traceparent", REQUEST), (TRACESTATE, "a=1"), (TRACESTATE, "b=2")];
        let own = format!(r#","traceparent":"{OWN}","tracestate":"c=3""#);
        let text = |text: &str| Value::from(text);
        assert_eq!(traced("", &request), [text(REQUEST), text("a=1,b=2")]);
        assert_eq!(traced(&own, &request), [text(OWN), text("c=3")]);
        assert_eq!(traced(r#","tracestate":"c=3""#, &request), [text(REQUEST), text("a=1,b=2")]);
        assert_eq!(traced("", &request[..1]), [text(REQUEST), Value::Null]);
    }

    #[test]
    fn what_an_event_says_that_is_no_trace_is_taken_for_none() {
        let zeros = format!("00-{}-b7ad6b7169203331-01", "0".repeat(32));
        let (upper, newest) = (OWN.to_uppercase(), OWN.replacen("00", "ff", 1));
        for garbage in ["garbage", &zeros, &upper, &newest, &format!("{OWN}-x")] {
            let own = format!(r#","traceparent":"{garbage}","tracestate":"c=3""#);
            assert_eq!(traced(&own, &[]), [Value::Null, Value::Null], "{garbage}");
            let request = [("traceparent", REQUEST), (TRACESTATE, "a=1")];
            assert_eq!(traced(&own, &request), [REQUEST, "a=1"].map(Value::from), "{garbage}");
        }
        let later = format!("cc{}-what-comes", &OWN[2..]);
        let own = format!(r#","traceparent":"{later}""#);
        assert_eq!(traced(&own, &[]), [Value::from(later), Value::Null]);
    }

    #[test]
    fn what_is_no_trace_is_not_continued() {
        let none = [Value::Null, Value::Null];
        assert_eq!(traced("", &[(TRACESTATE, "a=1")]), none);
        assert_eq!(traced("", &[("traceparent", "t"), (TRACESTATE, "a=1")]), none);
        let long = "a".repeat(TRACESTATE_CHARS_MAX + 1);
        let request = [("traceparent", REQUEST), (TRACESTATE, &long)];
        assert_eq!(traced("", &request), [Value::from(REQUEST), Value::Null]);
    }
}
