//! One admin address for all parts: it asks those that a question is for, and makes one answer of theirs.
//!
//! It is for this machine, as those of the parts are: who names another host, or comes from a page of another one, is
//! refused. What is each part's own (metrics) is asked at the part, whose address is in the ready line.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::{GATEWAY, part_of};

/// The longest head of a question.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// The longest body of a question.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// The longest answer of a part.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Questions at a time; more are turned away.
const QUESTIONS_MAX: usize = 32;
/// What a refusal is.
const PROBLEM: &str = "application/problem+json";
/// How long a question may take to come, and a part to answer: a service that is stopped finishes first.
const PATIENCE: Duration = Duration::from_secs(30);

/// An instance of a part, and where its admin listener is.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) instance: String,
    pub(super) address: String,
}

/// A question, as far as it matters.
#[derive(Debug, Default, PartialEq, Eq)]
struct Question {
    method: String,
    path: String,
    host: String,
    /// Whether a page asks that is not of this machine.
    by_foreign_page: bool,
    kind: String,
    body: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    body: Value,
}

/// What an instance answered.
struct InstanceAnswer {
    instance: String,
    answer: Answer,
}

/// Whom a question is for.
#[derive(Debug, PartialEq, Eq)]
enum To<'q> {
    /// All of them, and their answers become one.
    All,
    /// All instances of the part of this name.
    One(&'q str),
    /// Whoever knows what is named: the first that does not say 404.
    Knowing,
    /// Nobody: it is each part's own.
    Nobody,
}

/// Answers from now on, until this process ends.
pub(super) fn serve(port: u16, parts: Vec<Target>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    let address = listener.local_addr()?;
    let (parts, open) = (Arc::new(parts), Arc::new(AtomicUsize::new(0)));
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // Counted up before it is compared: of two that come at once for the last place, one alone sees it
            // free.
            if open.fetch_add(1, Ordering::Relaxed) >= QUESTIONS_MAX {
                open.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            let (parts, open) = (parts.clone(), open.clone());
            std::thread::spawn(move || {
                // Whoever went away is not answered.
                _ = answer(stream, &parts);
                open.fetch_sub(1, Ordering::Relaxed);
            });
        }
    });
    Ok(address)
}

fn answer(mut stream: TcpStream, parts: &[Target]) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let Answer { status, body } = match read(&mut stream)? {
        Some(question) => answered(&question, parts),
        None => problem(400, "no question that can be read"),
    };
    // A part that answers without a body (202, 204) is answered for without one.
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let head = format!(
        "HTTP/1.1 {status} -\r\ncontent-type: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        if status >= 400 { PROBLEM } else { "application/json" },
        body.len()
    );
    stream.write_all((head + &body).as_bytes())
}

fn answered(question: &Question, parts: &[Target]) -> Answer {
    // Before anybody is asked: a page of another host could reach this address by its reader's browser.
    if question.by_foreign_page || !is_loopback(&question.host) {
        return problem(403, "this is for programs on this machine");
    }
    let ask = |part: &Target| {
        let answer = ask(&part.address, question);
        answer.unwrap_or_else(|error| problem(502, &error.to_string()))
    };
    match to(&question.path) {
        To::All => {
            let of = |part: &Target| InstanceAnswer {
                instance: part.instance.clone(),
                answer: ask(part),
            };
            merged(&question.path, &parts.iter().map(of).collect::<Vec<_>>())
        }
        To::One(name) => {
            // Each instance of it; the first that did not do it speaks for all.
            let of = parts.iter().filter(|part| part_of(&part.instance) == name);
            let answers: Vec<Answer> = of.map(ask).collect();
            let failed = answers.iter().find(|answer| answer.status >= 400);
            failed.or(answers.first()).cloned().unwrap_or_else(nothing)
        }
        To::Knowing => {
            // Where nobody does, one of them says so; one that is away may be who knows, and keeps nobody else from it.
            let (mut answer, mut parts) = (nothing(), parts.iter());
            while let (404 | 502, Some(part)) = (answer.status, parts.next()) {
                let next = ask(part);
                if (answer.status, next.status) != (502, 404) {
                    answer = next;
                }
            }
            answer
        }
        To::Nobody => nothing(),
    }
}

