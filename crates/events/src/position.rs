//! The three kinds of position a client may hold, as tokens that cannot be taken for one another.
//!
//! A token is a letter for its kind, the number and the name it counts in, all of it URL-safe. It
//! is opaque to clients; only its own text is accepted back (no leading zeros, no other spelling),
//! so that two tokens are the same position exactly when they are the same text.
//!
//! It does not say whether a position exists: whoever owns the name does.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Offset, Topic};

/// Characters a token has at most; longer ones are refused unread.
pub const TOKEN_CHARS_MAX: usize = 1024;

/// Up to which outbox sequence a write got: what `Yeoul-Position` carries.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WritePosition {
    /// The publisher.
    pub source: String,
    /// The outbox sequence of its newest event.
    pub sequence: u64,
}

/// A place in a topic: what reading events over HTTP goes on from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TopicPosition {
    /// The topic.
    pub topic: Topic,
    /// The place.
    pub offset: Offset,
}

/// A place in a feed of changes: a page's position and the id of a live update.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FeedPosition {
    /// The feed.
    pub feed: String,
    /// The change's count in it.
    pub sequence: u64,
}

impl fmt::Display for WritePosition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Token { kind: 'w', number: self.sequence, name: &self.source }.fmt(formatter)
    }
}

impl fmt::Display for TopicPosition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Token { kind: 't', number: self.offset.0, name: self.topic.as_str() }.fmt(formatter)
    }
}

impl fmt::Display for FeedPosition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Token { kind: 'f', number: self.sequence, name: &self.feed }.fmt(formatter)
    }
}

impl FromStr for WritePosition {
    type Err = Error;

    fn from_str(token: &str) -> Result<WritePosition, Error> {
        let (sequence, source) = read_token(token, 'w')?;
        Ok(WritePosition { source, sequence })
    }
}

impl FromStr for TopicPosition {
    type Err = Error;

    fn from_str(token: &str) -> Result<TopicPosition, Error> {
        let (offset, name) = read_token(token, 't')?;
        let topic = Topic::parse(&name).map_err(|_| refused("the name is no topic"))?;
        Ok(TopicPosition { topic, offset: Offset(offset) })
    }
}

impl FromStr for FeedPosition {
    type Err = Error;

    fn from_str(token: &str) -> Result<FeedPosition, Error> {
        let (sequence, feed) = read_token(token, 'f')?;
        Ok(FeedPosition { feed, sequence })
    }
}

/// A token taken apart; its `Display` is the one spelling there is.
struct Token<'a> {
    kind: char,
    number: u64,
    name: &'a str,
}

impl fmt::Display for Token<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}.", self.kind, self.number)?;
        for byte in self.name.bytes() {
            if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
                write!(formatter, "{}", char::from(byte))?;
            } else {
                write!(formatter, "~{byte:02x}")?;
            }
        }
        Ok(())
    }
}

fn read_token(token: &str, kind: char) -> Result<(u64, String), Error> {
    if token.len() > TOKEN_CHARS_MAX {
        return Err(refused("too long"));
    }
    let rest = token.strip_prefix(kind).ok_or_else(|| refused("another kind"))?;
    let (digits, name) = rest.split_once('.').ok_or_else(|| refused("no name"))?;
    let number = digits.parse().map_err(|_| refused("no whole number"))?;
    let name = unescape(name).ok_or_else(|| refused("the name is malformed"))?;
    if name.is_empty() || (Token { kind, number, name: &name }).to_string() != token {
        return Err(refused("not the spelling it was given out in"));
    }
    Ok((number, name))
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let plain = byte != b'~';
        bytes.push(if plain { byte } else { hex(rest.next()?)? << 4 | hex(rest.next()?)? });
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

fn refused(what: &str) -> Error {
    Error::Token { what: what.to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_three_kinds_are_never_interchangeable() {
        let write = WritePosition { source: "order".into(), sequence: 7 }.to_string();
        let topic = TopicPosition { topic: "order".parse().expect("a topic"), offset: Offset(7) }
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
        ];
        for token in wrong {
            assert!(token.parse::<WritePosition>().is_err(), "{token:?}");
        }
        let longest = format!("w7.{}", "a".repeat(TOKEN_CHARS_MAX - 3));
        assert!(longest.parse::<WritePosition>().is_ok());
        assert!(format!("{longest}a").parse::<WritePosition>().is_err());
    }

    proptest! {
        #[test]
        fn a_token_reads_back_as_itself_and_is_url_safe(source in ".{1,40}", sequence: u64) {
            let position = WritePosition { source, sequence };
            let token = position.to_string();
            prop_assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b)));
            prop_assert_eq!(token.parse::<WritePosition>().expect("its own text"), position);
        }
    }
}
