//! What the text of an attribute has to be, as the specifications say it: an instant, an address, a media type; and how deep
//! data is.
//!
//! Looked at where an event comes from outside. Whoever reads it later reads it by a library of his language, and each of
//! those is lenient in another way: what only one of them takes is refused here, to whom can mend it. What an attribute
//! means is not looked at, and no address is asked. Pure.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Digits behind the second that an instant may have: as many as are read.
pub const FRACTION_DIGITS_MAX: usize = 9;

/// Levels that arrays and objects of the data may have. Readers give up at some depth: with the event around it this is 64,
/// the least of their defaults that we know (.NET's `System.Text.Json`; serde's JSON stops at 128, Jackson's at 1,000).
pub const DATA_DEPTH_MAX: usize = 63;

/// Whether a text has the shape of an instant in full, figures in their range (RFC 3339, section 5.6): whether the month
/// has such a day is not looked at.
pub(super) fn is_instant(text: &str) -> bool {
    let bytes = text.as_bytes();
    let Some((moment, rest)) = bytes.split_at_checked("2026-11-27T17:31:00".len()) else {
        return false;
    };
    let shape = |(at, byte): (usize, &u8)| match at {
        4 | 7 => *byte == b'-',
        10 => byte.eq_ignore_ascii_case(&b'T'),
        13 | 16 => *byte == b':',
        _ => byte.is_ascii_digit(),
    };
    moment.iter().enumerate().all(shape)
        && &moment[11..13] <= b"23".as_slice()
        && &moment[14..16] <= b"59".as_slice()
        // A leap second.
        && &moment[17..19] <= b"60".as_slice()
        && without_fraction(rest).is_some_and(is_offset)
}

/// Whether an instant in full is in a second 60.
pub(super) fn is_leap(text: &str) -> bool {
    text.get(17..19) == Some("60")
}

/// Whether a moment is in the last second of June or December in UTC, after which a second 60 may come (RFC 3339, section
/// 5.7). It is read as the one before, so that is what is looked at.
pub(super) fn ends_half_a_year(moment: Timestamp) -> bool {
    let utc = moment.to_zoned(TimeZone::UTC).datetime();
    let day = utc.date();
    let ends = [(6, 30), (12, 31)].contains(&(day.month(), day.day()));
    ends && (utc.hour(), utc.minute(), utc.second()) == (23, 59, 59)
}

/// What stands behind a fraction of at least one digit, if there is one; nothing where there is a point and no digit.
fn without_fraction(rest: &[u8]) -> Option<&[u8]> {
    let Some(digits) = rest.strip_prefix(b".") else { return Some(rest) };
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (1..=FRACTION_DIGITS_MAX).contains(&count).then(|| &digits[count..])
}

/// `Z`, or hours and minutes with a colon between them, which ISO 8601 may leave out and RFC 3339 may not.
fn is_offset(text: &[u8]) -> bool {
    match text {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', hours @ .., b':', tens, ones] => {
            let digits = |text: &[u8]| text.len() == 2 && text.iter().all(u8::is_ascii_digit);
            digits(hours) && digits(&[*tens, *ones]) && hours <= b"23".as_slice() && *tens <= b'5'
        }
        _ => false,
    }
}

/// Whether a text is a URI reference, as far as one can be told from what is none (RFC 3986, section 4.1).
pub(super) fn is_uri_reference(text: &str) -> bool {
    !text.contains(|it: char| it.is_whitespace() || "<>\"{}|\\^`".contains(it))
}

/// Whether it is an absolute one (RFC 3986, section 4.3): with a scheme and something behind it, without a fragment.
pub(super) fn is_absolute_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let plain = |it: u8| it.is_ascii_alphanumeric() || b"+-.".contains(&it);
    scheme.starts_with(|it: char| it.is_ascii_alphabetic())
        && scheme.bytes().all(plain)
        && !rest.is_empty()
        && !rest.contains('#')
        && is_uri_reference(rest)
}