fn nothing() -> Answer {
    problem(404, "ask the part itself: its address is in the ready line")
}

fn problem(status: u16, detail: &str) -> Answer {
    Answer { status, body: json!({ "status": status, "detail": detail }) }
}

fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    ["127.0.0.1", "localhost", "[::1]"].contains(&name)
}

/// Whether a page of this machine asks.
fn is_own_page(origin: &str) -> bool {
    origin.split_once("://").is_some_and(|(_, host)| is_loopback(host))
}

fn to(path: &str) -> To<'_> {
    let steps: Vec<&str> = path.split('?').next().unwrap_or_default().split('/').skip(1).collect();
    match steps[..] {
        ["healthz" | "readyz"]
        | ["admin", "subscriptions" | "relays" | "dead" | "skipped" | "guards"] => To::All,
        ["admin", "services", part, _] | ["admin", "faults", part] => To::One(part),
        // Every part has all topics, and the same settings; the gateway answers for them.
        ["admin", "events", _] | ["admin", "views" | "settings"] => To::One(GATEWAY),
        ["admin", "subscriptions", _, _] | ["admin", "dead" | "place" | "skip", ..] => To::Knowing,
        _ => To::Nobody,
    }
}

/// One answer of those of all parts: lists behind one another, what is missing by part, and all guards.
fn merged(path: &str, answers: &[InstanceAnswer]) -> Answer {
    if path == "/readyz" || path == "/healthz" {
        let missing = answers.iter().filter(|it| it.answer.status != 200);
        let missing: Value =
            missing.map(|it| (it.instance.clone(), it.answer.body.clone())).collect();
        let ready = answers.iter().all(|it| it.answer.status == 200);
        let mut shown = json!({ "ready": ready, "missing": missing });
        // Of those that are ready and show what is old.
        for InstanceAnswer { instance, answer } in answers {
            if answer.body["stale"].is_array() {
                shown["stale"][instance] = answer.body["stale"].clone();
            }
        }
        return Answer { status: if ready { 200 } else { 503 }, body: shown };
    }
    // A list without one part would look whole: that part's own words are the answer.
    if let Some(failed) = answers.iter().find(|it| it.answer.status != 200) {
        return failed.answer.clone();
    }
    let bodies = answers.iter().map(|it| &it.answer.body);
    if path == "/admin/guards" {
        let [routes, upstreams] = ["routes", "upstreams"].map(|kind| guards(answers, kind));
        return Answer { status: 200, body: json!({ "routes": routes, "upstreams": upstreams }) };
    }
    let mut all: Vec<Value> = Vec::new();
    for one in bodies.filter_map(Value::as_array).flatten() {
        // Instances of one part have the same dead letters.
        if !all.contains(one) {
            all.push(one.clone());
        }
    }
    Answer { status: 200, body: all.into() }
}

/// The guards of all. Each instance has its own: behind the first one's stand others under the instance's name too.
fn guards(answers: &[InstanceAnswer], kind: &str) -> Value {
    let mut all = serde_json::Map::new();
    for InstanceAnswer { instance, answer } in answers {
        for (name, guard) in answer.body[kind].as_object().into_iter().flatten() {
            let name = match all.contains_key(name) {
                true => format!("{name} ({instance})"),
                false => name.clone(),
            };
            all.insert(name, guard.clone());
        }
    }
    all.into()
}

/// A part's answer, by HTTP/1.0: its body ends with the connection.
fn ask(at: &str, question: &Question) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(at)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let Question { method, path, kind, body, .. } = question;
    let mut text = format!("{method} {path} HTTP/1.0\r\nhost: {at}\r\n");
    if !body.is_empty() {
        text += &format!("content-type: {kind}\r\ncontent-length: {}\r\n", body.len());
    }
    stream.write_all((text + "\r\n").as_bytes())?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other("the part's answer cannot be read"))?;
    Ok(Answer { status, body: serde_json::from_str(body).unwrap_or(Value::Null) })
}

