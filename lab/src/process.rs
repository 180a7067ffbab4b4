//! Servers under measurement: started on a core of their own, read from outside, ended by their ids.
//!
//! CPU time and memory are the kernel's own account of the process and all its descendants, so a
//! server that works in children is measured like one that works in threads.

mod stat;

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::clock;
use crate::error::{Error, environment};

/// The core of the measured server.
pub(crate) const SERVER_CORE: &str = "0";
/// The core of everything else.
pub(crate) const CLIENT_CORE: &str = "1";
/// How long a server may take to end before it is killed.
const ENDING: Duration = Duration::from_secs(12);
/// How long it may take to listen.
const STARTING: Duration = Duration::from_secs(20);
/// How much of a server's own words an error repeats.
const WORDS_BYTES_MAX: usize = 2_000;

/// A running server, ended when dropped.
pub(crate) struct Server {
    name: &'static str,
    child: Child,
    words: PathBuf,
}

/// What a server is ended by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// It ends by itself, in order.
    Term,
    /// It is gone where it stands.
    Kill,
}

/// What a server has used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Usage {
    /// User and system time of it and its descendants.
    pub(crate) cpu: Duration,
    /// Resident memory of all of them.
    pub(crate) resident_bytes: u64,
}

impl Server {
    /// Starts a server; what it says on stderr goes to a file in `folder`.
    pub(crate) fn start(
        name: &'static str,
        mut command: Command,
        folder: &Path,
    ) -> Result<Server, Error> {
        let words = folder.join(format!("{name}.stderr"));
        command.stdin(Stdio::null()).stderr(File::create(&words)?);
        let child = command.spawn().map_err(|error| {
            environment(format!("{name} does not start: {error}. command=`{command:?}`"))
        })?;
        Ok(Server { name, child, words })
    }

    /// Waits until it accepts connections.
    pub(crate) fn listening(mut self, address: &str) -> Result<Server, Error> {
        // Its end is looked at first: with it gone, whoever listens at the address is somebody else.
        let up = clock::wait_for(STARTING, || {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(Err(status.to_string()));
            }
            std::net::TcpStream::connect(address).ok().map(|_| Ok(()))
        });
        match up {
            Some(Ok(())) => Ok(self),
            Some(Err(status)) => Err(self.failed(&format!("ended: {status}"))),
            None => Err(self.failed("does not listen")),
        }
    }

    /// The pipe that its stdout goes to, if it was given one.
    pub(crate) fn stdout(&mut self) -> Option<std::process::ChildStdout> {
        self.child.stdout.take()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has used.
    pub(crate) fn usage(&self) -> Usage {
        usage(self.pid())
    }

    /// An error about this server, with its own last words.
    pub(crate) fn failed(&self, says: &str) -> Error {
        let words = fs::read_to_string(&self.words).unwrap_or_default();
        let words = words.trim_end();
        let mut from = words.len().saturating_sub(WORDS_BYTES_MAX);
        while !words.is_char_boundary(from) {
            from += 1;
        }
        environment(format!("{} {says}. its output=`{}`", self.name, &words[from..]))
    }

    /// Ends it by this signal and waits until it is gone.
    pub(crate) fn end(mut self, by: Signal) -> Result<(), Error> {
        send(by.as_str(), self.pid());
        let ended = clock::wait_for(ENDING, || self.child.try_wait().ok().flatten());
        ended.map(drop).ok_or_else(|| self.failed("does not end"))
    }
}

impl Signal {
    fn as_str(self) -> &'static str {
        match self {
            Signal::Term => "TERM",
            Signal::Kill => "KILL",
        }
    }
}

impl Drop for Server {
    /// Asks it to end; what is left of it and its descendants after [`ENDING`] is killed.
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        // Taken while it lives: once it is gone, its children are init's and can no longer be told from others.
        let family = stat::family(self.pid());
        send("TERM", self.pid());
        let ended = clock::wait_for(ENDING, || self.child.try_wait().ok().flatten());
        if ended.is_none() {
            // Either fails only where it has ended meanwhile, which is what is wanted.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        // A process id can only have been given away since if its process has ended, and then its
        // parent is another one.
        for orphan in family.iter().filter(|one| one.pid != self.pid()) {
            if stat::read(orphan.pid).is_some_and(|now| now.began == orphan.began) {
                send("KILL", orphan.pid);
            }
        }
    }
}