/// Whether it is a media type with its parameters (RFC 2046; tokens and quoted texts as RFC 9110, section 8.3.1, has them).
pub(super) fn is_media_type(text: &str) -> bool {
    let (essence, parameters) = match text.split_once(';') {
        Some((essence, parameters)) => (essence, Some(parameters)),
        None => (text, None),
    };
    essence.trim().split_once('/').is_some_and(|(kind, of)| is_token(kind) && is_token(of))
        && parameters.is_none_or(are_parameters)
}

/// `name=value`, apart by `;`; a value is a token or a quoted text, in which `;` is no end.
fn are_parameters(mut rest: &str) -> bool {
    loop {
        let Some((name, value)) = rest.split_once('=') else { return rest.trim().is_empty() };
        if !is_token(name.trim()) {
            return false;
        }
        let behind = match value.strip_prefix('"') {
            Some(quoted) => behind_quoted(quoted),
            None => {
                let end = value.find(';').unwrap_or(value.len());
                is_token(value[..end].trim_end()).then(|| &value[end..])
            }
        };
        match behind
            .map(str::trim_start)
            .map(|behind| (behind.is_empty(), behind.strip_prefix(';')))
        {
            Some((true, _)) => return true,
            Some((_, Some(next))) => rest = next,
            _ => return false,
        }
    }
}

/// What stands behind the end of a quoted text; nothing where it has none.
fn behind_quoted(quoted: &str) -> Option<&str> {
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some(&quoted[at + 1..]),
            '\\' => _ = letters.next(),
            _ => {}
        }
    }
    None
}

fn is_token(text: &str) -> bool {
    let plain = |it: u8| it.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&it);
    !text.is_empty() && text.bytes().all(plain)
}

/// Levels of arrays and objects in a JSON text: 0 for a number, 1 for `[]`.
pub(super) fn depth(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = json.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => skip_text(&mut bytes),
            _ => {}
        }
    }
    deepest
}

/// What of a sound JSON text not every reader takes, in words: half of a surrogate pair, which is no text in Unicode
/// (RFC 8259, section 8.2), and a number that no double holds (section 6).
pub(super) fn unreadable(json: &str) -> Option<&'static str> {
    if has_lone_surrogate(json) {
        return Some(
            "has half of a surrogate pair in it (`\\ud800` to `\\udfff`), which is no text",
        );
    }
    has_infinite_number(json).then_some("has a number that is too large for a double")
}

fn has_lone_surrogate(json: &str) -> bool {
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        let escape = &rest[at + 1..];
        rest = escape.get(1..).unwrap_or_default();
        let Some(unit) = unit(escape) else { continue };
        let low = escape[5..].strip_prefix('\\').and_then(self::unit);
        match (unit, low) {
            (0xd800..=0xdbff, Some(0xdc00..=0xdfff)) => rest = &escape[11..],
            (0xd800..=0xdfff, _) => return true,
            _ => {}
        }
    }
    false
}

/// The code unit that an escape is, read behind its backslash: `u00e9`.
fn unit(escape: &str) -> Option<u16> {
    u16::from_str_radix(escape.strip_prefix('u')?.get(..4)?, 16).ok()
}

