//! A Kafka of the tests' own: one process, on free ports, with its files in a folder that goes with it.
//!
//! It ends with the process that started it, however that ends: a shell beside it waits for the end of a
//! pipe whose other end only this process has.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;

/// Where the server of a whole run is, as settings name it.
const OF_THE_RUN: &str = "YEOUL_TEST_KAFKA";
/// What installs it.
const INSTALL: &str = "cargo xtask services install java maven kafka";
/// Any valid one; a server is formatted with it.
const CLUSTER: &str = "MkU3OEVBNTcwNTJENDM2Qg";
/// Heap of one server.
const HEAP: &str = "-Xmx256m";
/// Lines of its log that a failure repeats.
const WORDS_LINES: usize = 20;
/// Starts that are tried: a port that was free may have been taken meanwhile.
const STARTS_MAX: usize = 3;

/// Says the server's pid, and has it end when its own input does.
const BESIDE: &str = r#""$@" </dev/null >server.log 2>&1 & echo $!; read -r _; kill -9 $!"#;

/// A running server.
pub(crate) struct Server {
    port: u16,
    controller: u16,
    /// Of the server itself.
    pid: u32,
    folder: TempDir,
    beside: Child,
    /// Its end is the server's.
    input: Option<ChildStdin>,
}

/// The address of the one that tests of a program share, each with a prefix of its own: the run's where it names one.
#[expect(clippy::disallowed_methods, reason = "a run of all tests says where its server is")]
pub(crate) fn shared() -> &'static str {
    static SHARED: OnceLock<Server> = OnceLock::new();
    static ADDRESS: OnceLock<String> = OnceLock::new();
    ADDRESS.get_or_init(|| {
        let own = || SHARED.get_or_init(Server::start).address();
        std::env::var(OF_THE_RUN).unwrap_or_else(|_| own())
    })
}

/// A prefix of topics that nobody else has there.
pub(crate) fn prefix() -> String {
    static TESTS: AtomicU32 = AtomicU32::new(0);
    format!("t{}-{}.", std::process::id(), TESTS.fetch_add(1, Ordering::Relaxed))
}

impl Server {
    /// A fresh one.
    pub(crate) fn start() -> Server {
        (0..STARTS_MAX).find_map(|_| Server::try_start(None)).expect("a server that starts")
    }

    /// Another one of the same cluster.
    pub(crate) fn start_beside(&self) -> Server {
        let start = |_| Server::try_start(Some(self.controller));
        (0..STARTS_MAX).find_map(start).expect("a server that starts")
    }

    fn try_start(first: Option<u16>) -> Option<Server> {
        let folder = TempDir::new().expect("a folder");
        let [port, free] = free_ports();
        let controller = first.unwrap_or(free);
        let file = folder.path().join("server.properties");
        let role = if first.is_none() { leads(port, controller) } else { follows(port) };
        fs::write(&file, role + &settings(folder.path(), controller)).expect("written");
        format(folder.path(), &file);
        let (beside, input, pid) = run(folder.path(), &file);
        let server = Server { port, controller, pid, folder, beside, input: Some(input) };
        server.is_up().then_some(server)
    }

    /// As settings name it.
    pub(crate) fn address(&self) -> String {
        format!("kafka://127.0.0.1:{}", self.port)
    }

    /// Has one of Kafka's own tools do something to the server; what it says where it does not.
    pub(crate) fn ask(&self, tool: &str, arguments: &[&str]) -> Result<(), String> {
        let line = java(self.folder.path());
        let mut command = Command::new(&line[0]);
        command.args(&line[1..]).arg(tool);
        command.args(["--bootstrap-server", &format!("127.0.0.1:{}", self.port)]).args(arguments);
        let done = command.current_dir(self.folder.path()).output().expect("java runs");
        let says = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
        done.status.success().then_some(()).ok_or(says)
    }

    /// Changes a setting of a topic while it is used.
    pub(crate) fn alter(&self, topic: &str, setting: &str) {
        let of = ["--alter", "--entity-type", "topics", "--entity-name", topic];
        let words = [&of[..], &["--add-config", setting]].concat();
        self.ask("kafka.admin.ConfigCommand", &words).expect("it is changed");
    }

