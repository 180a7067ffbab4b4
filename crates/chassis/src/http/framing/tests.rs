//! Every limit at it and past it, every way to say a length, in every way to cut the bytes.

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::head::LENGTH_MAX;
use super::*;

/// What passes of `text`, given in pieces of these lengths over and over, and how it ends.
fn passed(text: &[u8], pieces: &[usize]) -> (Vec<u8>, u64, Then) {
    let mut framing = Framing::new(HeadLimits::EDGE);
    let (mut held, mut out) = (Vec::new(), Vec::new());
    let (mut rest, mut then) = (text, Then::Wait);
    for length in pieces.iter().cycle() {
        if rest.is_empty() || then != Then::Wait {
            break;
        }
        let (piece, after) = rest.split_at((*length).clamp(1, rest.len()));
        rest = after;
        held.extend_from_slice(piece);
        let passed = framing.advance(&mut held);
        let kept = held.split_off(passed.bytes);
        out.append(&mut held);
        held = kept;
        then = passed.then;
    }
    (out, framing.heads(), then)
}

fn whole(text: &str) -> (Vec<u8>, u64, Then) {
    passed(text.as_bytes(), &[usize::MAX])
}

#[track_caller]
fn refuses(text: &str, refusal: Refusal) {
    for pieces in [&[usize::MAX][..], &[1], &[7, 1, 64]] {
        let (out, _, then) = passed(text.as_bytes(), pieces);
        let start = &text[..text.len().min(120)];
        assert_eq!(then, Then::Refuse(refusal), "{start:?} in pieces of {pieces:?}");
        assert_eq!(out.len(), 0, "{start:?}: nothing of a refused head passes");
    }
}

#[track_caller]
fn passes(text: &str, heads: u64) {
    for pieces in [&[usize::MAX][..], &[1], &[7, 1, 64]] {
        let (out, seen, then) = passed(text.as_bytes(), pieces);
        let start = &text[..text.len().min(120)];
        assert_eq!((seen, then), (heads, Then::Wait), "{start:?} in pieces of {pieces:?}");
        assert!(out == text.as_bytes(), "{start:?}: all of it passes as it is");
    }
}

fn get(target: &str, fields: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nhost: a\r\n{fields}\r\n")
}

/// A request of exactly `bytes` bytes by one long field.
fn sized(bytes: usize) -> String {
    let rest = get("/", "x: \r\n").len();
    get("/", &format!("x: {}\r\n", "v".repeat(bytes - rest)))
}

#[test]
fn every_limit_of_a_head_holds_at_it_and_not_past_it_however_it_arrives() {
    passes(&sized(HEAD_BYTES_MAX), 1);
    refuses(&sized(HEAD_BYTES_MAX + 1), Refusal::HeadTooLarge);
    refuses(&sized(10 * HEAD_BYTES_MAX), Refusal::HeadTooLarge);
    refuses(&"\r\n".repeat(HEAD_BYTES_MAX), Refusal::HeadTooLarge);

    let fields = |count: usize| "x: y\r\n".repeat(count - 1);
    passes(&get("/", &fields(FIELDS_MAX)), 1);
    refuses(&get("/", &fields(FIELDS_MAX + 1)), Refusal::TooManyFields);

    let method = |length: usize| format!("{} / HTTP/1.1\r\nhost: a\r\n\r\n", "M".repeat(length));
    passes(&method(METHOD_BYTES_MAX), 1);
    refuses(&method(METHOD_BYTES_MAX + 1), Refusal::MethodTooLong);
    refuses(&method(60 * 1024), Refusal::MethodTooLong);
    refuses(&"M".repeat(METHOD_BYTES_MAX + 1), Refusal::MethodTooLong);

    let target = |length: usize| get(&format!("/{}", "p".repeat(length - 1)), "");
    passes(&target(TARGET_BYTES_MAX), 1);
    refuses(&target(TARGET_BYTES_MAX + 1), Refusal::TargetTooLong);
    refuses(&target(100 * 1024), Refusal::TargetTooLong);
    refuses(&format!("GET /{}", "p".repeat(TARGET_BYTES_MAX)), Refusal::TargetTooLong);
}

