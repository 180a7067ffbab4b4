//! Kafka: one server, whose files are kept in a folder of its own.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use super::process::Process;
use super::restarts::Restarts;
use super::{Stop, now, pause};
use crate::failure::Failure;
use crate::{shell, workspace};

/// Any valid one; a server's files are made with it.
const CLUSTER: &str = "MkU3OEVBNTcwNTJENDM2Qg";
/// The heap that a shop on one machine needs.
pub(crate) const OF_A_SHOP: Sizing = Sizing { heap: "-Xmx512m", settings: &[] };
/// What a run of the tests needs: topics of a few records, and nobody who waits for others of its group.
pub(crate) const OF_TESTS: Sizing = Sizing {
    heap: "-Xmx384m",
    settings: &[
        "offsets.topic.num.partitions=1",
        "group.initial.rebalance.delay.ms=0",
        "log.cleaner.dedupe.buffer.size=2097152",
        "num.network.threads=2",
        "num.io.threads=2",
    ],
};
/// Looks until it listens: a minute.
const LOOKS_MAX: usize = 1200;

/// How large it is, and what is set beside the usual.
#[derive(Clone, Copy)]
pub(crate) struct Sizing {
    heap: &'static str,
    settings: &'static [&'static str],
}

/// A server, and how it is started again.
pub(crate) struct Kafka {
    process: Process,
    restarts: Restarts,
    folder: PathBuf,
    port: u16,
    heap: &'static str,
}

impl Kafka {
    /// Starts it with its files in `folder`, which are made where there are none.
    pub(crate) fn start(
        folder: &Path,
        ports: [u16; 2],
        sizing: Sizing,
        stop: &Stop,
    ) -> Result<Kafka, Failure> {
        let Sizing { heap, settings: more } = sizing;
        let folder = folder.join("kafka");
        fs::create_dir_all(&folder)?;
        fs::write(settings_in(&folder), settings(&folder, ports, more))?;
        // Once in its life: a folder that is formatted already is refused, and its events are to be kept.
        if !folder.join("log/meta.properties").exists() {
            let mut format = java(heap, "kafka.tools.StorageTool");
            format.args(["format", "-t", CLUSTER, "-c"]).arg(settings_in(&folder));
            shell::run(format)?;
        }
        let process = run(&folder, heap)?;
        let (restarts, port) = (Restarts::new(now()), ports[0]);
        let mut kafka = Kafka { process, restarts, folder, port, heap };
        kafka.listens(stop)?;
        Ok(kafka)
    }

    /// Of what it runs in.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// As settings name it.
    pub(crate) fn address(&self) -> String {
        format!("kafka://127.0.0.1:{}", self.port)
    }

    /// Starts it again where it has ended.
    pub(crate) fn keep(&mut self, now: Instant) -> Result<(), Failure> {
        if self.restarts.is_due("kafka", &mut self.process, now) {
            self.process = run(&self.folder, self.heap)?;
        }
        Ok(())
    }

    fn listens(&mut self, stop: &Stop) -> Result<(), Failure> {
        for _ in 0..LOOKS_MAX {
            pause();
            // Asked first: where it has ended, whoever listens at its port is somebody else's.
            if self.process.has_ended() {
                break;
            }
            if stop.is_wanted() || TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return Ok(());
            }
        }
        Err(Failure::environment(format!("kafka does not listen:\n{}", self.process.words())))
    }
}

fn settings_in(folder: &Path) -> PathBuf {
    folder.join("server.properties")
}

fn settings(folder: &Path, [port, controller]: [u16; 2], more: &[&str]) -> String {
    let (listens, controls) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{controller}"));
    let lines = [
        "process.roles=broker,controller".to_owned(),
        "node.id=1".to_owned(),
        format!("listeners=PLAINTEXT://{listens},CONTROLLER://{controls}"),
        format!("advertised.listeners=PLAINTEXT://{listens}"),
        format!("controller.quorum.voters=1@{controls}"),
        "controller.listener.names=CONTROLLER".to_owned(),
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned(),
        format!("log.dirs={}", folder.join("log").display()),
        "offsets.topic.replication.factor=1".to_owned(),
        "transaction.state.log.replication.factor=1".to_owned(),
        "transaction.state.log.min.isr=1".to_owned(),
    ];
    let more = more.iter().map(|line| (*line).to_owned());
    lines.into_iter().chain(more).map(|line| line + "\n").collect()
}

fn run(folder: &Path, heap: &str) -> Result<Process, Failure> {
    let mut server = java(heap, "kafka.Kafka");
    server.arg(settings_in(folder));
    Process::start("server", &server, folder)
}

fn java(heap: &str, class: &str) -> Command {
    let jars = workspace::target().join("peers/kafka/*").display().to_string();
    shell::command(&["java", heap, "-cp", &jars, class])
}
