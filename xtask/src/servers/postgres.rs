//! PostgreSQL: one server, whose files are kept in a folder of its own.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use super::process::Process;
use super::restarts::Restarts;
use super::{Stop, now, pause};
use crate::failure::Failure;
use crate::shell;

/// Where Debian has the programs of each version, which are on nobody's path.
const VERSIONS: &str = "/usr/lib/postgresql";
/// Whose it is where root starts it, which it refuses to be.
const USER: &str = "postgres";
/// What a shop needs: nothing but the usual.
pub(crate) const OF_A_SHOP: &[&str] = &[];
/// What a run of the tests need not do: their data outlive no power cut. A deadlock is found at once.
pub(crate) const OF_TESTS: &[&str] = &["fsync=off", "deadlock_timeout=50ms", "shared_buffers=32MB"];
/// Connections that all parts may have: ten of a service, twenty of a gateway or my page's port, of four instances each.
const CONNECTIONS_MAX: u32 = 400;
/// Looks until it answers: a minute.
const LOOKS_MAX: usize = 1200;

/// A server, and how it is started again.
pub(crate) struct Postgres {
    process: Process,
    restarts: Restarts,
    folder: PathBuf,
    port: u16,
    more: &'static [&'static str],
}

impl Postgres {
    /// Starts it with its files in `folder`, which are made where there are none.
    pub(crate) fn start(
        folder: &Path,
        port: u16,
        more: &'static [&'static str],
        stop: &Stop,
    ) -> Result<Postgres, Failure> {
        let folder = folder.join("postgres");
        fs::create_dir_all(&folder)?;
        if !folder.join("data/PG_VERSION").exists() {
            // Whoever may speak to the loopback may speak to it, as to the parts.
            let mut make = as_its_user(&folder, "initdb")?;
            make.arg("-D").arg(folder.join("data"));
            shell::run(with(make, &["-A", "trust", "-U", USER, "-E", "UTF8", "--locale=C"]))?;
        }
        let process = run(&folder, port, more)?;
        let restarts = Restarts::new(now());
        let mut postgres = Postgres { process, restarts, folder, port, more };
        postgres.answers(stop)?;
        Ok(postgres)
    }

    /// Of what it runs in.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// As settings name it.
    pub(crate) fn address(&self) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/postgres", self.port)
    }

    /// The statements that make again what is in it. Who may what is made by whoever opens it.
    pub(crate) fn dump(&self) -> Result<String, Failure> {
        let mut dump = Command::new(program("pg_dump")?);
        dump.args(["--no-owner", "--no-privileges", "-d", &self.address()]);
        let text = shell::output(dump)
            .ok_or_else(|| Failure::environment("pg_dump does not say what is there"))?;
        // Newer ones write a word that is drawn anew each time, and that older ones do not know.
        let is_said =
            |line: &&str| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict");
        Ok(text.lines().filter(is_said).map(|line| format!("{line}\n")).collect())
    }

    /// Starts it again where it has ended.
    pub(crate) fn keep(&mut self, now: Instant) -> Result<(), Failure> {
        if self.restarts.is_due("postgres", &mut self.process, now) {
            self.process = run(&self.folder, self.port, self.more)?;
        }
        Ok(())
    }

    fn answers(&mut self, stop: &Stop) -> Result<(), Failure> {
        let port = self.port.to_string();
        let answers = || -> Result<bool, Failure> {
            let mut asked = Command::new(program("pg_isready")?);
            asked.args(["-q", "-h", "127.0.0.1", "-p", &port]);
            Ok(asked.status().is_ok_and(|status| status.success()))
        };
        for _ in 0..LOOKS_MAX {
            pause();
            // Asked first: where it has ended, whoever answers at its port is somebody else's.
            if self.process.has_ended() {
                break;
            }
            if stop.is_wanted() || answers()? {
                return Ok(());
            }
        }
        Err(Failure::environment(format!("postgres does not answer:\n{}", self.process.words())))
    }
}

fn run(folder: &Path, port: u16, more: &[&str]) -> Result<Process, Failure> {
    let mut server = as_its_user(folder, "postgres")?;
    server.arg("-D").arg(folder.join("data"));
    let settings = settings(port);
    let settings = settings.iter().map(String::as_str).chain(more.iter().copied());
    server.args(settings.flat_map(|setting| ["-c", setting]));
    Process::start("server", &server, folder)
}

fn settings(port: u16) -> [String; 4] {
    [
        format!("port={port}"),
        "listen_addresses=127.0.0.1".to_owned(),
        "unix_socket_directories=".to_owned(),
        format!("max_connections={CONNECTIONS_MAX}"),
    ]
}

/// One of its programs, as whoever may run it; the folder is theirs from then on.
fn as_its_user(folder: &Path, name: &str) -> Result<Command, Failure> {
    let program = program(name)?.display().to_string();
    let id = |of: &[&str]| shell::output(shell::command(&[&["id", "-u"], of].concat()));
    if id(&[]).as_deref() != Some("0") {
        return Ok(shell::command(&[&program]));
    }
    let user = id(&[USER]).and_then(|id| id.parse().ok());
    let user = user.ok_or_else(|| {
        Failure::environment(format!("there is no user to run it as. user=`{USER}`"))
    })?;
    // Only the folder itself: what is in it was made by that user, or is being made by this very command.
    chown(folder, Some(user), None)?;
    let ids = [format!("--reuid={USER}"), format!("--regid={USER}")];
    Ok(shell::command(&["setpriv", &ids[0], &ids[1], "--clear-groups", &program]))
}

fn with(mut command: Command, arguments: &[&str]) -> Command {
    command.args(arguments);
    command
}

/// A program of the newest version there is.
fn program(name: &str) -> Result<PathBuf, Failure> {
    let versions = fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    let newest = versions.map(|entry| entry.path()).max_by_key(|folder| number(folder));
    let debians = newest.map(|folder| folder.join("bin").join(name)).filter(|file| file.is_file());
    debians.or_else(|| shell::find(name)).ok_or_else(|| {
        Failure::environment(format!("PostgreSQL is not installed. program=`{name}`"))
    })
}

fn number(folder: &Path) -> u32 {
    let name = folder.file_name().and_then(|name| name.to_str());
    name.and_then(|name| name.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_number() {
        let folders = ["/x/9", "/x/15", "/x/16", "/x/other"].map(PathBuf::from);
        let newest = folders.iter().max_by_key(|folder| number(folder)).unwrap();
        assert_eq!(newest, Path::new("/x/16"));
    }

    #[test]
    fn it_listens_on_this_machine_alone() {
        let settings = settings(7);
        assert!(settings.contains(&"port=7".to_owned()));
        assert!(settings.contains(&"listen_addresses=127.0.0.1".to_owned()));
        assert!(settings.contains(&"unix_socket_directories=".to_owned()));
    }
}
