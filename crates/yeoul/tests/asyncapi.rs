//! `yeoul asyncapi` describes the topics of settings as AsyncAPI's own parser reads them: nothing is wrong with the document, it
//! has what the settings have, and references within a type's schema lead where they did.

#[path = "support/lib.rs"]
mod support;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support::{Folder, overlay, run, text};

const SETTINGS: &str = "
inner: 127.0.0.1:8089
events:
  allow: [loopback]
  topics:
    paid: { partitions: 4, publish: TILL, schemas: schemas/paid }
    shop.free_1: { publish: TILL }
    unread: {}
  subscriptions:
    mail: { topic: paid, push: 'http://127.0.0.1:9000/events?token=hidden' }
    bill: { topic: paid, pull: true }
    any: { topic: shop.free_1, push: 'http://127.0.0.1:9000/any' }
";

/// Settings with schemas beside them.
fn settings(folder: &Folder) -> PathBuf {
    let place = folder.path().join("schemas/paid");
    fs::create_dir_all(&place).expect("a folder");
    let paid = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://till.example/paid",
        "type": "object",
        "required": ["won", "lines"],
        "properties": {
            "won": {"type": "integer", "minimum": 1},
            "lines": {"type": "array", "items": {"$ref": "#/$defs/a%20line"}},
            "place": {"prefixItems": [{"type": "number"}, {"$ref": "#/properties/place/prefixItems/0"}], "items": false},
        },
        "dependentRequired": {"won": ["lines"]},
        "$defs": {"a line": {"$ref": "#/$defs/priced", "title": "A line"}, "priced": {"required": ["price"]}},
    });
    // Names that no document's may be, two of which differ by what stands for the other's letter.
    for (file, schema) in [
        ("Paid", paid),
        ("com.example%2FRefunded", json!({})),
        ("com.example_2FRefunded", json!(true)),
        ("취소", json!({"type": ["object", "null"]})),
        ("Never", json!(false)),
    ] {
        fs::write(place.join(format!("{file}.json")), schema.to_string()).expect("written");
    }
    overlay(folder.path(), "till.yaml", SETTINGS)
}

fn printed(file: &Path, more: &[&str]) -> String {
    let arguments = [&["asyncapi", "-c", text(file)], more].concat();
    run(&arguments).expect(0).stdout.clone()
}

