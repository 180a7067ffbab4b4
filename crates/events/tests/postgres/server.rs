//! A PostgreSQL of the tests' own: one server on a free port, with its files in a folder that goes with it.
//!
//! What tests share is one server for each program; a run of all programs names one for all of them, by [`OF_THE_RUN`].
//!
//! It ends with the process that started it, however that ends: a shell beside it waits for the end of a
//! pipe whose other end only this process has. It refuses to be root's, so what root starts runs as the user
//! that its package made.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;

/// Where the server of a whole run is, as settings name it.
const OF_THE_RUN: &str = "YEOUL_TEST_POSTGRES";
/// What installs it.
const INSTALL: &str = "cargo xtask services install postgres";
/// Where Debian has the programs of each version, which are on nobody's path.
const VERSIONS: &str = "/usr/lib/postgresql";
/// Whose it is where root starts it.
const USER: &str = "postgres";
/// Starts that are tried: a port that was free may have been taken meanwhile.
const STARTS_MAX: usize = 3;
/// Starts on the files of one that was killed, [`PAUSE`] apart.
const STARTS_AGAIN_MAX: usize = 100;
/// Looks for an answer, [`PAUSE`] apart.
const LOOKS_MAX: usize = 600;
const PAUSE: Duration = Duration::from_millis(50);

/// Small, local and without passwords.
const SETTINGS: &str = "listen_addresses = '127.0.0.1'
unix_socket_directories = ''
shared_buffers = 32MB
max_connections = 400
";

/// What a server of several tests need not do: their data outlives no power cut. A deadlock is found at once.
const UNSAFE: &[&str] = &["fsync = off", "deadlock_timeout = 50ms"];

/// What makes its disk full where one is given: a library before the system's own, beside the server's files.
const DISK: &str = "full.so";
const DISK_SOURCE: &str = include_str!("full.c");
/// The disk is full while this is there.
const FULL: &str = "full";

/// Says the server's pid; when its own input ends, so do the server, its children, and its files.
const BESIDE: &str = r#"folder=$1; shift; exec 2>/dev/null
"$@" </dev/null >>"$folder/server.log" 2>&1 & server=$!; echo $server
read -r how
kill -9 $server $(cat /proc/$server/task/$server/children)
wait $server
[ "$how" = keep ] || { ipcrm -m "$(sed -n '7s/.* //p' "$folder/data/postmaster.pid")"; rm -rf "$folder"; }"#;

/// Of a server that was killed a piece of memory stays, which is noted where its pid is.
const FORGET: &str = r#"ipcrm -m "$(sed -n '7s/.* //p' "$1/data/postmaster.pid")" 2>/dev/null"#;

/// A running server.
pub(crate) struct Server {
    port: u16,
    /// Of the server itself; each connection has a process below it.
    pid: u32,
    folder: TempDir,
    beside: Child,
    /// Its end is the server's.
    input: Option<ChildStdin>,
}

