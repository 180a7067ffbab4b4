//! `yeoul serve` before somebody else's token service, whose tokens say nothing to us: what was signed out
//! stays so, whatever that service makes of a revocation.

#[path = "support/lib.rs"]
mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use support::{Answer, Call, Folder, Started, eventually, overlay, signal, text};

/// How a token service answers a revocation: with this status, or never.
const NEVER: u32 = 0;

/// A token service that gives opaque tokens, every refresh token good for ever.
struct TokenService {
    address: SocketAddr,
    revocation: Arc<AtomicU32>,
    /// What it was asked, path and form.
    asked: Arc<Mutex<Vec<String>>>,
}

impl TokenService {
    fn start(revocation: u32) -> TokenService {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let service = TokenService {
            address: listener.local_addr().expect("its address"),
            revocation: Arc::new(AtomicU32::new(revocation)),
            asked: Arc::default(),
        };
        let (revocation, asked) = (service.revocation.clone(), service.asked.clone());
        std::thread::spawn(move || {
            let given = Arc::new(AtomicU32::new(0));
            for socket in listener.incoming().flatten() {
                let (revocation, asked) = (revocation.clone(), asked.clone());
                let given = given.clone();
                std::thread::spawn(move || answer(&socket, &given, &revocation, &asked));
            }
        });
        service
    }

    fn revocations(&self) -> Vec<String> {
        let asked = self.asked.lock().expect("no panic").clone();
        asked.into_iter().filter(|it| it.starts_with("/oauth/revoke")).collect()
    }
}

fn answer(
    mut socket: &TcpStream,
    given: &AtomicU32,
    revocation: &AtomicU32,
    asked: &Mutex<Vec<String>>,
) {
    let mut reader = BufReader::new(socket);
    let (mut path, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let line = line.trim_end().to_lowercase();
        if path.is_empty() {
            path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        if line.is_empty() {
            break;
        }
    }
    let mut form = vec![0; length];
    reader.read_exact(&mut form).expect("the form");
    let form = String::from_utf8(form).expect("text");
    asked.lock().expect("no panic").push(format!("{path} {form}"));
    let (status, body) = match path.as_str() {
        "/oauth/revoke" => match revocation.load(Ordering::SeqCst) {
            NEVER => return std::thread::park_timeout(support::SOON),
            status => (status, "{\"error\":\"unsupported_token_type\"}".to_owned()),
        },
        _ if form.contains("password=wrong") => (400, "{\"error\":\"invalid_grant\"}".to_owned()),
        _ => {
            let number = given.fetch_add(1, Ordering::SeqCst);
            let tokens = format!("\"access_token\":\"a{number}\",\"refresh_token\":\"r.{number}\"");
            (200, format!("{{{tokens},\"token_type\":\"Bearer\",\"expires_in\":900}}"))
        }
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    );
    let _ = socket.write_all(head.as_bytes());
}

/// A running `yeoul serve`; killed when dropped.
struct Served {
    program: Started,
    gateway: String,
}

impl Served {
    fn before(service: &TokenService, folder: &Folder) -> Served {
        let settings = format!(
            "upstreams: {{ tokens: [\"http://{}\"] }}\nsession: {{ upstream: tokens, path: /session, token: /oauth/token, revoke: /oauth/revoke }}\n",
            service.address
        );
        let file = overlay(folder.path(), "own.yaml", &settings);
        let data = folder.data();
        let serve = ["serve", "--listen", "127.0.0.1:0", "--json", "-c", text(&file), "--data"];
        let mut program = Started::new(&[serve.as_slice(), &[text(&data)]].concat());
        let gateway = program.ready()["gateway"].as_str().expect("a gateway").to_owned();
        Served { program, gateway }
    }

    fn ask(&self, method: &str, cookies: &str) -> Answer {
        let call = Call::new(method, format!("{}/session", self.gateway));
        call.header("origin", self.gateway.as_str()).header("cookie", cookies).send()
    }

    fn signs_in(&self) -> String {
        let call = Call::new("POST", format!("{}/session", self.gateway));
        let form = [("username", "a"), ("password", "right")];
        cookies(&call.header("origin", self.gateway.as_str()).form(&form).send().expect(204))
    }
}

fn cookies(answer: &Answer) -> String {
    let all = answer.headers.get_all("set-cookie").iter();
    let pairs = all.filter_map(|cookie| cookie.to_str().ok()?.split(';').next());
    pairs.collect::<Vec<_>>().join("; ")
}

fn refresh_alone(cookies: &str) -> String {
    let mut pairs = cookies.split("; ");
    pairs.find(|pair| pair.starts_with("yeoul_refresh")).expect("a refresh cookie").to_owned()
}

#[test]
fn a_sign_in_that_was_ended_is_renewed_by_nobody_whatever_the_service_says_of_revocations() {
    if support::is_elsewhere() {
        return;
    }
    for revocation in [200, 204, 400, 404, 405, 429, 500, 503, NEVER] {
        let (service, folder) = (TokenService::start(revocation), Folder::new());
        let served = Served::before(&service, &folder);
        let (first, other) = (served.signs_in(), served.signs_in());
        let second = cookies(&served.ask("PUT", &first).expect(204));
        // Everything that a browser brings, or what is left when its session cookie has gone.
        for (by, brings) in [(&second, second.clone()), (&other, refresh_alone(&other))] {
            let out = served.ask("DELETE", &brings).expect(204);
            assert_eq!(out.headers.get_all("set-cookie").iter().count(), 2, "{revocation}");
            assert_eq!(served.ask("PUT", by).status, 401, "{revocation}");
        }
        assert_eq!(served.ask("PUT", &first).status, 401, "{revocation}: one renewed before");
        let revocations = service.revocations();
        assert!(
            revocations.contains(&"/oauth/revoke token=r.2".to_owned()),
            "{revocation}: {revocations:?}"
        );
        let stays = served.signs_in();
        // At once: nothing may be left to be written when the answer is there.
        drop(served);
        let served = Served::before(&service, &folder);
        for ended in [&first, &second, &other] {
            let renewal = served.ask("PUT", ended);
            assert_eq!(renewal.status, 401, "{revocation}");
            assert_eq!(renewal.headers.get_all("set-cookie").iter().count(), 2, "{revocation}");
        }
        let stays = cookies(&served.ask("PUT", &stays).expect(204));
        assert_eq!(served.ask("PUT", &stays).status, 204, "{revocation}: nobody signed this out");
        signal("TERM", served.program.pid());
    }
}

#[test]
fn a_service_that_is_back_hears_of_what_was_signed_out_meanwhile() {
    if support::is_elsewhere() {
        return;
    }
    let (service, folder) = (TokenService::start(503), Folder::new());
    let served = Served::before(&service, &folder);
    let browser = served.signs_in();
    served.ask("DELETE", &refresh_alone(&browser)).expect(204);
    let before = service.revocations().len();
    assert!(before > 0);
    service.revocation.store(200, Ordering::SeqCst);
    eventually("it hears by itself", || (service.revocations().len() > before).then_some(()));
    assert_eq!(served.ask("PUT", &browser).status, 401, "ended here for as long as a token lives");
}
