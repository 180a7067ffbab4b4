//! Where one message on a connection ends and the next begins, decided before anything is parsed.
//!
//! The parser behind it is lenient where two servers could read differently, and has no limit that
//! holds however the bytes arrive. So heads are seen here first: counted, and held back until they
//! are whole; a head whose framing could be read in two ways never gets further. It costs one look at
//! each line of a head (record 0019) and nothing for a body.
//!
//! 1. A head is looked at line by line as it comes, and passes when it is whole: with its end it has said
//!    how long its body is.
//! 2. A body passes as it comes, counted down by its length or followed chunk by chunk, and is looked at
//!    no further than its end.
//! 3. Behind it the next head begins. What is refused or broken has no end that anybody could know: from
//!    there on nothing passes any more.
//!
//! It reads no meaning into a request: method, path and fields are looked at later, by others. Time
//! and sockets are the [`wire`](super::wire)'s.

mod chunks;
pub(super) mod glimpse;
pub(super) mod head;

use http::StatusCode;

use super::problem::Problem;
use chunks::Chunks;
use head::{HeadLimits, Scan};

pub use glimpse::GLIMPSE_BYTES_MAX;
pub use head::{
    ADDED_BYTES_MAX, ADDED_FIELDS_MAX, FIELDS_MAX, HEAD_BYTES_MAX, METHOD_BYTES_MAX,
    NAME_BYTES_MAX, TARGET_BYTES_MAX,
};

/// Why a message goes no further. The connection ends after it: what follows cannot be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A line that ends in LF alone.
    BareLineFeed,
    /// A first line that is no request line.
    RequestLine,
    /// A target with a byte that no target has.
    Target,
    /// A method past [`METHOD_BYTES_MAX`].
    MethodTooLong,
    /// A target past [`TARGET_BYTES_MAX`].
    TargetTooLong,
    /// A head past its [`HeadLimits::bytes`].
    HeadTooLarge,
    /// More fields than [`HeadLimits::fields`].
    TooManyFields,
    /// A field's name past [`NAME_BYTES_MAX`].
    NameTooLong,
    /// A line that is no field: without a name, folded, or with a byte that none has.
    Field,
    /// A field that a head has once at most.
    Twice(&'static str),
    /// A length that is none, or more than one.
    Length,
    /// Content-Length beside Transfer-Encoding, or either where it cannot be.
    Ambiguous,
    /// A transfer coding other than `chunked`.
    Coding,
}

/// How long the body of a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BodyLength {
    Bytes(u64),
    Chunked,
}

/// The messages of one connection, as far as they have come.
#[derive(Debug)]
pub(super) struct Framing {
    limits: HeadLimits,
    state: State,
    heads: u64,
}

#[derive(Debug)]
enum State {
    Head(Scan),
    Bytes(u64),
    Chunks(Chunks),
    /// Nothing that comes has a meaning any more.
    Lost,
}

impl Default for State {
    fn default() -> State {
        State::Head(Scan::default())
    }
}

/// What of a piece may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Passed {
    /// So many of its first bytes.
    pub(super) bytes: usize,
    pub(super) then: Then,
}

/// What is to be done with the rest of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// It begins a head: to be given again with what follows it.
    Wait,
    /// It begins a head that is refused.
    Refuse(Refusal),
    /// It is within a body that breaks here.
    Break,
}

impl Framing {
    /// Of a connection whose heads have these limits.
    pub(super) fn new(limits: HeadLimits) -> Framing {
        Framing { limits, state: State::default(), heads: 0 }
    }

