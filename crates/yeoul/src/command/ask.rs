//! Asking a running process through its admin listener, for the commands that look beside it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use chassis::folder::Folder;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::exchange::send;
use crate::exit::Failure;

/// How long a process may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// What is escaped in a segment of a path.
const IN_SEGMENTS: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A running process, by its data folder.
pub(crate) struct Process {
    admin: SocketAddr,
    runtime: tokio::runtime::Runtime,
}

impl Process {
    /// The process that holds `data`.
    pub(crate) fn holding(data: &Path) -> Result<Process, Failure> {
        let folder = data.display();
        let Some(holder) = Folder::holder(data) else {
            let says = format!("no running process holds the data folder. folder=`{folder}`");
            let todo = "start the process, or name its folder with --data";
            return Err(Failure::environment(says, todo));
        };
        let Some(admin) = holder.admin else {
            // It starts, or is a command that works on a folder that rests.
            let pid = holder.pid;
            let says = format!(
                "process {pid} holds the data folder and answers nobody. folder=`{folder}`"
            );
            return Err(Failure::environment(
                says,
                "wait until it is ready or has ended, and try again",
            ));
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::environment(error, "free some file descriptors"))?;
        Ok(Process { admin, runtime })
    }

    /// One question, answered as JSON (null where there is no body).
    pub(crate) fn ask(&self, method: &Method, path: &str) -> Result<Response<Value>, Failure> {
        let request = Request::builder().method(method).uri(path).body(Full::default());
        self.send(request.map_err(|error| Failure::input(error, "check the arguments"))?)
    }

    /// The same with a body, or without one.
    pub(crate) fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Value>, Failure> {
        read(self.exchange(request)?)
    }

    /// As [`Process::get`], and the answer as it is written: what events say need not be what is read here.
    pub(crate) fn get_text(&self, path: &str) -> Result<Bytes, Failure> {
        let request = Request::get(path).body(Full::default());
        let answer =
            self.exchange(request.map_err(|error| Failure::input(error, "check the arguments"))?)?;
        if answer.status().is_success() {
            return Ok(answer.into_body());
        }
        let answer = read(answer)?;
        Err(failure(answer.status(), answer.body()))
    }

    fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, Failure> {
        let admin = self.admin.to_string();
        // A timer is made inside the runtime or not at all.
        let asked = self
            .runtime
            .block_on(async { tokio::time::timeout(ANSWER_WITHIN, send(&admin, request)).await });
        match asked {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(cause)) => Err(gone(self.admin, &cause)),
            Err(_) => Err(gone(self.admin, &"no answer within 30 s")),
        }
    }

    /// As [`Process::ask`], where anything but 2xx is a failure in the process's own words.
    pub(crate) fn get(&self, path: &str) -> Result<Value, Failure> {
        done(self.ask(&Method::GET, path)?)
    }

    /// Has it do something, as [`Process::get`] asks for something.
    pub(crate) fn post(&self, path: &str) -> Result<Value, Failure> {
        done(self.ask(&Method::POST, path)?)
    }
}

/// What was answered, or why not.
pub(super) fn done(answer: Response<Value>) -> Result<Value, Failure> {
    if answer.status().is_success() {
        return Ok(answer.into_body());
    }
    Err(failure(answer.status(), answer.body()))
}

/// What somebody typed, as one segment of a path, whatever it holds.
pub(crate) fn segment(typed: &str) -> impl std::fmt::Display {
    utf8_percent_encode(typed, IN_SEGMENTS)
}

/// A refusal of the process, as a failure of the command.
pub(crate) fn failure(status: StatusCode, problem: &Value) -> Failure {
    let mut detail = problem["detail"].as_str().unwrap_or("no reason given").to_owned();
    for error in problem["errors"].as_array().into_iter().flatten() {
        let text = |name: &str| error[name].as_str().unwrap_or_default();
        detail += &format!("\n{} {}", text("field"), text("reason"));
    }
    let todo = "check the argument with the matching list command";
    if status.is_client_error() {
        Failure::input(detail, todo)
    } else {
        Failure::environment(detail, "see the log of the process")
    }
}

/// An answer's JSON; null where it has no body.
fn read(answer: Response<Bytes>) -> Result<Response<Value>, Failure> {
    let (head, body) = answer.into_parts();
    if body.is_empty() {
        return Ok(Response::from_parts(head, Value::Null));
    }
    let value = serde_json::from_slice(&body).map_err(|error| {
        let says = format!("the process's answer cannot be shown here. why=`{error}`");
        Failure::environment(says, "ask its admin listener by `curl`, which shows it as it is")
    })?;
    Ok(Response::from_parts(head, value))
}

fn gone(admin: SocketAddr, cause: &dyn std::fmt::Display) -> Failure {
    let says = format!("the process does not answer. admin=`{admin}`, cause=`{cause}`");
    Failure::environment(says, "see whether it still runs")
}
