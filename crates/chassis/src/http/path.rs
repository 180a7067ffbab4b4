//! Paths: decoded once, refused where they could stand for another, matched exactly.
//!
//! A path is never normalised onto another route: whatever a later hop might read differently (an
//! encoded slash, a dot segment, a backslash, a path parameter) is refused here, before anything is
//! looked up. A trailing slash is another path.

use std::borrow::Cow;
use std::fmt;

use crate::hex;

/// The longest path that is looked at.
pub const PATH_BYTES_MAX: usize = 8 * 1024;

/// A path of decoded segments, borrowed where nothing was encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path<'r> {
    segments: Vec<Cow<'r, str>>,
}

/// The path could stand for another one: 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadPath;

impl<'r> Path<'r> {
    /// Splits and decodes a raw path (`/orders/1%40x`).
    ///
    /// # Errors
    /// `%2f`, `%00`, `;`, `..`, `//`, backslash, control characters, encoded or not, bad escapes,
    /// no leading slash, or more than [`PATH_BYTES_MAX`].
    pub fn parse(raw: &'r str) -> Result<Path<'r>, BadPath> {
        let inner = raw.strip_prefix('/').ok_or(BadPath)?;
        if raw.len() > PATH_BYTES_MAX {
            return Err(BadPath);
        }
        if inner.is_empty() {
            return Ok(Path { segments: Vec::new() });
        }
        let mut segments = Vec::with_capacity(4);
        let mut parts = inner.split('/').peekable();
        while let Some(part) = parts.next() {
            // A trailing slash leaves an empty last segment: a path of its own that matches nothing.
            if part.is_empty() && (parts.peek().is_some() || segments.is_empty()) {
                return Err(BadPath);
            }
            segments.push(decode(part)?);
        }
        Ok(Path { segments })
    }

    /// The decoded segments; the root has none, a trailing slash leaves an empty last one.
    pub fn segments(&self) -> &[Cow<'r, str>] {
        &self.segments
    }

    /// The path without its trailing slash, if it has one: another path, which many servers take for
    /// the same.
    pub fn without_slash(&self) -> Option<Path<'_>> {
        let (last, rest) = self.segments.split_last()?;
        let borrowed = || rest.iter().map(|segment| Cow::Borrowed(segment.as_ref())).collect();
        last.is_empty().then(|| Path { segments: borrowed() })
    }
}

fn decode(segment: &str) -> Result<Cow<'_, str>, BadPath> {
    let decoded =
        if segment.contains('%') { Cow::Owned(unescape(segment)?) } else { segment.into() };
    // Judged as it is decoded: `%2e%2e` and `%2f` are what they stand for.
    if !is_plain(decoded.as_bytes()) && decoded.contains(is_forbidden)
        || matches!(decoded.as_ref(), "." | "..")
    {
        return Err(BadPath);
    }
    Ok(decoded)
}

/// Most segments are these; nothing in them is forbidden.
fn is_plain(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~@+".contains(byte))
}

fn is_forbidden(c: char) -> bool {
    matches!(c, '/' | '\\' | ';') || c.is_control()
}

fn unescape(segment: &str) -> Result<String, BadPath> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let (Some(high), Some(low)) = (rest.next(), rest.next()) else { return Err(BadPath) };
            bytes.push(hex::byte(high, low).ok_or(BadPath)?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).map_err(|_| BadPath)
}

/// A pattern of paths: `/orders/{id}`, or `/orders/**` for `/orders` and everything below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    parts: Vec<Part>,
    open_end: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Name(String),
}

/// How exact a pattern is: the greater, the more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    // Compared in this order: literals before names, closed before open ends, longer before shorter.
    literals: usize,
    closed: bool,
    parts: usize,
}

