//! An owner's page over HTTP: whose it is, what it says of itself, when it is sent, and live.

use std::time::Duration;

use chassis::clock;
use serde_json::json;

use crate::support::gateway::HEARTBEAT;
use crate::support::{ADMIN, Answer, CUSTOMER, SOON, Stream, World, get, send};

const HTML: (&str, &str) = ("accept", "text/html");
const PAGE: &str = "/mypages/a@b";

fn as_owner(world: &World, target: &str, headers: &[(&str, &str)]) -> Answer {
    let bearer = format!("Bearer {}", world.token("a@b"));
    get(world.address, target, &[&[("authorization", bearer.as_str())], headers].concat())
}

#[test]
fn a_page_is_its_owners_alone() {
    let world = World::new();
    world.place(1, "a@b");
    let tokens = [
        ("a@b", CUSTOMER, 200),
        ("c@d", CUSTOMER, 404),
        ("admin", ADMIN, 404),
        ("A@B", CUSTOMER, 404),
        ("a@b.html", CUSTOMER, 404),
    ];
    let targets = [
        "/mypages/a@b",
        "/mypages/a@b.html",
        "/mypages/a%40b",
        "/mypages/a@b?page=0&size=2",
        "/mypages/a@b/events",
        "/mypage/order/a@b",
        "/users/a@b",
    ];
    for (subject, role, status) in tokens {
        let bearer = format!("Bearer {}", world.token_of(subject, role));
        for target in targets {
            for accept in ["application/json", "text/html"] {
                let headers = [("authorization", bearer.as_str()), ("accept", accept)];
                let answer = send(world.address, "HEAD", target, &headers, "");
                assert_eq!(answer.status, status, "{subject} {target} {accept}");
            }
            if status == 404 {
                let answer = get(world.address, target, &[("authorization", &bearer)]);
                assert!(!answer.body.contains("a@b"), "{answer:?}");
            }
        }
    }
    for target in targets {
        assert_eq!(get(world.address, target, &[]).status, 401, "{target}");
    }
}

#[test]
fn owners_asking_at_once_each_get_their_own() {
    let world = World::new();
    let owners: Vec<String> = (0..8).map(|number| format!("owner{number}@x")).collect();
    for (number, owner) in owners.iter().enumerate() {
        world.place(number as u64 + 1, owner);
    }
    std::thread::scope(|scope| {
        for owner in &owners {
            let (world, owners) = (&world, &owners);
            scope.spawn(move || {
                let bearer = format!("Bearer {}", world.token(owner));
                for round in 0..40 {
                    let accept = if round % 2 == 0 { "text/html" } else { "application/json" };
                    let headers = [("authorization", bearer.as_str()), ("accept", accept)];
                    let page = get(world.address, &format!("/mypages/{owner}"), &headers);
                    assert_eq!(page.status, 200);
                    for other in owners {
                        assert_eq!(
                            page.body.contains(other.as_str()),
                            other == owner,
                            "{}",
                            page.body
                        );
                    }
                }
            });
        }
    });
}

#[test]
fn a_page_is_private_says_what_it_varies_by_and_is_sent_again_only_when_it_changed() {
    let world = World::new();
    world.publish("UserRegistered", &json!({ "username": "a@b", "nickname": "Ann" }));
    world.place(1, "a@b");
    let mut tags = Vec::new();
    for accept in ["text/html", "application/json"] {
        for encoding in ["br", "gzip", "identity"] {
            let headers = [("accept", accept), ("accept-encoding", encoding)];
            let page = as_owner(&world, PAGE, &headers);
            assert_eq!(page.status, 200);
            assert_eq!(page.header("cache-control"), Some("private, no-cache"));
            assert_eq!(
                page.header("vary"),
                Some("Accept, Accept-Encoding, Accept-Language, Cookie")
            );
            let coded = page.header("content-encoding").unwrap_or("identity");
            assert_eq!(coded, encoding);
            let tag = page.header("etag").expect("a tag").to_owned();
            assert!(tag.starts_with('"'), "strong: {tag}");
            let again = as_owner(&world, PAGE, &[headers[0], headers[1], ("if-none-match", &tag)]);
            assert_eq!(
                (again.status, again.header("etag"), again.body.len()),
                (304, Some(tag.as_str()), 0)
            );
            assert_eq!(again.header("vary"), page.header("vary"));
            tags.push((headers, tag));
        }
    }
    let mut distinct: Vec<_> = tags.iter().map(|(_, tag)| tag.clone()).collect();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), 6);
    world.place(2, "a@b");
    for (headers, tag) in &tags {
        let again = as_owner(&world, PAGE, &[headers[0], headers[1], ("if-none-match", tag)]);
        assert_eq!(again.status, 200);
        assert_ne!(again.header("etag"), Some(tag.as_str()));
    }
}

