//! What has one home: the environment, vendors' names; and what has none: one machine's paths.

use super::Finding;
use super::tree::{File, Tree};

/// The only place whose code reads the environment of the program.
const ENVIRONMENT_HOME: &str = "crates/chassis/";
/// Chores and measurements are no part of the program.
const CHORES: [&str; 2] = ["xtask/", "lab/"];
/// Vendors' names, each with the module that may know it, at any depth.
const VENDORS: [Vendor; 4] = [
    Vendor { name: "sqlite", home: "store/sqlite" },
    Vendor { name: "sqlx", home: "store/postgres" },
    Vendor { name: "postgres", home: "store/postgres" },
    Vendor { name: "rdkafka", home: "brokers/src/kafka" },
];
/// The file beside a home that hands on what others may use of it.
const VENDOR_FACADE: &str = "store.rs";
/// What people choose by name, the program calls by it.
const CHOSEN: ([&str; 2], &str) = (["postgres", "sqlite"], "crates/yeoul/src/");
/// Folders at the root of somebody's machine.
const MACHINE_FOLDERS: [&str; 4] = ["home", "root", "work", "Users"];
/// How the hosts of package registries begin.
const REGISTRY_HOSTS: [&str; 8] =
    ["static", "index", "registry", "files", "repo", "proxy", "deb", "security"];
/// Written by tools, addresses and all.
const LOCK_FILES: [&str; 2] = ["Cargo.lock", "package-lock.json"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let rust = tree.rust().flat_map(|(file, masked)| {
        let mut findings = Vec::new();
        for (line, code) in (1..).zip(masked.code.lines()) {
            if reads_environment(code) && !may_read_environment(file) {
                findings.push(Finding::new(&file.path, line, "only chassis reads the environment"));
            }
        }
        findings.extend(vendors_names(file));
        findings
    });
    // Paths and hosts are looked for in every text, comments and documents too; the environment in code alone.
    let texts = tree.files().iter().filter(|file| !LOCK_FILES.contains(&file.name()));
    rust.chain(texts.flat_map(of_text)).collect()
}

/// A name that has one home.
struct Vendor {
    name: &'static str,
    home: &'static str,
}

fn reads_environment(code: &str) -> bool {
    ["std::env", "env::var", "env::temp_dir", "env::args"].iter().any(|word| code.contains(word))
}

fn may_read_environment(file: &File) -> bool {
    let homes = CHORES.iter().chain([&ENVIRONMENT_HOME]);
    homes.into_iter().any(|home| file.path.starts_with(home))
        || file.is_apart()
        || file.name() == "build.rs"
}

/// Where a vendor's name stands outside its home, in code or in words. The facade over the home names
/// the module to hand on what is in it, and nothing else.
fn vendors_names(file: &File) -> Vec<Finding> {
    VENDORS
        .iter()
        .filter(|vendor| !vendor.may_be_named_in(file))
        .flat_map(|it| it.names(file))
        .collect()
}

impl Vendor {
    fn names(&self, file: &File) -> Vec<Finding> {
        let is_facade = file.name() == VENDOR_FACADE;
        let lines = (1..).zip(file.text.lines());
        lines
            .filter(|(_, text)| !(is_facade && self.is_handed_on(text)))
            .filter_map(|(line, text)| {
                let name = self.word_in(text)?;
                let home = self.home;
                let says =
                    format!("a vendor's name outside its home. name=`{name}`, home=`{home}`");
                Some(Finding::new(&file.path, line, says))
            })
            .collect()
    }

    fn word_in<'t>(&self, text: &'t str) -> Option<&'t str> {
        let mut words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
        words.find(|word| word.to_ascii_lowercase().contains(self.name))
    }

    /// `mod sqlite;` and `pub use sqlite::…`, with whatever visibility.
    fn is_handed_on(&self, text: &str) -> bool {
        let Vendor { name, .. } = self;
        let declares =
            text.ends_with(&format!("mod {name};")) || text.contains(&format!("use {name}::"));
        declares && !text.trim_start().starts_with("//")
    }

    fn may_be_named_in(&self, file: &File) -> bool {
        let Vendor { name, home } = self;
        let (chosen, place) = CHOSEN;
        file.path.contains(&format!("{home}/"))
            || file.path.ends_with(&format!("{home}.rs"))
            || (chosen.contains(name) && file.path.starts_with(place))
            || file.is_apart()
            || CHORES.iter().any(|chores| file.path.starts_with(chores))
    }
}

fn of_text(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, text) in (1..).zip(file.text.lines()) {
        if let Some(folder) = machine_path(text) {
            let says = format!("a path of one machine. folder=`/{folder}/`");
            findings.push(Finding::new(&file.path, line, says));
        }
        if let Some(host) = registry_host(text) {
            let says = format!("the address of a package registry. host=`{host}`");
            findings.push(Finding::new(&file.path, line, says));
        }
    }
    findings
}

