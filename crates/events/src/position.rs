//! The three kinds of position a client may hold, as tokens that cannot be taken for one another.
//!
//! A token is a letter for its kind, the numbers and the names they count in, all of it URL-safe:
//! `w17.order` for the first partition's number 17, `w17_3-20.order` with the fourth's number 20 beside it.
//! It is opaque to clients; only its own text is accepted back (no leading zeros, no other spelling), so
//! that two tokens are the same position exactly when they are the same text.
//!
//! | kind | counts | whoever has it may ask |
//! |---|---|---|
//! | [`WritePosition`] | one publisher's events | a reader: wait until what I wrote can be seen |
//! | [`TopicPosition`] | one topic's events | the topic: what comes after this |
//! | [`FeedPosition`] | one feed's changes | the feed: what changed since this |
//!
//! ```
//! use yeoul_events::{FeedPosition, WritePosition};
//!
//! let written = WritePosition::new("order", 17).for_key("9");
//! let token = written.to_string();
//! assert_eq!(token, "w17.order.9");
//! assert_eq!(token.parse::<WritePosition>()?, written);
//! // What was given out for one purpose is refused for another.
//! assert!(token.parse::<FeedPosition>().is_err());
//! # Ok::<(), yeoul_events::Error>(())
//! ```
//!
//! It does not know whether a position exists: whoever owns the name does.

use std::fmt;
use std::iter;
use std::str::FromStr;

use crate::error::Error;
use crate::partition::numbers::Numbers;
use crate::topic::Topic;

/// Characters a token has at most, all of them of one byte; longer ones are refused unread. Room for a number
/// of sixteen digits in each of [`PARTITIONS_MAX`](crate::partition::PARTITIONS_MAX) partitions, and names.
pub const TOKEN_CHARS_MAX: usize = 4096;

/// Up to which outbox sequences a write got: what `Yeoul-Position` carries.
///
/// Known when the write is acknowledged, before anything was relayed. A reader that is given it
/// answers with something at least as new, or not at all. Positions of one publisher are ordered by
/// their sequences; those of two say nothing about each other, so a client that wrote to both keeps
/// both.
///
/// A number is had from what was published ([`Published`](crate::store::Published)):
///
/// ```
/// use yeoul_events::WritePosition;
///
/// // Only what is parked under this order's own key can keep a reader from getting there.
/// let position = WritePosition::new("order", 1).for_key("9");
/// assert_eq!(position.to_string(), "w1.order.9");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WritePosition {
    /// The publisher.
    pub source: String,
    /// The outbox sequence of its newest event, in each partition that it wrote to.
    pub sequences: Numbers,
    /// The partition key of its events: what is parked under other keys is not waited for. Without
    /// one it is everything of the source.
    pub key: Option<String>,
}

/// A place in a topic: what reading events over HTTP goes on from. Exclusive: reading goes on with the
/// events after it, and without an offset reads all.
///
/// ```
/// # use std::sync::Arc;
/// # use yeoul_events::{Broker, Clock, Error, Event, Log, Numbers, Offset, Partition, Topic, TopicPosition};
/// /// One page for a client, and the token by which it asks for the next one.
/// async fn page(log: &Log, topic: &Topic, from: Option<&str>) -> Result<(usize, String), Error> {
///     let after = match from {
///         Some(token) => token.parse::<TopicPosition>()?.offsets.of(Partition::FIRST),
///         None => 0,
///     };
///     let events = log.read(&topic.first(), Offset(after), 2).await?;
///     let last = events.last().map_or(after, |stored| stored.offset.0);
///     let next = TopicPosition { topic: topic.clone(), offsets: Numbers::from(last) };
///     Ok((events.len(), next.to_string()))
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// # let folder = tempfile::tempdir().expect("a folder");
/// # let clock: Clock = Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
/// # let topic = Topic::parse("order")?;
/// # let log = Log::open(folder.path(), std::slice::from_ref(&topic), clock)?;
/// # let event = Event::from_json(
/// #     br#"{"specversion":"1.0","id":"1","source":"a","type":"A","time":"2024-05-01T12:00:00Z"}"#,
/// # )?;
/// # log.publish(&topic.first(), vec![event; 3]).await?;
/// assert_eq!(page(&log, &topic, None).await?, (2, "t2.order".to_owned()));
/// assert_eq!(page(&log, &topic, Some("t2.order")).await?, (1, "t3.order".to_owned()));
/// // At the end the same token comes back: ask again with it later.
/// assert_eq!(page(&log, &topic, Some("t3.order")).await?, (0, "t3.order".to_owned()));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TopicPosition {
    /// The topic.
    pub topic: Topic,
    /// The offset in each partition that was read from; the others are at their beginning.
    pub offsets: Numbers,
}

