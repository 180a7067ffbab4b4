//! Starting, stopping and the commands around a running mall: what is printed, what the exit code
//! says, what the folder keeps, and what an operator sees beside it.

#[path = "starting/operating.rs"]
mod operating;
#[path = "starting/settings.rs"]
mod settings;
#[path = "support/lib.rs"]
mod support;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::{Value, json};
use support::{
    Call, Folder, LISTENERS, Mall, SOON, Started, Stream, eventually, eventually_is, overlay, run,
    run_in, signal, text, wait_at_most, within, yeoul,
};

static MALL: LazyLock<Option<Mall>> = LazyLock::new(|| Mall::owned(&["--faults"]));

const DRAINED_BY: Duration = Duration::from_secs(15);
/// Opening a pipe that nobody reads fails instead of waiting.
const O_NONBLOCK: i32 = 0o4000;

#[test]
fn a_ready_mall_prints_one_line_and_answers_everywhere() {
    let Some(mall) = &*MALL else { return };
    let ready = mall.ready();
    assert_eq!(ready["ready"], true);
    let names = ["gateway", "order", "delivery", "product", "mypage", "account", "admin"];
    let mut members: Vec<&str> = names.to_vec();
    members.extend(["ready", "pid"]);
    members.sort_unstable();
    let printed: Vec<&String> = ready.as_object().expect("an object").keys().collect();
    assert_eq!(
        printed.iter().map(|name| name.as_str()).collect::<BTreeSet<_>>(),
        members.into_iter().collect()
    );
    let bases: BTreeSet<&str> = names.iter().map(|name| mall.base(name)).collect();
    assert_eq!(bases.len(), names.len(), "a listener each");
    assert!(bases.iter().all(|base| base.starts_with("http://127.0.0.1:")), "{bases:?}");
    for (listener, path) in LISTENERS.into_iter().chain([("admin", "/readyz")]) {
        mall.at(listener, "GET", path).send().expect(200);
    }
    assert_eq!(mall.stdout().len(), 1, "{:?}", mall.stdout());
}

#[test]
fn at_the_ready_line_seeds_replica_and_views_are_there() {
    let Some(mall) = Mall::owned(&[]) else { return };
    for product in 1..=5 {
        assert_eq!(mall.replica(product), product * 10);
    }
    let who = mall.sign_in("1@uengine.org", "1");
    assert_eq!(mall.page(&who)["nickname"], "유엔진");
    assert!(mall.subscriptions().iter().all(|one| one["lag"] == 0));
}

#[test]
fn the_folder_says_who_holds_it_and_keeps_its_keys_to_itself() {
    let Some(mall) = &*MALL else { return };
    let data = mall.folder().data();
    let lock: Value =
        serde_json::from_str(&std::fs::read_to_string(data.join("lock")).expect("a lock"))
            .expect("the lock is JSON");
    assert_eq!(lock["pid"], mall.pid());
    let admin = mall.base("admin").trim_start_matches("http://");
    assert!(lock["admin"].as_str().is_some_and(|noted| noted.contains(admin)), "{lock}");

    let mut secrets = Vec::new();
    files(&data, &mut |path| {
        let bytes = std::fs::read(path).unwrap_or_default();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        if name.contains("key") || bytes.windows(11).any(|part| part == b"PRIVATE KEY") {
            secrets.push(path.to_owned());
        }
    });
    assert!(!secrets.is_empty(), "no signing key in the folder");
    for path in secrets {
        assert_eq!(mode(&path) & 0o777, 0o600, "{}", path.display());
    }
}

#[test]
fn a_second_process_on_the_same_folder_is_refused_with_the_firsts_pid() {
    let Some(mall) = &*MALL else { return };
    let data = mall.folder().data();
    let refused = run(&["mall", "--data", text(&data), "--listen", "127.0.0.1:0"]).expect(3);
    assert!(refused.stderr.contains(&mall.pid().to_string()), "{}", refused.stderr);
    assert_eq!(refused.stdout, "");
    mall.at("admin", "GET", "/readyz").send().expect(200);
}

#[test]
fn a_dead_process_blocks_nobody() {
    let Some(mall) = Mall::owned(&[]) else { return };
    let mall = Mall::on(mall.kill(), &[]);
    mall.get("/products").send().expect(200);
    let admin = mall.base("admin").to_owned();
    assert_ne!(admin, "");
}

#[test]
fn a_taken_port_is_the_environments_fault() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("its address").to_string();
    let folder = Folder::new();
    let data = folder.data();
    let arguments = ["mall", "--data", text(&data), "--listen", "127.0.0.1:0", "--admin", &address];
    let refused = run(&arguments).expect(3);
    assert!(refused.stderr.contains(&address), "{}", refused.stderr);
    let refused = run(&["mall", "--data", text(&data), "--listen", &address]).expect(3);
    assert!(refused.stderr.contains("127.0.0.1:"), "{}", refused.stderr);
}

#[test]
fn a_folder_that_cannot_be_written_is_the_environments_fault() {
    let folder = Folder::new();
    let file = overlay(folder.path(), "file", "not a folder");
    for data in [file.clone(), file.join("below")] {
        run(&["mall", "--data", text(&data), "--listen", "127.0.0.1:0"]).expect(3);
    }
}