#[test]
fn a_request_line_is_three_plain_words() {
    for line in [
        "XYZ",
        " GET / HTTP/1.1",
        "GET  / HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET / HTTP/1.1 x",
        "GET /",
        "GET / HTTP/2.0",
        "GET / HTTP/9.9",
        "GET / http/1.1",
        "GET / HTTP/1.10",
        "G(T / HTTP/1.1",
        "\u{16}\u{3}\u{1}",
    ] {
        refuses(&format!("{line}\r\nhost: a\r\n\r\n"), Refusal::RequestLine);
    }
    for target in [
        "/café",
        "/a#b",
        "/\u{1}",
        "/\u{7f}",
        "/<",
        "/a>",
        "/`",
        "/?\"",
        "/?<",
        "/?>",
        "/?#",
        "http://[a/b",
        "http:///",
        "http://a/<",
    ] {
        refuses(&get(target, ""), Refusal::Target);
    }
    for text in ["GET / HTTP/1.1\nhost: a\r\n\r\n", "GET / HTTP/1.1\r\nhost: a\n\r\n", "\n"] {
        refuses(text, Refusal::BareLineFeed);
    }
    passes(&format!("\r\n\r\n{}", get("/", "")), 1);
}

#[test]
fn a_line_of_a_head_is_a_field() {
    for line in [
        "x",
        ": y",
        "x : y",
        " x: y",
        "\tx: y",
        "x\u{1}: y",
        "x: \u{1}",
        "x: a\rb",
        "x: \u{0}",
        "x: \u{7f}",
        "é: y",
        "(: y",
        "x y: z",
        "\u{7f}",
    ] {
        refuses(&get("/", &format!("{line}\r\n")), Refusal::Field);
    }
    let odd = format!("{}: y\r\n", "!#$%&'*+-.^_`|~09azAZ");
    passes(&get("/", &odd), 1);
    passes(&get("/", "x:\r\nx:y\r\nx:\t a\tb:c é \r\n"), 1);
    let name = |length: usize| get("/", &format!("{}: y\r\n", "n".repeat(length)));
    passes(&name(NAME_BYTES_MAX), 1);
    refuses(&name(NAME_BYTES_MAX + 1), Refusal::NameTooLong);
}

#[test]
fn what_is_no_list_comes_once() {
    for name in ["authorization", "content-type"] {
        passes(&get("/", &format!("{name}: a\r\nx-{name}: b\r\n")), 1);
        let upper = name.to_ascii_uppercase();
        refuses(&get("/", &format!("{name}: a\r\nx: y\r\n{upper}: a\r\n")), Refusal::Twice(name));
    }
    let one = get("/", "authorization: a\r\n");
    passes(&format!("{one}{one}"), 2);
    passes(&get("/", "accept: a\r\naccept: b\r\ncookie: a\r\ncookie: b\r\n"), 1);
}

#[test]
fn behind_a_gateway_a_head_may_be_as_much_larger_as_a_gateway_makes_it() {
    let read =
        |text: &str| Framing::new(HeadLimits::BEHIND).advance(&mut text.as_bytes().to_vec()).then;
    let limits = HeadLimits::BEHIND;
    let fields = |count: usize| get("/", &"x: y\r\n".repeat(count - 1));
    assert_eq!(read(&sized(limits.bytes)), Then::Wait);
    assert_eq!(read(&sized(limits.bytes + 1)), Then::Refuse(Refusal::HeadTooLarge));
    assert_eq!(read(&fields(limits.fields)), Then::Wait);
    assert_eq!(read(&fields(limits.fields + 1)), Then::Refuse(Refusal::TooManyFields));
}

#[test]
fn a_later_minor_version_is_handled_as_1_1() {
    for minor in 1..=9 {
        let text = format!("GET / HTTP/1.{minor}\r\nhost: a\r\n\r\n");
        let expected = get("/", "").into_bytes();
        assert_eq!(whole(&text), (expected, 1, Then::Wait), "{text:?}");
    }
    passes("GET / HTTP/1.0\r\n\r\n", 1);
}

