//! `yeoul serve` publishes what services in other languages insert: each row once and in order, whatever is killed.
//!
//! Against a real PostgreSQL, and a real Kafka where two processes share one: `cargo xtask services install postgres
//! psycopg pg java maven kafka`.

#[path = "../../brokers/tests/kafka/server.rs"]
#[allow(dead_code, reason = "the broker's own tests use the rest")]
mod kafka;
#[path = "../../events/tests/postgres/server.rs"]
#[allow(dead_code, reason = "the table's own tests use the rest")]
mod postgres;
#[path = "support/lib.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use postgres::{Server, said, sql};
use serde_json::Value;
use support::{Call, Folder, Outcome, Started, eventually, is_elsewhere, overlay, run, text};

const PARTITIONS: u16 = 4;
/// What each writer does, of which every fifth is rolled back.
const TRANSACTIONS: usize = 60;
const KEYS: [&str; 3] = ["17", "18", "19"];

/// Runs what the program prints in the database.
fn make(address: &str, topic: &str) {
    let count = PARTITIONS.to_string();
    let schema = ["outbox", "schema", "--postgres", "--topic", topic, "--partitions", &count];
    sql(address, &run(&schema).expect(0).stdout).expect("an outbox");
}

/// A settings file with this outbox.
fn settings(folder: &Folder, outbox: &str, broker: &str) -> PathBuf {
    let events = format!(
        "events:\n{broker}  topics: {{ order: {{ partitions: {PARTITIONS} }} }}\n  outboxes:\n    shop: {{ {outbox} }}\n"
    );
    overlay(folder.path(), "serve.yaml", &events)
}

fn serve<'a>(settings: &'a Path, data: &'a Path) -> [&'a str; 8] {
    let listen = "127.0.0.1:0";
    ["serve", "-c", text(settings), "--data", text(data), "--listen", listen, "--json"]
}

/// What a topic has, read through the process that runs on the folder.
fn topic(name: &str, data: &Path) -> Vec<Value> {
    let tail = ["events", "tail", name, "--from-beginning", "--no-follow", "--data", text(data)];
    // Read while it is printed: it may be more than a pipe holds.
    let printed = support::yeoul().args(tail).output().expect("the program starts");
    let printed = said(&printed).expect("a topic");
    printed.lines().map(|line| serde_json::from_str(line).expect("an event")).collect()
}

/// A service in another language that writes to this database.
fn writer(program: &str, script: &str, address: &str, name: &str, keys: &[&str]) -> Child {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events/tests/postgres");
    let mut command = Command::new(program);
    command.arg(scripts.join(script)).args([address, name, &TRANSACTIONS.to_string()]).args(keys);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
}

/// Python with psycopg: of the path, or Debian's.
fn python() -> &'static str {
    let has_it = |python: &&&str| {
        let asked = Command::new(python).args(["-c", "import psycopg"]).output();
        asked.is_ok_and(|output| output.status.success())
    };
    let found = ["python3", "/usr/bin/python3"].iter().find(has_it);
    found.expect("psycopg is not installed. Install it with:\ncargo xtask services install psycopg")
}

fn writers(address: &str) -> [Child; 2] {
    let back: Vec<&str> = KEYS.iter().rev().copied().collect();
    [
        writer(python(), "writer.py", address, "python", &KEYS),
        writer("node", "node/writer.js", address, "node", &back),
    ]
}

/// Where they have not ended, `false`.
fn have_ended(writers: &mut [Child]) -> bool {
    writers.iter_mut().all(|child| child.try_wait().expect("a child").is_some())
}

/// Ids of everything that was committed.
fn committed(address: &str) -> BTreeSet<String> {
    let ids = sql(address, "SELECT id FROM yeoul_outbox").expect("read");
    ids.lines().map(str::to_owned).collect()
}

/// Events in the order of a topic's partitions: numbers go up, and those of a key are in one partition. A second
/// copy, which an inbox knows by its number, is passed over.
fn first_copies(events: &[Value]) -> Vec<String> {
    let mut last: BTreeMap<u64, u64> = BTreeMap::new();
    let mut ids = Vec::new();
    for event in events {
        let key = event["partitionkey"].as_str().or(event["subject"].as_str()).expect("a key");
        let count = events::Partitions::new(PARTITIONS).expect("a count");
        let partition = u64::from(count.of(key).index());
        let number = event["outboxsequence"].as_str().expect("a number").parse().expect("one");
        let last = last.entry(partition).or_default();
        if number > *last {
            *last = number;
            ids.push(event["id"].as_str().expect("an id").to_owned());
        }
    }
    ids
}

