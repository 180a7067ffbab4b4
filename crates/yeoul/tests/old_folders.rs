//! Data folders as earlier programs left them (`cargo xtask fixture COMMIT`), opened by this one: what was
//! promised then holds now. Where state was on a server, its tables are made there again from statements beside the folder.

#[path = "../../events/tests/postgres/server.rs"]
#[allow(dead_code, reason = "the store's own tests use the rest")]
mod server;
#[path = "support/lib.rs"]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use server::{Server, psql, said};
use support::{Customer, Folder, Mall, eventually, eventually_is, is_elsewhere, overlay, text};

/// Every folder there is, by its name without an ending.
fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let files =
        fs::read_dir(folder).expect("the fixtures").map(|file| file.expect("a file").path());
    let mut all: Vec<PathBuf> = files
        .filter(|file| file.extension().is_some_and(|end| end == "json"))
        .map(|file| file.with_extension(""))
        .collect();
    all.sort();
    let served = all.iter().filter(|it| statements(it).exists()).count();
    assert!(all.len() - served >= 2 && served >= 2, "stopped and killed ones: {all:?}");
    all
}

/// What makes again what its program had on a server, where it had something there.
fn statements(fixture: &Path) -> PathBuf {
    fixture.with_extension("sql")
}

/// An earlier program's folder, and what it had on a server.
struct Old {
    folder: Folder,
    settings: Option<PathBuf>,
    /// What its program answered.
    noted: Value,
}

impl Old {
    fn unpacked(fixture: &Path) -> Old {
        let (folder, noted) = unpacked(fixture);
        let settings = statements(fixture).exists().then(|| {
            let address = Server::shared().database("old");
            let made = psql(&address).arg("-f").arg(statements(fixture)).output();
            said(&made.expect("psql runs")).expect("its tables");
            // As whoever moves a database is told to.
            fs::remove_file(folder.data().join("store")).expect("a note of where its state was");
            overlay(folder.path(), "served.yaml", &format!("store: \"{address}\"\n"))
        });
        Old { folder, settings, noted }
    }

    fn arguments(&self) -> Vec<String> {
        let settings = self.settings.iter().flat_map(|file| ["-c", text(file)]);
        ["--faults"].into_iter().chain(settings).map(str::to_owned).collect()
    }
}

fn start(folder: Folder, arguments: &[String]) -> Mall {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Mall::on(folder, &arguments)
}

/// The folder unpacked, and what its program answered.
fn unpacked(fixture: &Path) -> (Folder, Value) {
    let folder = Folder::new();
    let mut tar = Command::new("tar");
    tar.arg("-xzf").arg(fixture.with_extension("tar.gz")).arg("-C").arg(folder.path());
    assert!(tar.status().expect("tar").success());
    let noted = fs::read(fixture.with_extension("json")).expect("what was answered");
    (folder, serde_json::from_slice(&noted).expect("JSON"))
}

fn each(test: impl Fn(&Mall, &Value)) {
    if is_elsewhere() {
        return;
    }
    for fixture in fixtures() {
        eprintln!("{}", fixture.display());
        let old = Old::unpacked(&fixture);
        let arguments = old.arguments();
        let mall = start(old.folder, &arguments);
        mall.at("admin", "GET", "/readyz").send().expect(200);
        test(&mall, &old.noted);
    }
}

fn number(noted: &Value, path: &str) -> u64 {
    noted.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {path} in {noted}"))
}

fn demo(mall: &Mall) -> [Customer; 2] {
    [mall.sign_in("1@uengine.org", "1"), mall.sign_in("2@uengine.org", "2")]
}