/// A place in a feed of changes: a page's position and the id of a live update. Exclusive, as a
/// topic's.
///
/// A page is read together with its position; whoever then follows the feed from there gets every change since, and none
/// that the page shows already. A feed that was made anew has another name, so that a place of before is no place in it:
///
/// ```
/// use yeoul_events::FeedPosition;
///
/// /// From which change on a client goes on that shows the token of what it has; `None`: it has to read the page again.
/// fn goes_on(feed: &str, oldest: u64, token: &str) -> Option<u64> {
///     let has: FeedPosition = token.parse().ok()?;
///     (has.feed == feed && has.sequence + 1 >= oldest).then_some(has.sequence)
/// }
///
/// let token = FeedPosition { feed: "b7".to_owned(), sequence: 41 }.to_string();
/// assert_eq!(token, "f41.b7");
/// assert_eq!(goes_on("b7", 40, &token), Some(41));
/// assert_eq!(goes_on("b7", 90, &token), None, "what came in between is kept no more");
/// assert_eq!(goes_on("c1", 1, &token), None, "another feed");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FeedPosition {
    /// The feed.
    pub feed: String,
    /// The change's count in it.
    pub sequence: u64,
}

impl WritePosition {
    /// Everything that `source` published up to `sequences`: a number alone is one of the first partition.
    pub fn new(source: impl Into<String>, sequences: impl Into<Numbers>) -> WritePosition {
        WritePosition { source: source.into(), sequences: sequences.into(), key: None }
    }

    /// What was stored in a topic up to these places, of publishers that nobody numbers: a reader that has them has all of
    /// it. Such events are known by their place, and their publisher is the topic itself.
    ///
    /// ```
    /// use yeoul_events::{Topic, WritePosition};
    ///
    /// let position = WritePosition::in_topic(&Topic::parse("news")?, 17);
    /// assert_eq!(position.to_string(), "w17.log~2enews");
    /// # Ok::<(), yeoul_events::Error>(())
    /// ```
    pub fn in_topic(topic: &Topic, places: impl Into<Numbers>) -> WritePosition {
        WritePosition::new(WritePosition::source_in(topic), places)
    }

    /// What the publisher of such a position is called: as nobody is who has an outbox, since their names have no dot.
    pub fn source_in(topic: &Topic) -> String {
        format!("log.{topic}")
    }

    /// Only what was published under this key, so that an event which is parked under another one holds up nobody who
    /// waits for this; as before where the token would grow past [`TOKEN_CHARS_MAX`], or the key is empty.
    #[must_use]
    pub fn for_key(self, key: impl Into<String>) -> WritePosition {
        let narrowed = WritePosition { key: Some(key.into()), ..self };
        let fits = narrowed.to_string().len() <= TOKEN_CHARS_MAX;
        WritePosition { key: narrowed.key.filter(|key| fits && !key.is_empty()), ..narrowed }
    }
}

impl fmt::Display for WritePosition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, second) = (&*self.source, self.key.as_deref());
        Token { kind: 'w', numbers: &self.sequences, name, second }.fmt(formatter)
    }
}