fn all_are_there(address: &str, data: &Path) -> Vec<Value> {
    let wanted = committed(address);
    eventually("everything that was committed is in the topic", || {
        let events = topic("order", data);
        let ids = first_copies(&events);
        (ids.len() == wanted.len() && ids.into_iter().collect::<BTreeSet<_>>() == wanted)
            .then_some(events)
    })
}

#[test]
fn rows_of_python_node_and_psql_are_published_once_whenever_the_process_is_killed() {
    if is_elsewhere() {
        return;
    }
    let (folder, address) = (Folder::new(), Server::shared().database("shop"));
    make(&address, "order");
    sql(&address, "CREATE TABLE work (by TEXT, at INT, PRIMARY KEY (by, at))").expect("a table");
    let settings = settings(&folder, &format!("database: \"{address}\", topics: [order]"), "");
    let data = folder.data();
    let mut writers = writers(&address);
    let mut kills = 0;
    while !have_ended(&mut writers) || kills < 3 {
        let mut program = Started::new(&serve(&settings, &data));
        program.ready();
        let there = topic("order", &data).len();
        // In the middle of something: more is there than when it started, or nothing more will come.
        eventually("it publishes", || {
            (topic("order", &data).len() > there || have_ended(&mut writers)).then_some(())
        });
        program.stop_by("KILL");
        kills += 1;
    }
    for writer in writers {
        said(&writer.wait_with_output().expect("ended")).expect("a writer");
    }
    let insert = "INSERT INTO yeoul_outbox (topic, key, type, subject, data)
        VALUES ('order', '17', 'Placed', 'another', '{\"by\": \"psql\"}')";
    sql(&address, insert).expect("a row");
    sql(&address, &format!("BEGIN; {insert}; ROLLBACK")).expect("none");

    let mut program = Started::new(&serve(&settings, &data));
    let ready = program.ready();
    let events = all_are_there(&address, &data);
    let every_fifth = 2 * TRANSACTIONS / 5 * KEYS.len();
    assert_eq!(
        events.len(),
        2 * TRANSACTIONS * KEYS.len() - every_fifth + 1,
        "and once, by {kills} kills"
    );
    let by_psql: Vec<&Value> = events.iter().filter(|it| it["data"]["by"] == "psql").collect();
    let [event] = &by_psql[..] else { panic!("{by_psql:?}") };
    assert_eq!((&event["partitionkey"], &event["subject"]), (&"17".into(), &"another".into()));
    assert_eq!(event["source"], "order", "a position of it is waited for by the topic's name");
    let admin = ready["admin"].as_str().expect("an admin listener");
    let relays = Call::new("GET", format!("{admin}/admin/relays")).send().expect(200).value();
    assert_eq!(relays[0]["name"], "outbox.order", "{relays}");
    assert_eq!((&relays[0]["stuck"], &relays[0]["lag"]), (&Value::Null, &0.into()), "{relays}");
    assert_eq!(program.stop_by("TERM"), Some(0));
}

#[test]
fn of_two_processes_on_one_broker_each_partition_is_relayed_by_one_and_the_other_goes_on() {
    if is_elsewhere() {
        return;
    }
    let (kafka, address) = (kafka::Server::start(), Server::shared().database("shared"));
    make(&address, "order");
    sql(&address, "CREATE TABLE work (by TEXT, at INT, PRIMARY KEY (by, at))").expect("a table");
    let broker = format!("  broker: {}\n  prefix: shop.\n  replicas: 1\n", kafka.address());
    let outbox = format!("database: \"{address}\", topics: [order]");
    let folders = [Folder::new(), Folder::new()];
    let settings = folders.each_ref().map(|folder| settings(folder, &outbox, &broker));
    let data = folders.each_ref().map(Folder::data);
    let start = |at: usize| {
        let mut program = Started::new(&serve(&settings[at], &data[at]));
        program.ready();
        program
    };
    let mut running = [start(0), start(1)];
    let mut writers = writers(&address);
    for killed in [0, 1, 0] {
        let there = topic("order", &data[killed]).len();
        eventually("something is published", || {
            (topic("order", &data[killed]).len() > there || have_ended(&mut writers)).then_some(())
        });
        let before = std::mem::replace(&mut running[killed], Started::of(Command::new("true")));
        before.stop_by("KILL");
        running[killed] = start(killed);
    }
    for writer in writers {
        said(&writer.wait_with_output().expect("ended")).expect("a writer");
    }
    all_are_there(&address, &data[0]);
    for program in running {
        assert_eq!(program.stop_by("TERM"), Some(0));
    }
}

