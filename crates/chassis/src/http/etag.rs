//! Entity tags and the conditions that name them (RFC 9110, sections 8.8.3 and 13.1).
//!
//! A tag may hold commas, and most bytes that are no quote: a list is read byte by byte, never split.
//! Reading allocates nothing, since a page is asked for by its tag more often than not.
//!
//! It says what a header holds and which tags are equal; which condition holds, who changes something
//! decides.

use http::HeaderMap;
use http::header::AsHeaderName;

/// One member of `If-Match` or `If-None-Match`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member<'h> {
    /// `*`: anything that is there.
    Any,
    /// One entity tag.
    Tag(Tag<'h>),
}

/// An entity tag as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag<'h> {
    /// Whether it began with `W/`.
    pub weak: bool,
    /// The rest, quotes included.
    pub opaque: &'h [u8],
}

/// What stands there is no list of entity tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl Tag<'_> {
    /// Whether both name the same bytes: never where one is weak.
    pub fn is_strongly(&self, strong: &str) -> bool {
        !self.weak && self.is_weakly(strong)
    }

    /// Whether both name the same content; `strong` is a tag of ours, quotes included.
    pub fn is_weakly(&self, strong: &str) -> bool {
        self.opaque == strong.as_bytes()
    }
}

/// The members of every header of that name, in order; a mistake ends its header.
pub fn members(
    headers: &HeaderMap,
    name: impl AsHeaderName,
) -> impl Iterator<Item = Result<Member<'_>, Malformed>> {
    headers.get_all(name).into_iter().flat_map(|value| Members { rest: value.as_bytes() })
}

/// Whether one of the tags in the headers of that name is `etag`, weakly compared; what is no tag is
/// passed over.
pub fn names(headers: &HeaderMap, name: impl AsHeaderName, etag: &str) -> bool {
    members(headers, name).any(|member| match member {
        Ok(Member::Any) => true,
        Ok(Member::Tag(tag)) => tag.is_weakly(etag),
        Err(Malformed) => false,
    })
}

/// What is left of one header.
struct Members<'h> {
    rest: &'h [u8],
}

impl<'h> Iterator for Members<'h> {
    type Item = Result<Member<'h>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        // A list may have empty members (RFC 9110, section 5.6.1.2).
        while let [b' ' | b'\t' | b',', rest @ ..] = self.rest {
            self.rest = rest;
        }
        if self.rest.is_empty() {
            return None;
        }
        let read = leading(self.rest).filter(|it| ends(it.rest));
        let Some(Leading { member, rest }) = read else {
            self.rest = &[];
            return Some(Err(Malformed));
        };
        self.rest = rest;
        Some(Ok(member))
    }
}

/// The member that a text begins with, and what follows.
struct Leading<'h> {
    member: Member<'h>,
    rest: &'h [u8],
}

fn leading(text: &[u8]) -> Option<Leading<'_>> {
    if let Some(rest) = text.strip_prefix(b"*") {
        return Some(Leading { member: Member::Any, rest });
    }
    let (weak, text) = text.strip_prefix(b"W/").map_or((false, text), |rest| (true, rest));
    let inner = text.strip_prefix(b"\"")?;
    let length = inner.iter().position(|byte| *byte == b'"')?;
    let fits = |byte: &u8| *byte == b'!' || (*byte >= b'#' && *byte != 0x7f);
    if !inner[..length].iter().all(fits) {
        return None;
    }
    let (opaque, rest) = text.split_at(length + 2);
    Some(Leading { member: Member::Tag(Tag { weak, opaque }), rest })
}

