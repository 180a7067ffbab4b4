//! A running mall, known by its ready line.
//!
//! A mall of our own is killed by its pid when dropped. One kept in a static is never dropped, so a
//! small shell stands watch: when this process ends, however it ends, the shell's input closes and
//! it kills that pid and removes the folder.
//!
//! A mall named by `YEOUL_BASE` is never killed; a test that had it for itself switches everything on
//! again when it lets go of it.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use serde_json::Value;

use super::program::{signal, wait_at_most, yeoul};
use super::shop::Marker;
use super::{Answer, Call, SOON, described, now, pause};

/// How long a start may take before the suite gives up on it; far above the promise.
const START_AT_MOST: Duration = Duration::from_secs(40);

const SERVICES: [&str; 5] = ["order", "delivery", "product", "account", "mypage"];

/// Each listener of a mall, and what answers there by `GET`.
pub(crate) const LISTENERS: [(&str, &str); 7] = [
    ("gateway", "/products"),
    ("order", "/orders"),
    ("delivery", "/deliveries"),
    ("product", "/products"),
    ("mypage", "/mypages/1@uengine.org"),
    ("account", "/.well-known/jwks.json"),
    ("admin", "/healthz"),
];

const WATCH: &str = r#"read -r _ || { kill -9 "$1"; rm -rf "$2"; } 2>/dev/null"#;

/// A mall at its base URLs.
pub(crate) struct Mall {
    ready: Value,
    process: Option<Process>,
    pub(super) admin_token: OnceLock<String>,
    pub(super) marker: OnceLock<Marker>,
}

/// Where a mall keeps its data; removed when dropped, unless a mall took it over.
pub(crate) struct Folder {
    place: tempfile::TempDir,
}

struct Process {
    child: Child,
    watch: Option<Child>,
    lines: Arc<Mutex<Vec<String>>>,
    folder: Option<Folder>,
}

/// A value of the environment.
#[allow(clippy::disallowed_methods, reason = "the suite knows nothing of chassis")]
pub(crate) fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

/// Whether the suite was given a mall that it did not start, and says so: what needs a process of its own
/// passes over it.
pub(crate) fn is_elsewhere() -> bool {
    let elsewhere = setting("YEOUL_BASE").is_some();
    if elsewhere {
        eprintln!("passed over: needs a process of its own");
    }
    elsewhere
}

impl Folder {
    pub(crate) fn new() -> Folder {
        Folder { place: tempfile::tempdir().expect("a temporary folder") }
    }

    /// One for processes of our own; `None` where the suite was given a mall.
    pub(crate) fn owned() -> Option<Folder> {
        (!is_elsewhere()).then(Folder::new)
    }

    /// The folder for files beside the data.
    pub(crate) fn path(&self) -> &Path {
        self.place.path()
    }

    /// What `--data` names.
    pub(crate) fn data(&self) -> PathBuf {
        self.path().join("data")
    }
}

impl Mall {
    /// The mall of `YEOUL_BASE` if that is set, else a new one with the fault switches.
    #[track_caller]
    pub(crate) fn fresh() -> Mall {
        match setting("YEOUL_BASE") {
            Some(line) => {
                Mall::known(serde_json::from_str(&line).expect("YEOUL_BASE is JSON"), None)
            }
            None => Mall::on(Folder::new(), &["--faults"]),
        }
    }

    /// A new mall of our own, to kill and restart; `None` where the suite was given another.
    #[track_caller]
    pub(crate) fn owned(arguments: &[&str]) -> Option<Mall> {
        Some(Mall::on(Folder::owned()?, arguments))
    }

    /// One that can make no file larger than so many KiB until [`Mall::lift_file_limit`]: what a full
    /// disk is to the program, without needing a disk of its own.
    #[track_caller]
    pub(crate) fn with_files_of_at_most(kib: u32) -> Option<Mall> {
        let folder = Folder::owned()?;
        let mut shell = Command::new("sh");
        // Without the signal a write past the limit fails, as one on a full disk does. dash counts
        // in blocks of 512 bytes.
        let limited = format!("trap '' XFSZ; ulimit -S -f {}; exec \"$@\"", 2 * kib);
        shell.args(["-c", &limited, "sh"]).arg(yeoul().get_program());
        Some(Mall::run(shell, folder, &[]))
    }