/// What a process and its descendants have used.
pub(crate) fn usage(pid: u32) -> Usage {
    let family = stat::family(pid);
    Usage {
        cpu: family.iter().map(|one| one.cpu).sum(),
        resident_bytes: family.iter().filter_map(|one| stat::resident_bytes(one.pid)).sum(),
    }
}

fn send(signal: &str, pid: u32) {
    let pid = pid.to_string();
    // Who has ended cannot be signalled, and need not be.
    let _ = Command::new("kill").args(["-s", signal, &pid]).stderr(Stdio::null()).status();
}

/// A command whose process is asked to end when this one ends in whatever way, where the system can
/// do that: a run that is killed leaves no server behind.
pub(crate) fn tied(program: impl AsRef<OsStr>) -> Command {
    if on_path("setpriv").is_none() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM"]).arg(program);
    command
}

/// The same on the server's core, where there is more than one core.
pub(crate) fn pinned(program: impl AsRef<OsStr>) -> Command {
    if !can_pin() {
        return tied(program);
    }
    let mut command = tied("taskset");
    command.args(["-c", SERVER_CORE]).arg(program);
    command
}

/// Moves this process, and what it starts without [`pinned`], to the client's core.
pub(crate) fn pin_self() -> Result<(), Error> {
    if !can_pin() {
        return Ok(());
    }
    let pid = std::process::id().to_string();
    let moved = Command::new("taskset")
        .args(["-a", "-c", "-p", CLIENT_CORE, &pid])
        .stdout(Stdio::null())
        .status()?;
    if moved.success() {
        Ok(())
    } else {
        Err(environment("taskset could not move the client to a core"))
    }
}

/// Whether client and server can be kept apart.
pub(crate) fn can_pin() -> bool {
    on_path("taskset").is_some() && Path::new("/sys/devices/system/cpu/cpu1").exists()
}

/// Where a program of this name is.
#[expect(clippy::disallowed_methods, reason = "the lab looks for peers where a shell would")]
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let system = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(system)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// The variables that a program of ours would read as settings.
#[expect(clippy::disallowed_methods, reason = "they are kept from what is measured")]
pub(crate) fn variables_of_the_program() -> Vec<OsString> {
    let ours = |name: &OsString| name.to_string_lossy().starts_with("YEOUL_");
    std::env::vars_os().map(|(name, _)| name).filter(ours).collect()
}

/// A loopback address that is free now.
pub(crate) fn free_address() -> Result<String, Error> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_dropped_server_takes_its_children_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start("family", shell("sleep 600 & wait"), folder.path()).unwrap();
        let child = clock::wait_for(Duration::from_secs(10), || {
            stat::family(server.pid()).iter().map(|one| one.pid).find(|pid| *pid != server.pid())
        });
        let child = child.expect("the shell starts its child");
        drop(server);
        let gone = || stat::read(child).is_none_or(|one| one.ended).then_some(());
        assert!(clock::wait_for(Duration::from_secs(10), gone).is_some());
    }

    #[test]
    fn a_server_that_ends_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let script = shell("echo the port is taken >&2; exit 3");
        let server = Server::start("short-lived", script, folder.path()).unwrap();
        let error = server.listening(&free_address().unwrap()).err().unwrap().to_string();
        assert!(
            error.contains("short-lived ended") && error.contains("the port is taken"),
            "{error}"
        );
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let command = Command::new(folder.path().join("nothing"));
        assert!(Server::start("nothing", command, folder.path()).is_err());
    }

    #[test]
    fn programs_are_found_where_a_shell_finds_them() {
        assert!(on_path("sh").is_some());
        assert!(on_path("no-program-has-this-name").is_none());
    }

    #[test]
    fn our_own_use_is_seen() {
        let usage = usage(std::process::id());
        assert!(usage.resident_bytes > 100_000, "{usage:?}");
    }
}
