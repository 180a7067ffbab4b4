//! The program as a command: what it prints and how it ends.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::{Folder, now, pause};

/// How long any command that should end may take.
const COMMAND_AT_MOST: Duration = Duration::from_secs(30);

/// A key by which deliveries may be signed, of the environment.
pub(crate) const SIGNING: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// The outcome, which must have this exit code; anything but 0 ends with a word on stderr.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Outcome {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        if code != 0 {
            assert!(!self.last_word().is_empty(), "says nothing of what to do");
        }
        self
    }

    /// The last line on stderr: what to do.
    pub(crate) fn last_word(&self) -> &str {
        self.stderr.trim_end().lines().last().unwrap_or_default().trim()
    }
}

/// Runs `yeoul` with these arguments to its end.
#[track_caller]
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    run_in(Path::new("."), arguments)
}

/// [`run`] in this folder.
#[track_caller]
pub(crate) fn run_in(folder: &Path, arguments: &[&str]) -> Outcome {
    let mut child = yeoul()
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let ended = wait_at_most(&mut child, COMMAND_AT_MOST);
    if ended.is_none() {
        child.kill().expect("a child can be killed");
    }
    let Output { status, stdout, stderr } = child.wait_with_output().expect("a child ends");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let outcome =
        Outcome { code: status.code().unwrap_or(-1), stdout: text(stdout), stderr: text(stderr) };
    assert!(ended.is_some(), "does not end: {arguments:?}: {outcome:?}");
    outcome
}

/// The program at work, killed when dropped.
pub(crate) struct Started {
    child: Child,
    stdout: Option<BufReader<ChildStdout>>,
    /// What it says beside that, for whoever wants to know why it ended.
    words: File,
}

impl Started {
    /// `yeoul serve` by these settings, on the folder's data and at free ports, with its ready line.
    #[track_caller]
    pub(crate) fn serving(folder: &Folder, settings: &str) -> (Started, Value) {
        let (file, data) = (overlay(folder.path(), "serve.yaml", settings), folder.data());
        let (file, data) = (super::text(&file), super::text(&data));
        let settings = ["serve", "-c", file, "--data", data];
        let free = ["--listen", "127.0.0.1:0", "--json"];
        let mut program = Started::new(&[&settings[..], &free].concat());
        let ready = program.ready();
        (program, ready)
    }

    /// `yeoul` with these arguments.
    #[track_caller]
    pub(crate) fn new(arguments: &[&str]) -> Started {
        let mut command = yeoul();
        command.args(arguments);
        Started::of(command)
    }

    /// What this command starts.
    #[track_caller]
    pub(crate) fn of(mut command: Command) -> Started {
        let words = tempfile::tempfile().expect("a file");
        let stderr = words.try_clone().expect("a file");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
        let mut child = command.spawn().expect("the program starts");
        let stdout = child.stdout.take().map(BufReader::new);
        Started { child, stdout, words }
    }

    /// Its ready line, waited for.
    #[track_caller]
    pub(crate) fn ready(&mut self) -> Value {
        let mut line = String::new();
        self.stdout.as_mut().expect("a pipe").read_line(&mut line).expect("a line");
        let ready: Value = serde_json::from_str(&line)
            .unwrap_or_else(|_| panic!("no ready line: {line:?}, {}", self.words()));
        assert_eq!(ready["ready"], true, "{ready}");
        ready
    }

    /// What it has said on stderr.
    fn words(&mut self) -> String {
        let mut text = String::new();
        self.words.rewind().expect("a file");
        self.words.read_to_string(&mut text).expect("text");
        text
    }

    /// What it prints from now on, for a thread that reads it.
    pub(crate) fn output(&mut self) -> BufReader<ChildStdout> {
        self.stdout.take().expect("a pipe")
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends this signal and waits for the exit code.
    #[track_caller]
    pub(crate) fn stop_by(mut self, name: &str) -> Option<i32> {
        signal(name, self.pid());
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, and need not be.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program, not yet started.
pub(crate) fn yeoul() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_yeoul"));
    for name in ["YEOUL_BASE", "YEOUL_SEED", "YEOUL_KILLS", "YEOUL_CROWD"] {
        command.env_remove(name);
    }
    // What a store on a server has sealed is opened by the same one at the next start, and so it was sealed in fixtures.
    command.env("YEOUL_STORE_KEY", "7".repeat(64));
    // The second is the documents'.
    command.env("YEOUL_TEST_SIGNING", SIGNING).env("MAIL_SECRET", SIGNING);
    command
}

/// The exit code, if the child ends by then (-1 if a signal ended it).
pub(crate) fn wait_at_most(child: &mut Child, limit: Duration) -> Option<i32> {
    let end = now() + limit;
    loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return Some(status.code().unwrap_or(-1));
        }
        if now() >= end {
            return None;
        }
        pause(Duration::from_millis(5));
    }
}

/// Sends a signal to one process by its id.
#[track_caller]
pub(crate) fn signal(name: &str, pid: u32) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status();
    assert!(sent.expect("a shell").success(), "no process {pid} to signal");
}

/// A path as an argument.
#[track_caller]
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("the path is UTF-8")
}

/// Writes a settings file beside the test's data and gives its path.
pub(crate) fn overlay(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("a settings file is written");
    path
}