    /// One that a shell starts with this `ulimit`.
    #[track_caller]
    pub(crate) fn with_limit(limit: &str) -> Option<Mall> {
        let folder = Folder::owned()?;
        let mut shell = Command::new("sh");
        let limited = format!("ulimit {limit}; exec \"$@\"");
        shell.args(["-c", &limited, "sh"]).arg(yeoul().get_program());
        Some(Mall::run(shell, folder, &[]))
    }

    /// Makes room again.
    #[track_caller]
    pub(crate) fn lift_file_limit(&self) {
        let pid = self.pid().to_string();
        let lifted = Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited"]).status();
        assert!(lifted.expect("prlimit, of util-linux").success());
    }

    /// A mall on this folder, waited for until it is ready.
    #[track_caller]
    pub(crate) fn on(folder: Folder, arguments: &[&str]) -> Mall {
        Mall::run(yeoul(), folder, arguments)
    }

    #[track_caller]
    fn run(mut program: Command, folder: Folder, arguments: &[&str]) -> Mall {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(folder.path().join("stderr.log"))
            .expect("a file for stderr");
        let listen = ["--listen", "127.0.0.1:0"];
        let own = arguments.contains(&listen[0]);
        let mut child = program
            .arg("mall")
            .arg("--data")
            .arg(folder.data())
            .args(if own { &[][..] } else { &listen })
            .arg("--json")
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the program starts");
        let watch = watch(child.id(), folder.path());
        let (lines, first) = lines_of(child.stdout.take().expect("a pipe"));
        let mut process = Process { child, watch: Some(watch), lines, folder: Some(folder) };
        match first.recv_timeout(START_AT_MOST) {
            Ok(line) => {
                let ready = serde_json::from_str(&line)
                    .unwrap_or_else(|error| panic!("no ready line ({error}): {line}"));
                Mall::known(ready, Some(process))
            }
            Err(_) => {
                let ended = process.child.try_wait();
                panic!("the mall is not ready: {ended:?}: {}", process.stderr())
            }
        }
    }

    /// One that others started, at the addresses of this ready line.
    pub(crate) fn of(ready: Value) -> Mall {
        Mall::known(ready, None)
    }

    fn known(ready: Value, process: Option<Process>) -> Mall {
        let url = format!("{}/openapi.json", ready["gateway"].as_str().expect("a gateway"));
        let description = Call::new("GET", url).try_send_unseen().expect("an answer");
        described::begin(&ready, description.expect(200).value());
        Mall { ready, process, admin_token: OnceLock::new(), marker: OnceLock::new() }
    }

    /// The ready line.
    pub(crate) fn ready(&self) -> &Value {
        &self.ready
    }

    /// A base URL by its name in the ready line.
    #[track_caller]
    pub(crate) fn base(&self, name: &str) -> &str {
        self.ready[name].as_str().unwrap_or_else(|| panic!("no {name} in {}", self.ready))
    }

    /// A call to the gateway.
    #[track_caller]
    pub(crate) fn call(&self, method: &str, path: &str) -> Call {
        self.at("gateway", method, path)
    }

    /// A call to a listener by its name.
    #[track_caller]
    pub(crate) fn at(&self, listener: &str, method: &str, path: &str) -> Call {
        Call::new(method, format!("{}{path}", self.base(listener).trim_end_matches('/')))
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Call {
        self.call("GET", path)
    }

    /// Its process id, as it says itself.
    pub(crate) fn pid(&self) -> u32 {
        self.ready["pid"].as_u64().expect("a pid") as u32
    }

    /// The memory it holds that no file has, in bytes, where the system tells in `/proc`. Pages of the program's
    /// file are not counted: how many of them are mapped is for the system to choose, they cost nobody anything, and
    /// of an unoptimised program they are more than all the rest.
    #[track_caller]
    pub(crate) fn resident(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()
        };
        Some((kib("RssAnon:")? + kib("RssShmem:")?) << 10)
    }

