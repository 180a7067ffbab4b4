//! A row of the outbox that has a whole event, which another program wrote: it is published as that wrote it, and numbered like
//! any other.

use crate::event::Event;

/// The type of such a row; no event of a service is of it.
pub(crate) const WHOLE: &str = "application/cloudevents+json";

/// Its data: the event without what is stamped when it is read.
pub(crate) fn data(event: Event) -> String {
    let bare = Event { outbox_sequence: None, outbox_previous: None, outbox_source: None, ..event };
    String::from_utf8(bare.to_json()).expect("JSON is text")
}