impl Server {
    /// The one that tests of a program share: each takes a database of its own.
    pub(crate) fn shared() -> &'static Shared {
        static SHARED: OnceLock<Shared> = OnceLock::new();
        SHARED.get_or_init(Shared::find)
    }

    /// A fresh one, that syncs as it does by itself.
    pub(crate) fn start() -> Server {
        Server::start_with(&[])
    }

    /// A fresh one with these lines in its settings.
    pub(crate) fn start_with(settings: &[&str]) -> Server {
        Server::start_after(settings, |_| ())
    }

    /// A fresh one whose disk may be full; its data outlive no power cut.
    pub(crate) fn start_on_a_disk() -> Server {
        Server::start_after(UNSAFE, make_disk)
    }

    fn start_after(settings: &[&str], prepare: fn(&Path)) -> Server {
        let mut starts = (0..STARTS_MAX).map(|_| Server::try_start(settings, prepare));
        starts.find_map(|started| started).expect("a server that starts")
    }

    fn try_start(settings: &[&str], prepare: fn(&Path)) -> Option<Server> {
        let folder = TempDir::new().expect("a folder");
        let port = free_port();
        initialise(folder.path());
        prepare(folder.path());
        let more = settings.iter().fold(format!("port = {port}\n"), |mut text, line| {
            writeln!(text, "{line}").expect("memory");
            text
        });
        let file = folder.path().join("data/postgresql.conf");
        fs::write(file, format!("{SETTINGS}{more}")).expect("written");
        let (beside, input, pid) = run(folder.path());
        let server = Server { port, pid, folder, beside, input: Some(input) };
        server.is_up().then_some(server)
    }

    /// Its own database, as settings name it.
    pub(crate) fn address(&self) -> String {
        self.address_of("postgres")
    }

    /// A new, empty database whose name begins so, as settings name it.
    pub(crate) fn database(&self, prefix: &str) -> String {
        make_database(&self.address(), prefix)
    }

    fn address_of(&self, database: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{database}", self.port)
    }

    /// Sends a signal to it and to each of its processes: `-STOP` has it stand where it is, `-CONT` go on.
    pub(crate) fn signal(&self, signal: &str) {
        let send = |pid: &str| {
            let sent = Command::new("kill").args([signal, pid]).output();
            sent.is_ok_and(|output| output.status.success())
        };
        // It first: one that stands makes no more of them. Those of connections end by themselves.
        assert!(send(&self.pid.to_string()), "{signal}");
        let children = format!("/proc/{0}/task/{0}/children", self.pid);
        for pid in fs::read_to_string(children).unwrap_or_default().split_whitespace() {
            send(pid);
        }
    }

    /// Has its disk be full, or no more. A piece of its journal is begun first: a server that cannot write that ends.
    pub(crate) fn fill_disk(&self, is_full: bool) {
        let flag = self.folder.path().join(FULL);
        if !is_full {
            return fs::remove_file(flag).expect("it was full");
        }
        // It is made when something is written to it.
        for begin in ["SELECT pg_switch_wal()", "CHECKPOINT"] {
            sql(&self.address(), begin).expect("a piece of its own");
        }
        fs::write(flag, "").expect("written");
    }

    /// Ends it as its operator does: by `-INT` at once, by `-QUIT` without a word to anybody; its files stay.
    pub(crate) fn end_by(&mut self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.pid.to_string()]).output();
        assert!(sent.is_ok_and(|output| output.status.success()), "{signal}");
        let is_there = self.folder.path().join("data/postmaster.pid");
        let ended = (0..LOOKS_MAX).find(|_| {
            pause();
            !is_there.exists()
        });
        assert!(ended.is_some(), "it does not end:\n{}", self.log());
        self.kill();
    }

    /// Kills it and all its processes at once; its files stay.
    pub(crate) fn kill(&mut self) {
        if let Some(mut input) = self.input.take() {
            input.write_all(b"keep\n").expect("the shell beside it");
        }
        self.beside.wait().expect("the shell beside it");
    }

    /// Starts it again on its files. It refuses to while a process of the one before is not quite gone: one that was
    /// forked in the moment of the kill sees for itself that it is alone, and ends.
    pub(crate) fn start_again(&mut self) {
        for _ in 0..STARTS_AGAIN_MAX {
            let (beside, input, pid) = run(self.folder.path());
            (self.beside, self.input, self.pid) = (beside, Some(input), pid);
            if self.is_up() {
                return;
            }
            self.kill();
            pause();
        }
        panic!("it does not start again:\n{}", self.log());
    }

    /// As the end of this process does: it ends, and its files go.
    pub(crate) fn let_go(&mut self) {
        self.input = None;
        self.beside.wait().expect("the shell beside it");
    }

    /// Of the server itself.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Where its files are.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it said.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default()
    }

    /// Whether it answers; `false` where it ended instead.
    fn is_up(&self) -> bool {
        for _ in 0..LOOKS_MAX {
            if sql(&self.address(), "SELECT 1").is_ok() {
                return true;
            }
            if !self.is_running() {
                return false;
            }
            pause();
        }
        false
    }
}

/// A server that nobody stops, kills or looks into.
pub(crate) struct Shared {
    address: String,
    /// Where it is this program's.
    _own: Option<Server>,
}

impl Shared {
    #[expect(clippy::disallowed_methods, reason = "a run of all tests says where its server is")]
    fn find() -> Shared {
        if let Ok(address) = std::env::var(OF_THE_RUN) {
            return Shared { address, _own: None };
        }
        let own = Server::start_with(UNSAFE);
        Shared { address: own.address(), _own: Some(own) }
    }

    /// Its own database, as settings name it.
    pub(crate) fn address(&self) -> String {
        self.address.clone()
    }

    /// A new, empty database whose name begins so, as settings name it.
    pub(crate) fn database(&self, prefix: &str) -> String {
        make_database(&self.address, prefix)
    }
}