    /// What it printed on stdout.
    pub(crate) fn stdout(&self) -> Vec<String> {
        self.process.as_ref().map_or_else(Vec::new, |process| {
            process.lines.lock().expect("no reader panics").clone()
        })
    }

    /// What it printed on stderr, for a failure's message.
    pub(crate) fn stderr(&self) -> String {
        self.process.as_ref().map_or_else(String::new, Process::stderr)
    }

    /// The folder it runs on.
    #[track_caller]
    pub(crate) fn folder(&self) -> &Folder {
        let process = self.process.as_ref().expect("a mall of our own");
        process.folder.as_ref().expect("kept until the end")
    }

    /// `kill -9`; the folder stays as it was at that moment.
    #[track_caller]
    pub(crate) fn kill(mut self) -> Folder {
        let mut process = self.process.take().expect("a mall of our own");
        process.end();
        process.folder.take().expect("kept until the end")
    }

    /// Sends this signal and waits for the exit code.
    #[track_caller]
    pub(crate) fn stop_by(mut self, name: &str, at_most: Duration) -> (i32, Folder) {
        let mut process = self.process.take().expect("a mall of our own");
        signal(name, process.child.id());
        let code = wait_at_most(&mut process.child, at_most);
        let code = code.unwrap_or_else(|| panic!("runs on after {name}: {}", process.stderr()));
        (code, process.folder.take().expect("kept until the end"))
    }
}

impl Drop for Mall {
    /// A mall that is not ours is left as it was found: everything on, no faults, no open circuit.
    fn drop(&mut self) {
        described::end(&self.ready);
        if self.process.is_some() || setting("YEOUL_BASE").is_none() {
            return;
        }
        // Nothing here may fail the test: what is not mended fails the next one.
        for service in SERVICES {
            let _ = self.at("admin", "DELETE", &format!("/admin/faults/{service}")).try_send();
            let _ =
                self.at("admin", "POST", &format!("/admin/services/{service}/start")).try_send();
        }
        let end = now() + 2 * SOON;
        let open = |path: &str| self.get(path).try_send().is_ok_and(|answer| answer.status == 503);
        let closed = |answer: Answer| answer.status != 503;
        while now() < end {
            let token = self.call("POST", "/oauth/token").form(&[]).try_send();
            let keys = ["/products/1", "/.well-known/jwks.json"];
            if token.is_ok_and(closed) && !keys.into_iter().any(open) {
                return;
            }
            pause(Duration::from_millis(100));
        }
    }
}

impl Process {
    fn end(&mut self) {
        // A child that already ended cannot be killed, and need not be.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(mut watch) = self.watch.take() {
            // It must not outlive the pid it watches: end it before its input closes.
            let _ = watch.kill();
            let _ = watch.wait();
        }
    }

    fn stderr(&self) -> String {
        let Some(folder) = &self.folder else { return String::new() };
        let text = std::fs::read_to_string(folder.path().join("stderr.log")).unwrap_or_default();
        let from = text.len().saturating_sub(4000);
        text.chars()
            .skip(text[..].char_indices().take_while(|(at, _)| *at < from).count())
            .collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() {
            eprintln!("the mall's last words:\n{}", self.stderr());
        }
    }
}

fn watch(pid: u32, folder: &Path) -> Child {
    Command::new("sh")
        .args(["-c", WATCH, "watch", &pid.to_string()])
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell")
}

/// Collects the lines of a pipe to its end; the first is also sent.
fn lines_of(pipe: ChildStdout) -> (Arc<Mutex<Vec<String>>>, Receiver<String>) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let (send, first) = sync_channel(1);
    let kept = Arc::clone(&lines);
    std::thread::spawn(move || {
        for line in BufReader::new(pipe.take(1 << 20)).lines() {
            let Ok(line) = line else { break };
            let _ = send.try_send(line.clone());
            kept.lock().expect("no reader panics").push(line);
        }
    });
    (lines, first)
}
