//! Whose fault it is that what is due was not stored: the event's, its topic's, or nobody's.
//!
//! | refused with | fault | so |
//! |---|---|---|
//! | over a limit, cannot be decoded, a statement refused, a panic | the event's | those that came beside it are offered one by one |
//! | no such topic, another number of partitions, a place that is gone, a newer program | the topic's | all that are due to it are put aside, and none is asked for alone |
//! | away, not known, closed, damaged, no room for another source | nobody's | all that are due to it wait, and the process does not do its work |
//!
//! It does not say what is put aside, nor for how long: the loop does ([`runner`](super::runner)).

use crate::error::Error;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Event,
    Topic,
    Nobody,
}

impl Fault {
    pub(super) fn of(error: &Error) -> Fault {
        match error {
            Error::Limit { .. } | Error::Decode { .. } if error.is_of_the_event() => Fault::Event,
            Error::Statement { .. } | Error::Panicked { .. } | Error::Token { .. } => Fault::Event,
            Error::UnknownTopic
            | Error::Partitions { .. }
            | Error::Gone { .. }
            | Error::Newer { .. } => Fault::Topic,
            _ => Fault::Nobody,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_is_the_events_its_topics_or_nobodys() {
        let text = String::new;
        let limit = |field| Error::Limit { field, value: 2, limit: 1 };
        let table = [
            (limit("bytes"), Fault::Event),
            (Error::Decode { what: text() }, Fault::Event),
            (Error::Statement { what: text() }, Fault::Event),
            (Error::Panicked { what: text() }, Fault::Event),
            (Error::Token { what: text() }, Fault::Event),
            (Error::UnknownTopic, Fault::Topic),
            (Error::Partitions { topic: text(), has: 1, asked: 2 }, Fault::Topic),
            (Error::Gone { topic: text(), place: 1, what: text() }, Fault::Topic),
            (Error::Newer { version: text(), known: 1 }, Fault::Topic),
            (limit("sources"), Fault::Nobody),
            (Error::environment("no disk"), Fault::Nobody),
            (Error::Unknown { what: text() }, Fault::Nobody),
            (Error::Damaged { topic: text(), from: 1, to: 2, what: text() }, Fault::Nobody),
            (Error::Closed, Fault::Nobody),
        ];
        for (error, fault) in table {
            assert_eq!(Fault::of(&error), fault, "{error}");
        }
    }
}
