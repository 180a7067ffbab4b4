//! JSON inside a script element: data that cannot end the element or begin a comment.
//!
//! What could is written as JSON's own escapes, so that any JSON reader gets the same data.

use std::fmt::Write;

use serde_json::Value;

pub(super) fn island(json: &Value) -> String {
    let text = json.to_string();
    let mut safe = String::with_capacity(text.len() + text.len() / 16);
    for letter in text.chars() {
        match letter {
            // U+2028 and U+2029 end a line in older scripts, which JSON does not know.
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                write!(safe, "\\u{:04x}", u32::from(letter))
                    .expect("a string takes every character");
            }
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_in_an_island_ends_its_element() {
        let json = json!({"</script>": "<!--<script>&amp;\u{2028}\u{2029}]]>"});
        let island = island(&json);
        assert!(!island.contains(['<', '>', '&', '\u{2028}', '\u{2029}']), "{island}");
        assert_eq!(serde_json::from_str::<Value>(&island).expect("still JSON"), json);
    }

    proptest! {
        #[test]
        fn any_text_reads_back_from_an_island(text in ".*") {
            let json = json!({ "text": text });
            let read: Value = serde_json::from_str(&island(&json)).expect("still JSON");
            prop_assert_eq!(read, json);
        }
    }
}
