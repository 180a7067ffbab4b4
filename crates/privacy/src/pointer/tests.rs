//! What pointers name, and texts that are none.

use super::*;

fn found(pointer: &str, text: &str) -> Vec<String> {
    let found = Pointer::parse(pointer).expect("a pointer").find(text).expect("JSON");
    found.into_iter().map(|it| format!("{}={}", it.pointer, &text[it.range])).collect()
}

#[test]
fn a_pointer_finds_every_value_that_it_names_as_it_is_written() {
    let text = r#"{ "name" : "Kim\u00e9" , "at":{"a/b":1.50, "~":[{"x":1e999},{"x":null},3]},"name":"Lee" }"#;
    for (pointer, expected) in [
        ("/name", &[r#"/name="Kim\u00e9""#, r#"/name="Lee""#][..]),
        ("/at/a~1b", &["/at/a~1b=1.50"]),
        ("/at/~0/*/x", &["/at/~0/0/x=1e999", "/at/~0/1/x=null"]),
        ("/at/~0/2", &["/at/~0/2=3"]),
        ("/at/*/2", &["/at/~0/2=3"]),
        ("/name/below", &[]),
        ("/none", &[]),
    ] {
        assert_eq!(found(pointer, text), expected, "{pointer}");
    }
    for text in ["null", "3", r#""name""#, "[]", "{}"] {
        assert_eq!(found("/name", text), [""; 0], "{text}");
    }
}

#[test]
fn a_text_that_is_no_pointer_is_refused_and_one_at_the_limit_is_not() {
    for (text, says) in [
        ("name", "must be a JSON Pointer"),
        ("", "must be a JSON Pointer"),
        ("/a~2b", "has a `~` that is neither"),
        ("/a~/b", "has a `~` that is neither"),
        ("/~", "has a `~` that is neither"),
        (&"/a".repeat(STEPS_MAX + 1), "has at most 16 steps"),
        (&format!("/{}", "a".repeat(POINTER_BYTES_MAX)), "has at most 256 bytes"),
    ] {
        let refused = Pointer::parse(text).expect_err(text);
        assert!(refused.starts_with(says), "{refused}");
    }
    for text in ["/", &"/a".repeat(STEPS_MAX), &format!("/{}", "a".repeat(POINTER_BYTES_MAX - 1))] {
        let pointer = Pointer::parse(text).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(pointer.to_string(), text);
    }
}

#[test]
fn pointers_overlap_where_one_value_may_be_of_both() {
    for (one, other, overlap) in [
        ("/a", "/a", true),
        ("/a", "/a/b", true),
        ("/a/*/c", "/a/0", true),
        ("/a/*", "/a/b/c", true),
        ("/a", "/b", false),
        ("/a/*/c", "/a/b/d", false),
    ] {
        let of = |text| Pointer::parse(text).expect("a pointer");
        assert_eq!(of(one).overlaps(&of(other)), overlap, "{one} {other}");
        assert_eq!(of(other).overlaps(&of(one)), overlap, "{other} {one}");
    }
}