/// Whether a member may end here: at the end, or before a comma.
fn ends(rest: &[u8]) -> bool {
    let rest = rest.trim_ascii_start();
    rest.is_empty() || rest.starts_with(b",")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::IF_MATCH;

    use super::*;

    fn headers(values: &[&[u8]]) -> HeaderMap {
        let value = |bytes: &&[u8]| HeaderValue::from_bytes(bytes).expect("a value");
        values.iter().map(|bytes| (IF_MATCH, value(bytes))).collect()
    }

    fn read(values: &[&[u8]]) -> Vec<String> {
        let headers = headers(values);
        let shown = members(&headers, IF_MATCH).map(|member| match member {
            Ok(Member::Any) => "*".to_owned(),
            Ok(Member::Tag(tag)) => {
                let weak = if tag.weak { "W/" } else { "" };
                format!("{weak}{}", String::from_utf8_lossy(tag.opaque))
            }
            Err(Malformed) => "malformed".to_owned(),
        });
        shown.collect()
    }

    #[test]
    fn a_list_is_read_member_by_member() {
        let cases: [(&[&[u8]], &[&str]); 12] = [
            (&[], &[]),
            (&[b""], &[]),
            (&[b"*"], &["*"]),
            (&[b"\"a\""], &["\"a\""]),
            (&[b"\"\""], &["\"\""]),
            (&[b"W/\"a\""], &["W/\"a\""]),
            (&[b"\"a\",\"b\" ,\t W/\"c\""], &["\"a\"", "\"b\"", "W/\"c\""]),
            (&[b"\"a\"", b"\"b\""], &["\"a\"", "\"b\""]),
            (&[b", \"a\",, \"b\","], &["\"a\"", "\"b\""]),
            (&[b"\"a,b\", \"c*\""], &["\"a,b\"", "\"c*\""]),
            (&["\"가\"".as_bytes()], &["\"가\""]),
            (&[b"\"W/\""], &["\"W/\""]),
        ];
        for (values, members) in cases {
            assert_eq!(read(values), members, "{values:?}");
        }
    }

    #[test]
    fn what_is_no_tag_is_a_mistake_and_ends_its_header() {
        let cases: [(&[&[u8]], &[&str]); 9] = [
            (&[b"a"], &["malformed"]),
            (&[b"\"a"], &["malformed"]),
            (&[b"a\""], &["malformed"]),
            (&[b"w/\"a\""], &["malformed"]),
            (&[b"W/a"], &["malformed"]),
            (&[b"\"a b\""], &["malformed"]),
            (&[b"\"a\"\"b\""], &["malformed"]),
            (&[b"\"a\", b, \"c\"", b"\"d\""], &["\"a\"", "malformed", "\"d\""]),
            (&[b"*x"], &["malformed"]),
        ];
        for (values, members) in cases {
            assert_eq!(read(values), members, "{values:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_list_of_tags_is_read_back_as_it_was_written(
            tags in proptest::collection::vec((proptest::bool::ANY, "[!#-~]{0,8}"), 0..6),
            space in "[ \\t,]{0,3}",
        ) {
            let written: Vec<String> = tags
                .iter()
                .map(|(weak, text)| format!("{}\"{text}\"", if *weak { "W/" } else { "" }))
                .collect();
            let list = written.join(&format!("{space},{space}"));
            proptest::prop_assert_eq!(read(&[list.trim().as_bytes()]), written);
        }

        #[test]
        fn any_bytes_are_read_to_their_end(bytes in proptest::collection::vec(0x20_u8..0xff, 0..64)) {
            let bytes: Vec<u8> = bytes.into_iter().filter(|byte| *byte != 0x7f).collect();
            proptest::prop_assert!(read(&[&bytes]).len() <= bytes.len());
        }
    }

    #[test]
    fn a_weak_tag_is_never_the_same_bytes() {
        let tag = |weak| Tag { weak, opaque: b"\"a\"" };
        assert!(tag(false).is_strongly("\"a\"") && !tag(true).is_strongly("\"a\""));
        assert!(tag(false).is_weakly("\"a\"") && tag(true).is_weakly("\"a\""));
        assert!(!tag(false).is_weakly("\"b\""));
        let cases: [(&[&[u8]], bool); 8] = [
            (&[], false),
            (&[b"\"a\""], true),
            (&[b"W/\"a\""], true),
            (&[b"\"b\", \"a\""], true),
            (&[b"\"b\"", b"\"a\""], true),
            (&[b"*"], true),
            (&[b"\"b\""], false),
            (&[b"a"], false),
        ];
        for (given, named) in cases {
            assert_eq!(super::names(&headers(given), IF_MATCH, "\"a\""), named, "{given:?}");
        }
        let tags = headers(&[b"x, \"q\"", b"\"b\", W/\"a\""]);
        let names = |etag| super::names(&tags, IF_MATCH, etag);
        assert!(names("\"a\"") && names("\"b\"") && !names("\"c\"") && !names("\"q\""));
    }
}