/// A new one on the server at this address; other programs of a run have some there, too.
fn make_database(address: &str, prefix: &str) -> String {
    let name = unique(prefix);
    sql(address, &format!("CREATE DATABASE {name}")).expect("a database");
    let (place, _) = address.rsplit_once('/').expect("an address");
    format!("{place}/{name}")
}

/// A name that begins so and that nobody else takes.
pub(crate) fn unique(prefix: &str) -> String {
    static MADE: AtomicU32 = AtomicU32::new(0);
    format!("{prefix}_{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed))
}

impl Server {
    /// Who has ended is there until somebody asks why.
    fn is_running(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.input.is_some() {
            return self.let_go();
        }
        // It was killed, and not started again.
        let forget = Command::new("sh").args(["-c", FORGET, "sh"]).arg(self.folder.path()).status();
        assert!(forget.is_ok(), "a shell");
    }
}

/// What `psql` prints for these statements, each on its own, without a frame; else what it complains of.
pub(crate) fn sql(address: &str, statements: &str) -> Result<String, String> {
    let output = psql(address).args(["-c", statements]).output().expect("psql runs");
    said(&output)
}

/// `psql`, which ends at the first mistake and reads nobody's settings.
pub(crate) fn psql(address: &str) -> Command {
    let mut command = Command::new(program("psql"));
    command.args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-d", address]);
    command
}

/// What a program printed; else what it complained of.
pub(crate) fn said(output: &Output) -> Result<String, String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// A program of PostgreSQL, of the newest version there is; without it there is nothing to test with.
#[expect(clippy::disallowed_methods, reason = "where the tests' own programs are")]
pub(crate) fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let versions = fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    let number = |folder: &PathBuf| folder.file_name()?.to_str()?.parse::<u32>().ok();
    let mut versions: Vec<PathBuf> = versions.map(|entry| entry.path()).collect();
    versions.sort_by_key(number);
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.extend(versions.iter().rev().map(|version| version.join("bin")));
    let mut files = folders.into_iter().map(|folder| folder.join(name));
    files
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("PostgreSQL is not installed. Install it with:\n{INSTALL}"))
}

/// Makes the files of a server below the folder.
fn initialise(folder: &Path) {
    let mut command = as_its_user(folder);
    command.arg(program("initdb")).args(["-D", "data", "-A", "trust", "-U", USER]);
    command.args(["-E", "UTF8", "--locale=C", "--no-sync"]);
    let made = command.current_dir(folder).output().expect("initdb runs");
    said(&made).expect("files of a server");
}

fn make_disk(folder: &Path) {
    let source = folder.join("full.c");
    fs::write(&source, DISK_SOURCE).expect("written");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(folder.join(DISK)).arg(source).arg("-ldl");
    said(&compiler.output().expect("the compiler that links this runs")).expect("a library");
}

fn run(folder: &Path) -> (Child, ChildStdin, u32) {
    let mut command = Command::new("sh");
    command.args(["-c", BESIDE, "sh"]).arg(folder);
    let server = as_its_user(folder);
    command.arg(server.get_program()).args(server.get_args());
    let disk = folder.join(DISK);
    if disk.exists() {
        let of = |name: &str, path: &Path| format!("{name}={}", path.display());
        command.args(["env", &of("LD_PRELOAD", &disk), &of("FULL_DISK", &folder.join(FULL))]);
    }
    command.arg(program("postgres")).args(["-D", "data"]);
    command.current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut beside = command.spawn().expect("a shell");
    let input = beside.stdin.take().expect("piped");
    let mut line = String::new();
    let output = beside.stdout.take().expect("piped");
    BufReader::new(output).read_line(&mut line).expect("a pid");
    (beside, input, line.trim().parse().expect("a pid"))
}

/// What runs a command as whoever may run a server, and gives them the folder.
fn as_its_user(folder: &Path) -> Command {
    let is_root = fs::metadata("/proc/self").expect("oneself").uid() == 0;
    if !is_root {
        return Command::new("env");
    }
    let id = Command::new("id").args(["-u", USER]).output().expect("id runs");
    let id = said(&id).expect("the user that the package makes").parse().expect("a number");
    chown(folder, Some(id), None).expect("a folder of one's own");
    let mut command = Command::new("setpriv");
    command.args([&format!("--reuid={USER}"), &format!("--regid={USER}"), "--clear-groups"]);
    command
}

fn free_port() -> u16 {
    let free = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    free.local_addr().expect("an address").port()
}

#[expect(clippy::disallowed_methods, reason = "between two looks at a server in another process")]
pub(crate) fn pause() {
    std::thread::sleep(PAUSE);
}