#[test]
fn the_json_is_the_page_and_its_slices() {
    let world = World::new();
    world.publish("UserRegistered", &json!({ "username": "a@b", "nickname": "Ann" }));
    for order in 1..=3 {
        world.place(order, "a@b");
    }
    let page = as_owner(&world, PAGE, &[]).json();
    assert_eq!((&page["customerId"], &page["nickname"]), (&json!("a@b"), &json!("Ann")));
    let ids = |target: &str| -> Vec<u64> {
        let page = as_owner(&world, target, &[]).json();
        let rows = page["orders"].as_array().expect("rows").clone();
        rows.iter().map(|row| row["orderId"].as_u64().expect("an id")).collect()
    };
    assert_eq!(ids(PAGE), [3, 2, 1]);
    assert_eq!(ids("/mypages/a@b?page=1&size=2"), [1]);
    assert_eq!(ids("/mypages/a@b?page=9"), [0; 0]);
    for wrong in ["size=0", "size=101", "page=x", "page=-1", "size=%"] {
        let answer = as_owner(&world, &format!("{PAGE}?{wrong}"), &[]);
        assert_eq!(answer.status, 400, "{wrong}");
    }
    let slice = as_owner(&world, "/mypages/a@b?size=1", &[]);
    let tag = slice.header("etag").expect("a tag").to_owned();
    let again = as_owner(&world, "/mypages/a@b?size=1", &[("if-none-match", &tag)]);
    assert_eq!(again.status, 304);
    let list = as_owner(&world, "/myPages?size=2", &[]).json();
    assert_eq!(list["_embedded"]["mypages"].as_array().map(Vec::len), Some(2));
    assert_eq!(list["page"]["totalElements"], 3);
    assert_eq!(as_owner(&world, "/mypage/order/a@b", &[]).json()["page"]["totalElements"], 3);
    assert_eq!(
        as_owner(&world, "/users/a@b", &[]).json(),
        json!({ "id": "a@b", "nickname": "Ann" })
    );
}

#[test]
fn html_comes_by_accept_by_its_ending_and_at_the_owners_own_address() {
    let world = World::new();
    world.place(1, "a@b");
    for (target, headers) in [
        (PAGE, vec![HTML]),
        ("/mypages/a@b.html", vec![]),
        ("/mypages/a@b.html", vec![("accept", "application/json")]),
        ("/mypage", vec![HTML]),
        ("/mypage", vec![]),
    ] {
        let page = as_owner(&world, target, &headers);
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"), "{target}");
        assert!(page.body.contains("<p>a@b in ko: [1 PENDING]</p>"), "{}", page.body);
        assert!(page.body.contains("<script src=\"/assets/a-1.js\"></script>"), "{}", page.body);
        assert!(page.header("content-security-policy").is_some());
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(page.header("referrer-policy"), Some("same-origin"));
    }
    for target in [PAGE, "/mypages/a@b.html"] {
        let page = get(world.address, target, &[HTML]);
        assert_eq!(page.status, 401);
        assert!(
            page.body.contains("the app")
                && page.header("content-type").is_some_and(|it| it.starts_with("text/html"))
        );
        let bad = get(world.address, target, &[HTML, ("cookie", "yeoul_session_x=x")]);
        assert_eq!(bad.status, 401);
    }
    let nobody = get(world.address, "/mypage", &[HTML]);
    assert_eq!((nobody.status, nobody.header("cache-control")), (200, Some("private, no-cache")));
    assert!(nobody.header("vary").is_some_and(|vary| vary.contains("Cookie")));
}

#[test]
fn the_language_is_the_cookies_then_the_browsers_then_korean() {
    let world = World::new();
    let cases: [(&[(&str, &str)], &str); 6] = [
        (&[], "ko"),
        (&[("accept-language", "fr")], "ko"),
        (&[("accept-language", "en-US, ko;q=0.5")], "en"),
        (&[("accept-language", "ko"), ("cookie", "lang=en")], "en"),
        (&[("accept-language", "en"), ("cookie", "lang=xx")], "en"),
        (&[("accept-language", "en"), ("cookie", "a=b; lang=ko")], "ko"),
    ];
    for (headers, language) in cases {
        let page = as_owner(&world, "/mypages/a@b.html", headers);
        assert!(page.body.contains(&format!(" in {language}:")), "{headers:?}: {}", page.body);
        assert_eq!(page.header("content-language"), Some(language));
    }
}