/// The question, if it is one.
fn read(stream: &mut impl Read) -> io::Result<Option<Question>> {
    let mut head = Vec::new();
    // Byte by byte, so that nothing of the body is taken with the head.
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if head.len() == HEAD_BYTES_MAX || stream.read(&mut byte)? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head);
    let mut lines = head.lines();
    let mut words = lines.next().unwrap_or_default().split(' ');
    let mut word = || words.next().unwrap_or_default().to_owned();
    let mut question = Question { method: word(), path: word(), ..Question::default() };
    let mut length = 0;
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "host" => value.clone_into(&mut question.host),
            "origin" => question.by_foreign_page |= !is_own_page(value),
            "content-type" => value.clone_into(&mut question.kind),
            // What is no number is past every limit, and refused as such below.
            "content-length" => length = value.parse().unwrap_or(usize::MAX),
            _ => {}
        }
    }
    if length > BODY_BYTES_MAX || !question.path.starts_with('/') {
        return Ok(None);
    }
    question.body.resize(length, 0);
    stream.read_exact(&mut question.body)?;
    Ok(Some(question))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A part that says this to every question.
    fn part(name: &str, status: u16, body: &str) -> Target {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap().to_string();
        let answer = format!("HTTP/1.0 {status} -\r\n\r\n{body}");
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let asked = read(&mut stream);
                assert!(asked.is_ok_and(|question| question.is_some()));
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        Target { instance: name.to_owned(), address: at }
    }

    fn asked(address: &str, method: &str, path: &str) -> (u16, Value) {
        let question = Question { method: method.into(), path: path.into(), ..Question::default() };
        let Answer { status, body } = ask(address, &question).unwrap();
        (status, body)
    }

    #[test]
    fn a_question_goes_to_those_that_it_is_for() {
        for (path, whom) in [
            ("/readyz", To::All),
            ("/admin/dead", To::All),
            ("/admin/subscriptions", To::All),
            ("/admin/services/order/stop", To::One("order")),
            ("/admin/faults/product", To::One("product")),
            ("/admin/events/order?from=beginning", To::One(GATEWAY)),
            ("/admin/dead/order.product.7", To::Knowing),
            ("/admin/dead/order.product.7/redrive", To::Knowing),
            ("/admin/subscriptions/order.product/rewind", To::Knowing),
            ("/admin/place/order.product?to=beginning", To::Knowing),
            ("/metrics", To::Nobody),
            ("/admin/settings", To::One(GATEWAY)),
            ("/", To::Nobody),
        ] {
            assert_eq!(to(path), whom, "{path}");
        }
    }

    #[test]
    fn answers_of_all_become_one_and_whoever_knows_answers_for_itself() {
        let parts = vec![part("order", 200, r#"[{"name":"a"}]"#), part("product", 200, r#"[1]"#)];
        let address = serve(0, parts).unwrap().to_string();
        let lists = (200, json!([{ "name": "a" }, 1]));
        assert_eq!(asked(&address, "GET", "/admin/dead"), lists);
        assert_eq!(asked(&address, "GET", "/readyz").0, 200);
        assert_eq!(asked(&address, "PUT", "/admin/faults/product"), (200, json!([1])));
        assert_eq!(asked(&address, "PUT", "/admin/faults/nobody").0, 404);
        assert_eq!(asked(&address, "GET", "/metrics").0, 404);

        let parts = vec![part("order", 404, "{}"), part("product", 404, r#"{"title":"none"}"#)];
        let address = serve(0, parts).unwrap().to_string();
        let unknown = (404, json!({ "title": "none" }));
        assert_eq!(asked(&address, "POST", "/admin/dead/x/redrive"), unknown);
        // One that is away may be who knows.
        let away = Target { instance: "order".to_owned(), address: "127.0.0.1:1".to_owned() };
        let parts = vec![away.clone(), part("product", 202, "")];
        let address = serve(0, parts).unwrap().to_string();
        assert_eq!(asked(&address, "POST", "/admin/dead/x/redrive").0, 202);
        let parts = vec![part("product", 404, "{}"), away, part("delivery", 404, "{}")];
        let address = serve(0, parts).unwrap().to_string();
        assert_eq!(asked(&address, "POST", "/admin/dead/x/redrive").0, 502);

        let parts = vec![part("order", 404, "{}"), part("product", 202, "")];
        let address = serve(0, parts).unwrap().to_string();
        assert_eq!(asked(&address, "POST", "/admin/dead/x/redrive"), (202, Value::Null));
        let (status, report) = asked(&address, "GET", "/readyz");
        assert_eq!((status, &report["ready"]), (503, &json!(false)));
        let shows = r#"{"ready":true,"stale":[{"why":"w"}]}"#;
        let parts = vec![part("order", 200, "{}"), part("gateway", 200, shows)];
        let address = serve(0, parts).unwrap().to_string();
        let stale = json!({ "gateway": [{ "why": "w" }] });
        let expected = (200, json!({ "ready": true, "missing": {}, "stale": stale }));
        assert_eq!(asked(&address, "GET", "/readyz"), expected);
        // One that does not answer is told by its name.
        let away = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let address = serve(0, vec![Target { instance: "order".to_owned(), address: away }])
            .unwrap()
            .to_string();
        let (status, report) = asked(&address, "GET", "/readyz");
        assert!(status == 503 && report["missing"]["order"].is_object(), "{report}");
    }

    #[test]
    fn guards_of_all_parts_are_shown_together() {
        let of = |name: &str| json!({ "routes": { name: 1 }, "upstreams": {} });
        let answer = |instance: &str, name| InstanceAnswer {
            instance: instance.to_owned(),
            answer: Answer { status: 200, body: of(name) },
        };
        let answers = ["a", "b"].map(|name| answer(name, name));
        let all = json!({ "routes": { "a": 1, "b": 1 }, "upstreams": {} });
        assert_eq!(merged("/admin/guards", &answers), Answer { status: 200, body: all });
        let answers = ["a", "a-2"].map(|name| answer(name, "order"));
        let all = json!({ "routes": { "order": 1, "order (a-2)": 1 }, "upstreams": {} });
        assert_eq!(merged("/admin/guards", &answers), Answer { status: 200, body: all });
    }

    #[test]
    fn strangers_and_pages_are_refused_and_what_is_too_long_is_not_read() {
        let question = |head: &str| read(&mut head.as_bytes()).unwrap();
        let good = question("GET /readyz HTTP/1.1\r\nHost: localhost:1\r\n\r\n").unwrap();
        assert_eq!(answered(&good, &[]).status, 200);
        let page =
            "GET /readyz HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost:5173\r\n\r\n";
        assert_eq!(answered(&question(page).unwrap(), &[]).status, 200);
        assert!(is_loopback("[::1]:80") && is_loopback("127.0.0.1") && !is_loopback("::1"));
        for head in [
            "GET /readyz HTTP/1.1\r\nHost: shop.example\r\n\r\n",
            "GET /readyz HTTP/1.1\r\nHost: localhost\r\nOrigin: http://shop.example\r\n\r\n",
            "GET /readyz HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\n\r\n",
            "GET /readyz HTTP/1.1\r\n\r\n",
        ] {
            assert_eq!(answered(&question(head).unwrap(), &[]).status, 403, "{head}");
        }
        let body = "PUT /admin/faults/a HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}more";
        assert_eq!(question(body).unwrap().body, b"{}");
        let long = BODY_BYTES_MAX + 1;
        assert_eq!(question(&format!("PUT / HTTP/1.1\r\nContent-Length: {long}\r\n\r\n")), None);
        assert_eq!(
            question(&format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(HEAD_BYTES_MAX))),
            None
        );
        assert_eq!(question("GET /readyz HTTP/1.1\r\n"), None);
    }
}