#[test]
fn the_data_folder_is_where_the_process_stands_unless_named() {
    let folder = Folder::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("its address").to_string();
    run_in(folder.path(), &["mall", "--listen", "127.0.0.1:0", "--admin", &address]).expect(3);
    let elsewhere = run_in(folder.path(), &["events", "tail", "order"]);
    assert_eq!(elsewhere.code, 3, "no process there: {elsewhere:?}");
}

#[test]
fn a_polite_signal_ends_streams_finishes_what_is_in_flight_and_exits_with_zero() {
    for name in ["TERM", "INT"] {
        let Some(mall) = Mall::owned(&["--faults"]) else { return };
        let who = mall.customer();
        let bearer = format!("Bearer {}", who.token);
        let path = format!("/mypages/{}/events", who.id);
        let mut stream = Stream::open(mall.base("gateway"), &path, &[("Authorization", &bearer)]);
        stream.until("the page", |message| message.event == "reset");
        mall.fault("product", &json!({"path": "/products/*", "delay_ms": [1000, 1000]}));
        let slow = mall.get("/products/1");
        let (answer, (code, folder)) = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| slow.send());
            support::pause(Duration::from_millis(300));
            let ended = mall.stop_by(name, DRAINED_BY);
            (waiting.join().expect("a reader"), ended)
        });
        answer.expect(200);
        assert_eq!(code, 0, "{name}");
        assert!(stream.ends_within(SOON), "{name}: the stream was ended");
        let mall = Mall::on(folder, &[]);
        mall.sign_in(&who.id, "correct horse");
    }
}

#[test]
fn a_signal_while_the_files_are_still_read_exits_at_once() {
    let folder = Folder::new();
    let data = folder.data();
    std::fs::create_dir_all(data.join("order")).expect("a folder");
    std::fs::write(data.join("order/service.db"), "").expect("a store");
    // Read before anything is opened, and never at its end.
    let endless = data.join("stores.json");
    assert!(Command::new("mkfifo").arg(&endless).status().expect("mkfifo").success());
    let arguments = ["mall", "--data", text(&data), "--listen", "127.0.0.1:0"];
    let mut child = yeoul();
    let child = child.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = child.spawn().expect("the program starts");
    let _open = eventually("it reads", || {
        File::options().write(true).custom_flags(O_NONBLOCK).open(&endless).ok()
    });
    signal("TERM", child.id());
    let ended = wait_at_most(&mut child, DRAINED_BY);
    // One that has ended already cannot be killed, and need not be.
    let _ = child.kill();
    assert_eq!(ended, Some(0));
}

#[test]
fn a_second_signal_exits_at_once() {
    let Some(mall) = Mall::owned(&["--faults"]) else { return };
    mall.fault("product", &json!({"path": "/products/*", "delay_ms": [9000, 9000]}));
    let slow = mall.get("/products/1");
    let pid = mall.pid();
    let waiting = std::thread::spawn(move || slow.try_send());
    support::pause(Duration::from_millis(300));
    signal("TERM", pid);
    support::pause(Duration::from_millis(300));
    let (took, (code, _folder)) = support::timed(|| mall.stop_by("TERM", DRAINED_BY));
    assert!(took < Duration::from_secs(5), "took {took:?}, with {code}");
    let answer = waiting.join().expect("a reader");
    assert!(answer.is_err() || answer.is_ok_and(|it| it.status == 503), "it was waited for");
}

/// One route of one's own.
const OWN: &str = "upstreams:\n  echo: [\"http://127.0.0.1:1\"]\nroutes:\n  echo:\n    path: /echo/**\n    to: echo\n    open: true\n    guard: { timeout: 500ms }\n";

#[test]
fn the_layer_serves_ones_own_services() {
    if support::is_elsewhere() {
        return;
    }
    let upstream = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = upstream.local_addr().expect("its address");
    std::thread::spawn(move || {
        for socket in upstream.incoming() {
            let Ok(mut socket) = socket else { return };
            let mut request = [0; 4096];
            let count = socket.read(&mut request).unwrap_or(0);
            let line = String::from_utf8_lossy(&request[..count]);
            let body = line.lines().next().unwrap_or_default().to_owned();
            let _ = write!(
                socket,
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    let folder = Folder::new();
    let file =
        overlay(folder.path(), "own.yaml", &OWN.replace("127.0.0.1:1\"", &format!("{address}\"")));
    let data = folder.data();
    let arguments =
        ["serve", "-c", text(&file), "--data", text(&data), "--listen", "127.0.0.1:0", "--json"];
    let mut program = Started::new(&arguments);
    let ready = program.ready();
    assert_eq!((&ready["ready"], ready["pid"].is_u64()), (&json!(true), true));
    let gateway = ready["gateway"].as_str().expect("a gateway");
    let answer = Call::new("GET", format!("{gateway}/echo/hello")).send().expect(200);
    assert_eq!(answer.text(), "GET /echo/hello HTTP/1.1");
    Call::new("GET", format!("{gateway}/elsewhere")).send().problem(401);
    let admin = ready["admin"].as_str().expect("an admin");
    Call::new("GET", format!("{admin}/readyz")).send().expect(200);
    assert_eq!(program.stop_by("TERM"), Some(0));
}

fn files(folder: &Path, visit: &mut impl FnMut(&Path)) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, visit);
        } else {
            visit(&path);
        }
    }
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).expect("it is there").permissions().mode()
}
