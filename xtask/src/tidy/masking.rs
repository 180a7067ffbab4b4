//! Rust's code, its comments and its texts, told apart without a parser.
//!
//! A mask has as many lines as the text and everything else blanked, so that a finding's line is the
//! file's. Strings and characters are a mask of their own: what a program says is not how it is written.
//! It knows nested comments, raw strings and lifetimes, and nothing of macros.

/// A text's three masks.
#[derive(Default)]
pub(super) struct Masked {
    pub(super) code: String,
    pub(super) comments: String,
    /// Strings and characters, with what encloses them.
    pub(super) texts: String,
}

impl Masked {
    /// How many lines come before the tests at its end.
    pub(super) fn lines_without_tests(&self) -> usize {
        let lines: Vec<&str> = self.code.lines().map(str::trim_end).collect();
        // One whose text is elsewhere (`mod tests;`) ends nothing.
        let begins = |pair: &[&str]| {
            pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{')
        };
        lines.windows(2).position(begins).unwrap_or(lines.len())
    }

    /// Its code before them, line by line.
    pub(super) fn code_without_tests(&self) -> String {
        let lines = self.code.lines().take(self.lines_without_tests());
        lines.flat_map(|line| [line, "\n"]).collect()
    }
}

/// Tells code and comments apart.
pub(super) fn mask(text: &str) -> Masked {
    let mut masked = Masked::default();
    let mut rest = text;
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        let Piece { bytes, kind } = piece(rest, before);
        // A piece of code has no length of its own and goes character by character: the next one may begin
        // anything.
        let (piece, after) = rest.split_at(bytes.max(first.len_utf8()));
        for c in piece.chars() {
            masked.code.push(if kind == Kind::Code || c == '\n' { c } else { ' ' });
            masked.comments.push(if kind == Kind::Comment || c == '\n' { c } else { ' ' });
            masked.texts.push(if kind == Kind::Text || c == '\n' { c } else { ' ' });
        }
        // What stands before decides whether `r"` begins a text or ends a name; a comment or a text separates.
        before = if kind == Kind::Code { piece.chars().next_back().unwrap_or(' ') } else { ' ' };
        rest = after;
    }
    masked
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Comment,
    Text,
}

/// What stands first; of code, which is looked at a character at a time, without its length.
struct Piece {
    bytes: usize,
    kind: Kind,
}

fn piece(rest: &str, before: char) -> Piece {
    let word_before = before.is_alphanumeric() || before == '_';
    if rest.starts_with("//") {
        Piece { bytes: rest.find('\n').unwrap_or(rest.len()), kind: Kind::Comment }
    } else if rest.starts_with("/*") {
        Piece { bytes: block_comment(rest), kind: Kind::Comment }
    } else if let Some(bytes) = raw_string(rest).filter(|_| !word_before) {
        Piece { bytes, kind: Kind::Text }
    } else if rest.starts_with('"') {
        Piece { bytes: string(rest), kind: Kind::Text }
    } else if let Some(bytes) = character(rest) {
        Piece { bytes, kind: Kind::Text }
    } else {
        Piece { bytes: 0, kind: Kind::Code }
    }
}

/// Comments nest.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// `r"…"`, `r#"…"#`, with `b` or `c` before it.
fn raw_string(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix(['b', 'c']).unwrap_or(rest).strip_prefix('r')?;
    let hashes = after.bytes().take_while(|byte| *byte == b'#').count();
    let body = after[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let start = rest.len() - body.len();
    Some(body.find(&end).map_or(rest.len(), |at| start + at + end.len()))
}

fn string(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// A character; a lifetime has no second quote.
fn character(rest: &str) -> Option<usize> {
    let body = rest.strip_prefix('\'')?;
    let first = body.chars().next()?;
    if first == '\\' {
        let escaped = body.chars().nth(1)?.len_utf8();
        return Some(2 + escaped + body[1 + escaped..].find('\'')? + 1);
    }
    body[first.len_utf8()..].starts_with('\'').then_some(first.len_utf8() + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, code: &str, comments: &str) {
        let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let masked = mask(text);
        assert_eq!(squeeze(&masked.code), code, "{text}");
        assert_eq!(squeeze(&masked.comments), comments, "{text}");
        assert_eq!(masked.code.lines().count(), text.lines().count(), "{text}");
    }

    #[test]
    fn comments_and_strings_are_not_code() {
        check("let a = 1; // one\nlet b;", "let a = 1; let b;", "// one");
        check("a /* b /* c */ d */ e", "a e", "/* b /* c */ d */");
        check(r#"f("a // no \" comment") // yes"#, "f( )", "// yes");
        check("r#\"raw \" // still\"# + x", "+ x", "");
        check("br\"raw\\\" + x", "+ x", "");
        check("var\"x\" y", "var y", "");
        check("\"unclosed", "", "");
    }

    #[test]
    fn texts_are_a_mask_of_their_own() {
        let masked = mask("let a = \"x \\\" y\"; // \"z\"\nf('q', r#\"w\"#);");
        let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(squeeze(&masked.texts), r##""x \" y" 'q' r#"w"#"##);
        assert_eq!(masked.texts.lines().count(), 2);
    }

    #[test]
    fn a_character_is_told_from_a_lifetime() {
        check("f('{') g", "f( ) g", "");
        check(r"f('\'', '\u{7b}', '\\') g", "f( , , ) g", "");
        check("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}", "");
        check("f('여') g", "f( ) g", "");
    }

    #[test]
    fn tests_at_the_end_are_not_counted() {
        let text = "//! x\nfn a() {}\n\n#[cfg(test)]\nmod tests {\n}\n";
        assert_eq!(mask(text).lines_without_tests(), 3);
        assert_eq!(mask("fn a() {}\n").lines_without_tests(), 1);
        assert_eq!(mask("#[cfg(test)]\nfn a() {}\n").lines_without_tests(), 2);
        assert_eq!(mask("#[cfg(test)]\nmod fixture;\npub use a::B;\n").lines_without_tests(), 3);
    }
}
