//! A data folder as a program leaves it, with what was promised about it: what later programs must open.
//!
//! A small mall is run until its folder holds one of each thing that an upgrade could lose: answers that are
//! remembered by an `Idempotency-Key`, a dead letter with an event parked behind it, an order that was
//! acknowledged and is not yet relayed, positions in clients' hands. The folder is packed as the program
//! leaves it, stopped or killed with its write-ahead files, beside a note of all that it answered.
//!
//! It asks the program nothing but what its users may, so that any commit since the first can be used.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::error::{Error, environment};
use crate::http::{Answer, Request};
use crate::mall::{self, Customer, Mall};
use crate::process::Signal;
use crate::program::{self, Cores, Program};

/// Pieces in stock before the first order.
const STOCK: u64 = 100;
/// The key under which the first order is remembered.
const KEY: &str = "fixture-1";
/// Topics that the mall publishes to.
const TOPICS: [&str; 4] = ["account", "delivery", "order", "product"];

/// How the program ends before its folder is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By SIGTERM, as an operator stops it.
    Stopped,
    /// By SIGKILL: the write-ahead files stay.
    Killed,
}

/// Runs `program`, by these settings where there are any, until its folder is worth keeping, and writes `NAME.tar.gz` (the
/// folder `data`) and `NAME.json` (what it answered) into `into`. What it had on a server stays there.
///
/// # Errors
/// [`Error::Environment`]: the program does not behave as its users are promised, or nothing can be
/// written there.
pub fn make(
    file: &Path,
    end: End,
    settings: Option<&str>,
    into: &Path,
    name: &str,
) -> Result<(), Error> {
    let folder = tempfile::Builder::new().prefix("yeoul-fixture-").tempdir()?;
    let file = program::built(file)?;
    let command = ["mall", "--faults"];
    let running = Program::start(&file, &command, settings, Cores::All, folder.path())?;
    let noted = fill(&running)?;
    // The folder is packed after the process is gone: a live one would go on writing between two files.
    running.server.end(match end {
        End::Stopped => Signal::Term,
        End::Killed => Signal::Kill,
    })?;
    std::fs::write(into.join(format!("{name}.json")), format!("{noted:#}\n"))?;
    pack(folder.path(), &into.join(format!("{name}.tar.gz")))
}

/// What the mall is brought to, and everything it answered that must hold for its next program too.
fn fill(running: &Program) -> Result<Value, Error> {
    let (gateway, admin) = (running.address("gateway")?, running.address("admin")?);
    // The order of what follows matters: each step needs what the one before left at rest, and the relay is
    // switched off last because nothing goes through after it.
    let mall = Mall::open(&gateway)?;
    let product = mall.register(STOCK)?;
    let (first, second) = (mall.customer()?, mall.customer_named("2@uengine.org", "2")?);

    // Delivered, and remembered by its key.
    let request = mall.order(&first, product).header("Idempotency-Key", KEY);
    let kept = mall::expect(&request, 201)?;
    delivered(&mall, &first, order_id(&kept)?)?;

    // A dead letter of delivery, and the order's cancellation parked behind it.
    fault(
        &admin,
        "delivery",
        &json!({"on": "OrderConfirmed", "match": {"customerId": second.name}}),
    )?;
    let parked = mall::expect(&mall.order(&second, product), 201)?;
    let dead = mall.wait_for(|| letter(&admin, 0), "a dead letter")?;
    let path = format!("/orders/{}", order_id(&parked)?);
    let cancel = Request::new("PATCH", &gateway, &path).bearer(&second.token);
    mall::expect(&cancel.json(&json!({"state": "OrderCancelled"})), 200)?;
    mall.wait_for(|| letter(&admin, 1), "an event parked behind the letter")?;
    mall.wait_for(|| settled(&admin), "every subscription at the end of its topic")?;

    // Acknowledged, committed, not relayed.
    fault(&admin, "order", &json!({"relay": "off"}))?;
    let unrelayed = mall::expect(&mall.order(&first, product), 201)?;

    Ok(json!({
        "product": product,
        "stock": STOCK,
        "key": KEY,
        "kept": answered(&kept),
        "parked": answered(&parked),
        "unrelayed": answered(&unrelayed),
        "letter": dead["id"],
        "page": page(&gateway, &first)?["version"],
        "events": events(&mall)?,
    }))
}

fn fault(admin: &str, service: &str, fault: &Value) -> Result<(), Error> {
    let request = Request::new("PUT", admin, &format!("/admin/faults/{service}")).json(fault);
    let status = request.send()?.status;
    if (200..300).contains(&status) {
        return Ok(());
    }
    Err(environment(format!("the fault is refused. service=`{service}`, status=`{status}`")))
}

fn order_id(answer: &Answer) -> Result<u64, Error> {
    let id = answer.json()["id"].as_u64();
    id.ok_or_else(|| environment("an order without an id"))
}

/// Waits until the customer's page shows the order's delivery.
fn delivered(mall: &Mall, who: &Customer, order: u64) -> Result<(), Error> {
    let shown = || {
        let page = page(mall.gateway(), who).ok()?;
        let mut rows = page["orders"].as_array()?.iter();
        let row = rows.find(|row| row["orderId"] == order)?;
        (row["deliveryState"] == "DeliveryStarted").then_some(())
    };
    mall.wait_for(shown, "the order's delivery on the page")
}

fn page(gateway: &str, who: &Customer) -> Result<Value, Error> {
    let request = Request::new("GET", gateway, &format!("/mypages/{}", who.name));
    Ok(mall::expect(&request.bearer(&who.token).header("Accept", "application/json"), 200)?.json())
}

/// The only dead letter, once so many events wait behind it.
fn letter(admin: &str, waiting: u64) -> Option<Value> {
    let letters = listed(admin, "/admin/dead")?;
    let [letter] = letters.as_slice() else { return None };
    (behind(letter)? >= waiting).then(|| letter.clone())
}

/// How many events wait behind a letter, in the words of every program so far.
fn behind(letter: &Value) -> Option<u64> {
    letter["waiting"].as_u64()
}

/// Whether every subscription has taken all that is in its topic.
fn settled(admin: &str) -> Option<()> {
    let all = listed(admin, "/admin/subscriptions")?;
    all.iter().all(|one| one["lag"] == 0).then_some(())
}

fn listed(admin: &str, path: &str) -> Option<Vec<Value>> {
    let answer = Request::new("GET", admin, path).send().ok()?;
    answer.json().as_array().cloned()
}

/// What a write was answered: the body, and the position that its reader holds.
fn answered(answer: &Answer) -> Value {
    json!({"body": answer.json(), "position": answer.header("Yeoul-Position")})
}

/// Every event of every topic, in order: its id, and the position that its reader holds.
fn events(mall: &Mall) -> Result<Value, Error> {
    let mut all = serde_json::Map::new();
    for topic in TOPICS {
        let answer = mall.get(&format!("/events/{topic}?from=beginning&limit=1000"))?.json();
        let events = answer.as_array().ok_or_else(|| environment("a topic that is no list"))?;
        let noted = |event: &Value| json!({"id": event["id"], "position": event["position"]});
        all.insert(topic.to_owned(), events.iter().map(noted).collect());
    }
    Ok(all.into())
}

/// Packs the folder `data`, the same bytes for the same files.
fn pack(folder: &Path, file: &Path) -> Result<(), Error> {
    let mut tar = Command::new("tar");
    tar.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "-czf"]);
    let status = tar.arg(file).arg("-C").arg(folder).arg("data").status()?;
    if status.success() { Ok(()) } else { Err(environment("tar did not pack the folder")) }
}
