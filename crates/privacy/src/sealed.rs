//! What a sealed value looks like, and what it is bound to.
//!
//! It is a text of JSON, so that what reads no personal data reads the rest as before:
//! `"yeoul-sealed:1:t:BASE64URL"`. The `1` is the version of this form, `t` says that a text was sealed and `j` that any
//! other JSON was; behind it are nonce, what was sealed, and the tag (ChaCha20-Poly1305, see [`chassis::sealing`]).
//!
//! What it was sealed for is authenticated with it: the topic, the event's type and subject, the field, the person. So none
//! can be put in another field, another event's or another person's place to be told there. The id is not among them: an
//! outbox gives it later, and another one to a letter that is redriven.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chassis::sealing::SealingKey;

/// What every sealed value begins with, of whichever version.
const MARK: &str = "yeoul-sealed:";

/// What is told in place of a text whose key is gone; of anything else `null` is.
pub const FORGOTTEN: &str = "(forgotten)";

/// What a value is bound to.
pub(crate) struct Purpose<'p> {
    pub(crate) topic: &'p str,
    pub(crate) kind: &'p str,
    pub(crate) subject: &'p str,
    pub(crate) pointer: &'p str,
    pub(crate) person: &'p str,
}

impl Purpose<'_> {
    /// As one text that no other purpose has.
    fn text(&self) -> String {
        let Purpose { topic, kind, subject, pointer, person } = self;
        serde_json::to_string(&["field", topic, kind, subject, pointer, person])
            .expect("texts are JSON")
    }
}

/// A value as it is written: whether it is sealed, or was written to look so.
pub(crate) fn is_marked(value: &str) -> bool {
    // Escapes could hide the mark from this look and not from a reader.
    value.starts_with('"')
        && serde_json::from_str::<String>(value).is_ok_and(|text| text.starts_with(MARK))
}

/// A value as it is written, sealed: JSON again.
pub(crate) fn seal(key: &SealingKey, purpose: &Purpose<'_>, value: &str) -> String {
    let what = if value.starts_with('"') { 't' } else { 'j' };
    let sealed = URL_SAFE_NO_PAD.encode(key.seal(&purpose.text(), value.as_bytes()));
    format!("\"{MARK}1:{what}:{sealed}\"")
}

/// What was sealed, as it was written; of one that this key does not tell, what stands for it. A value that is not sealed is
/// nothing.
pub(crate) fn open(key: Option<&SealingKey>, purpose: &Purpose<'_>, value: &str) -> Option<String> {
    if !is_marked(value) {
        return None;
    }
    let opened = key.and_then(|key| opened(key, purpose, value));
    Some(opened.unwrap_or_else(|| stand_in(value)))
}

fn opened(key: &SealingKey, purpose: &Purpose<'_>, value: &str) -> Option<String> {
    let text: String = serde_json::from_str(value).ok()?;
    let body = text.strip_prefix(MARK)?.strip_prefix("1:")?;
    let sealed =
        URL_SAFE_NO_PAD.decode(body.strip_prefix("t:").or(body.strip_prefix("j:"))?).ok()?;
    String::from_utf8(key.open(&purpose.text(), &sealed).ok()?).ok()
}

fn stand_in(value: &str) -> String {
    let is_other = value.strip_prefix('"').and_then(|it| it.strip_prefix(MARK)?.split_once(':'));
    if is_other.is_some_and(|(_, what)| what.starts_with("j:")) {
        return "null".to_owned();
    }
    format!("\"{FORGOTTEN}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn purpose() -> Purpose<'static> {
        Purpose { topic: "order", kind: "Placed", subject: "7", pointer: "/name", person: "p1" }
    }

    #[test]
    fn what_was_sealed_is_told_as_it_was_written_and_stands_nowhere_in_the_sealed_value() {
        let key = SealingKey::drawn();
        for value in [r#""Kim\u00e9""#, r#""""#, "1.50", "null", r#"{"street":"Main 1"}"#] {
            let sealed = seal(&key, &purpose(), value);
            assert!(is_marked(&sealed) && !is_marked(value), "{sealed}");
            let inner = value.trim_matches('"');
            assert!(inner.len() < 4 || !sealed.contains(inner), "{sealed}");
            assert_eq!(open(Some(&key), &purpose(), &sealed).as_deref(), Some(value));
            assert_ne!(seal(&key, &purpose(), value), sealed, "a nonce of its own");
        }
        assert_eq!(open(Some(&key), &purpose(), r#""Kim""#), None, "it is not sealed");
    }

    #[test]
    fn without_its_key_a_text_is_forgotten_and_anything_else_is_null() {
        let (key, other) = (SealingKey::drawn(), SealingKey::drawn());
        for (value, told) in [(r#""Kim""#, r#""(forgotten)""#), ("[1]", "null")] {
            let sealed = seal(&key, &purpose(), value);
            assert_eq!(open(None, &purpose(), &sealed).as_deref(), Some(told));
            assert_eq!(open(Some(&other), &purpose(), &sealed).as_deref(), Some(told));
        }
        for odd in
            [r#""yeoul-sealed:2:t:AAAA""#, r#""yeoul-sealed:""#, r#""\u0079eoul-sealed:1:t:A""#]
        {
            assert_eq!(
                open(Some(&key), &purpose(), odd).as_deref(),
                Some(r#""(forgotten)""#),
                "{odd}"
            );
        }
    }

    #[test]
    fn a_sealed_value_is_told_in_its_own_place_alone() {
        let key = SealingKey::drawn();
        let sealed = seal(&key, &purpose(), r#""Kim""#);
        let elsewhere = [
            Purpose { topic: "account", ..purpose() },
            Purpose { kind: "Cancelled", ..purpose() },
            Purpose { subject: "8", ..purpose() },
            Purpose { pointer: "/address", ..purpose() },
            Purpose { person: "p2", ..purpose() },
            // The same letters, divided otherwise.
            Purpose { topic: "orderP", kind: "laced", ..purpose() },
        ];
        for purpose in elsewhere {
            assert_eq!(open(Some(&key), &purpose, &sealed).as_deref(), Some(r#""(forgotten)""#));
        }
    }
}