#[test]
fn a_password_is_the_environment_s() {
    if is_elsewhere() {
        return;
    }
    let folder = Folder::new();
    let rules = overlay(
        folder.path(),
        "hba.conf",
        "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n",
    );
    allow_all(folder.path());
    let server = Server::start_with(&["fsync = off", &format!("hba_file = '{}'", text(&rules))]);
    sql(&server.address(), "CREATE ROLE shop LOGIN PASSWORD 'a b@c:d'").expect("a role");
    let address = server.database("guarded");
    make(&address, "order");
    let own = "GRANT CREATE ON DATABASE guarded_0 TO shop; GRANT USAGE ON SCHEMA public TO shop;
        GRANT ALL ON ALL TABLES IN SCHEMA public TO shop; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO shop";
    sql(&address, &own.replace("guarded_0", address.rsplit('/').next().expect("a name")))
        .expect("rights");
    sql(&address, "INSERT INTO yeoul_outbox (topic, key, type) VALUES ('order', '1', 'Placed')")
        .expect("a row");
    let its = address.replace("postgres@", "shop@");
    let settings = settings(&folder, &format!("database: \"{its}\", topics: [order]"), "");
    let data = folder.data();
    let refused = run(&serve(&settings, &data)).expect(3);
    assert!(refused.last_word().contains("`YEOUL_OUTBOX_SHOP_PASSWORD`"), "{}", refused.stderr);

    let mut command = support::yeoul();
    command.args(serve(&settings, &data)).env("YEOUL_OUTBOX_SHOP_PASSWORD", "a b@c:d");
    let mut program = Started::of(command);
    let ready = program.ready();
    let events = eventually("the row", || {
        let events = topic("order", &data);
        (!events.is_empty()).then_some(events)
    });
    assert_eq!(events[0]["type"], "Placed");
    let admin = ready["admin"].as_str().expect("an admin listener");
    let shown = Call::new("GET", format!("{admin}/admin/settings")).send().expect(200).text();
    assert!(shown.contains("shop@127.0.0.1") && !shown.contains("a b@c:d"), "{shown}");
    assert_eq!(program.stop_by("TERM"), Some(0));
}

fn allow_all(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder, open).expect("the server's user may look");
}

#[test]
fn what_cannot_be_relayed_ends_the_start_and_names_what_helps() {
    if is_elsewhere() {
        return;
    }
    let folder = Folder::new();
    let data = folder.data();
    let refused = |outbox: &str| -> Outcome { run(&serve(&settings(&folder, outbox, ""), &data)) };
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let nobody = format!("postgres://postgres@{}/shop", free.local_addr().expect("an address"));
    drop(free);
    let away = refused(&format!("database: \"{nobody}\", topics: [order]")).expect(3);
    assert!(away.stderr.contains(&nobody), "{}", away.stderr);
    assert!(away.last_word().contains("see whether it runs there"), "{}", away.stderr);

    let address = Server::shared().database("bare");
    let bare = refused(&format!("database: \"{address}\", topics: [order]")).expect(3);
    let command = "yeoul outbox schema --postgres --topic order --partitions 4";
    assert!(bare.last_word().contains(command), "{}", bare.stderr);
    let make = ["outbox", "schema", "--postgres", "--topic", "order", "--partitions", "3"];
    sql(&address, &run(&make).expect(0).stdout).expect("an outbox");
    let other = refused(&format!("database: \"{address}\", topics: [order]")).expect(3);
    assert!(other.last_word().contains("events.topics.order.partitions: 3"), "{}", other.stderr);
    let outbox = format!("database: \"{address}\", schema: elsewhere, topics: [order]");
    assert!(refused(&outbox).expect(3).last_word().contains(command));

    for (outbox, says) in [
        (
            "database: \"mysql://a@b:1/c\", topics: [order]",
            "serve.yaml:4: events.outboxes.shop.database: ",
        ),
        (
            "database: \"postgres://a:secret@b:1/c\", topics: [order]",
            "`YEOUL_OUTBOX_SHOP_PASSWORD`",
        ),
    ] {
        let wrong = refused(outbox).expect(1).stderr;
        assert!(wrong.contains(says) && !wrong.contains("secret"), "{wrong}");
    }
}
