//! The cluster's Kafka: one server, whose files are kept with the parts' own.

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
/// The heap of a server that a shop on one machine needs.
const HEAP: &str = "-Xmx512m";
/// Looks until it listens: a minute.
const LOOKS_MAX: usize = 1200;

/// A server, and how it is started again.
pub(super) struct Kafka {
    process: Process,
    restarts: Restarts,
    folder: PathBuf,
    port: u16,
}

impl Kafka {
    /// Starts it with its files in `folder`, which are made where there are none.
    pub(super) fn start(folder: &Path, ports: [u16; 2], stop: &Stop) -> Result<Kafka, Failure> {
        let folder = folder.join("kafka");
        fs::create_dir_all(&folder)?;
        fs::write(settings_in(&folder), settings(&folder, ports))?;
        // Once in its life: a folder that is formatted already is refused, and its events are to be kept.
        if !folder.join("log/meta.properties").exists() {
            let mut format = java("kafka.tools.StorageTool");
            format.args(["format", "-t", CLUSTER, "-c"]).arg(settings_in(&folder));
            shell::run(format)?;
        }
        let process = run(&folder)?;
        let mut kafka = Kafka { process, restarts: Restarts::new(now()), folder, port: ports[0] };
        kafka.listens(stop)?;
        Ok(kafka)
    }

    /// Of what it runs in.
    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// As settings name it.
    pub(super) fn address(&self) -> String {
        format!("kafka://127.0.0.1:{}", self.port)
    }

    /// Starts it again where it has ended.
    pub(super) fn keep(&mut self, now: Instant) -> Result<(), Failure> {
        if self.restarts.is_due("kafka", &mut self.process, now) {
            self.process = run(&self.folder)?;
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

fn settings(folder: &Path, [port, controller]: [u16; 2]) -> String {
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
    lines.join("\n") + "\n"
}

fn run(folder: &Path) -> Result<Process, Failure> {
    let mut server = java("kafka.Kafka");
    server.arg(settings_in(folder));
    Process::start("server", &server, folder)
}

fn java(class: &str) -> Command {
    let jars = workspace::target().join("peers/kafka/*").display().to_string();
    shell::command(&["java", HEAP, "-cp", &jars, class])
}