/// What the named parts of a pattern stood for, in the pattern's order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(Vec<String>);

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// In words: what is wrong with it.
    pub fn parse(text: &str) -> Result<Pattern, String> {
        let inner = text.strip_prefix('/').ok_or("a path begins with `/`")?;
        // `/**` alone is everything; behind something else its slash belongs to the open end.
        let (inner, open_end) = match inner {
            "**" => ("", true),
            _ => inner.strip_suffix("/**").map_or((inner, false), |inner| (inner, true)),
        };
        let mut parts = Vec::new();
        for part in inner.split('/').filter(|_| !inner.is_empty()) {
            parts.push(Part::parse(part)?);
        }
        Ok(Pattern { parts, open_end })
    }

    /// What `path` fills into the pattern, if it matches.
    pub fn matches(&self, path: &Path<'_>) -> Option<Params> {
        let segments = path.segments();
        let fits = if self.open_end {
            segments.len() >= self.parts.len()
        } else {
            segments.len() == self.parts.len()
        };
        if !fits {
            return None;
        }
        let mut params = Vec::new();
        for (part, segment) in self.parts.iter().zip(segments) {
            match part {
                Part::Literal(literal) if literal == segment => {}
                // An empty segment is no name: `/orders/` is not the order without an id.
                Part::Name(_) if !segment.is_empty() => params.push(segment.clone().into_owned()),
                _ => return None,
            }
        }
        Some(Params(params))
    }

    /// Whether some path could match both.
    pub fn overlaps(&self, other: &Pattern) -> bool {
        let length = match (self.open_end, other.open_end) {
            (false, false) => self.parts.len() == other.parts.len(),
            (true, false) => other.parts.len() >= self.parts.len(),
            (false, true) => self.parts.len() >= other.parts.len(),
            (true, true) => true,
        };
        length
            && self.parts.iter().zip(&other.parts).all(|(one, two)| match (one, two) {
                (Part::Literal(one), Part::Literal(two)) => one == two,
                _ => true,
            })
    }

    /// The literal that it begins with.
    pub fn first(&self) -> Option<&str> {
        match self.parts.first() {
            Some(Part::Literal(literal)) => Some(literal),
            _ => None,
        }
    }

    /// How exact it is.
    pub fn rank(&self) -> Rank {
        let literals = self.parts.iter().filter(|part| matches!(part, Part::Literal(_))).count();
        Rank { literals, closed: !self.open_end, parts: self.parts.len() }
    }
}

/// As it is written in settings, but that an open end is a name too: `/orders/{rest}`.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Literal(literal) => write!(f, "/{literal}")?,
                Part::Name(name) => write!(f, "/{{{name}}}")?,
            }
        }
        match (self.open_end, self.parts.is_empty()) {
            (true, _) => f.write_str("/{rest}"),
            (false, true) => f.write_str("/"),
            (false, false) => Ok(()),
        }
    }
}

impl Part {
    fn parse(part: &str) -> Result<Part, String> {
        if part.is_empty() {
            return Err("an empty part; no `//` and no trailing `/`".to_owned());
        }
        match part.strip_prefix('{') {
            Some(rest) => match rest.strip_suffix('}') {
                Some(name) if !name.is_empty() && !name.contains(['{', '}']) => {
                    Ok(Part::Name(name.to_owned()))
                }
                _ => Err(format!("`{part}` is not a `{{name}}`")),
            },
            None if part.contains(['{', '}', '*', '%', ';', '\\', '?', '#']) => {
                Err(format!("`{part}` holds a character that no literal part may hold"))
            }
            None if matches!(part, "." | "..") => Err(format!("`{part}` is no part of a path")),
            None => Ok(Part::Literal(part.to_owned())),
        }
    }
}

impl Params {
    /// The `at`-th named part.
    ///
    /// # Panics
    /// If the pattern has fewer: the table and its reader disagree.
    pub fn get(&self, at: usize) -> &str {
        &self.0[at]
    }

