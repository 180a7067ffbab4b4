//! What a settings file may say, what is refused, and with which line.

use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use mistakes::Mistake;
use serde::Deserialize;

use super::Tree;
use super::text::{Percentage, Rate, Size, Span};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read through Debug")]
struct Sample {
    name: Option<String>,
    #[serde(default)]
    routes: BTreeMap<String, Route>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read through Debug")]
struct Route {
    path: String,
    timeout: Option<Span>,
    share: Option<Percentage>,
    rate: Option<Rate>,
    size: Option<Size>,
    per: Option<Per>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Per {
    Route,
    Principal,
}

fn read(text: &str) -> Result<Sample, Vec<Mistake>> {
    Tree::parse("a.yaml", text)?.read()
}

fn check(text: &str, expected: &Expect) {
    let shown = match read(text) {
        Ok(sample) => format!("{sample:?}"),
        Err(mistakes) => mistakes.iter().map(Mistake::to_string).collect::<Vec<_>>().join("\n"),
    };
    expected.assert_eq(&shown);
}

#[test]
fn a_good_file_is_read_with_its_units() {
    check(
        "routes:\n  a: { path: /a, timeout: 610ms, share: 50%, rate: 5000/s, size: 4KiB, per: route }",
        &expect![[
            r#"Sample { name: None, routes: {"a": Route { path: "/a", timeout: Some(Span(610ms)), share: Some(Percentage(500000000)), rate: Some(Rate(5000)), size: Some(Size(4096)), per: Some(Route) }} }"#
        ]],
    );
}

#[test]
fn every_mistake_names_its_line() {
    let table: [(&str, Expect); 14] = [
        (
            "routes:\n  a: secret",
            expect![[
                r"a.yaml:2: routes.a: must be a map of `path`, `timeout`, `share`, `rate`, `size`, `per`, is a text"
            ]],
        ),
        (
            "routes: { a: [/a] }",
            expect![[
                r"a.yaml:1: routes.a: must be a map of `path`, `timeout`, `share`, `rate`, `size`, `per`, is a list"
            ]],
        ),
        (
            "routes: { a: true }",
            expect![[
                r"a.yaml:1: routes.a: must be a map of `path`, `timeout`, `share`, `rate`, `size`, `per`, is `true` or `false`"
            ]],
        ),
        (
            "routes: { a: }",
            expect![[
                r"a.yaml:1: routes.a: must be a map of `path`, `timeout`, `share`, `rate`, `size`, `per`, is empty"
            ]],
        ),
        (
            "name: x\nroutez: {}",
            expect![
                "a.yaml:2: routez: unknown name. name=`routez`, nearest=`routes`, known=`name`, `routes`"
            ],
        ),
        ("routes:\n  a:\n    timeout: 1s", expect!["a.yaml:2: routes.a.path: is missing"]),
        (
            "routes:\n  a:\n    path: /a\n    timeout: 1 week",
            expect![
                "a.yaml:4: routes.a.timeout: must be a duration such as `610ms`, `5s` or `2m`, at most `24h`, is `1 week`"
            ],
        ),
        (
            "routes:\n  a:\n    path: /a\n    share: 0%",
            expect![
                "a.yaml:4: routes.a.share: must be a share such as `50%`, above 0% and at most 100%, at most 7 decimals, is `0%`"
            ],
        ),
        (
            "routes:\n  a:\n    path: [1]",
            expect!["a.yaml:3: routes.a.path: invalid type: sequence, expected a string"],
        ),
        ("routes: secret", expect!["a.yaml:1: routes: invalid type: a text, expected a map"]),
        (
            "routes:\n  a: { path: /a, per: nobody }",
            expect![
                "a.yaml:2: routes.a.per: unknown value. name=`nobody`, nearest=`route`, known=`route`, `principal`"
            ],
        ),
        ("name: x\nname: y", expect!["a.yaml:2: duplicated key in mapping"]),
        ("- 1", expect!["a.yaml:1: settings must be a map of names"]),
        ("a: [1", expect!["a.yaml:2: while parsing a flow sequence, expected ',' or ']'"]),
    ];
    for (text, expected) in table {
        check(text, &expected);
    }
}

#[test]
fn every_mistake_of_a_file_is_named() {
    check(
        "nonsense: 1\nroutes:\n  a: { path: /a, timeout: soon, share: 0% }\n  b: { rate: 5/s }\n  c: { path: [1] }\nname: [x]",
        &expect![[r"
            a.yaml:1: nonsense: unknown name. name=`nonsense`, nearest=`routes`, known=`name`, `routes`
            a.yaml:3: routes.a.timeout: must be a duration such as `610ms`, `5s` or `2m`, at most `24h`, is `soon`
            a.yaml:3: routes.a.share: must be a share such as `50%`, above 0% and at most 100%, at most 7 decimals, is `0%`
            a.yaml:4: routes.b.path: is missing
            a.yaml:5: routes.c.path: invalid type: sequence, expected a string
            a.yaml:6: name: invalid type: sequence, expected a string"]],
    );
}

#[test]
fn a_share_is_kept_exactly_or_refused() {
    let read = |text: &str| {
        let text = format!("routes: {{ a: {{ path: /a, share: '{text}' }} }}");
        read(&text).ok().and_then(|sample| sample.routes["a"].share).map(Percentage::billionths)
    };
    let good = [
        ("50%", 500_000_000),
        ("7.2%", 72_000_000),
        ("7.20 %", 72_000_000),
        ("0.0000001%", 1),
        ("100%", 1_000_000_000),
        ("100.0000000%", 1_000_000_000),
    ];
    for (text, billionths) in good {
        assert_eq!(read(text), Some(billionths), "{text}");
    }
    let bad = [
        "0%",
        "0.0%",
        "100.0000001%",
        "101%",
        "0.00000001%",
        "-5%",
        "+5%",
        "5",
        "5.%",
        ".5%",
        "1e1%",
        "NaN%",
        "5 5%",
        "%",
        "99999999999%",
    ];
    for text in bad {
        assert_eq!(read(text), None, "{text}");
    }
}

#[test]
fn an_overlay_merges_maps_replaces_lists_and_keeps_origins() {
    let base = Tree::parse("base", "a: { b: 1, c: [1, 2] }\nd: x").expect("parses");
    let over = Tree::parse("over", "\n\na:\n  c: [3]").expect("parses");
    let both = base.overlay(over);
    expect![[r#"{"a":{"b":1,"c":[3]},"d":"x"}"#]].assert_eq(&both.json().to_string());
    expect!["over:4: a.c: no"].assert_eq(&both.mistake(&["a", "c"], "no").to_string());
    expect!["base:1: a.b: no"].assert_eq(&both.mistake(&["a", "b"], "no").to_string());
}

#[test]
fn a_variable_replaces_a_present_setting_and_no_other() {
    let tree = || Tree::parse("base", "routes: { stock-check: { rate: 5 } }").expect("parses");
    let set = |name: &str| tree().override_by([(name.to_owned(), "7".to_owned())].into_iter());
    let changed = set("YEOUL_ROUTES__STOCK_CHECK__RATE").expect("names a setting");
    expect![[r#"{"routes":{"stock-check":{"rate":7}}}"#]].assert_eq(&changed.json().to_string());
    let refused = set("YEOUL_ROUTES__STOCK_CHECK__RATES").expect_err("names nothing");
    expect!["$YEOUL_ROUTES__STOCK_CHECK__RATES:0: names no setting: unknown name. name=`rates`, nearest=`rate`"]
        .assert_eq(&refused[0].to_string());
    assert!(set("PATH").is_ok(), "other variables are not ours");
}

#[test]
fn a_file_at_the_size_limit_is_read_and_one_past_it_is_refused() {
    let limit = super::tree::FILE_BYTES_MAX;
    let padded = |bytes: usize| format!("{}\n{}", "name: x", "#".repeat(bytes - 8));
    assert!(Tree::parse("a", &padded(limit)).is_ok());
    assert!(Tree::parse("a", &padded(limit + 1)).is_err());
}