/// What a document is to AsyncAPI's own parser.
fn read(document: &str) -> Value {
    let here = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/asyncapi"));
    let is_there = here.join("node_modules/@asyncapi/parser").is_dir();
    let install = "cargo xtask services install asyncapi";
    assert!(is_there, "AsyncAPI's parser is not installed. Install it with:\n{install}");
    let mut command = Command::new("node");
    command.arg(here.join("read.js")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("Node is there");
    child.stdin.take().expect("piped").write_all(document.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("it ends");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn what_it_prints_is_valid_by_asyncapi_s_own_parser_which_finds_all_that_the_settings_have() {
    let folder = Folder::new();
    let file = settings(&folder);
    let document = printed(&file, &[]);
    let read = read(&document);
    assert_eq!(read["wrong"], json!([]), "{document}");

    let names = ["Never", "Paid", "com.example/Refunded", "com.example_2FRefunded", "취소"];
    let twice: Vec<&str> = names.iter().flat_map(|it| [*it, *it]).chain(["batch"]).collect();
    let operation = |id: &str, action: &str, channel: &str, messages: &[&str]| json!({"id": id, "action": action, "channels": [channel], "messages": messages});
    let expected = [
        operation("publish-paid", "send", "paid", &twice),
        operation("publish-shop.free_1", "send", "shop.free_1", &["any", "any", "batch"]),
        operation("pull-bill", "receive", "paid", &["batch"]),
        operation("push-any", "receive", "shop.free_1", &["any"]),
        operation("push-mail", "receive", "paid", &names),
    ];
    assert_eq!(read["operations"], json!(expected));

    // Every reference was followed, in the data and in the event around it.
    let line = json!({"title": "A line", "allOf": [{"required": ["price"]}]});
    let paid = &read["payloads"]["Paid"];
    assert_eq!(paid["properties"]["lines"]["items"], line, "{paid}");
    assert_eq!(
        paid["properties"]["place"]["items"],
        json!([{"type": "number"}, {"type": "number"}])
    );
    assert_eq!(read["payloads"]["Paid_structured"]["properties"]["data"], *paid);
}

#[test]
fn the_same_settings_make_the_same_document_in_yaml_and_in_json() {
    let folder = Folder::new();
    let file = settings(&folder);
    let document: Value = serde_json::from_str(&printed(&file, &["--json"])).expect("JSON");
    let yaml = printed(&file, &[]);
    assert_eq!(yaml, printed(&file, &[]));
    assert!(
        yaml.starts_with("asyncapi: \"3.0.0\"\nchannels:\n  paid:\n    address: paid\n"),
        "{yaml}"
    );
    assert!(!yaml.contains("hidden"), "what only a receiver is to know is in it: {yaml}");

    assert_eq!(document["info"]["title"], "till");
    assert_eq!(document["info"]["version"], "unversioned");
    let (host, path) =
        (&document["servers"]["inner"]["host"], &document["servers"]["inner"]["pathname"]);
    assert_eq!((host, path), (&json!("127.0.0.1:8089"), &json!("/events")));
    // Data that may be missing, by the schema, need not be there; a type is as its header has it.
    let required =
        |name: &str| &document["components"]["schemas"][format!("paid__{name}_event")]["required"];
    assert_eq!(*required("Paid"), json!(["data"]));
    assert_eq!(*required("_EC_B7_A8_EC_86_8C"), Value::Null);
    let refunded = &document["channels"]["paid"]["messages"]["com.example_2FRefunded"];
    assert_eq!(
        refunded["headers"]["properties"]["ce-type"],
        json!({"const": "com.example/Refunded"})
    );
    let cancelled = &document["channels"]["paid"]["messages"]["_EC_B7_A8_EC_86_8C"];
    assert_eq!(
        cancelled["headers"]["properties"]["ce-type"],
        json!({"const": "%EC%B7%A8%EC%86%8C"})
    );

    let called = printed(&file, &["--json", "--title", "The till", "--version", "1.4.0"]);
    let called: Value = serde_json::from_str(&called).expect("JSON");
    assert_eq!(called["info"]["title"], "The till");
    assert_eq!(called["info"]["version"], "1.4.0");
}

#[test]
fn the_mall_s_own_topics_are_described_beside_those_that_are_laid_over_it() {
    let folder = Folder::new();
    let laid = "inner: 127.0.0.1:8089\nevents: { topics: { paid: { publish: USER } } }\n";
    let file = overlay(folder.path(), "over.yaml", laid);
    let document = printed(&file, &["--mall"]);
    let read = read(&document);
    assert_eq!(read["wrong"], json!([]), "{document}");
    for line in ["  order:\n", "  paid:\n", "  gateway:\n", "    host: \"127.0.0.1:8088\"\n"] {
        assert!(document.contains(line), "{line}: {document}");
    }
}

#[test]
fn settings_with_mistakes_print_none_and_each_is_named_as_check_names_it() {
    let folder = Folder::new();
    let file = settings(&folder);
    let broken = folder.path().join("schemas/paid/Broken.json");
    fs::write(broken, r#"{"tpye": "object"}"#).expect("written");
    let checked = run(&["check", "-c", text(&file)]).expect(1).stdout.clone();
    let outcome = run(&["asyncapi", "-c", text(&file)]).expect(1);
    assert_eq!(outcome.stdout, "");
    assert!(checked.contains("unknown keyword. name=`tpye`"), "{checked}");
    assert!(outcome.stderr.starts_with(&checked), "{outcome:?}");
}