#[test]
fn a_bodys_length_is_said_in_one_way() {
    for value in ["gzip, chunked", "chunked, chunked", "identity", "xchunked", "", "chunked;q=1"] {
        refuses(&get("/", &format!("Transfer-Encoding: {value}\r\n")), Refusal::Coding);
    }
    let twice = "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n";
    refuses(&get("/", twice), Refusal::Coding);
    for both in [
        "content-length: 3\r\ntransfer-encoding: chunked\r\n",
        "TRANSFER-ENCODING: CHUNKED\r\nCONTENT-LENGTH: 3\r\n",
    ] {
        refuses(&get("/", both), Refusal::Ambiguous);
    }
    let old = "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n";
    refuses(old, Refusal::Ambiguous);
    for value in
        ["", "+3", "-1", "3x", "3, 3", "0x3", "9223372036854775808", "18446744073709551616"]
    {
        refuses(&get("/", &format!("content-length: {value}\r\n")), Refusal::Length);
    }
    refuses(&get("/", "content-length: 3\r\ncontent-length: 3\r\n"), Refusal::Length);
    passes(&get("/", &format!("content-length: {LENGTH_MAX}\r\n")), 1);
}

#[test]
fn messages_follow_one_another_whatever_their_bodies_are() {
    let hidden = get("/hidden", "");
    let bodies = [
        format!("{}{hidden}", get("/", &format!("content-length: {}\r\n", hidden.len()))),
        format!("{}abc", get("/", "Content-Length:3\r\n")),
        format!("{}3\r\nabc\r\n0\r\n\r\n", get("/", "transfer-encoding:\tchunked \r\n")),
        format!(
            "{}{:x};x=\"y\"\r\n{hidden}\r\n0;z\r\nx: y\r\n\r\n",
            get("/", "transfer-encoding: Chunked\r\n"),
            hidden.len()
        ),
        get("/", "content-length: 0\r\n"),
    ];
    for body in &bodies {
        passes(body, 1);
    }
    passes(&bodies.concat(), bodies.len() as u64);
    let (out, heads, then) = whole(&format!("{}{}", bodies[1], get("/café", "")));
    assert_eq!((out, heads), (bodies[1].clone().into_bytes(), 1), "what came before passes");
    assert_eq!(then, Then::Refuse(Refusal::Target));
}

#[test]
fn a_chunked_body_breaks_where_a_line_does_not_end_in_cr_lf() {
    for body in [
        "0\r\nx: y\nGET /hidden HTTP/1.1\r\nhost: a\r\n\r\n",
        "0\r\n\nGET /hidden HTTP/1.1\r\nhost: a\r\n\r\n",
        "0\n\r\n",
        "0\r\nx: y\r\n\n",
        "0\r\nx: y\rz\r\n\r\n",
        "3\nabc\r\n0\r\n\r\n",
        "3\r\nabc\n0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3;x\n\r\nabc\r\n0\r\n\r\n",
        "\r\n0\r\n\r\n",
        "x\r\n",
        "3x\r\n",
        "11111111111111111\r\n",
    ] {
        for pieces in [&[usize::MAX][..], &[1], &[3, 2]] {
            let text = format!("{}{body}", get("/", "transfer-encoding: chunked\r\n"));
            let (_, heads, then) = passed(text.as_bytes(), pieces);
            assert_eq!((heads, then), (1, Then::Break), "{body:?} in pieces of {pieces:?}");
        }
    }
}

