//! Signing out: what ends with it, for whom, and how the token endpoint hears of it.

use crate::sign_in::{bearer, pairs, signs_in};
use crate::support::{ENDED_MAX, Stream, World, block_on, eventually, get, send};

#[test]
fn signing_out_ends_streams_and_the_token_opens_nothing_any_more() {
    let world = World::new();
    world.place(1, "a@b");
    let (token, other) = (world.token("a@b"), world.token("a@b"));
    let cookie = format!("yeoul_session_x={token}; yeoul_refresh_x=good");
    let mut ended = Stream::open(world.address, "/mypages/a@b/events", &[("cookie", &cookie)]);
    let mut stays =
        Stream::open(world.address, "/mypages/a@b/events", &[("authorization", &bearer(&other))]);
    assert_eq!(ended.next().expect("the page").event, "reset");
    assert_eq!(stays.next().expect("the page").event, "reset");

    let out = send(world.address, "DELETE", "/oauth/session", &[("cookie", &cookie)], "");
    assert_eq!((out.status, out.header("clear-site-data")), (204, Some("\"cache\"")));
    assert!(out.all("set-cookie").iter().all(|cookie| cookie.contains("Max-Age=0")));
    assert_eq!(ended.next(), None);
    for headers in [[("cookie", cookie.as_str())], [("authorization", &bearer(&token))]] {
        assert_eq!(get(world.address, "/orders", &headers).status, 401);
    }
    assert_eq!(get(world.address, "/orders", &[("authorization", &bearer(&other))]).status, 200);
    world.place(2, "a@b");
    assert_eq!(stays.next().expect("a change").event, "order", "another sign-in goes on");
}

#[test]
fn signing_out_with_any_token_ends_the_whole_family_and_its_streams() {
    let world = World::new();
    world.place(1, "a@b");
    for signs_out in 0..2 {
        let family = world.family("a@b");
        let mut streams = family.each_ref().map(|token| {
            let headers = [("authorization", bearer(token))];
            let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
            Stream::open(world.address, "/mypages/a@b/events", &headers)
        });
        for stream in &mut streams {
            assert_eq!(stream.next().expect("the page").event, "reset");
        }
        let cookie = format!("yeoul_session_x={}", family[signs_out]);
        let out = send(world.address, "DELETE", "/oauth/session", &[("cookie", &cookie)], "");
        assert_eq!(out.status, 204);
        for mut stream in streams {
            assert_eq!(stream.next(), None);
        }
        for token in &family {
            let answer = get(world.address, "/orders", &[("authorization", &bearer(token))]);
            assert_eq!(answer.status, 401);
        }
    }
}

#[test]
fn a_cookie_planted_before_the_right_one_keeps_no_sign_in_alive() {
    let world = World::new();
    let ask = |method: &str, cookie: &str| {
        send(world.address, method, "/oauth/session", &[("cookie", cookie)], "").status
    };
    let signed_in = || {
        let token = world.token("a@b");
        let cookies = pairs(&signs_in(&world, &token, "right", &[]));
        let (session, refresh) = cookies.split_once("; ").expect("two cookies");
        (token, session.to_owned(), refresh.to_owned())
    };
    let orders =
        |token: &str| get(world.address, "/orders", &[("authorization", &bearer(token))]).status;
    let (token, _, refresh) = signed_in();
    assert_eq!(ask("DELETE", &format!("yeoul_refresh_x=planted; {refresh}")), 204);
    assert_eq!((orders(&token), ask("PUT", &refresh)), (401, 401), "by the refresh cookie");
    let (token, session, refresh) = signed_in();
    assert_eq!(ask("DELETE", &format!("yeoul_session_x=planted; {session}")), 204);
    assert_eq!((orders(&token), ask("PUT", &refresh)), (401, 401), "by the session's");
    let (token, session, refresh) = signed_in();
    let junk = "yeoul_session_x=planted; ".repeat(100);
    assert_eq!(ask("DELETE", &(junk + &session)), 204);
    assert_eq!((orders(&token), ask("PUT", &refresh)), (401, 401), "behind a hundred");
}

#[test]
fn an_expired_token_still_ends_its_sign_in() {
    let world = World::new();
    let [old, new] = world.expired_family("a@b");
    assert_eq!(get(world.address, "/orders", &[("authorization", &bearer(&old))]).status, 401);
    assert_eq!(get(world.address, "/orders", &[("authorization", &bearer(&new))]).status, 200);
    let cookie = format!("yeoul_session_x={old}");
    let out = send(world.address, "DELETE", "/oauth/session", &[("cookie", &cookie)], "");
    assert_eq!(out.status, 204);
    assert_eq!(get(world.address, "/orders", &[("authorization", &bearer(&new))]).status, 401);
}

