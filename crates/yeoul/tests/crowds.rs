//! Many clients at once: those who only wait lock nobody out, and those who have gone leave no memory
//! behind. `YEOUL_CROWD` sets how many come (1,500).

#[path = "support/lib.rs"]
mod support;

use std::io::Write;
use std::net::TcpStream;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use support::{Folder, Mall, Talk, connect, overlay, setting, timed, within};

/// How many come where nobody says otherwise.
const CROWD: usize = 1_500;
/// What the process may hold of its own ten seconds after they have gone, in bytes: of 40 MiB what the file of the
/// program leaves.
const LEFT_MAX: u64 = 16 << 20;
/// What it may hold of its own while ten thousand of them wait, in bytes.
const HELD_MAX: u64 = 126 << 20;
/// A crowd has this machine's descriptors for itself.
static ALONE: Mutex<()> = Mutex::new(());

/// Lets this process open as many sockets as it may.
fn many_descriptors() {
    let own = std::process::id().to_string();
    let read = Command::new("sh").args(["-c", "ulimit -Hn"]).output().expect("a shell");
    let hard = String::from_utf8_lossy(&read.stdout).trim().to_owned();
    let raised =
        Command::new("prlimit").args(["--pid", &own, &format!("--nofile={hard}")]).status();
    assert!(raised.expect("prlimit, of util-linux").success());
}

#[test]
fn who_only_waits_locks_nobody_out() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    many_descriptors();
    for limit in ["-S -n 1024", "-n 1024"] {
        let Some(mall) = Mall::with_limit(limit) else { return };
        let mut idle: Vec<TcpStream> = Vec::new();
        for at in 0..1_100 {
            let mut client = connect(mall.base("gateway"));
            if at % 3 == 0 {
                // Half a head is no request yet.
                let _ = client.write_all(b"GET / HTTP/1.1\r\n");
            }
            idle.push(client);
        }
        for listener in ["gateway", "order", "admin"] {
            let path = if listener == "admin" { "/readyz" } else { "/orders" };
            let (took, answer) = timed(|| mall.at(listener, "GET", path).send());
            assert!([200, 401].contains(&answer.status), "{limit}: {answer:?}");
            assert!(took < Duration::from_secs(5), "{limit}: {listener} took {took:?}");
        }
        mall.get("/products").send().expect(200);
        mall.customer();
    }
}

#[test]
fn clients_that_come_and_go_leave_no_memory_behind() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    many_descriptors();
    let crowd = setting("YEOUL_CROWD").map_or(CROWD, |text| text.parse().expect("a whole number"));
    // One address has half of the places, were it not trusted.
    let folder = Folder::new();
    let file = overlay(folder.path(), "crowd.yaml", "trusted: [127.0.0.0/8]\n");
    let Some(mall) = Mall::owned(&["-c", file.to_str().expect("a path")]) else { return };
    let Some(before) = mall.resident() else { return };
    // Some only connect, some have been answered: both are let go with all that was made for them.
    for ask in [false, true] {
        let clients: Vec<Talk> = (0..crowd).map(|_| come(&mall, ask)).collect();
        mall.get("/products").send().expect(200);
        let held = mall.resident().expect("it runs");
        assert!(held <= HELD_MAX, "{held} bytes for {crowd} clients, asked={ask}");
        drop(clients);
        let left_max = LEFT_MAX.min(before + held.saturating_sub(before) / 2);
        let left = within(Duration::from_secs(10), "memory given back", || {
            mall.resident().filter(|bytes| *bytes <= left_max)
        });
        eprintln!("{crowd} clients, asked={ask}: {before} before, {held} held, {left} after");
    }
}

/// A client that stays, with an answer or without.
fn come(mall: &Mall, ask: bool) -> Talk {
    let request: &[u8] =
        if ask { b"GET /products?size=20 HTTP/1.1\r\nHost: a\r\n\r\n" } else { b"" };
    let mut client = Talk::begin(mall.base("gateway"), request);
    if ask {
        let answer = client.answer();
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    client
}