    /// The `at`-th named part as a whole number of 1 or more; anything else is no such thing (404).
    pub fn id(&self, at: usize) -> Option<u64> {
        let text = self.get(at);
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let number = if digits { text.parse().ok() } else { None };
        number.filter(|id| *id >= 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(raw: &str) -> Path<'_> {
        Path::parse(raw).expect("a good path")
    }

    #[test]
    fn a_path_is_decoded_once() {
        let table = [
            ("/", vec![]),
            ("/orders", vec!["orders"]),
            ("/orders/", vec!["orders", ""]),
            ("/mypages/1%40uengine.org", vec!["mypages", "1@uengine.org"]),
            ("/a/%2541", vec!["a", "%41"]),
            ("/a/b..c", vec!["a", "b..c"]),
        ];
        for (raw, segments) in table {
            assert_eq!(path(raw).segments(), segments, "{raw}");
        }
    }

    #[test]
    fn a_trailing_slash_can_be_taken_away() {
        let table =
            [("/", None), ("/a", None), ("/a/", Some(vec!["a"])), ("/a/b/", Some(vec!["a", "b"]))];
        for (raw, expected) in table {
            let path = path(raw);
            let bare = path.without_slash();
            let segments = bare.as_ref().map(|bare| bare.segments().to_vec());
            assert_eq!(
                segments,
                expected.map(|all| all.into_iter().map(Cow::from).collect()),
                "{raw}"
            );
        }
    }

    #[test]
    fn what_could_stand_for_another_path_is_refused() {
        let bad = [
            "",
            "orders",
            "//",
            "//orders",
            "/orders//1",
            "/orders//",
            "/orders///",
            "/orders/%2f",
            "/orders%2f%2F",
            "/orders/%2e",
            "/orders/.",
            "/orders/%5c",
            "/orders/%c0%af",
            "/a/../b",
            "/a/%2e%2e/b",
            "/a/./b",
            "/a%2fb",
            "/a%2Fb",
            "/a%00",
            "/a;b",
            "/a%3bb",
            "/a\\b",
            "/a%5cb",
            "/a%0a",
            "/a%7f",
            "/a%",
            "/a%4",
            "/a%zz",
            "/a%ff",
            "/a\u{7}",
        ];
        for raw in bad {
            assert_eq!(Path::parse(raw), Err(BadPath), "{raw:?}");
        }
        let long = |bytes: usize| format!("/{}", "a".repeat(bytes - 1));
        assert!(Path::parse(&long(PATH_BYTES_MAX)).is_ok());
        assert_eq!(Path::parse(&long(PATH_BYTES_MAX + 1)), Err(BadPath));
    }

    #[test]
    fn a_pattern_matches_exactly() {
        let table = [
            ("/orders/{id}", "/orders/7", true),
            ("/orders/{id}", "/orders/7/", false),
            ("/orders/{id}", "/orders/", false),
            ("/orders/{id}", "/orders", false),
            ("/orders/**", "/orders", true),
            ("/orders/**", "/orders/7/x", true),
            ("/orders/**", "/ordersx", false),
            ("/", "/", true),
            ("/", "/x", false),
            ("/**", "/x/y", true),
        ];
        for (pattern, raw, expected) in table {
            let pattern = Pattern::parse(pattern).expect("a pattern");
            assert_eq!(pattern.matches(&path(raw)).is_some(), expected, "{pattern:?} {raw}");
        }
    }

    #[test]
    fn a_pattern_is_shown_as_it_is_written() {
        for text in ["/", "/orders", "/orders/{id}/parts", "/orders/{rest}"] {
            assert_eq!(Pattern::parse(text).expect("a pattern").to_string(), text);
        }
        let open = Pattern::parse("/orders/**").expect("a pattern");
        assert_eq!(open.to_string(), "/orders/{rest}");
    }

    #[test]
    fn a_wrong_pattern_is_refused() {
        for text in ["orders", "/orders/", "/a//b", "/{", "/{}", "/a*", "/**/b", "/a/.."] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_id_is_a_whole_number_of_one_or_more() {
        let id = |text: &str| Params(vec![text.to_owned()]).id(0);
        assert_eq!(id("1"), Some(1));
        assert_eq!(id("18446744073709551615"), Some(u64::MAX));
        for text in ["0", "-1", "+1", "1.0", "x", "", "18446744073709551616"] {
            assert_eq!(id(text), None, "{text}");
        }
    }
}
