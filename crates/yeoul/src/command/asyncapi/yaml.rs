//! JSON as YAML that people read and compare: a member on each line, and quotes where a reader of YAML might take a text for
//! something else.
//!
//! What readers take for a date, a number or a truth differs between YAML 1.1 and 1.2 and from one library to the next, and the writers that
//! there are know one of them. So only words that are certainly words stand bare, and every other text stands as JSON has it,
//! which every reader takes alike.

use std::fmt::Write;

use serde_json::Value;

/// Characters of a name at most before a colon; a longer one has a line of its own (YAML 1.2.2, section 8.2.2).
const NAME_CHARS_MAX: usize = 1_000;

/// Words that some reader takes for something else.
const TAKEN: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];

/// A document of this value.
pub(super) fn write(value: &Value) -> String {
    let mut text = String::new();
    if is_block(value) {
        lines(value, "", &mut text);
    } else {
        behind(value, "", &mut text);
    }
    text
}

/// Whether it has lines of its own.
fn is_block(value: &Value) -> bool {
    match value {
        Value::Object(members) => !members.is_empty(),
        Value::Array(all) => !all.is_empty(),
        _ => false,
    }
}

/// The lines of what has some.
fn lines(value: &Value, indent: &str, text: &mut String) {
    let deeper = format!("{indent}  ");
    if let Value::Array(all) = value {
        for one in all {
            text.push_str(indent);
            text.push('-');
            behind(one, &deeper, text);
        }
    }
    for (name, value) in value.as_object().into_iter().flatten() {
        text.push_str(indent);
        let name = word(name);
        if name.chars().count() > NAME_CHARS_MAX {
            let _ = writeln!(text, "? {name}\n{indent}:");
            text.truncate(text.len() - 1);
        } else {
            let _ = write!(text, "{name}:");
        }
        behind(value, &deeper, text);
    }
}

/// What stands behind a name or a dash: lines of its own, or the rest of that one.
fn behind(value: &Value, indent: &str, text: &mut String) {
    if is_block(value) {
        text.push('\n');
        lines(value, indent, text);
        return;
    }
    let _ = match value {
        Value::String(one) => writeln!(text, " {}", word(one)),
        other => writeln!(text, " {other}"),
    };
}

/// A text, bare where nobody takes it for anything else.
fn word(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"$._/+-".contains(&byte);
    let starts =
        text.starts_with(|first: char| first.is_ascii_alphabetic() || "$_".contains(first));
    let is_taken = TAKEN.iter().any(|taken| taken.eq_ignore_ascii_case(text));
    if starts && text.bytes().all(is_plain) && !is_taken {
        return text.to_owned();
    }
    let mut quoted = String::new();
    for character in Value::from(text).to_string().chars() {
        if is_printable(character) {
            quoted.push(character);
        } else {
            let _ = write!(quoted, "\\u{:04x}", u32::from(character));
        }
    }
    quoted
}

/// Whether it may stand in a text of YAML as it is; all that may not has four digits.
fn is_printable(character: char) -> bool {
    !matches!(
        character,
        '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
    )
}

#[cfg(test)]
mod tests {
    use chassis::settings::Tree;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_is_read_as_what_it_was() {
        let long = "a".repeat(NAME_CHARS_MAX + 1);
        let value = json!({
            "words": ["a", "on", "No", "2026-11-27", "1e3", "0x1", "~", "", " a", "a: b", "a #b", "- a", "'", "\"", "\\", "#/a", "*a", "&a", "=", "<<"],
            "lines": ["a\nb", "a\tb", "\u{7f}", "\u{85}\u{2028}", "\u{feff}", "길동", "😀"],
            "on": true, "1": null, "$ref": 1.5, "a b": -3, "": [[], {}, [[1], {"a": {"b": [{}]}}]],
            long: {"deep": [{"a": 1, "b": 2}]},
        });
        let text = write(&value);
        let read =
            Tree::parse("written", &text).unwrap_or_else(|mistakes| panic!("{mistakes:?}\n{text}"));
        assert_eq!(read.json(), value, "{text}");
    }

    #[test]
    fn words_stand_bare_and_what_might_be_something_else_is_quoted() {
        let value =
            json!({"$ref": "#/a", "type": "object", "version": "1.0", "const": "on", "all": []});
        let text = "\"$ref\": \"#/a\"\nall: []\nconst: \"on\"\ntype: object\nversion: \"1.0\"\n";
        assert_eq!(write(&value), text.replace("\"$ref\"", "$ref"));
    }
}
