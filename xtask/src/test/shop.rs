//! The scenario suites against a cluster: the whole mall, each part in processes of its own, on Kafka and PostgreSQL.
//!
//! The tests are the ones that have just run against one process, with nothing changed but the addresses they are told. A
//! usual run takes the suites that touch every part and take seconds, a long one all that are meant for it. What passes
//! over a cluster and what cannot hold there, and why, stands in CONTRIBUTING.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::servers::Folder;
use crate::failure::Failure;
use crate::servers::process::Process;
use crate::servers::{now, pause};
use crate::{services, shell, workspace};

/// By which name tests are told where a mall is.
const BASE: &str = "YEOUL_BASE";
/// What a usual run takes.
const SUITES: [&str; 2] = ["resources", "stock_and_events"];
/// And a long one beside it.
const LONG_SUITES: [&str; 7] = [
    "compensation",
    "edges",
    "gateway_and_sign_in",
    "guarded_calls",
    "known_defects",
    "my_page",
    "sessions",
];
/// What fails there by what a cluster is, by the beginning of its name.
const OF_ONE_PROCESS: [&str; 6] = [
    "a_product_too_slow_too_often",
    "a_half_open_circuit",
    "a_revocation_by_either_token",
    "a_client_that_waits",
    "a_refusal_comes_at_once",
    "bytes_that_could_be_read",
];
/// How long its start may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// A cluster whose address is known; dropped in this order.
pub(super) struct Shop {
    cluster: Process,
    #[expect(dead_code, reason = "it goes when this does")]
    folder: Folder,
    ready: String,
}

impl Shop {
    /// Starts one of the program that is built, on free ports, and waits until all of it answers.
    pub(super) fn start() -> Result<Shop, Failure> {
        services::install_for_cluster()?;
        let folder = Folder::new("shop")?;
        let command = cluster(&folder.path().join("data"));
        let mut cluster = Process::start("cluster", &command, folder.path())?;
        let until = now() + PATIENCE;
        loop {
            if let Some(ready) = cluster.first_line() {
                return Ok(Shop { cluster, folder, ready });
            }
            if cluster.has_ended() || now() > until {
                let words = cluster.words();
                return Err(Failure::found(format!("no cluster came to be:\n{words}")));
            }
            pause();
        }
    }

    /// What runs the suites against it, one test at a time: they share its products.
    pub(super) fn tests(&self, long: bool) -> Command {
        // As the tests before were built: of one member alone they would be built once more.
        let mut command = shell::command(&["cargo", "test", "--workspace", "--no-fail-fast"]);
        let more = if long { &LONG_SUITES[..] } else { &[] };
        for suite in SUITES.iter().chain(more) {
            command.args(["--test", suite]);
        }
        command.args(["--", "--test-threads=1"]);
        for name in OF_ONE_PROCESS {
            command.args(["--skip", name]);
        }
        command.env(BASE, &self.ready);
        command
    }

    /// Whether it is there still, and what it said last where it is not.
    pub(super) fn stands(&mut self) -> Result<(), Failure> {
        if self.cluster.has_ended() {
            return Err(Failure::found(format!("the cluster ended:\n{}", self.cluster.words())));
        }
        Ok(())
    }
}

/// The chore that this one is, asked for a cluster whose tests may switch faults on.
fn cluster(data: &Path) -> Command {
    let mut command = shell::command(&["cargo", "xtask"]);
    command.args(["cluster", "--faults", "--json", "--free-ports", "--data"]).arg(data);
    command.arg("--program").arg(workspace::target().join("debug/yeoul"));
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_suite_is_one_that_there_is() {
        let tests = workspace::root().join("crates/yeoul/tests");
        for suite in SUITES.iter().chain(&LONG_SUITES) {
            assert!(tests.join(format!("{suite}.rs")).exists(), "{suite}");
        }
    }

    #[test]
    fn what_is_passed_over_is_there_and_told_in_contributing() {
        let told = std::fs::read_to_string(workspace::root().join("CONTRIBUTING.md")).unwrap();
        let suites = SUITES.iter().chain(&LONG_SUITES);
        let text = |suite: &&str| {
            let file = workspace::root().join(format!("crates/yeoul/tests/{suite}.rs"));
            std::fs::read_to_string(file).unwrap()
        };
        let tests: String = suites.map(text).collect();
        for name in OF_ONE_PROCESS {
            assert!(told.contains(&format!("`{name}")), "{name}");
            assert!(tests.contains(&format!("fn {name}")), "{name}");
        }
    }
}
