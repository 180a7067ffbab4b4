//! Guessing passwords: how often one may be wrong, who is kept out by it and who is not, and what it
//! costs in memory.

#[path = "support/lib.rs"]
mod support;

use std::time::Duration;

use serde_json::json;
use support::{Answer, Mall, overlay, unique};

const PASSWORD: &str = "correct horse";

/// The memory of its own that it may have after guesses, in KiB: of 40 MiB what the program's file leaves.
const OWN_KIB_MAX: u64 = 16 * 1024;

/// A mall before which a proxy stands that is believed, so that a call comes from where it says.
fn behind_a_proxy() -> Option<(Mall, tempfile::TempDir)> {
    let place = tempfile::tempdir().expect("a place");
    let file = overlay(place.path(), "yeoul.yaml", "trusted: [127.0.0.0/8]\n");
    let file = file.to_str().expect("a path").to_owned();
    Mall::owned(&["-c", &file]).map(|mall| (mall, place))
}

fn sign_in(mall: &Mall, at: &str, from: &str, username: &str, password: &str) -> Answer {
    let form = [("grant_type", "password"), ("username", username), ("password", password)];
    let call = mall.call("POST", at).header("x-forwarded-for", from);
    call.header("origin", mall.base("gateway")).form(&form).send()
}

fn sign_up(mall: &Mall) -> String {
    let user = format!("{}@test.example", unique("l"));
    let body = json!({"username": user, "password": PASSWORD});
    mall.call("POST", "/oauth/users").json(&body).send().expect(201);
    user
}

#[track_caller]
fn is_too_many(answer: &Answer, limit: u32) {
    assert_eq!(answer.status, 429, "{}", answer.text());
    let seconds: u64 = answer.must("retry-after").parse().expect("whole seconds");
    assert!((1..=302).contains(&seconds), "{seconds}");
    let policy = answer.must("ratelimit-policy");
    assert!(policy.contains(&format!(";q={limit};w=300")), "{policy}");
    assert!(answer.must("ratelimit").contains(";r=0;t="));
}

#[test]
fn ten_wrong_passwords_are_the_end_for_that_address_and_nobody_else() {
    let Some((mall, _place)) = behind_a_proxy() else { return };
    for at in ["/oauth/token", "/oauth/session"] {
        let (user, other) = (sign_up(&mall), sign_up(&mall));
        for _ in 0..10 {
            assert_eq!(sign_in(&mall, at, "192.0.2.1", &user, "wrong").status, 400);
        }
        is_too_many(&sign_in(&mall, at, "192.0.2.1", &user, "wrong"), 10);
        is_too_many(&sign_in(&mall, at, "192.0.2.1", &user.to_uppercase(), PASSWORD), 10);
        assert!([200, 204].contains(&sign_in(&mall, at, "192.0.2.1", &other, PASSWORD).status));
        assert!([200, 204].contains(&sign_in(&mall, at, "192.0.2.2", &user, PASSWORD).status));
    }
    let word = sign_in(&mall, "/oauth/token", "192.0.2.1", "1@uengine.org", "wrong");
    assert_eq!(word.value(), json!({"error": "invalid_grant"}));
}

#[test]
fn a_flood_of_guesses_from_one_address_keeps_nobody_out_elsewhere() {
    let Some((mall, _place)) = behind_a_proxy() else { return };
    let owner = sign_up(&mall);
    assert_eq!(sign_in(&mall, "/oauth/token", "192.0.2.2", &owner, PASSWORD).status, 200);
    std::thread::scope(|scope| {
        let guess = |_| sign_in(&mall, "/oauth/token", "192.0.2.1", &owner, "wrong").status;
        let guessers: Vec<_> =
            (0..40).map(|_| scope.spawn(move || (0..6).map(guess).collect::<Vec<u16>>())).collect();
        for _ in 0..20 {
            let right = sign_in(&mall, "/oauth/token", "192.0.2.2", &owner, PASSWORD);
            assert_eq!(right.status, 200, "{}", right.text());
        }
        let seen = guessers.into_iter().flat_map(|it| it.join().expect("no panic"));
        let seen: Vec<u16> = seen.collect();
        assert_eq!(seen.iter().filter(|status| **status == 400).count(), 10);
        assert!(seen.iter().all(|status| [400, 429, 503].contains(status)), "{seen:?}");
    });
}

#[test]
fn a_client_cannot_say_that_it_is_another_one() {
    let Some(mall) = Mall::owned(&[]) else { return };
    let user = sign_up(&mall);
    for number in 0..10 {
        let from = format!("192.0.2.{number}");
        assert_eq!(sign_in(&mall, "/oauth/token", &from, &user, "wrong").status, 400);
    }
    is_too_many(&sign_in(&mall, "/oauth/token", "192.0.2.99", &user, "wrong"), 10);
}

#[test]
fn at_accounts_own_port_nobody_can_say_that_he_is_another_one_either() {
    let Some(mall) = Mall::owned(&[]) else { return };
    let user = sign_up(&mall);
    let guess = |from: &str, password: &str| {
        let form =
            [("grant_type", "password"), ("username", user.as_str()), ("password", password)];
        let call = mall.at("account", "POST", "/oauth/token").header("x-forwarded-for", from);
        call.header("x-yeoul-gateway", "guessed").form(&form).send()
    };
    for number in 0..10 {
        assert_eq!(guess(&format!("192.0.2.{number}"), "wrong").status, 400);
    }
    is_too_many(&guess("192.0.2.99", PASSWORD), 10);
}

#[test]
fn sign_ups_have_a_burst_by_address() {
    let Some((mall, _place)) = behind_a_proxy() else { return };
    let sign_up = |from: &str| {
        let body = json!({"username": "1@uengine.org", "password": PASSWORD});
        mall.call("POST", "/oauth/users").header("x-forwarded-for", from).json(&body).send()
    };
    let try_all = || (0..400).filter(|_| sign_up("192.0.2.1").status == 409).count();
    let (took, taken) = support::timed(try_all);
    let refilled = took.as_secs() as usize + 1;
    assert!((300..=300 + refilled).contains(&taken), "{taken} in {took:?}");
    let refused = sign_up("192.0.2.1");
    assert_eq!(refused.status, 429);
    assert!(refused.must("ratelimit-policy").contains(";q=300;w=300"));
    assert_eq!(sign_up("192.0.2.2").status, 409);
}

#[test]
fn wrong_passwords_leave_no_memory_behind() {
    let Some(mall) = Mall::owned(&[]) else { return };
    for number in 0..25 {
        let user = format!("nobody-{number}@test.example");
        assert_eq!(mall.password(&user, "wrong").status, 400);
    }
    std::thread::scope(|scope| {
        for number in 0..25 {
            let mall = &mall;
            let user = format!("nobody-either-{number}@test.example");
            scope.spawn(move || assert_eq!(mall.password(&user, "wrong").status, 400));
        }
    });
    let kib = support::within(Duration::from_secs(2), "memory is given back", || {
        let kib = mall.resident().expect("a system that tells") >> 10;
        Some(kib).filter(|kib| *kib <= OWN_KIB_MAX)
    });
    eprintln!("memory after 50 wrong sign-ins: {kib} KiB");
}
