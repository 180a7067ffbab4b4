//! The shape of a file: a header, an essay's length, short functions.
//!
//! Lengths are those of what is delivered. Tests, examples and benches are apart: a test's body is
//! data, and a table may be as long as what it lists.

use super::Finding;
use super::masking::Masked;
use super::tree::{File, Tree};

/// Half of the files are at most so long.
const MEDIAN_LINES_MAX: usize = 150;
/// Nine in ten are at most so long.
const MOST_LINES_MAX: usize = 400;
/// None is longer.
const LINES_MAX: usize = 800;
/// No function is longer, signature and braces included.
const FUNCTION_LINES_MAX: usize = 54;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut lengths = Vec::new();
    for (file, masked) in tree.rust() {
        if !file.text.starts_with("//! ") {
            findings.push(Finding::new(&file.path, 1, "begins with no `//!` header"));
        }
        if !file.is_apart() {
            findings.extend(long_functions(file, masked));
            lengths.push(Length { lines: masked.lines_without_tests(), path: &file.path });
        }
    }
    findings.extend(long_files(lengths));
    findings
}

/// How long a file is.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Length<'t> {
    // Compared first: files stand in the order of their lengths.
    lines: usize,
    path: &'t str,
}

fn long_files(mut lengths: Vec<Length<'_>>) -> Vec<Finding> {
    lengths.sort_unstable();
    let mut findings: Vec<Finding> = lengths
        .iter()
        .filter(|length| length.lines > LINES_MAX)
        .map(|Length { lines, path }| {
            Finding::new(path, LINES_MAX, format!("too long. lines=`{lines}`, limit=`{LINES_MAX}`"))
        })
        .collect();
    // The file in the middle, and the last of nine in ten: naming it names where to begin.
    let quantiles = [(5, MEDIAN_LINES_MAX, "half"), (9, MOST_LINES_MAX, "nine in ten")];
    for (tenths, limit, share) in quantiles {
        if let Some(Length { lines, path }) =
            lengths.get((lengths.len() * tenths).div_ceil(10).saturating_sub(1))
            && *lines > limit
        {
            let says =
                format!("{share} of the files should be shorter. lines=`{lines}`, limit=`{limit}`");
            findings.push(Finding::new(path, 1, says));
        }
    }
    findings
}

fn long_functions(file: &File, masked: &Masked) -> Vec<Finding> {
    let delivered = masked.lines_without_tests();
    functions(&masked.code)
        .into_iter()
        .filter(|function| function.line <= delivered && function.lines > FUNCTION_LINES_MAX)
        .map(|Function { name, line, lines }| {
            let says = format!(
                "function too long. name=`{name}`, lines=`{lines}`, limit=`{FUNCTION_LINES_MAX}`"
            );
            Finding::new(&file.path, line, says)
        })
        .collect()
}

#[derive(Debug, PartialEq, Eq)]
struct Function {
    name: String,
    line: usize,
    lines: usize,
}

