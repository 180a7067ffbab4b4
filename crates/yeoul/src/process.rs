//! A process from its first breath to its last: data folder, cores, readiness, signals, the end.
//!
//! The end is in the order of what depends on what: no new request is taken and live streams end;
//! requests in flight finish, and deliveries to services elsewhere, at most [`DRAIN`]; then the loops behind them stop and every store is
//! synced and closed, where one on a server is waited for as long as its own limits say. A second signal ends it at
//! once: whatever was acknowledged is on disk already. So does the first while it starts.

use std::future::Future;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use chassis::clock;
use chassis::folder::{Folder, FolderError};
use chassis::http::BindError;
use events::Database;
use serde_json::Value;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tracing::{debug, error, info, warn};

use crate::admin::Admin;
use crate::exit::Failure;

/// How long requests in flight may take to finish.
pub(crate) const DRAIN: Duration = Duration::from_secs(10);

/// How long a start may take before it says what it waits for.
const NOT_READY_REPORTED_AFTER: Duration = Duration::from_secs(5);

/// How often it is looked whether the process is ready.
const READY_LOOKED_EVERY: Duration = Duration::from_millis(5);

/// Ends the process as a kill does, which loses nothing that was acknowledged: a part of it has panicked, and the rest
/// would wait for that part for ever. Whoever keeps it running starts it again.
pub(crate) fn end_by_panic() {
    error!("a part of this process has panicked: it ends");
    std::process::abort();
}

/// The signals that end a process, and the one that does not.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// Listened for so that a terminal that closes, or a habit of reloading, ends nothing: there is
    /// nothing to reload yet.
    _hangup: Signal,
}

impl Signals {
    /// Listens for SIGTERM and SIGINT from now on, and ignores SIGHUP; needs a runtime.
    pub(crate) fn listen() -> Result<Signals, Failure> {
        let open = |kind| signal(kind).map_err(|error| Failure::environment(error, "try again"));
        Ok(Signals {
            terminate: open(SignalKind::terminate())?,
            interrupt: open(SignalKind::interrupt())?,
            _hangup: open(SignalKind::hangup())?,
        })
    }

    /// Resolves at the next signal.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Runs `start` to its end, unless a signal comes first: then the process exits at once. Nothing was
    /// acknowledged yet, and the files are as after a kill.
    pub(crate) async fn begin<T>(&mut self, start: impl Future<Output = T>) -> T {
        let first = async {
            self.next().await;
            info!("stopped before it had started");
            // In here as below: behind the select the runtime would wait for what is still being read.
            std::process::exit(0)
        };
        tokio::select! {
            started = start => started,
            never = first => never,
        }
    }

    /// Runs `end` to its end, unless a second signal comes: then the process exits at once.
    pub(crate) async fn finish(&mut self, end: impl Future<Output = ()>) {
        let second = async {
            self.next().await;
            warn!("a second signal: stopped at once; what was acknowledged is on disk");
            // In here and not behind the select: that would first drop what is ending.
            std::process::exit(0)
        };
        tokio::select! {
            () = end => info!("stopped"),
            () = second => {}
        }
    }
}

/// Closes stores, each of which waits for its last write.
pub(crate) async fn close(stores: Vec<Database>) {
    let closing = stores.into_iter().map(|store| async move { store.close().await });
    closing.collect::<JoinSet<()>>().join_all().await;
}

/// Takes the data folder.
pub(crate) fn folder(path: &Path) -> Result<Folder, Failure> {
    Folder::open(path).map_err(|refused| {
        let todo = match &refused {
            FolderError::InUse { holder, .. } => {
                format!("stop process {} first, or name another folder with --data", holder.pid)
            }
            FolderError::NotWritable { .. } => {
                "make the folder writable, or name another one with --data".to_owned()
            }
        };
        Failure::environment(refused, todo)
    })
}

/// A port that could not be had.
pub(crate) fn port(refused: BindError) -> Failure {
    let todo = "stop what listens there, or choose another address \
                (`--listen 127.0.0.1:0` takes free ports for all)";
    Failure::environment(refused, todo)
}

/// The runtime of the thread that waits for signals.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::environment(error, "free some file descriptors"))
}

/// Resolves once the process is ready, as `/readyz` puts it; says what is missing if that takes long.
pub(crate) async fn until_ready(admin: &Admin) {
    let started = clock::now();
    let mut reported = false;
    loop {
        // The report that `/readyz` gives, so that the ready line never comes before it.
        let report = admin.report().await;
        if report.ready {
            return;
        }
        if !reported && clock::now() - started >= NOT_READY_REPORTED_AFTER {
            reported = true;
            warn!(missing = %report.shown["missing"], "not ready yet");
        }
        tokio::time::sleep(READY_LOOKED_EVERY).await;
    }
}

/// Says that everything answers: the address to open, which the ready line has under this name, or that line as
/// JSON.
pub(crate) fn print_ready(json: bool, open: &str, ready: &Value) {
    let mut out = std::io::stdout().lock();
    let written = if json {
        writeln!(out, "{ready}")
    } else {
        writeln!(out, "{}", ready[open].as_str().unwrap_or_default())
    };
    // Whoever started us may have closed its end: that is no reason to stop serving.
    if written.and_then(|()| out.flush()).is_err() {
        warn!("readiness could not be written to stdout");
    }
    leave_what_the_start_needed();
}

/// Most of what ran until here never runs again.
fn leave_what_the_start_needed() {
    match footprint::leave_file() {
        Ok(mapped) => debug!(mapped, "what the start needed of the program's file is left"),
        Err(error) => debug!(%error, "the program's file stays where it is"),
    }
}

/// A store that cannot be opened.
pub(crate) fn damaged(what: &str, error: &dyn std::fmt::Display) -> Failure {
    let says = format!("{what} cannot be opened: {error}");
    let todo =
        "make room if the disk is full; else see `yeoul doctor --data DIR` for the whole report";
    Failure::environment(says, todo)
}
