//! The server that the other tests stand on: it starts, dies, and starts again on its files.

use std::process::{Command, Stdio};

use super::server::{Server, pause, psql, said, sql};

#[test]
fn a_server_that_is_killed_starts_again_with_what_was_committed() {
    let mut server = Server::start();
    let address = server.database("kept");
    sql(&address, "CREATE TABLE seen (n INT)").expect("a table");
    sql(&address, "INSERT INTO seen VALUES (1)").expect("a row");
    // One that is in the middle of a transaction is gone with it.
    let mut open = psql(&address);
    open.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut open = open.spawn().expect("psql runs");
    let input = open.stdin.as_mut().expect("piped");
    std::io::Write::write_all(input, b"BEGIN; INSERT INTO seen VALUES (2) RETURNING n;\n")
        .expect("said");
    let mut line = String::new();
    let output = open.stdout.as_mut().expect("piped");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut line).expect("read");
    assert_eq!(line.trim(), "2");

    server.kill();
    assert!(sql(&address, "SELECT 1").is_err(), "nobody answers");
    drop(open.stdin.take());
    open.wait().expect("psql ends");
    server.start_again();
    assert_eq!(sql(&address, "SELECT n FROM seen").expect("read"), "1");
    assert_eq!(sql(&address, "SHOW fsync").expect("read"), "on");
}

#[test]
fn a_server_that_stands_still_answers_once_it_goes_on() {
    let server = Server::start_with(&["fsync = off"]);
    server.signal("-STOP");
    let mut asked = psql(&server.address());
    let asked = asked.args(["-c", "SELECT 7"]).stdout(Stdio::piped()).spawn().expect("psql runs");
    let state = format!("/proc/{}/stat", server.pid());
    // A signal arrives when the kernel comes to it.
    let stands_still = || std::fs::read_to_string(&state).expect("read").contains(") T ");
    let looks = (0..1_000).any(|_| {
        pause();
        stands_still()
    });
    assert!(looks, "it stands still");
    server.signal("-CONT");
    assert_eq!(said(&asked.wait_with_output().expect("ended")).expect("read"), "7");
}

#[test]
fn a_server_and_its_files_end_with_whoever_started_them() {
    let mut server = Server::start_with(&["fsync = off"]);
    let (pid, folder) = (server.pid(), server.folder().to_owned());
    assert!(folder.join("data").exists());
    // What the end of this process does to the pipe.
    server.let_go();
    assert!(!folder.exists());
    let found = Command::new("kill").args(["-0", &pid.to_string()]).output().expect("kill runs");
    assert!(!found.status.success(), "it has ended");
}

#[test]
fn tests_of_a_program_share_a_server_and_each_has_a_database() {
    let (one, other) = (Server::shared().database("own"), Server::shared().database("own"));
    assert_ne!(one, other);
    sql(&one, "CREATE TABLE seen (n INT)").expect("a table");
    assert!(sql(&other, "SELECT n FROM seen").is_err(), "{other}");
}
