//! Many clients at once: those who only wait lock nobody out.

#[path = "support/lib.rs"]
mod support;

use std::io::Write;
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use support::{Mall, connect, timed};

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