#[test]
fn a_head_says_what_a_get_would() {
    let world = World::new();
    world.place(1, "a@b");
    let bearer = format!("Bearer {}", world.token("a@b"));
    let headers = [("authorization", bearer.as_str()), HTML];
    let (head, got) =
        (send(world.address, "HEAD", PAGE, &headers, ""), get(world.address, PAGE, &headers));
    for name in ["content-length", "etag", "vary", "content-type"] {
        assert_eq!(head.header(name), got.header(name), "{name}");
    }
    assert_eq!(head.header("content-length"), Some(got.body.len().to_string().as_str()));
}

#[test]
fn a_read_waits_for_the_write_it_names_or_is_refused() {
    let world = World::new();
    let position = world.place(1, "a@b");
    for target in [PAGE, "/mypages/a@b.html", "/myPages", "/users/a@b"] {
        let answer = as_owner(&world, target, &[("yeoul-position", &position)]);
        assert_eq!(answer.status, 200, "{target}");
        for wrong in ["nonsense", "f1.x", "t1.order", ""] {
            let answer = as_owner(&world, target, &[("yeoul-position", wrong)]);
            assert_eq!(answer.status, 400, "{target} {wrong}");
        }
    }
    let future = ("yeoul-position", "w99.order");
    let late = as_owner(&world, PAGE, &[future, ("prefer", "wait=0")]);
    assert_eq!(late.status, 504);
    assert!(late.header("retry-after").is_some() && late.header("proxy-status").is_some());
    let late = as_owner(&world, PAGE, &[future]);
    assert!(late.status == 504 && late.took >= Duration::from_secs(2), "{late:?}");
    let elsewhere = as_owner(&world, PAGE, &[("yeoul-position", "w99.nowhere")]);
    assert_eq!(elsewhere.status, 200, "a service that no view reads is met at once");

    let headers = [("yeoul-position", "w2.order"), ("prefer", "wait=30")];
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| as_owner(&world, PAGE, &headers));
        world.place(2, "a@b");
        let page = reader.join().expect("a reader");
        assert_eq!(page.json()["orders"][0]["orderId"], 2);
    });
}

#[test]
fn no_read_that_waited_is_without_its_write() {
    let world = World::new();
    std::thread::scope(|scope| {
        for order in 1..=60_u64 {
            let world = &world;
            let readers = [PAGE, "/mypages/a@b.html"].map(|target| {
                scope.spawn(move || {
                    let position = format!("w{order}.order");
                    // What is kept now is too old in a moment.
                    as_owner(world, target, &[]);
                    as_owner(world, target, &[("yeoul-position", &position)])
                })
            });
            world.place(order, "a@b");
            for reader in readers {
                let page = reader.join().expect("a reader");
                let json = format!("\"orderId\":{order},");
                let html = format!("[{order} PENDING]");
                assert!(
                    page.body.contains(&json) || page.body.contains(&html),
                    "{order}: {page:?}"
                );
            }
        }
    });
}

#[test]
fn a_page_that_does_not_follow_says_since_when() {
    let world = World::new();
    world.place(1, "a@b");
    let since = "2026-01-02T03:04:05Z";
    for (stale, expected) in [(None, None), (Some(since), Some(since)), (None, None)] {
        world.views.set_stale(stale.map(|text| text.parse().expect("a time")));
        for target in [PAGE, "/mypages/a@b.html", "/myPages"] {
            let answer = as_owner(&world, target, &[]);
            assert_eq!(answer.header("yeoul-stale-since"), expected, "{target}");
        }
    }
}

