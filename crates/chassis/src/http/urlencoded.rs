//! `application/x-www-form-urlencoded`, as queries and forms are written.
//!
//! Stricter than the URL standard, which reads anything: an escape that is none, or that makes no UTF-8, is
//! refused, so that nobody behind reads another value than we do.

/// How many parameters are looked at.
const PAIRS_MAX: usize = 64;

/// The pairs in their order; nothing where an escape is broken or there are more than [`PAIRS_MAX`].
pub(super) fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        if pairs.len() == PAIRS_MAX {
            return None;
        }
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        pairs.push((unescape(key)?, unescape(value)?));
    }
    Some(pairs)
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    let hex = |digit: Option<u8>| char::from(digit?).to_digit(16).map(|value| value as u8);
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => hex(rest.next())? << 4 | hex(rest.next())?,
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}