/// The functions that have a body, in the order of their beginnings.
fn functions(code: &str) -> Vec<Function> {
    let mut functions = Vec::new();
    let mut from = 0;
    while let Some(at) = code[from..].find("fn ").map(|at| from + at) {
        from = at + 3;
        let after_word = code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let name: String =
            code[from..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        // The end of another word, or a function pointer's type.
        if after_word || name.is_empty() {
            continue;
        }
        if let Some(end) = end_of_body(&code[from..]) {
            let line = code[..at].matches('\n').count() + 1;
            let lines = code[at..from + end].matches('\n').count() + 1;
            functions.push(Function { name, line, lines });
        }
    }
    functions
}

/// Where the body's last brace is; nothing where a semicolon comes before any body. A semicolon or a
/// brace within brackets (an array's length) is neither.
fn end_of_body(code: &str) -> Option<usize> {
    let (mut brackets, mut braces) = (0_i32, 0_i32);
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets -= 1,
            '{' => braces += 1,
            '}' => {
                braces -= 1;
                // Within brackets it is that of an argument, before the body has begun.
                if braces == 0 && brackets == 0 {
                    return Some(at);
                }
            }
            ';' if brackets == 0 && braces == 0 => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::found;
    use super::*;

    fn lines(count: usize) -> String {
        format!("//! A file.\n{}", "// x\n".repeat(count - 1))
    }

    fn function(count: usize) -> String {
        format!("//! A file.\n\nfn long() {{\n{}}}\n", "    x();\n".repeat(count - 2))
    }

    #[test]
    fn a_file_begins_with_its_header() {
        assert!(found(check, &[("a.rs", "//! A file.\n")]).is_empty());
        for text in ["", "use std;\n", "//!\n", "// A file.\n"] {
            assert_eq!(found(check, &[("a.rs", text)]), ["a.rs:1"], "{text:?}");
        }
    }

    #[test]
    fn a_file_may_be_as_long_as_the_limit_and_no_longer() {
        for (count, expected) in [(LINES_MAX, &[][..]), (LINES_MAX + 1, &["long.rs:800"])] {
            let (short, long) = (lines(10), lines(count));
            let paths: Vec<String> = (0..20).map(|at| format!("s{at}.rs")).collect();
            let mut files: Vec<(&str, &str)> =
                paths.iter().map(|path| (path.as_str(), short.as_str())).collect();
            files.push(("long.rs", &long));
            assert_eq!(found(check, &files), expected);
        }
    }

    #[test]
    fn half_of_the_files_and_nine_in_ten_have_limits_of_their_own() {
        let of = |counts: &[usize]| {
            let paths: Vec<String> = (0..counts.len()).map(|at| format!("f{at}.rs")).collect();
            let lengths = counts.iter().zip(&paths).map(|(&lines, path)| Length { lines, path });
            long_files(lengths.collect()).len()
        };
        assert_eq!(of(&[150, 150, 400, 400]), 0);
        assert_eq!(of(&[151, 151, 160, 160]), 1);
        assert_eq!(of(&[10, 10, 10, 401]), 1);
        assert_eq!(of(&[10, 10, 10, 10, 10, 10, 10, 10, 10, 401]), 0);
        assert_eq!(of(&[]), 0);
    }

    #[test]
    fn tests_are_apart() {
        let tests = format!("//! A.\n\n#[cfg(test)]\nmod tests {{\n{}}}\n", "// x\n".repeat(900));
        assert!(found(check, &[("a.rs", &tests), ("a/tests.rs", &lines(900))]).is_empty());
        let table = function(FUNCTION_LINES_MAX + 1).replace("//! A file.", "");
        let within = format!("//! A.\n\n#[cfg(test)]\nmod tests {{\n{table}}}\n");
        let beside = format!("//! A.\n{table}");
        assert!(found(check, &[("a.rs", &within), ("a/tests.rs", &beside)]).is_empty());
    }

    #[test]
    fn a_function_may_be_as_long_as_the_limit_and_no_longer() {
        assert!(found(check, &[("a.rs", &function(FUNCTION_LINES_MAX))]).is_empty());
        assert_eq!(found(check, &[("a.rs", &function(FUNCTION_LINES_MAX + 1))]), ["a.rs:3"]);
    }

    #[test]
    fn functions_are_found_with_their_own_lines() {
        let code = "fn one() { 1 }\ntrait T {\n    fn none(&self);\n    fn array(x: [u8; 3]) -> [u8; 3] {\n        x\n    }\n}\nconst fn two()\nwhere\n    A: B,\n{\n    let f: fn(u8) = g;\n}\n";
        let lengths: Vec<(String, usize, usize)> =
            functions(code).into_iter().map(|one| (one.name, one.line, one.lines)).collect();
        assert_eq!(
            lengths,
            [("one".to_owned(), 1, 1), ("array".to_owned(), 4, 3), ("two".to_owned(), 8, 6)]
        );
    }
}
