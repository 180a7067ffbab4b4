//! Writers in Python and Node, whose commits cross, and a reader that asks for `number > last` and misses nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use yeoul_events::Partitions;

use super::outbox::{declared, make};
use super::server::{Server, said, sql};
use super::session::Session;

/// Partitions that the writers write to, each in an order of its own.
const COUNT: u16 = 4;
/// What each writer does.
const TRANSACTIONS: usize = 20;

/// Python with psycopg: of the path, or Debian's.
fn python() -> PathBuf {
    let has_it = |python: &&str| {
        let asked = Command::new(python).args(["-c", "import psycopg"]).output();
        asked.is_ok_and(|output| output.status.success())
    };
    let found = ["python3", "/usr/bin/python3"].iter().find(|python| has_it(python));
    let install = "cargo xtask services install psycopg";
    PathBuf::from(
        found.unwrap_or_else(|| panic!("psycopg is not installed. Install it with:\n{install}")),
    )
}

fn here() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/postgres"))
}

fn in_python() -> Command {
    let mut command = Command::new(python());
    command.arg(here().join("writer.py"));
    command
}

fn in_node() -> Command {
    let install = "cargo xtask services install pg";
    let is_there = here().join("node/node_modules/pg").is_dir();
    assert!(is_there, "Node's pg is not installed. Install it with:\n{install}");
    let mut command = Command::new("node");
    command.arg(here().join("node/writer.js"));
    command
}

/// What a reader has seen.
struct Reader {
    session: Session,
    last: BTreeMap<u16, u64>,
    seen: BTreeSet<String>,
}

impl Reader {
    /// Takes what is behind the last number of each partition.
    fn read(&mut self) {
        for partition in 0..COUNT {
            let last = self.last.entry(partition).or_default();
            let rows = format!(
                "SELECT number, data FROM yeoul_outbox WHERE topic = 'order' AND partition = {partition}
                AND number > {last} ORDER BY number"
            );
            for row in self.session.ask(&rows).expect("rows") {
                let (number, data) = row.split_once('|').expect("two columns");
                *last = number.parse().expect("a number");
                self.seen.insert(data.to_owned());
            }
        }
    }
}

#[test]
fn a_reader_misses_nothing_of_writers_whose_commits_cross() {
    let address = Server::shared().database("languages");
    make(&address, &[declared("order", COUNT)]).expect("an outbox");
    sql(&address, "CREATE TABLE work (by TEXT, at INT, PRIMARY KEY (by, at))").expect("a table");
    let keys = keys();
    let there: Vec<&str> = keys.iter().map(String::as_str).collect();
    let back: Vec<&str> = there.iter().rev().copied().collect();
    let start =
        |mut command: Command, name: &'static str, keys: &[&str]| -> (&'static str, Child) {
            command.args([&address, name, &TRANSACTIONS.to_string()]).args(keys);
            let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
            (name, child.expect("it starts"))
        };
    let mut writers = [
        start(in_python(), "python there", &there),
        start(in_python(), "python back", &back),
        start(in_node(), "node there", &there),
        start(in_node(), "node back", &back),
    ];
    let session = Session::open(&address);
    let mut reader = Reader { session, last: BTreeMap::new(), seen: BTreeSet::new() };
    while writers.iter_mut().any(|(_, child)| child.try_wait().expect("a child").is_none()) {
        reader.read();
    }
    reader.read();
    let mut again = 0;
    for (name, child) in writers {
        let printed = said(&child.wait_with_output().expect("ended"));
        let printed = printed.unwrap_or_else(|why| panic!("{name}: {why}"));
        again += printed.parse::<u32>().expect("a count");
    }
    assert!(again > 0, "nobody crossed");
    let read = |rows: &str| -> BTreeSet<String> {
        sql(&address, rows).expect("read").lines().map(str::to_owned).collect()
    };
    let all = read("SELECT data FROM yeoul_outbox");
    assert_eq!(reader.seen, all);
    let done = 4 * TRANSACTIONS * 4 / 5;
    assert_eq!(all.len(), done * usize::from(COUNT));
    // State and events of a transaction are there together or not at all.
    assert_eq!(sql(&address, "SELECT count(*) FROM work").expect("read"), done.to_string());
    let torn = "SELECT by, at FROM work WHERE (SELECT count(*) FROM yeoul_outbox
        WHERE data::JSON ->> 'by' = by AND (data::JSON ->> 'at')::INT = at) <> 4";
    assert_eq!(read(torn), BTreeSet::new());
}

/// A key of each partition.
fn keys() -> Vec<String> {
    let partitions = Partitions::new(COUNT).expect("a count");
    let of =
        |index: u16| (0..).map(|at| at.to_string()).find(|key| partitions.of(key).index() == index);
    (0..COUNT).map(|index| of(index).expect("a key")).collect()
}