impl fmt::Display for TopicPosition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.topic.as_str();
        Token { kind: 't', numbers: &self.offsets, name, second: None }.fmt(formatter)
    }
}

impl fmt::Display for FeedPosition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Token { kind: 'f', numbers: self.sequence, name: &self.feed, second: None }.fmt(formatter)
    }
}

impl FromStr for WritePosition {
    type Err = Error;

    fn from_str(token: &str) -> Result<WritePosition, Error> {
        let Parsed { numbers, name, second } = Parsed::token(token, 'w')?;
        Ok(WritePosition { source: name, sequences: numbers, key: second })
    }
}

impl FromStr for TopicPosition {
    type Err = Error;

    fn from_str(token: &str) -> Result<TopicPosition, Error> {
        let Parsed { numbers, name, .. } = Parsed::token(token, 't')?.of_one_name()?;
        let topic = Topic::parse(&name).map_err(|_| refused("the name is no topic"))?;
        Ok(TopicPosition { topic, offsets: numbers })
    }
}

impl FromStr for FeedPosition {
    type Err = Error;

    fn from_str(token: &str) -> Result<FeedPosition, Error> {
        let Parsed { numbers, name, .. } = Parsed::token(token, 'f')?.of_one_name()?;
        Ok(FeedPosition { feed: name, sequence: numbers })
    }
}

/// A token taken apart; its `Display` is the one spelling there is.
struct Token<'a, N> {
    kind: char,
    numbers: N,
    name: &'a str,
    second: Option<&'a str>,
}

impl<N: fmt::Display> fmt::Display for Token<'_, N> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.kind, self.numbers)?;
        for name in iter::once(self.name).chain(self.second) {
            formatter.write_str(".")?;
            name.bytes().try_for_each(|byte| escape(formatter, byte))?;
        }
        Ok(())
    }
}

/// What a token was found to have, in the order of its text.
struct Parsed<N> {
    numbers: N,
    name: String,
    second: Option<String>,
}

impl<N: fmt::Display + FromStr> Parsed<N> {
    /// Takes a token apart. What it found is put together again and compared: the one sure way to accept
    /// nothing but the spelling that was given out.
    fn token(token: &str, kind: char) -> Result<Parsed<N>, Error> {
        if token.len() > TOKEN_CHARS_MAX {
            return Err(refused("too long"));
        }
        let rest = token.strip_prefix(kind).ok_or_else(|| refused("another kind"))?;
        let (numbers, names) = rest.split_once('.').ok_or_else(|| refused("no name"))?;
        let numbers: N = numbers.parse().map_err(|_| refused("no whole number"))?;
        let (name, second) = names.split_once('.').map_or((names, None), |(a, b)| (a, Some(b)));
        let (name, second) = (read_name(name)?, second.map(read_name).transpose()?);
        let again = Token { kind, numbers: &numbers, name: &name, second: second.as_deref() };
        if again.to_string() != token {
            return Err(refused("not the spelling it was given out in"));
        }
        Ok(Parsed { numbers, name, second })
    }

    fn of_one_name(self) -> Result<Parsed<N>, Error> {
        if self.second.is_some() { Err(refused("more than one name")) } else { Ok(self) }
    }
}

/// The dot stands between names, so one within a name is escaped too.
fn escape(formatter: &mut fmt::Formatter<'_>, byte: u8) -> fmt::Result {
    if byte.is_ascii_alphanumeric() || b"_-".contains(&byte) {
        write!(formatter, "{}", char::from(byte))
    } else {
        write!(formatter, "~{byte:02x}")
    }
}

/// A name as it was before it was escaped; an empty one is none.
fn read_name(text: &str) -> Result<String, Error> {
    // Not every store has a NUL in a text.
    let name = unescape(text).filter(|name| !name.is_empty() && !name.contains('\0'));
    name.ok_or_else(|| refused("the name is malformed"))
}