#[test]
fn every_order_goes_on_and_nothing_is_done_twice() {
    each(|mall, noted| {
        let [first, second] = demo(mall);
        let (kept, parked, unrelayed) = (
            number(noted, "/kept/body/id"),
            number(noted, "/parked/body/id"),
            number(noted, "/unrelayed/body/id"),
        );
        mall.await_row(&first, kept, ("OrderPlaced", Some("DeliveryStarted")));
        // It was committed and not relayed when its program ended.
        mall.await_row(&first, unrelayed, ("OrderPlaced", Some("DeliveryStarted")));

        let letter = noted["letter"].as_str().expect("a letter");
        let dead = mall.dead();
        let of_it = dead.iter().find(|one| one["id"] == letter);
        assert_eq!(of_it.expect("the dead letter")["waiting"], 1, "{dead:?}");
        mall.redrive(letter).expect(202);
        // The cancellation that was parked behind it follows.
        mall.await_row(&second, parked, ("OrderCancelled", Some("DeliveryCancelled")));
        eventually("no letter is left", || mall.dead().is_empty().then_some(()));

        // Three were ordered, one was given back.
        mall.await_stock(number(noted, "/product"), number(noted, "/stock") - 2);
        for order in [kept, parked, unrelayed] {
            assert_eq!(mall.deliveries_of(order).len(), 1, "order {order}");
        }
        assert!(number(&mall.page(&first), "/version") > number(noted, "/page"));
    });
}

#[test]
fn a_remembered_answer_is_given_again() {
    each(|mall, noted| {
        let [first, _] = demo(mall);
        let again = |quantity: u64| {
            let body = json!({"productId": noted["product"], "quantity": quantity});
            let key = noted["key"].as_str().expect("a key");
            mall.ordering(&first, &body).header("Idempotency-Key", key).send()
        };
        assert_eq!(again(1).expect(201).value(), noted["kept"]["body"]);
        again(2).problem(422);
    });
}

#[test]
fn events_keep_their_ids_and_positions_what_they_mean() {
    each(|mall, noted| {
        let [first, second] = demo(mall);
        let topics = noted["events"].as_object().expect("topics");
        assert_eq!(topics.len(), 4);
        for (topic, events) in topics {
            let events = events.as_array().expect("events");
            let ids = |events: &[Value]| -> Vec<Value> {
                events.iter().map(|event| event["id"].clone()).collect()
            };
            let now = mall.events(topic);
            assert_eq!(ids(&now)[..events.len()], ids(events), "{topic}");
            for (at, event) in events.iter().enumerate() {
                let from = event["position"].as_str().expect("a position");
                let rest = mall.batch(topic, &format!("?from={from}&limit=1000")).expect(200);
                let rest = rest.value().as_array().expect("a list").clone();
                assert!(ids(&rest).starts_with(&ids(&now)[at + 1..]), "{topic} after {from}");
            }
        }
        // The order that had not been relayed is waited for by the position that was given for it.
        for (who, name) in [(&first, "kept"), (&second, "parked"), (&first, "unrelayed")] {
            let position = noted[name]["position"].as_str().expect("a position");
            let page = mall.get(&format!("/mypages/{}", who.id)).bearer(&who.token);
            let page = page.header("Accept", "application/json").header("Yeoul-Position", position);
            let page = page.header("Prefer", "wait=10").send().expect(200).value();
            let mut rows = page["orders"].as_array().expect("orders").iter();
            assert!(rows.any(|row| row["orderId"] == noted[name]["body"]["id"]), "{name}: {page}");
        }
    });
}

#[test]
fn a_folder_that_was_opened_stays_opened() {
    each(|mall, noted| {
        let placed = mall.order(&demo(mall)[0], number(noted, "/product"), 1);
        mall.await_order(placed.id, "OrderPlaced");
        assert!(placed.id > number(noted, "/unrelayed/body/id"));
        eventually_is("every subscription at the end", &true, || {
            mall.subscriptions().iter().all(|one| one["lag"] == 0)
        });
    });
    for fixture in fixtures() {
        if is_elsewhere() {
            return;
        }
        let old = Old::unpacked(&fixture);
        let arguments = old.arguments();
        let folder = start(old.folder, &arguments).kill();
        let mall = start(folder, &arguments);
        mall.await_order(number(&old.noted, "/unrelayed/body/id"), "OrderPlaced");
    }
}
