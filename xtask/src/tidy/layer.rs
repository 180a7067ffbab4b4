//! The layer knows no mall: what one shop calls its roles, paths, folders and money is not written in
//! the crates that serve any shop.
//!
//! Code and the texts in it are looked at, and whole words alone: `won` and not `wonder`; of what is not Rust,
//! every line. Comments may take an example from the mall. No text is in the mall's language: what a page says
//! in one is a setting. What composes the mall into one program is the mall's too, and it alone names the
//! mall's member; tests need some shop.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use super::Finding;
use super::imports::{Import, imports};
use super::masking::Masked;
use super::tree::{File, Tree};
use super::words::is_word_in;

/// Where the layer is.
const LAYER: &str = "crates/";
/// What of it is the mall's: its composition, its command and its settings, and what is below them.
const THE_MALL_S: [&str; 3] = [
    "crates/yeoul/src/compose/mall",
    "crates/yeoul/src/command/mall",
    "crates/yeoul/src/settings/mall",
];
/// The member that only they may name, and a module of that name in a file of its own.
const MEMBER: &str = "mall";
const MODULE: &str = "mod mall;";
/// Words that stand nowhere: roles, events, columns, names of the first mall.
const WORDS: [&str; 41] = [
    "ORDER_ADMIN",
    "ORDER_CUSTOMER",
    "USER_ADMIN",
    "OrderAdmin",
    "OrderCustomer",
    "UserAdmin",
    "is_administrator",
    "OrderPlaced",
    "OrderConfirmed",
    "OrderCancelled",
    "OrderRejected",
    "StockDecreased",
    "StockIncreased",
    "ProductBody",
    "OrderBody",
    "DeliveryBody",
    "ProductChanged",
    "ProductRestocked",
    "DeliveryStarted",
    "DeliveryCompleted",
    "DeliveryCancelled",
    "DeliveryReturned",
    "UserRegistered",
    "orderId",
    "productId",
    "customerId",
    "deliveryState",
    "mileage",
    "mypage",
    "mypages",
    "myPage",
    "myPages",
    "MyPage",
    "my_page",
    "inventories",
    "uengine",
    "12st",
    "KRW",
    "won",
    "Won",
    "₩",
];
/// Texts that are nothing else.
const WHOLE: [&str; 3] = ["ko", "my-page", "order_admin"];
/// What the routes of the mall's services are in: a table each. The first part of a path of theirs stands in no text,
/// neither at its beginning nor behind a host.
const ROUTES: &str = "/api.rs";

/// The syllables of the mall's language.
const HANGUL: RangeInclusive<char> = '\u{ac00}'..='\u{d7a3}';

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let paths = paths(tree);
    let layer = tree.files().iter().filter(|file| is_layer(file));
    layer.flat_map(|file| of_file(file, &paths)).collect()
}

/// How the paths of the mall's routes begin; what another specification lays down begins with a point.
fn paths(tree: &Tree) -> BTreeSet<&str> {
    let tables = tree.rust().filter(|(file, _)| {
        file.path.strip_prefix(MEMBER).is_some_and(|rest| rest.starts_with('/'))
            && file.path.ends_with(ROUTES)
    });
    let lines =
        tables.flat_map(|(_, masked)| masked.texts.lines().take(masked.lines_without_tests()));
    let texts = lines.flat_map(|line| line.split('"').skip(1).step_by(2));
    texts.filter_map(first_part).collect()
}

/// `/a` of `/a/{b}`.
fn first_part(path: &str) -> Option<&str> {
    let part = path.strip_prefix('/')?.split('/').next()?;
    let plain = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    plain.then(|| &path[..=part.len()])
}

fn is_layer(file: &File) -> bool {
    let below = |at: &str| {
        file.path.strip_prefix(at).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    };
    file.path.starts_with(LAYER)
        && file.path.contains("/src/")
        && !file.is_apart()
        && !THE_MALL_S.into_iter().any(below)
}