    /// Stops it where it stands, and lets it go on.
    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.pid.to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "{signal}");
    }

    /// Kills it; its files stay.
    pub(crate) fn kill(&mut self) {
        self.input = None;
        self.beside.wait().expect("the shell beside it");
    }

    /// Changes a line of its settings, for when it is started again.
    pub(crate) fn set(&self, setting: &str, value: &str) {
        let file = self.folder.path().join("server.properties");
        let text = fs::read_to_string(&file).expect("its settings");
        let set = |line: &str| match line.split_once('=') {
            Some((name, _)) if name == setting => format!("{setting}={value}"),
            _ => line.to_owned(),
        };
        let lines: Vec<String> = text.lines().map(set).collect();
        fs::write(&file, lines.join("\n") + "\n").expect("written");
    }

    /// Starts it again on its files.
    pub(crate) fn start_again(&mut self) {
        let file = self.folder.path().join("server.properties");
        let (beside, input, pid) = run(self.folder.path(), &file);
        (self.beside, self.input, self.pid) = (beside, Some(input), pid);
        assert!(self.is_up(), "it starts again: {}", self.words());
    }

    /// What it said last.
    fn words(&self) -> String {
        let log = fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(WORDS_LINES)..].join("\n")
    }

    /// Whether it answers; `false` where it ended instead.
    fn is_up(&self) -> bool {
        for _ in 0..1_200 {
            let log = fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default();
            // The log may still be that of the life before.
            let is_open = || TcpStream::connect(("127.0.0.1", self.port)).is_ok();
            if log.contains("Kafka Server started") && is_open() {
                return true;
            }
            if !Path::new("/proc").join(self.pid.to_string()).exists() {
                return false;
            }
            pause();
        }
        false
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn leads(port: u16, controller: u16) -> String {
    format!(
        "process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
"
    )
}

fn follows(port: u16) -> String {
    format!(
        "process.roles=broker
node.id=2
listeners=PLAINTEXT://127.0.0.1:{port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
"
    )
}

fn settings(folder: &Path, controller: u16) -> String {
    format!(
        "controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=2097152
num.network.threads=2
num.io.threads=2
",
        folder.join("log").display()
    )
}

fn java(folder: &Path) -> Vec<String> {
    let jars = jars();
    let words = ["java", HEAP, "-cp", &format!("{}/*", jars.display())];
    assert!(folder.is_dir());
    words.map(str::to_owned).to_vec()
}

/// The jars, below the target folder; without them there is nothing to test with.
fn jars() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder");
    let jars = target.join("peers/kafka");
    let has_java = Command::new("java").arg("-version").output().is_ok();
    assert!(jars.is_dir() && has_java, "Kafka is not installed. Install it with:\n{INSTALL}");
    jars
}

fn format(folder: &Path, file: &Path) {
    let line = java(folder);
    let mut command = Command::new(&line[0]);
    command.args(&line[1..]).args(["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c"]);
    let formatted = command.arg(file).current_dir(folder).output().expect("java runs");
    assert!(formatted.status.success(), "{}", String::from_utf8_lossy(&formatted.stderr));
}

fn run(folder: &Path, file: &Path) -> (Child, ChildStdin, u32) {
    let mut command = Command::new("sh");
    command.args(["-c", BESIDE, "sh"]).args(java(folder)).arg("kafka.Kafka").arg(file);
    command.current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut beside = command.spawn().expect("a shell");
    let input = beside.stdin.take().expect("piped");
    let mut line = String::new();
    let output = beside.stdout.take().expect("piped");
    BufReader::new(output).read_line(&mut line).expect("a pid");
    (beside, input, line.trim().parse().expect("a pid"))
}

fn free_ports() -> [u16; 2] {
    let free = || TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    [free(), free()].map(|one| one.local_addr().expect("an address").port())
}

#[expect(
    clippy::disallowed_methods,
    reason = "between two looks at a file that another process writes"
)]
fn pause() {
    std::thread::sleep(Duration::from_millis(50));
}
