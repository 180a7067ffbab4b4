//! JSON Pointer (RFC 6901): how a place in a document is called, and found again.

use percent_encoding::percent_decode_str;
use serde_json::Value;

/// `below` a place, one step further.
pub(crate) fn step(below: &str, name: &str) -> String {
    let name = name.replace('~', "~0").replace('/', "~1");
    format!("{below}/{name}")
}

/// Where a `$ref` leads that stays in its document: `#` and `#/…`; nothing of any other.
pub(crate) fn of_reference(reference: &str) -> Option<String> {
    let fragment = reference.strip_prefix('#')?;
    let pointer = percent_decode_str(fragment).decode_utf8().ok()?;
    (pointer.is_empty() || pointer.starts_with('/')).then(|| pointer.into_owned())
}

/// What a `$ref` of a schema that was taken leads to.
pub(crate) fn target<'d>(root: &'d Value, reference: &Value) -> &'d Value {
    let pointer = reference.as_str().and_then(of_reference);
    pointer.and_then(|it| root.pointer(&it)).expect("references were looked at when it was taken")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_escaped_and_a_reference_is_of_its_own_document() {
        assert_eq!(step("/a", "b/c~d"), "/a/b~1c~0d");
        for (reference, pointer) in [
            ("#", Some("")),
            ("#/$defs/a%20b", Some("/$defs/a b")),
            ("#anchor", None),
            ("other.json", None),
            ("https://example.com/a#/b", None),
            ("#/%ff", None),
        ] {
            assert_eq!(of_reference(reference).as_deref(), pointer, "{reference}");
        }
    }
}