#[test]
fn the_pages_own_port_believes_its_machine_but_not_a_token() {
    let world = World::new();
    world.place(1, "a@b");
    let local = ("host", "localhost");
    for target in [PAGE, "/mypages/a@b.html", "/users/a@b", "/mypage/order/a@b"] {
        assert_eq!(get(world.pages, target, &[local]).status, 200, "{target}");
        for (subject, status) in [("a@b", 200), ("c@d", 404)] {
            let bearer = format!("Bearer {}", world.token(subject));
            let answer = get(world.pages, target, &[local, ("authorization", &bearer)]);
            assert_eq!(answer.status, status, "{subject} {target}");
        }
        assert_eq!(get(world.pages, target, &[local, ("authorization", "Bearer x")]).status, 401);
        let foreign = ("origin", "http://evil.example");
        assert_eq!(get(world.pages, target, &[local, foreign]).status, 403);
        assert_eq!(get(world.pages, target, &[]).status, 403, "shop.localhost is no loopback name");
    }
    assert_eq!(get(world.pages, "/orders", &[local]).status, 404);
}

#[test]
fn the_pages_own_port_beyond_this_machine_trusts_nobody_without_a_token() {
    let world = World::new();
    world.place(1, "a@b");
    let bearer = |subject: &str| format!("Bearer {}", world.token(subject));
    for target in [PAGE, "/mypages/a@b.html", "/users/a@b", "/mypage/order/a@b"] {
        assert_eq!(get(world.exposed, target, &[]).status, 401, "{target}");
        for (subject, status) in [("a@b", 200), ("c@d", 404)] {
            let answer = get(world.exposed, target, &[("authorization", &bearer(subject))]);
            assert_eq!(answer.status, status, "{subject} {target}");
        }
    }
    assert_eq!(get(world.exposed, "/myPages", &[]).status, 401);
    assert_eq!(get(world.exposed, "/nowhere", &[]).status, 401);
    let own = get(world.exposed, "/myPages", &[("authorization", &bearer("c@d"))]).json();
    assert_eq!(own["page"]["totalElements"], 0);
    let all = get(world.pages, "/myPages", &[("host", "localhost")]).json();
    assert_eq!(all["page"]["totalElements"], 1);
}

fn stream(world: &World, target: &str, last: Option<&str>) -> Stream {
    let bearer = format!("Bearer {}", world.token("a@b"));
    let mut headers = vec![("authorization", bearer.as_str())];
    headers.extend(last.map(|id| ("last-event-id", id)));
    Stream::open(world.address, target, &headers)
}

#[test]
fn a_stream_begins_with_the_page_and_brings_every_change_once() {
    let world = World::new();
    world.place(1, "a@b");
    let mut fresh = stream(&world, "/mypages/a@b/events", None);
    assert_eq!(fresh.head.header("content-type"), Some("text/event-stream"));
    assert_eq!(fresh.head.header("cache-control"), Some("no-store"));
    let reset = fresh.next().expect("the page");
    assert_eq!((reset.event.as_str(), &reset.data["orders"][0]["orderId"]), ("reset", &json!(1)));
    let position = as_owner(&world, PAGE, &[]).json()["position"].as_str().expect("one").to_owned();
    assert_eq!(reset.id, position);

    let mut whole = stream(&world, &format!("/mypages/a@b/events?after={position}"), None);
    let mut seen = Vec::new();
    let mut last: Option<String> = None;
    for order in 2..=6 {
        world.place(order, "a@b");
        world.place(order + 100, "c@d");
        let target = format!("/mypages/a@b/events?after={position}");
        let mut cut = stream(&world, &target, last.as_deref());
        let change = cut.next().expect("a change");
        last = Some(change.id.clone());
        seen.push(change);
    }
    let expected: Vec<_> = (2..=6).map(|_| whole.next().expect("a change")).collect();
    assert_eq!(seen, expected);
    let ids: Vec<_> = expected.iter().map(|change| change.data["orderId"].as_u64()).collect();
    assert_eq!(ids, (2..=6).map(Some).collect::<Vec<_>>());
    assert!(expected.iter().all(|change| change.event == "order"));
}

