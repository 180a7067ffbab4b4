//! The program under measurement: started as a user starts it, and ready when it says so.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use serde_json::Value;

use crate::error::{Error, environment};
use crate::process;
use crate::process::Server;
use crate::report::YEOUL;

/// How long the program may take to be ready.
const READY_AT_MOST: Duration = Duration::from_secs(30);

/// 64 times this is what keys in a store on a server are sealed with: what opens a fixture says the same.
const STORE_KEY: &str = "7";

/// Which cores the program runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cores {
    /// The server's alone.
    One,
    /// Whatever the machine has.
    All,
}

/// A running program.
pub(crate) struct Program {
    pub(crate) server: Server,
    ready: Value,
}

impl Program {
    /// Starts `yeoul COMMAND…` on free ports with its data and settings in `folder`, and waits until
    /// it is ready.
    pub(crate) fn start(
        file: &Path,
        command: &[&str],
        settings: Option<&str>,
        cores: Cores,
        folder: &Path,
    ) -> Result<Program, Error> {
        let mut line = match cores {
            Cores::One => process::pinned(file),
            Cores::All => process::tied(file),
        };
        line.args(command)
            .args(["--json", "--listen", "127.0.0.1:0", "--data"])
            .arg(folder.join("data"));
        if let Some(settings) = settings {
            let path = folder.join("settings.yaml");
            std::fs::write(&path, settings)?;
            line.arg("-c").arg(path);
        }
        // What is measured has the settings named here, and none of the caller's.
        for name in process::variables_of_the_program() {
            line.env_remove(name);
        }
        line.env("YEOUL_STORE_KEY", STORE_KEY.repeat(64));
        Program::started(line, READY_AT_MOST, folder)
    }

    /// Starts what prints a line of JSON when it is ready.
    pub(crate) fn started(
        mut line: Command,
        at_most: Duration,
        folder: &Path,
    ) -> Result<Program, Error> {
        // Only the ready line comes on stdout; what the program has to say otherwise goes to the file of
        // `Server::start`.
        line.stdout(Stdio::piped());
        let mut server = Server::start(YEOUL, line, folder)?;
        let ready = ready_line(&mut server, at_most)?;
        let ready = serde_json::from_str(&ready).map_err(|error| {
            server.failed(&format!("printed no JSON when ready: {error}. line=`{ready}`"))
        })?;
        Ok(Program { server, ready })
    }

    /// What it said.
    pub(crate) fn ready(&self) -> &Value {
        &self.ready
    }

    /// `host:port` of one of its listeners.
    pub(crate) fn address(&self, listener: &str) -> Result<String, Error> {
        let url = self.ready[listener].as_str().and_then(|url| url.strip_prefix("http://"));
        url.map(|url| url.trim_end_matches('/').to_owned()).ok_or_else(|| {
            environment(format!("the ready line names no `{listener}`. line=`{}`", self.ready))
        })
    }
}

/// The first line on stdout. A thread waits for it, so that a program that says nothing is noticed.
fn ready_line(server: &mut Server, at_most: Duration) -> Result<String, Error> {
    let stdout = server.stdout().expect("stdout is piped");
    let (send, receive) = sync_channel(1);
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        // Whoever waited may have given up: then there is nobody to tell, and the thread ends.
        let _ = send.send(read.ok().filter(|bytes| *bytes > 0).map(|_| line));
    });
    match receive.recv_timeout(at_most) {
        Ok(Some(line)) => Ok(line),
        Ok(None) => Err(server.failed("ended before it was ready")),
        Err(_) => Err(server.failed("is not ready in time")),
    }
}

/// The file of the program, if it is there.
pub(crate) fn built(file: &Path) -> Result<PathBuf, Error> {
    file.canonicalize().map_err(|error| {
        environment(format!("no program to measure: {error}. file=`{}`", file.display()))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn start(script: &str) -> Result<Program, Error> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("program");
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o700)).unwrap();
        Program::start(&built(&file)?, &["mall"], Some("a: 1"), Cores::All, folder.path())
    }

    #[test]
    fn the_ready_line_names_the_listeners() {
        let line = r#"{"ready":true,"pid":1,"gateway":"http://127.0.0.1:41001"}"#;
        let program = start(&format!("echo '{line}'; exec sleep 60")).unwrap();
        assert_eq!(program.address("gateway").unwrap(), "127.0.0.1:41001");
        assert!(program.address("order").is_err());
    }

    #[test]
    fn a_program_that_does_not_get_ready_is_an_error_with_its_own_words() {
        for (script, says) in [
            ("echo 'the folder is in use' >&2; exit 3", "the folder is in use"),
            ("echo listening", "no JSON"),
        ] {
            let error = start(script).err().unwrap().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_program_that_is_not_built_is_an_error() {
        assert!(built(Path::new("no-such-program")).is_err());
    }
}