    /// Looks at the next bytes, which begin where the last [`Passed::bytes`] ended.
    ///
    /// A minor version above 1 is rewritten to 1: that is how such a request is to be handled.
    pub(super) fn advance(&mut self, bytes: &mut [u8]) -> Passed {
        let mut at = 0;
        let mut then = Then::Wait;
        while at < bytes.len() && then == Then::Wait {
            let rest = &mut bytes[at..];
            match &mut self.state {
                State::Head(scan) => match scan.read(rest, self.limits) {
                    // Head → Bytes, Chunks, or Head where there is no body.
                    Ok(Some(head)) => {
                        at += head.bytes;
                        self.heads += 1;
                        self.state = State::of(head.body);
                    }
                    // All of it is needed again, with what comes next.
                    Ok(None) => break,
                    Err(refusal) => then = Then::Refuse(refusal),
                },
                State::Bytes(left) => {
                    let taken = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    at += taken;
                    *left -= taken as u64;
                    // Bytes → Head.
                    if *left == 0 {
                        self.state = State::default();
                    }
                }
                State::Chunks(chunks) => {
                    let fed = chunks.feed(rest);
                    at += fed.bytes;
                    match fed.then {
                        chunks::Then::More => {}
                        // Chunks → Head.
                        chunks::Then::Ended => self.state = State::default(),
                        chunks::Then::Broken => then = Then::Break,
                    }
                }
                State::Lost => then = Then::Break,
            }
        }
        // Any → Lost: whatever follows could be read in two ways.
        if then != Then::Wait {
            self.state = State::Lost;
        }
        Passed { bytes: at, then }
    }

    /// How many heads have passed.
    pub(super) fn heads(&self) -> u64 {
        self.heads
    }
}

impl State {
    fn of(body: BodyLength) -> State {
        match body {
            BodyLength::Bytes(0) => State::default(),
            BodyLength::Bytes(left) => State::Bytes(left),
            BodyLength::Chunked => State::Chunks(Chunks::default()),
        }
    }
}

/// Something past its limit.
struct Past {
    status: StatusCode,
    slug: &'static str,
    title: &'static str,
    field: &'static str,
    limit: usize,
}

impl Past {
    fn problem(self) -> Problem {
        let Past { status, slug, title, field, limit } = self;
        Problem::new(status, slug, title)
            .detail(format!("the {field} is past its limit of {limit}"))
            .field(field, "is past its limit", Some(limit.into()))
    }
}

impl Refusal {
    /// What the client is told.
    pub(super) fn problem(self, limits: HeadLimits) -> Problem {
        match self {
            Refusal::BareLineFeed => Problem::bad_request("a line ends in CR LF"),
            Refusal::RequestLine => Problem::bad_request("the first line is no request line"),
            Refusal::Target => Problem::bad_path(),
            Refusal::Field => Problem::bad_request("a line of the head is no field"),
            Refusal::Twice(name) => Problem::bad_field(name, "comes more than once"),
            Refusal::Length => Problem::bad_request("Content-Length is one whole number"),
            Refusal::Ambiguous => {
                Problem::bad_request("a body has either Content-Length or Transfer-Encoding")
            }
            Refusal::Coding => unknown_coding(),
            Refusal::MethodTooLong => METHOD_TOO_LONG.problem(),
            Refusal::TargetTooLong => TARGET_TOO_LONG.problem(),
            Refusal::HeadTooLarge => Past { limit: limits.bytes, ..HEAD_TOO_LARGE }.problem(),
            Refusal::TooManyFields => Past { limit: limits.fields, ..TOO_MANY_FIELDS }.problem(),
            Refusal::NameTooLong => NAME_TOO_LONG.problem(),
        }
    }
}

const METHOD_TOO_LONG: Past = Past {
    status: StatusCode::NOT_IMPLEMENTED,
    slug: "method-too-long",
    title: "There is no such method",
    field: "method",
    limit: METHOD_BYTES_MAX,
};
const TARGET_TOO_LONG: Past = Past {
    status: StatusCode::URI_TOO_LONG,
    slug: "target-too-long",
    title: "The address is too long",
    field: "target",
    limit: TARGET_BYTES_MAX,
};
/// Its limit is the listener's.
const HEAD_TOO_LARGE: Past = Past {
    status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    slug: "head-too-large",
    title: "The head is too large",
    field: "head",
    limit: 0,
};
/// Its limit is the listener's.
const TOO_MANY_FIELDS: Past = Past {
    status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    slug: "too-many-fields",
    title: "The head has too many fields",
    field: "number of fields",
    limit: 0,
};
const NAME_TOO_LONG: Past = Past {
    status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    slug: "name-too-long",
    title: "The name of a field is too long",
    field: "name of a field",
    limit: NAME_BYTES_MAX,
};

fn unknown_coding() -> Problem {
    let (slug, title) = ("transfer-coding", "The transfer coding is not known");
    Problem::new(StatusCode::NOT_IMPLEMENTED, slug, title)
        .detail("Transfer-Encoding is chunked, once, or absent")
}

#[cfg(test)]
mod tests;