#[test]
fn the_token_endpoint_hears_of_a_sign_out_at_once_or_when_it_can() {
    let world = World::new();
    let revoked = || {
        let seen = world.service.seen().into_iter();
        let revoked = seen.filter(|seen| seen.target == "/oauth/revoke");
        revoked.map(|seen| seen.body).collect::<Vec<_>>()
    };
    let sign_out = |token: &str| {
        let cookie = format!("yeoul_session_x={token}; yeoul_refresh_x=r.{token}");
        let answer = send(world.address, "DELETE", "/oauth/session", &[("cookie", &cookie)], "");
        assert_eq!((answer.status, answer.all("set-cookie").len()), (204, 2));
        get(world.address, "/orders", &[("authorization", &bearer(token))]).status
    };
    let first = world.token("a@b");
    assert_eq!(sign_out(&first), 401);
    let expected = [format!("token=r.{first}"), format!("token={first}")];
    assert_eq!(revoked(), expected, "both are told of before the answer");

    world.service.is_sick(true);
    let second = world.token("a@b");
    assert_eq!(sign_out(&second), 401, "ended here whatever the endpoint does");
    let renewal = [("cookie", format!("yeoul_refresh_x=r.{second}"))];
    let renewal = renewal.each_ref().map(|(name, value)| (*name, value.as_str()));
    let renewed = send(world.address, "PUT", "/oauth/session", &renewal, "");
    assert_eq!((renewed.status, renewed.all("set-cookie").len()), (401, 2), "it is owed");
    world.service.is_sick(false);
    let before = revoked().len();
    eventually("the endpoint hears of it by itself", || {
        let later = revoked().split_off(before);
        later.contains(&format!("token={second}")).then_some(())
    });
    eventually("nothing is owed", || {
        block_on(world.memory.debts(0, 1)).expect("read").is_empty().then_some(())
    });
    // Without an access token the endpoint alone knows what ends.
    let alone = [("cookie", "yeoul_refresh_x=alone")];
    assert_eq!(send(world.address, "DELETE", "/oauth/session", &alone, "").status, 204);
    assert_eq!(revoked().last().map(String::as_str), Some("token=alone"));
}

#[test]
fn a_sign_out_that_the_endpoint_stumbles_over_holds_up_no_other() {
    let world = World::new();
    let sign_out = |refresh: &str| {
        let cookie = format!("yeoul_refresh_x={refresh}");
        send(world.address, "DELETE", "/oauth/session", &[("cookie", &cookie)], "").status
    };
    assert_eq!(sign_out("poison"), 204);
    world.service.is_sick(true);
    assert_eq!([sign_out("one"), sign_out("two")], [204; 2]);
    world.service.is_sick(false);
    eventually("the others are heard of", || {
        let debts = block_on(world.memory.debts(0, 10)).expect("read");
        let left: Vec<&str> = debts.iter().map(|debt| debt.token.as_str()).collect();
        (left == ["poison"]).then_some(())
    });
}

#[test]
fn signing_out_by_the_refresh_cookie_alone_ends_the_family_whatever_its_giver_does() {
    // Whoever never answers is asked again once this time is over.
    let session = "upstream: service, guard: { timeout: 500ms }";
    let settings = crate::support::USUAL.replace("upstream: service", session);
    for status in [200, 400, 503, 0] {
        let world = World::with(&settings);
        world.place(1, "a@b");
        world.service.answers_revocations_with(status);
        let (token, other) = (world.token("a@b"), world.token("a@b"));
        let cookies = pairs(&signs_in(&world, &token, "right", &[]));
        let mine = cookies.split("; ").nth(1).expect("a refresh cookie");
        let session = format!("yeoul_session_x={token}");
        let mut stream =
            Stream::open(world.address, "/mypages/a@b/events", &[("cookie", &session)]);
        assert_eq!(stream.next().expect("the page").event, "reset");
        let ask = |method: &str, cookie: &str| {
            send(world.address, method, "/oauth/session", &[("cookie", cookie)], "").status
        };
        assert_eq!(ask("DELETE", mine), 204, "{status}");
        assert_eq!(stream.next(), None, "{status}");
        let orders = |token: &str| {
            get(world.address, "/orders", &[("authorization", &bearer(token))]).status
        };
        assert_eq!((orders(&token), orders(&other)), (401, 200), "{status}");
        assert_eq!(ask("PUT", mine), 401, "{status}");
        let revoked = world.service.seen().into_iter().rev();
        let revoked =
            revoked.filter(|seen| seen.target == "/oauth/revoke").map(|seen| seen.body).next();
        assert_eq!(revoked.as_deref(), Some("token=good"), "{status}: what its giver knows");
        world.service.answers_revocations_with(200);
        eventually("nothing is owed", || {
            block_on(world.memory.debts(0, 1)).expect("read").is_empty().then_some(())
        });
    }
}

#[test]
fn a_full_memory_takes_no_sign_in_and_forgets_none() {
    let world = World::new();
    let tokens: Vec<String> = (0..=ENDED_MAX).map(|_| world.token("a@b")).collect();
    let sign_out = |token: &str| {
        let cookie = format!("yeoul_session_x={token}");
        send(world.address, "DELETE", "/oauth/session", &[("cookie", &cookie)], "").status
    };
    for token in &tokens[..ENDED_MAX] {
        assert_eq!(signs_in(&world, token, "right", &[]).status, 204);
        assert_eq!(sign_out(token), 204);
    }
    let refused = signs_in(&world, &tokens[0], "right", &[]);
    assert_eq!(refused.status, 503);
    assert!(refused.header("retry-after").is_some_and(|it| it.parse::<u64>().is_ok()));
    assert!(refused.header("proxy-status").is_some_and(|it| it.starts_with("yeoul; error=")));
    assert_eq!(sign_out(&tokens[ENDED_MAX]), 204, "who is signed in can still sign out");
    for token in &tokens {
        let answer = get(world.address, "/orders", &[("authorization", &bearer(token))]);
        assert_eq!(answer.status, 401);
    }
}