fn of_file(file: &File, paths: &BTreeSet<&str>) -> Vec<Finding> {
    let note = |(line, (code, texts)): (usize, (&str, &str))| {
        let word = found(code, texts, paths)?;
        let says = format!("the layer knows no mall: a setting, or the mall's own. word=`{word}`");
        Some(Finding::new(&file.path, line, says))
    };
    match &file.rust {
        Some(masked) => {
            let each = (1..).zip(masked.code.lines().zip(masked.texts.lines()));
            let each = each.take(masked.lines_without_tests()).filter_map(note);
            each.chain(of_member(file, masked)).collect()
        }
        None => (1..).zip(file.text.lines().map(|line| (line, line))).filter_map(note).collect(),
    }
}

/// What names the mall's member. Where a file has or imports a module of that name, the name is the module's.
fn of_member(file: &File, masked: &Masked) -> Vec<Finding> {
    let code = masked.code_without_tests();
    let named = imports(&code);
    let is_member = |import: &Import| import.path.first().is_some_and(|name| name == MEMBER);
    let is_module = |import: &Import| {
        import.name.as_deref() == Some(MEMBER) && import.path.len() > 1 && !is_member(import)
    };
    // Such a file says `mall::…` of its own module, which a scan without types cannot tell from the member.
    if code.lines().any(|line| is_word_in(line, MODULE)) || named.iter().any(is_module) {
        return Vec::new();
    }
    let says = "the layer knows no mall: only what composes `yeoul mall` names it";
    let found = named.iter().filter(|import| is_member(import));
    found.map(|import| Finding::new(&file.path, import.line, says)).collect()
}

/// The first word of the mall's in a line's code, or in its texts.
fn found<'p>(code: &str, texts: &str, paths: &BTreeSet<&'p str>) -> Option<&'p str> {
    let word = |word: &&&str| is_word_in(code, word) || is_word_in(texts, word);
    let whole = |word: &&&str| texts.contains(&format!("\"{word}\""));
    let path = |path: &&&str| has_path(texts, path);
    let words = WORDS.iter().find(word);
    let word = words.or_else(|| WHOLE.iter().find(whole)).or_else(|| paths.iter().find(path));
    let member = || is_word_in(texts, MEMBER).then_some(MEMBER);
    word.copied()
        .or_else(member)
        .or_else(|| texts.contains(|c| HANGUL.contains(&c)).then_some("Hangul"))
}

/// Whether a path stands in a text that is no part of a longer one.
fn has_path(texts: &str, path: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || "_-.".contains(c);
    texts.match_indices(path).any(|(at, _)| {
        !texts[..at].ends_with(inside) && !texts[at + path.len()..].starts_with(inside)
    })
}

#[cfg(test)]
mod tests {
    use super::super::found as findings;
    use super::*;

    /// The mall's routes, of which the layer is to know none.
    const TABLE: (&str, &str) = (
        "mall/src/order/api.rs",
        "const S: &str = \"/orders/search\";\nf(Row::get(\"/goods/img/{name}\", \"x/y\"), \"/.well-known/z\");\n",
    );

    fn finds(path: &str, line: &str) -> bool {
        !findings(check, &[(path, &format!("//! A.\n{line}\n")), TABLE]).is_empty()
    }

    const GATEWAY: &str = "crates/gateway/src/session.rs";

    #[test]
    fn a_word_of_the_malls_is_found_in_code_and_in_texts_and_is_not_in_comments() {
        for word in WORDS {
            let plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if plain && !word.starts_with(|c: char| c.is_ascii_digit()) {
                assert!(finds(GATEWAY, &format!("let {word} = 1;")), "{word}");
            }
            for text in [format!("\"{word}\""), format!("\"a {word}-b\""), format!("r#\"{word}\"#")]
            {
                assert!(finds(GATEWAY, &format!("f({text});")), "{text}");
            }
            assert!(!finds(GATEWAY, &format!("// such as {word}")), "{word}");
            assert!(!finds(GATEWAY, &format!("f(\"x{word}\", \"{word}x\");")), "{word}");
        }
        for line in ["let wonder = 1;", "let order_id = 1;", "let swon = \"mypaged\";"] {
            assert!(!finds(GATEWAY, line), "{line}");
        }
    }