fn machine_path(text: &str) -> Option<&'static str> {
    MACHINE_FOLDERS.into_iter().find(|folder| {
        let path = format!("/{folder}/");
        let inside = |c: char| c.is_alphanumeric() || "_.-})/".contains(c);
        text.match_indices(&path).any(|(at, _)| !text[..at].ends_with(inside))
    })
}

fn registry_host(text: &str) -> Option<&str> {
    text.split("://").skip(1).find_map(|rest| {
        let host = rest.split(|c: char| !c.is_alphanumeric() && c != '.' && c != '-').next()?;
        let (first, others) = host.split_once('.')?;
        let first = first.trim_end_matches(|c: char| c.is_ascii_digit());
        (REGISTRY_HOSTS.contains(&first) && others.contains('.')).then_some(host)
    })
}

#[cfg(test)]
mod tests {
    use super::super::found;
    use super::*;

    fn finds(path: &str, line: &str) -> bool {
        !found(check, &[(path, &format!("//! A.\n{line}\n"))]).is_empty()
    }

    #[test]
    fn only_chassis_chores_and_tests_read_the_environment() {
        let line = "let a = std::env::var(\"A\");";
        for (path, refused) in [
            ("crates/views/src/lib.rs", true),
            ("mall/src/order.rs", true),
            ("crates/chassis/src/settings.rs", false),
            ("crates/yeoul/build.rs", false),
            ("crates/yeoul/tests/support/mall.rs", false),
            ("xtask/src/main.rs", false),
        ] {
            assert_eq!(finds(path, line), refused, "{path}");
        }
        assert!(finds("mall/src/a.rs", "use std::env;"));
        assert!(!finds("mall/src/a.rs", "// std::env is not read here"));
        assert!(!finds("mall/src/a.rs", "let a = env!(\"A\");"));
    }

    #[test]
    fn a_vendors_name_has_one_home() {
        for line in [
            "use rusqlite::Connection;",
            "let s = SqliteStore::open();",
            "fn open_sqlite() {}",
            "use crate::order::store::sqlite;",
            "sqlite::insert(x)?;",
            "// SQLite",
            "f(\"rusqlite\");",
        ] {
            assert!(finds("mall/src/order.rs", line), "{line}");
            assert!(finds("mall/src/order/store.rs", line), "{line}");
            assert!(!finds("mall/src/order/store/sqlite.rs", line), "{line}");
            assert!(!finds("crates/events/src/store/sqlite/log/writer.rs", line), "{line}");
            assert!(!finds("crates/views/tests/views.rs", line), "{line}");
        }
    }

    #[test]
    fn each_vendor_has_a_home_of_its_own_and_a_chosen_one_is_called_by_the_program() {
        for (line, home) in [
            ("use sqlx::PgPool;", "crates/events/src/store/postgres/state.rs"),
            ("// PostgreSQL", "crates/events/src/store/postgres.rs"),
            ("use rdkafka::Message;", "crates/brokers/src/kafka/client.rs"),
        ] {
            assert!(!finds(home, line), "{line}");
            for other in ["crates/events/src/store/sqlite.rs", "crates/events/src/relay.rs"] {
                assert!(finds(other, line), "{other}: {line}");
            }
        }
        assert!(!finds("crates/yeoul/src/cli.rs", "// PostgreSQL"));
        assert!(finds("crates/yeoul/src/cli.rs", "use sqlx::PgPool;"));
    }

    #[test]
    fn the_facade_names_the_module_that_it_hands_on_and_nobody_else_does() {
        for line in [
            "mod sqlite;",
            "pub(crate) mod sqlite;",
            "pub(super) use sqlite::{A, b};",
            "use postgres::A;",
        ] {
            assert!(!finds("mall/src/order/store.rs", line), "{line}");
            assert!(finds("mall/src/order.rs", line), "{line}");
        }
        assert!(finds("mall/src/order/store.rs", "// mod sqlite;"));
    }

    #[test]
    fn paths_of_one_machine_are_found_in_any_text() {
        for folder in MACHINE_FOLDERS {
            for before in ["", "(", "see ", "\""] {
                let line = format!("{before}/{folder}/me");
                assert_eq!(found(check, &[("a.yaml", &line)]), ["a.yaml:1"], "{line}");
            }
            for before in ["src", "..", "https://example.org"] {
                let line = format!("{before}/{folder}/me");
                assert!(found(check, &[("a.yaml", &line)]).is_empty(), "{line}");
            }
        }
    }

    #[test]
    fn hosts_of_registries_are_found_and_other_hosts_are_not() {
        for first in REGISTRY_HOSTS.into_iter().chain(["repo1"]) {
            let line = format!("get https://{first}.example.org/x");
            assert_eq!(found(check, &[("a.md", &line)]), ["a.md:1"], "{line}");
            assert!(found(check, &[("Cargo.lock", &line)]).is_empty());
        }
        for line in
            ["https://rustup.rs", "http://127.0.0.1:8088", "https://example.org/registry.html"]
        {
            assert!(found(check, &[("a.md", line)]).is_empty(), "{line}");
        }
    }
}
