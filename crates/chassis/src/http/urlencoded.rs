//! `application/x-www-form-urlencoded`, as queries and forms are written.
//!
//! Read by the URL standard, and stricter: that reads anything, while here an escape that is none, or
//! that makes no UTF-8, is refused, so that nobody behind reads another value than we do.

use percent_encoding::percent_decode_str;

/// How many parameters are looked at.
const PAIRS_MAX: usize = 64;

/// A parameter, decoded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) name: String,
    pub(super) value: String,
}

/// The pairs in their order; nothing where an escape is broken or there are more than [`PAIRS_MAX`].
pub(super) fn pairs(text: &str) -> Option<Vec<Pair>> {
    // What stands between the parts is ASCII, so text that is UTF-8 as a whole is so part by part.
    if !has_whole_escapes(text) || percent_decode_str(text).decode_utf8().is_err() {
        return None;
    }
    let pairs = form_urlencoded::parse(text.as_bytes()).into_owned().take(PAIRS_MAX + 1);
    let pairs: Vec<_> = pairs.map(|(name, value)| Pair { name, value }).collect();
    (pairs.len() <= PAIRS_MAX).then_some(pairs)
}

/// Whether two digits follow each `%`.
pub fn has_whole_escapes(text: &str) -> bool {
    let mut behind = text.split('%').skip(1).map(str::as_bytes);
    behind.all(|it| it.len() >= 2 && it[..2].iter().all(u8::is_ascii_hexdigit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_as_the_standard_says() {
        let read = |text: &str| {
            let pairs = pairs(text)?;
            Some(
                pairs
                    .iter()
                    .map(|Pair { name, value }| format!("[{name}|{value}]"))
                    .collect::<String>(),
            )
        };
        let cases = [
            ("", Some("")),
            ("a", Some("[a|]")),
            ("&&a=1&", Some("[a|1]")),
            ("a=1=2&=3", Some("[a|1=2][|3]")),
            ("a+b=c%20d+e", Some("[a b|c d e]")),
            ("%61=%EA%B0%80&%ea%b0%80=%2b", Some("[a|\u{ac00}][\u{ac00}|+]")),
            ("a=%26b%3D%25", Some("[a|&b=%]")),
            ("a=\u{fffd}&b=%EF%BF%BD", Some("[a|\u{fffd}][b|\u{fffd}]")),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_broken_escape_and_one_parameter_too_many_are_refused() {
        for text in ["%", "a=%", "a=%4", "%zz", "a=%+1", "a=%ff", "%c0%af=1", "a=%EA&b=%B0%80"] {
            assert_eq!(pairs(text), None, "{text}");
        }
        let many = |count: usize| "a=1&".repeat(count);
        assert_eq!(pairs(&many(PAIRS_MAX)).map(|it| it.len()), Some(PAIRS_MAX));
        assert_eq!(pairs(&many(PAIRS_MAX + 1)), None);
    }
}