/// What the parser answers to a head by itself; nothing where it hands the request over.
fn own_answer_of_the_parser(head: &[u8]) -> Option<String> {
    let service = service_fn(|_| async {
        let mut response = http::Response::new(http_body_util::Empty::<bytes::Bytes>::new());
        *response.status_mut() = StatusCode::IM_A_TEAPOT;
        Ok::<_, std::convert::Infallible>(response)
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let answer = runtime.block_on(async {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        client.write_all(head).await.expect("room for it");
        client.shutdown().await.expect("an end");
        let _ = http1::Builder::new()
            .half_close(true)
            .max_headers(HeadLimits::BEHIND.fields)
            .serve_connection(TokioIo::new(server), service)
            .await;
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("text");
        answer
    });
    (!answer.contains(" 418 ")).then_some(answer)
}

proptest! {
    /// Its own refusals say nothing to anybody.
    #[test]
    fn no_refusal_is_left_to_the_parser(
        method in prop_oneof![Just("GET".to_owned()), "[!-~]{0,6}"],
        target in prop_oneof!["/[!-~]{0,9}", "(http://|[*a-z])?[!-~]{0,9}", "/[!-\u{ff}]{0,4}"],
        minor in 0..4,
        fields in proptest::collection::vec(
            prop_oneof![
                ("[!-~]{1,6}", "[ -~]{0,6}"),
                ("[\u{0}-\u{ff}]{0,3}", "[\u{0}-\u{ff}]{0,4}"),
                ("content-length|transfer-encoding|connection|expect|upgrade", "[0-9]{0,21}|chunked|[a-z,]{0,9}"),
            ],
            0..6,
        ),
    ) {
        let mut head = format!("{method} {target} HTTP/1.{minor}\r\n").into_bytes();
        for (name, value) in fields {
            let latin = |text: String| text.chars().map(|it| it as u32 as u8).collect::<Vec<_>>();
            head.extend([latin(name), b":".to_vec(), latin(value), b"\r\n".to_vec()].concat());
        }
        head.extend(b"\r\n");
        let mut framing = Framing::new(HeadLimits::BEHIND);
        let passed = framing.advance(&mut head);
        if framing.heads() == 1 {
            let head = &head[..passed.bytes];
            let own = own_answer_of_the_parser(head);
            prop_assert_eq!(own, None, "{}", String::from_utf8_lossy(head));
        }
    }

    /// Where the pieces are cut changes nothing of what passes.
    #[test]
    fn pieces_change_nothing(
        cuts in proptest::collection::vec(1usize..40, 1..8),
        parts in proptest::collection::vec(
            prop_oneof![
                Just("GET /a HTTP/1.1\r\n"), Just("POST /a HTTP/1.7\r\n"), Just("host: a\r\n"),
                Just("content-length: 5\r\n"), Just("transfer-encoding: chunked\r\n"),
                Just("\r\n"), Just("5\r\nhello\r\n"), Just("0\r\n"), Just("hello"), Just("\n"),
                Just("x: y\r\n"),
            ],
            0..12,
        ),
    ) {
        let text = parts.concat();
        prop_assert_eq!(passed(text.as_bytes(), &cuts), whole(&text));
    }
}

#[test]
fn every_refusal_has_its_status_and_names_its_limit() {
    let table = [
        (Refusal::BareLineFeed, 400, None),
        (Refusal::RequestLine, 400, None),
        (Refusal::Target, 400, None),
        (Refusal::MethodTooLong, 501, Some(METHOD_BYTES_MAX)),
        (Refusal::TargetTooLong, 414, Some(TARGET_BYTES_MAX)),
        (Refusal::HeadTooLarge, 431, Some(HEAD_BYTES_MAX)),
        (Refusal::TooManyFields, 431, Some(FIELDS_MAX)),
        (Refusal::NameTooLong, 431, Some(NAME_BYTES_MAX)),
        (Refusal::Field, 400, None),
        (Refusal::Twice("authorization"), 400, None),
        (Refusal::Length, 400, None),
        (Refusal::Ambiguous, 400, None),
        (Refusal::Coding, 501, None),
    ];
    for (refusal, status, limit) in table {
        let problem = refusal.problem(HeadLimits::EDGE);
        assert_eq!(problem.status().as_u16(), status, "{refusal:?}");
        let named = problem.errors().first().and_then(|error| error.limit.clone());
        assert_eq!(named, limit.map(Into::into), "{refusal:?}");
    }
}
