//! Every limit at it and past it, every way to say a length, in every way to cut the bytes.

use proptest::prelude::*;

use super::*;

/// What passes of `text`, given in pieces of these lengths over and over, and how it ends.
fn passed(text: &[u8], pieces: &[usize]) -> (Vec<u8>, u64, Then) {
    let mut framing = Framing::default();
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
        let said = &text[..text.len().min(120)];
        assert_eq!(then, Then::Refuse(refusal), "{said:?} in pieces of {pieces:?}");
        assert_eq!(out.len(), 0, "{said:?}: nothing of a refused head passes");
    }
}

#[track_caller]
fn passes(text: &str, heads: u64) {
    for pieces in [&[usize::MAX][..], &[1], &[7, 1, 64]] {
        let (out, seen, then) = passed(text.as_bytes(), pieces);
        let said = &text[..text.len().min(120)];
        assert_eq!((seen, then), (heads, Then::Wait), "{said:?} in pieces of {pieces:?}");
        assert!(out == text.as_bytes(), "{said:?}: all of it passes as it is");
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
    for target in ["/café", "/a#b", "/\u{1}", "/\u{7f}"] {
        refuses(&get(target, ""), Refusal::Target);
    }
    for text in ["GET / HTTP/1.1\nhost: a\r\n\r\n", "GET / HTTP/1.1\r\nhost: a\n\r\n", "\n"] {
        refuses(text, Refusal::BareLineFeed);
    }
    passes(&format!("\r\n\r\n{}", get("/", "")), 1);
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
    for value in ["", "+3", "-1", "3x", "3, 3", "0x3", "18446744073709551616"] {
        refuses(&get("/", &format!("content-length: {value}\r\n")), Refusal::Length);
    }
    refuses(&get("/", "content-length: 3\r\ncontent-length: 3\r\n"), Refusal::Length);
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

proptest! {
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
        (Refusal::Length, 400, None),
        (Refusal::Ambiguous, 400, None),
        (Refusal::Coding, 501, None),
    ];
    for (refusal, status, limit) in table {
        let problem = refusal.problem();
        assert_eq!(problem.status().as_u16(), status, "{refusal:?}");
        let named = problem.errors().first().and_then(|error| error.limit.clone());
        assert_eq!(named, limit.map(Into::into), "{refusal:?}");
    }
}