#[test]
fn a_public_page_never_tells_what_a_private_one_of_the_same_id_shows() {
    // No random name of a feed holds these digits by chance.
    const PRIVATE: u64 = 41_414_141_414_141;
    let private = PRIVATE.to_string();
    let world = World::new();
    world.publish("UserRegistered", &json!({ "username": "a@b", "nickname": "Ann" }));
    world.place(PRIVATE, "a@b");
    let open = |target: &str, headers: &[(&str, &str)]| get(world.address, target, headers);
    for headers in [&[][..], &[HTML]] {
        let page = open("/names/a@b", headers);
        assert_eq!(page.status, 200, "{page:?}");
        assert!(page.body.contains("Ann") && !page.body.contains(&private), "{page:?}");
        assert_eq!(open(PAGE, headers).status, 401);
    }
    let position = open("/names/a@b", &[]).json()["position"].as_str().expect("one").to_owned();
    let (_, feed) = position.split_once('.').expect("a feed's name");
    // From before anything, and from where it is: neither brings the private page's orders.
    let targets = [format!("?after=f0.{feed}"), format!("?after={position}"), String::new()];
    let mut streams: Vec<Stream> = targets
        .iter()
        .map(|query| Stream::open(world.address, &format!("/names/a@b/events{query}"), &[]))
        .collect();
    world.place(42, "a@b");
    world.publish("UserChanged", &json!({ "username": "a@b", "nickname": "Bee" }));
    for (stream, query) in streams.iter_mut().zip(&targets) {
        let mut event = stream.next().expect("an event");
        if query.is_empty() || query.contains("=f0.") {
            let first = if query.is_empty() { "reset" } else { "name" };
            assert_eq!(event.event, first, "{query}");
            assert!(!event.data.to_string().contains(&private), "{event:?}");
            event = stream.next().expect("an event");
        }
        assert_eq!((event.event.as_str(), &event.data), ("name", &json!({ "nickname": "Bee" })));
    }
    let private = as_owner(&world, PAGE, &[]).json();
    assert_eq!(private["orders"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_position_that_is_unknown_begins_again_and_a_wrong_one_is_refused() {
    let world = World::new();
    world.place(1, "a@b");
    let mut old = stream(&world, "/mypages/a@b/events?after=f1.another", None);
    assert_eq!(old.next().expect("the page").event, "reset");
    for (target, last) in [
        ("/mypages/a@b/events?after=nonsense", None),
        ("/mypages/a@b/events?after=w1.order", None),
        ("/mypages/a@b/events", Some("t1.order")),
    ] {
        assert_eq!(stream(&world, target, last).head.status, 400, "{target} {last:?}");
    }
}

#[test]
fn a_stream_ends_with_its_token_and_with_the_gateway() {
    let world = World::new();
    let bearer = format!("Bearer {}", world.short_token("a@b", Duration::from_secs(2)));
    let start = clock::now();
    let headers = [("authorization", bearer.as_str())];
    let mut short = Stream::open(world.address, "/mypages/a@b/events", &headers);
    let mut long = stream(&world, "/mypages/a@b/events", None);
    assert!(short.next().is_some() && long.next().is_some());
    assert_eq!(short.next(), None);
    assert!(clock::now() - start < SOON);
    assert_eq!(get(world.address, PAGE, &headers).status, 401);
    world.gateway.end_streams();
    assert_eq!(long.next(), None);
}

#[test]
fn streams_of_sign_ins_end_where_nobody_can_tell_what_has_ended_and_come_back_when_it_can() {
    let world = World::new();
    world.place(1, "a@b");
    world.publish("UserRegistered", &json!({ "username": "a@b", "nickname": "Ann" }));
    let mut signed_in = stream(&world, "/mypages/a@b/events", None);
    let mut public = Stream::open(world.address, "/names/a@b/events", &[]);
    assert!(signed_in.next().is_some() && public.next().is_some());
    world.ended.lose_a_source();
    assert_eq!(signed_in.next(), None, "it ends");
    let refused = stream(&world, "/mypages/a@b/events", None);
    assert_eq!(refused.head.status, 503);
    assert!(refused.head.header("retry-after").is_some());
    // What is open to all goes on, and so does who comes when it is known again.
    world.publish("UserChanged", &json!({ "username": "a@b", "nickname": "Bee" }));
    assert_eq!(public.next().expect("a change").data, json!({ "nickname": "Bee" }));
    world.ended.regain_a_source();
    let mut again = stream(&world, "/mypages/a@b/events", None);
    assert_eq!(again.next().expect("the page").event, "reset");
    world.place(2, "a@b");
    assert_eq!(again.next().expect("a change").data["orderId"], json!(2));
}

#[test]
fn a_stream_speaks_at_once_and_then_says_every_while_that_it_lives() {
    let world = World::new();
    let mut stream = stream(&world, "/mypages/a@b/events", None);
    assert_eq!(stream.piece(), "retry: 1000\n\n");
    let start = clock::now();
    let mut text = String::new();
    while !text.contains("alive") {
        assert!(clock::now() - start < 4 * HEARTBEAT, "{text:?}");
        text = stream.piece();
    }
    assert_eq!(text, "event: alive\ndata: {}\n\n", "no id: a client resumes after the last change");
}