    #[test]
    fn a_text_is_found_that_is_the_malls_as_a_whole_or_has_one_of_its_paths() {
        for word in WHOLE {
            assert!(finds(GATEWAY, &format!("f(\"{word}\");")), "{word}");
            assert!(!finds(GATEWAY, &format!("f(\"x {word}\", \"{word} x\");")), "{word}");
        }
        for path in ["/orders", "/goods"] {
            for text in [
                path.to_owned(),
                format!("{path}/1"),
                format!("{{base}}{path}"),
                format!("GET {path}"),
                format!("{path}?a=b"),
            ] {
                assert!(finds(GATEWAY, &format!("f(\"{text}\");")), "{text}");
            }
            for text in [format!("/x{path}"), format!("{path}x"), format!("{path}-x")] {
                assert!(!finds(GATEWAY, &format!("f(\"{text}\");")), "{text}");
            }
        }
        for path in ["/.well-known/z", "/img", "/y"] {
            assert!(!finds(GATEWAY, &format!("f(\"{path}\");")), "{path}");
        }
    }

    #[test]
    fn a_text_in_the_malls_language_and_a_file_that_is_not_rust_are_found() {
        assert!(finds(GATEWAY, "f(\"처음으로\");"));
        assert!(!finds(GATEWAY, "// 처음으로"));
        let yaml = |path: &str, line: &str| !findings(check, &[(path, line), TABLE]).is_empty();
        for line in ["path: /orders/session", "role: ORDER_ADMIN", "home: 처음으로"] {
            assert!(yaml("crates/yeoul/src/settings/session.yaml", line), "{line}");
            assert!(!yaml("crates/yeoul/tests/fixtures/a.yaml", line), "{line}");
            assert!(!yaml("mall/session.yaml", line), "{line}");
        }
        assert!(!yaml("crates/yeoul/src/settings/session.yaml", "path: /session"));
    }

    #[test]
    fn the_malls_member_is_named_by_what_composes_it_alone() {
        let layer = "crates/yeoul/src/compose/layer.rs";
        for line in ["use mall::Loop;", "use mall::{A, B};", "let a: mall::A = b;", "f(::mall::a);"]
        {
            assert!(finds(layer, line), "{line}");
            assert!(finds(layer, "f(\"name the mall's folder\");"));
            for path in ["crates/yeoul/src/settings/mall.rs", "crates/yeoul/src/compose/mall/a.rs"]
            {
                assert!(!finds(path, line), "{path}: {line}");
            }
        }
        for line in
            ["use super::mall::Mall;", "let a = crate::mall::a;", "// mall::A", "let mall = 1;"]
        {
            assert!(!finds(layer, line), "{line}");
        }
        for (before, refused) in [
            ("mod mall;", false),
            ("use super::{look, mall};", false),
            ("mod small;", true),
            ("use super::{look, mall as shop};", true),
        ] {
            assert_eq!(
                finds(layer, &format!("{before}\nlet a = mall::run();")),
                refused,
                "{before}"
            );
        }
    }

    #[test]
    fn the_mall_its_composition_and_tests_may_say_them() {
        let line = "f(\"ORDER_ADMIN\");";
        for (path, refused) in [
            ("crates/chassis/src/identity.rs", true),
            ("crates/yeoul/src/compose/layer.rs", true),
            ("crates/yeoul/src/compose/mallet.rs", true),
            ("crates/yeoul/src/compose/mall.rs", false),
            ("crates/yeoul/src/compose/mall/faulty.rs", false),
            ("crates/yeoul/src/command/mall.rs", false),
            ("crates/gateway/tests/gateway/sign_in.rs", false),
            ("crates/chassis/src/identity/tests.rs", false),
            ("crates/events/examples/publish.rs", false),
            ("mall/src/order.rs", false),
            ("lab/src/bench.rs", false),
        ] {
            assert_eq!(finds(path, line), refused, "{path}");
        }
        let tests = format!("fn a() {{}}\n#[cfg(test)]\nmod tests {{\n{line}\n}}");
        assert!(!finds(GATEWAY, &tests));
        assert!(finds(GATEWAY, &format!("{line}\n{tests}")));
    }
}