/// `None` where an escape is cut off or is no hexadecimal, or where the bytes are no UTF-8.
fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let plain = byte != b'~';
        bytes.push(if plain { byte } else { hex(rest.next()?)? << 4 | hex(rest.next()?)? });
    }
    String::from_utf8(bytes).ok()
}

/// Lower case alone: upper case would be a second spelling of the same token.
fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// Never with the token itself: what a client sent is not repeated to it.
fn refused(what: &str) -> Error {
    Error::Token { what: what.to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::partition::{Numbered, PARTITIONS_MAX, Partition};

    #[test]
    fn the_three_kinds_are_never_interchangeable() {
        let write = WritePosition::new("order", 7).to_string();
        let topic = TopicPosition { topic: "order".parse().expect("a topic"), offsets: 7.into() }
            .to_string();
        let feed = FeedPosition { feed: "order".into(), sequence: 7 }.to_string();
        for (token, kinds) in [
            (write, [true, false, false]),
            (topic, [false, true, false]),
            (feed, [false, false, true]),
        ] {
            let parsed = [
                token.parse::<WritePosition>().is_ok(),
                token.parse::<TopicPosition>().is_ok(),
                token.parse::<FeedPosition>().is_ok(),
            ];
            assert_eq!(parsed, kinds, "{token}");
        }
    }

    #[test]
    fn anything_but_its_own_text_is_refused() {
        assert!("w7.order".parse::<WritePosition>().is_ok());
        assert!("w18446744073709551615.order".parse::<WritePosition>().is_ok());
        let wrong = [
            "",
            "w",
            "7.order",
            "w7",
            "w7.",
            "w.order",
            "w-1.order",
            "w+7.order",
            "w07.order",
            "w18446744073709551616.order",
            "w7.a b",
            "w7.~6",
            "w7.~zz",
            "w7.~6f",
            "w7.~FF",
            "W7.order",
            "w7.~ff",
            "w7.order\n",
            "w7.order.",
            "w7..1",
            "w7.order.1.2",
            "w7.order.a~2",
            "t7.order.1",
            "w0-7.order",
            "w7_0-8.order",
            "w3-7_2-8.order",
            "w3-7_3-8.order",
            "w7_3-0.order",
            "w0_3-7.order",
            "w7_.order",
            "w_7.order",
            "w7_128-1.order",
            "w7.a~00b",
            "w7.order.a~00b",
        ];
        for token in wrong {
            assert!(token.parse::<WritePosition>().is_err(), "{token:?}");
        }
        let longest = format!("w7.{}", "a".repeat(TOKEN_CHARS_MAX - 3));
        assert!(longest.parse::<WritePosition>().is_ok());
        assert!(format!("{longest}a").parse::<WritePosition>().is_err());
    }

    #[test]
    fn a_key_that_would_make_the_token_too_long_is_left_out() {
        let position = |chars: usize| WritePosition::new("o", 7).for_key("k".repeat(chars));
        let most = TOKEN_CHARS_MAX - "w7.o.".len();
        assert_eq!(position(most).to_string().parse::<WritePosition>().unwrap(), position(most));
        assert_eq!(position(most + 1), WritePosition::new("o", 7));
        assert_eq!(position(0), WritePosition::new("o", 7));
    }

    proptest! {
        #[test]
        fn a_token_reads_back_as_itself_and_is_url_safe(
            source in "[^\0]{1,40}",
            sequences in proptest::collection::vec((0..PARTITIONS_MAX, 0..u64::MAX), 0..200),
            key in proptest::option::of("[^\0]{1,40}"),
        ) {
            let numbered = |(at, number)| Numbered { partition: Partition::new(at).unwrap(), number };
            let sequences: Numbers = sequences.into_iter().map(numbered).collect();
            let position = WritePosition { source, sequences, key };
            let token = position.to_string();
            prop_assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b)));
            prop_assert_eq!(token.parse::<WritePosition>().expect("its own text"), position);
        }
    }
}
