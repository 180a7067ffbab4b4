//! What passes to a service and back, and under which name: cookies, tokens, `Host`, `Location`, `Via`.

use crate::support::client::request;
use crate::support::odd::{answering, relay};
use crate::support::{Client, World, get, send};

const OPEN: &str = "
upstreams: { service: [http://127.0.0.1:1] }
routes:
  service: { path: /s/**, to: service, open: true }
  closed: { path: /closed/**, to: service }
";

#[test]
fn a_clients_cookies_are_the_services_but_for_our_own() {
    let world = World::with(OPEN);
    let cookie = "name=\u{c720}\u{c5d4}\u{c9c4}; yeoul_refresh_ab=x; theme=dark";
    let token = world.token("a@b");
    let session = format!("yeoul_session_x={token}");
    let headers = [("cookie", cookie), ("cookie", session.as_str())];
    assert_eq!(get(world.address, "/s/x", &headers).status, 200);
    let seen = world.service.seen().pop().expect("a call");
    let cookies: Vec<&[u8]> =
        seen.headers.get_all("cookie").iter().map(http::HeaderValue::as_bytes).collect();
    assert_eq!(cookies, ["name=\u{c720}\u{c5d4}\u{c9c4}; theme=dark".as_bytes()]);
    assert_eq!(seen.headers["authorization"], format!("Bearer {token}").as_str());
}

#[test]
fn a_bearer_of_another_issuer_is_the_services_business_on_open_routes() {
    let world = World::with(OPEN);
    let status = |world: &World, target: &str, authorization: &str| {
        get(world.address, target, &[("authorization", authorization)]).status
    };
    for foreign in ["Bearer own-token", "bearer a.b.c", "Bearer", "Basic dTpw", "Digest x"] {
        assert_eq!(status(&world, "/s/x", foreign), 200, "{foreign}");
        let seen = world.service.seen().pop().expect("a call");
        assert_eq!(seen.headers["authorization"], foreign);
        assert_eq!(status(&world, "/closed/x", foreign), 401, "{foreign}");
    }
    let ours = format!("Bearer {}x", world.token("a@b"));
    assert_eq!(status(&world, "/s/x", &ours), 401, "one of ours that is no good");
    let two = [("authorization", "Bearer a"), ("authorization", "Bearer b")];
    assert_eq!(get(world.address, "/s/x", &two).status, 400, "it is no list");

    let strict = World::with(&format!("foreign_tokens: refuse\n{OPEN}"));
    assert_eq!(status(&strict, "/s/x", "Bearer own-token"), 401);
    assert_eq!(strict.service.seen().len(), 0);
}

#[test]
fn a_service_may_be_asked_by_the_clients_name_for_it() {
    let kept = "
upstreams: { service: { to: http://127.0.0.1:1, host: keep } }
routes:
  service: { path: /s/**, to: service, open: true }
  own: { path: /own/**, to: service, open: true, host: own }
";
    let world = World::with(kept);
    let host = |target: &str| {
        assert_eq!(get(world.address, target, &[]).status, 200);
        world.service.seen().pop().expect("a call").headers["host"].clone()
    };
    assert_eq!(host("/s/x"), "shop.localhost");
    assert_eq!(host("/own/x"), world.service.address().to_string().as_str());
    let world = World::with(&OPEN.replace("open: true", "open: true, host: keep"));
    assert_eq!(get(world.address, "/s/x", &[]).status, 200);
    assert_eq!(world.service.seen().pop().expect("a call").headers["host"], "shop.localhost");
}

#[test]
fn an_address_of_the_service_becomes_a_path_and_others_stay() {
    let cases = [
        ("http://UPSTREAM/next?a=b", "/next?a=b"),
        ("//UPSTREAM/next", "/next"),
        ("https://UPSTREAM/next", "/next"),
        ("http://UPSTREAM/caf\u{e9}", "/caf\u{e9}"),
        ("http://elsewhere.example/next", "http://elsewhere.example/next"),
        ("/next", "/next"),
    ];
    let redirect = |location: &str| {
        format!(
            "HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-location: {location}\r\ncontent-length: 0\r\n\r\n"
        )
    };
    for (given, expected) in cases {
        // The address is known only when it is bound: a first service finds a free one.
        let upstream = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = upstream.local_addr().expect("an address");
        let bytes = redirect(&given.replace("UPSTREAM", &address.to_string()));
        std::thread::spawn(move || {
            let (mut stream, _) = upstream.accept().expect("asked");
            crate::support::odd::swallow(&mut stream);
            std::io::Write::write_all(&mut stream, bytes.as_bytes()).expect("written");
        });
        let world = World::at(OPEN, address);
        let answer = get(world.address, "/s/x", &[]);
        assert_eq!(answer.header("location"), Some(expected), "{given}");
        assert_eq!(answer.header("content-location"), Some(expected), "{given}");
    }
}

#[test]
fn a_request_that_comes_back_is_refused_instead_of_going_round() {
    let (between, target) = relay();
    let world = World::at(OPEN, between);
    target.send(world.address).expect("the relay waits");
    let answer = get(world.address, "/s/x", &[]);
    assert_eq!(answer.status, 508);
    assert_eq!(answer.header("proxy-status"), Some("yeoul; error=proxy_loop_detected"));
    let twice = send(world.address, "POST", "/s/x", &[], "body");
    assert_eq!(twice.status, 508);
}

#[test]
fn via_names_this_process_after_those_who_were_there_before() {
    let answer = "HTTP/1.1 200 OK\r\nvia: 1.1 behind\r\ncontent-length: 0\r\n\r\n";
    let (upstream, asked) = answering(answer);
    let world = World::at(OPEN, upstream);
    let answer = get(world.address, "/s/x", &[("via", "1.0 fred, 1.1 p.example")]);
    assert_eq!(answer.status, 200);
    let name = answer.header("via").and_then(|via| via.strip_prefix("1.1 behind, 1.1 "));
    let name = name.expect("our name").to_owned();
    assert!(name.starts_with("yeoul-"), "{name}");
    let asked = asked.recv().expect("asked");
    assert!(asked.contains(&format!("via: 1.0 fred, 1.1 p.example, 1.1 {name}\r\n")), "{asked}");
    let another = World::with(OPEN);
    assert_eq!(get(another.address, "/s/x", &[("via", &format!("1.1 {name}"))]).status, 200);
    assert_eq!(get(world.address, "/s/x", &[("via", &format!("1.1 a, 1.1 {name}"))]).status, 508);
}

#[test]
fn names_that_say_who_asks_pass_in_no_spelling() {
    let world = World::with(&format!("identity_headers: [X-Tenant]\n{OPEN}"));
    let names = [
        "X_User",
        "X-User",
        "X_Role",
        "Yeoul_Principal",
        "X-Auth-User",
        "Proxy",
        "X-Original-URL",
        "X-Rewrite-URL",
        "Content_Length",
        "X.User",
        "X~Role",
        "X'User",
        "X-Tenant",
    ];
    let headers: Vec<(&str, &str)> = names.iter().map(|name| (*name, "admin")).collect();
    assert_eq!(get(world.address, "/s/x", &headers).status, 200);
    let seen = world.service.seen().pop().expect("a call");
    for name in names {
        assert!(!seen.headers.contains_key(name.to_lowercase()), "{name}");
    }
}

#[test]
fn forty_names_in_connection_hide_none() {
    let world = World::with(OPEN);
    let names: Vec<String> = (0..40).map(|at| format!("x-{at}")).collect();
    let names = format!("{}, x-hop", names.join(", "));
    let mut client = Client::connect(world.address);
    let headers = [("connection", names.as_str()), ("x-hop", "1"), ("x-end", "2")];
    client.write(request("GET", "/s/x", &headers, "").as_bytes());
    assert_eq!(client.read(true).expect("an answer").status, 200);
    let seen = world.service.seen().pop().expect("a call");
    assert!(!seen.headers.contains_key("x-hop") && seen.headers.contains_key("x-end"));
    let bytes = format!(
        "HTTP/1.1 200 OK\r\nconnection: {names}\r\nx-hop: 1\r\nx-end: 2\r\ncontent-length: 0\r\n\r\n"
    );
    let (upstream, _asked) = answering(bytes);
    let answer = get(World::at(OPEN, upstream).address, "/s/x", &[]);
    assert_eq!((answer.header("x-hop"), answer.header("x-end")), (None, Some("2")));
}
