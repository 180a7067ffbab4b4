//! An event that ends the process is found: the program that reads it is this one, which starts itself as a process of its own
//! and starts it again as often as it dies.
//!
//! No harness, since its first argument may be what the reader is to do. Without one it is the test: for each kind of reader
//! and each store, events are published, the reader runs until it ends by itself, and what it leaves is looked at.

mod reader;

#[allow(dead_code, reason = "tests of other crates use the rest of it")]
#[path = "../postgres/server.rs"]
mod server;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use yeoul_events::{Broker, DeadLetter, Event, Log};

use reader::{Reader, Store, clock, topic};

/// Starts that a reader may need; one that is not found ends each.
const STARTS_MAX: u32 = 12;

/// What ends the process: the event of this key, and how.
#[derive(Clone, Copy)]
enum Poison {
    /// Each time it is tried.
    Always,
    /// When it is tried again: the first time it fails.
    WhenRetried,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next(), arguments.next()) {
        (Some("read"), Some(reader), Some(folder)) => {
            Reader::parse(&reader).run(Path::new(&folder), &arguments.next().unwrap_or_default());
        }
        _ => test(),
    }
}

/// Every reader on every store; says what it did, as a harness would.
fn test() {
    for reader in [Reader::Handlers, Reader::Pushed] {
        for poison in [Poison::Always, Poison::WhenRetried] {
            found(reader, poison, &Store::File);
        }
        let address = server::Server::shared().database("poison");
        found(reader, Poison::Always, &Store::Server(address));
    }
    #[expect(clippy::print_stdout, reason = "as a harness does")]
    {
        println!("test what_ends_the_process_is_found_and_given_up ... ok");
    }
}

/// Publishes, has it read, and looks at what is left.
fn found(reader: Reader, poison: Poison, store: &Store) {
    let folder = TempDir::new().expect("a folder");
    let runtime = reader::runtime();
    let key = match poison {
        Poison::Always => "kills",
        Poison::WhenRetried => "kills-later",
    };
    runtime.block_on(publish(folder.path(), &["a", "b", key, key, "c", "a"]));
    let deaths = deaths(reader, &folder, store);
    // The batch dies twice before its events go one by one, and then the event as often as it may be tried; where it failed
    // once before, that was one of its attempts.
    assert!((3..=6).contains(&deaths), "{reader:?} {deaths}");
    let letters = runtime.block_on(reader.letters(folder.path(), store));
    let [letter] = &letters[..] else { panic!("{reader:?}: one dead letter: {letters:?}") };
    let DeadLetter { key: dead, attempts, reason, waiting, .. } = letter;
    assert_eq!((dead.as_str(), *attempts, *waiting), (key, reader::ATTEMPTS, 1), "{letter:?}");
    assert!(reason.contains("the process died"), "{reason}");
    let handled = runtime.block_on(reader.handled(folder.path(), store));
    let sorted: BTreeSet<_> = handled.iter().collect();
    assert_eq!(sorted.len(), 4, "the others went on: {handled:?}");
    if reader == Reader::Handlers {
        assert_eq!(handled.len(), 4, "once: {handled:?}");
        let beside = runtime.block_on(reader::beside(folder.path()));
        assert_eq!(beside, 6, "who did nothing wrong beside it has all");
    }
}

/// Starts it until it ends by itself; how often it died.
fn deaths(reader: Reader, folder: &TempDir, store: &Store) -> u32 {
    let program = std::env::current_exe().expect("this program");
    for deaths in 0..STARTS_MAX {
        let mut command = Command::new(&program);
        command.arg("read").arg(reader.name()).arg(folder.path()).arg(store.argument());
        let status = command.status().expect("it starts");
        if status.success() {
            return deaths;
        }
        assert_eq!(status.code(), None, "ended by a signal, as one that aborts");
    }
    panic!("{reader:?} was not found: it died {STARTS_MAX} times");
}

async fn publish(folder: &Path, keys: &[&str]) {
    let log = Log::open(folder, &[topic()], clock()).expect("a log");
    let event = |(number, key): (usize, &&str)| {
        let json = format!(
            r#"{{"specversion":"1.0","id":"{number}","source":"order","type":"Numbered","subject":"{key}",
            "time":"2024-05-01T12:00:00Z","sequence":"{number}","outboxsequence":"{number}","data":{number}}}"#
        );
        Event::from_json(json.as_bytes()).expect("an event")
    };
    let events = (1..).zip(keys).map(event).collect();
    log.publish(&topic().first(), events).await.expect("published");
}
