//! A proxied request with every guard on, beside proxies with nothing on.

use std::path::Path;

use super::{Bench, folder};
use crate::contest::{self, Sample, Subject};
use crate::error::{Error, environment};
use crate::http::Request;
use crate::peer::{self, ORIGIN_BODY, Peer};
use crate::program::{Cores, Program};
use crate::report::{Report, YEOUL};
use crate::{bars, process};

const PEERS: [Peer; 3] = [Peer::Nginx, Peer::Haproxy, Peer::Envoy];
const PATH: &str = "/product/1";

pub(super) fn run(bench: &Bench, program: &Path, mut report: Report<'_>) -> Result<bool, Error> {
    let folder = folder()?;
    // Before anything is started that is not pinned itself: origin and load generator inherit the client's core.
    process::pin_self()?;
    let origin = peer::origin(folder.path())?;
    let settings =
        peer::fill(include_str!("../../peers/proxy.yaml"), &[("origin", &origin.address)]);
    let ours = Program::start(program, &["serve"], Some(&settings), Cores::One, folder.path())?;
    let mut running = Vec::new();
    for peer in PEERS.into_iter().filter(|peer| bench.compares(peer.name())) {
        match peer.find() {
            Ok(file) => running.push(peer::proxy(peer, &file, &origin.address, folder.path())?),
            Err(missing) => report.missing(missing),
        }
    }
    let mut subjects = vec![subject(YEOUL, ours.server.pid(), &ours.address("gateway")?)?];
    for one in &running {
        subjects.push(subject(one.peer.name(), one.server.pid(), &one.address)?);
    }
    let result = contest::run(&subjects, bench.seconds, folder.path())?;
    result.figures(&mut report)?;
    for one in &running {
        let name = one.peer.name();
        let ratio = |pick: fn(&Sample) -> f64| result.ratio(YEOUL, name, pick).unwrap_or(f64::NAN);
        report.ratio(name, ratio(|sample| sample.cpu_us));
        report.ratio(format!("{name}_p99"), ratio(|sample| sample.p99_ms));
    }
    Ok(report.end(bars::PROXY, true)?)
}

/// One side, once it has shown that it passes the origin's answer on.
fn subject(name: &str, pid: u32, address: &str) -> Result<Subject, Error> {
    let request = Request::new("GET", address, PATH);
    let answer = request.send()?;
    if answer.status != 200 || answer.body != ORIGIN_BODY.as_bytes() {
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        let says =
            format!("{name} passes something else on. status=`{}`, body=`{body}`", answer.status);
        return Err(environment(says));
    }
    Ok(Subject { name: name.to_owned(), pid, request })
}