fn has_infinite_number(json: &str) -> bool {
    let mut bytes = json.bytes();
    let mut number = String::new();
    loop {
        let byte = bytes.next();
        match byte {
            Some(byte @ (b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')) => {
                number.push(char::from(byte));
                continue;
            }
            Some(b'"') => skip_text(&mut bytes),
            _ => {}
        }
        if number.parse().is_ok_and(f64::is_infinite) {
            return true;
        }
        number.clear();
        if byte.is_none() {
            return false;
        }
    }
}

/// Past the end of a text that has begun.
fn skip_text(bytes: &mut std::str::Bytes<'_>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => _ = bytes.next(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is taken is read, too: by the library that reads what is stored.
    #[test]
    fn an_instant_is_one_in_full_and_is_read_later() {
        for text in [
            "2026-11-27T17:31:00Z",
            "2026-11-27t17:31:00z",
            "2026-11-27T17:31:00+09:00",
            "2026-11-27T17:31:00-00:00",
            "2026-11-27T00:00:00-23:59",
            "2026-11-27T17:31:00.1Z",
            "2026-11-27T17:31:00.123456789+00:00",
            "2016-12-31T23:59:60Z",
        ] {
            assert!(is_instant(text), "{text}");
            assert!(text.parse::<jiff::Timestamp>().is_ok(), "{text}");
        }
        for text in [
            "",
            "2026-11-27",
            "2026-11-27T17:31:00",
            "2026-11-27T17:31Z",
            "2026-11-27 17:31:00Z",
            "2026-11-27T17:31:00+0900",
            "2026-11-27T17:31:00+09",
            "2026-11-27T17:31:00+09:00:00",
            "2026-11-27T17:31:00+24:00",
            "2026-11-27T17:31:00+09:60",
            "2026-11-27T24:00:00Z",
            "2026-11-27T17:60:00Z",
            "2026-11-27T17:31:61Z",
            "2026-11-27T17:31:00.Z",
            "2026-11-27T17:31:00,5Z",
            "2026-11-27T17:31:00.1234567890Z",
            "2026-11-27T17:31:00Z[UTC]",
            "20261127T173100Z",
            "+002026-11-27T17:31:00Z",
            "2026-11-27T17:31:00유",
        ] {
            assert!(!is_instant(text), "{text}");
        }
    }

    #[test]
    fn an_absolute_uri_has_a_scheme_and_no_fragment() {
        for text in ["https://a.example/s.json?v=1", "urn:schema:1", "a+b-c.1:x"] {
            assert!(is_absolute_uri(text), "{text}");
        }
        for text in
            ["", "s.json", "/s", "//a/s", "1a:b", ":b", "a:", "https://a/s#p", "urn:a b", "유:b"]
        {
            assert!(!is_absolute_uri(text), "{text}");
        }
    }

    #[test]
    fn a_media_type_has_a_kind_a_name_and_parameters() {
        for text in [
            "text/plain",
            "application/vnd.a+json; charset=utf-8",
            "a/b;c=d;e=\"f;g\\\"\" ; h=i",
            "a/b;",
        ] {
            assert!(is_media_type(text), "{text}");
        }
        for text in [
            "",
            "json",
            "a/",
            "/b",
            "a/b/c",
            "a /b",
            "a/b;c",
            "a/b;c=",
            "a/b;c=\"d",
            "a/b;c=\"d\"e",
            "a/b, c/d",
            "글/b",
        ] {
            assert!(!is_media_type(text), "{text}");
        }
    }

    #[test]
    fn what_not_every_reader_takes_is_found_where_it_stands() {
        for json in [
            r#""\ud83d\ude00""#,
            r#""\\ud800""#,
            r#"{"\u00e9":[1,-2.5e3,1e308,true,"1e999"]}"#,
            r#""한\n""#,
            "1e-999",
        ] {
            assert_eq!(unreadable(json), None, "{json}");
            assert!(serde_json::from_str::<serde_json::Value>(json).is_ok(), "{json}");
        }
        let long = format!("[{}]", "9".repeat(400));
        for (json, part) in [
            (r#""\ud800""#, "surrogate"),
            (r#""\uDFFF""#, "surrogate"),
            (r#""\ud800\u0041""#, "surrogate"),
            (r#""\ud83d\ude00\ude00""#, "surrogate"),
            (r#"["a",{"\ud800x":1}]"#, "surrogate"),
            (r#""\\\ud800""#, "surrogate"),
            ("1e999", "double"),
            (r#"{"a":"b","c":[-1E400]}"#, "double"),
            (&long, "double"),
        ] {
            assert!(unreadable(json).is_some_and(|it| it.contains(part)), "{json}");
            assert!(serde_json::from_str::<serde_json::Value>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn depth_counts_levels_and_no_bracket_in_a_text() {
        for (json, expected) in [
            ("1", 0),
            ("[]", 1),
            (r#"{"a":[1,{"b":2}],"c":[]}"#, 3),
            (r#""[[[""#, 0),
            (r#"["\"[[",[]]"#, 2),
            (r#"{"\\":[]}"#, 2),
        ] {
            assert_eq!(depth(json), expected, "{json}");
        }
    }
}
