//! Accounts: sign-up, the three grants, and what a restart leaves.

use chassis::identity::ENDED_MAX;
use mall::Name;
use serde_json::{Value, json};

use crate::support::{Answer, CUSTOMER, Mall};

/// `uengine-client:uengine-secret`.
const BASIC: &str = "Basic dWVuZ2luZS1jbGllbnQ6dWVuZ2luZS1zZWNyZXQ=";

/// The form that signs the demo's first customer in.
const SIGN_IN: &str = "grant_type=password&username=1%40uengine.org&password=1";

fn token(mall: &Mall, form: &str) -> Answer {
    mall.ask(Name::Account, "POST", "/oauth/token").form(form).send()
}

fn me(mall: &Mall, token: &Value) -> Answer {
    let bearer = format!("Bearer {}", token.as_str().expect("a token"));
    mall.get(Name::Account, "/oauth/me").header("authorization", &bearer).send()
}

#[test]
fn a_demo_user_signs_in_and_is_known() {
    let mall = Mall::start();
    let answer = token(&mall, "grant_type=password&username=1%40uengine.org&password=1").is(200);
    assert_eq!(
        (&answer.body["token_type"], &answer.body["expires_in"]),
        (&json!("Bearer"), &json!(3600))
    );
    assert_eq!(answer.header("cache-control"), "no-store");
    let expected = json!({
        "id": CUSTOMER, "username": CUSTOMER, "nickname": "유엔진", "address": "서울시",
        "role": "ORDER_CUSTOMER",
    });
    assert_eq!(me(&mall, &answer.body["access_token"]).is(200).body, expected);
    mall.get(Name::Account, "/oauth/me").send().is(401);

    let wrong = token(&mall, "grant_type=password&username=1%40uengine.org&password=2").is(400);
    assert_eq!(
        (&wrong.body, wrong.header("content-type")),
        (&json!({"error": "invalid_grant"}), "application/json")
    );
    let nobody = token(&mall, "grant_type=password&username=9%40uengine.org&password=2").is(400);
    assert_eq!(nobody.body, wrong.body);
    for (form, word) in [
        ("", "invalid_request"),
        ("grant_type=password&username=x", "invalid_request"),
        ("grant_type=password&username=a%00b&password=1", "invalid_grant"),
        ("grant_type=implicit", "unsupported_grant_type"),
        ("grant_type=refresh_token&refresh_token=x", "invalid_grant"),
        // Of two values nobody knows which one is meant (RFC 6749, 3.2).
        ("grant_type=password&username=1%40uengine.org&password=1&password=2", "invalid_request"),
        ("grant_type=password&grant_type=x&username=1%40uengine.org&password=1", "invalid_request"),
    ] {
        assert_eq!(token(&mall, form).is(400).body["error"], word, "{form}");
    }
    let json_body = mall.post(Name::Account, "/oauth/token", &json!({"grant_type": "password"}));
    assert_eq!(json_body.send().is(400).body, json!({"error": "invalid_request"}));
}

#[test]
fn a_client_signs_in_as_itself_with_its_secret() {
    let mall = Mall::start();
    let client = |authorization: &str| {
        let ask =
            mall.ask(Name::Account, "POST", "/oauth/token").form("grant_type=client_credentials");
        ask.header("authorization", authorization).send()
    };
    let answer = client(BASIC).is(200);
    assert_eq!(answer.body.get("refresh_token"), None);
    let profile = me(&mall, &answer.body["access_token"]).is(200);
    assert_eq!(
        (&profile.body["role"], &profile.body["username"]),
        (&json!("ORDER_ADMIN"), &json!("uengine-client"))
    );
    for wrong in ["Basic eDp5", "Basic !", "Basic dWVuZ2luZS1jbGllbnQ6"] {
        let refused = client(wrong).is(401);
        assert_eq!(refused.body, json!({"error": "invalid_client"}));
        assert!(refused.header("www-authenticate").starts_with("Basic"));
    }
    token(&mall, "grant_type=client_credentials").is(401);
    // Optional for a password, but wrong is wrong there too.
    let form = "grant_type=password&username=1%40uengine.org&password=1";
    let with = |authorization: &str| {
        let ask = mall.ask(Name::Account, "POST", "/oauth/token").form(form);
        ask.header("authorization", authorization).send().status
    };
    assert_eq!([with(BASIC), with("Basic eDp5")], [200, 401]);
}

#[test]
fn a_refresh_token_yields_the_newest_of_its_chain_and_survives_a_restart() {
    let mall = Mall::start();
    let first = token(&mall, SIGN_IN).is(200);
    let text = |answer: &Answer| answer.body["refresh_token"].as_str().expect("a token").to_owned();
    let mall = mall.restart();
    me(&mall, &first.body["access_token"]).is(200);
    let refresh = |token_text: &str| {
        token(&mall, &format!("grant_type=refresh_token&refresh_token={token_text}"))
    };
    let second = refresh(&text(&first)).is(200);
    me(&mall, &second.body["access_token"]).is(200);
    assert_ne!(text(&second), text(&first));
    let other_tab = refresh(&text(&first)).is(200);
    assert_eq!(text(&other_tab), text(&second));
    let third = refresh(&text(&second)).is(200);
    assert_eq!(text(&refresh(&text(&first)).is(200)), text(&third));
}

#[test]
fn a_revocation_ends_every_token_of_the_sign_in_everywhere_and_survives_a_restart() {
    let mall = Mall::start();
    let sign_in = || token(&mall, SIGN_IN).is(200);
    let text =
        |answer: &Answer, name: &str| answer.body[name].as_str().expect("a token").to_owned();
    let renew = |mall: &Mall, refresh: &str| {
        token(mall, &format!("grant_type=refresh_token&refresh_token={refresh}"))
    };
    let stays = sign_in();
    let mut gone = Vec::new();
    for revoked in ["access_token", "refresh_token"] {
        let first = sign_in();
        let second = renew(&mall, &text(&first, "refresh_token")).is(200);
        // By the older one of its kind, so that the newer has to end too.
        let form = format!("token={}&token_type_hint={revoked}", text(&first, revoked));
        let revoke = || mall.ask(Name::Account, "POST", "/oauth/revoke").form(&form).send().is(200);
        assert_eq!(revoke().text, "");
        revoke();
        for answer in [first, second] {
            renew(&mall, &text(&answer, "refresh_token")).is(400);
            gone.push(text(&answer, "access_token"));
        }
    }
    let refused = |mall: &Mall, name, path: &str, token: &str| {
        let ask = mall.get(name, path).header("authorization", &format!("Bearer {token}"));
        ask.send().status == 401
    };
    let everywhere = [
        (Name::Account, "/oauth/me"),
        (Name::Order, "/orders"),
        (Name::Product, "/products"),
        (Name::Delivery, "/deliveries"),
    ];
    mall.settle();
    let ended = mall.events(Name::Account).into_iter().filter(|it| it.kind == "SessionEnded");
    assert_eq!(ended.count(), 2, "once for each");
    for database in ["order", "product", "delivery", "account"] {
        assert_eq!(mall.remembered(database), 2, "{database}");
    }
    let mall = mall.restart();
    for (name, path) in everywhere {
        for token in &gone {
            assert!(refused(&mall, name, path, token), "{name} {path}");
        }
        assert!(!refused(&mall, name, path, &text(&stays, "access_token")), "{name} {path}");
    }
    renew(&mall, &text(&stays, "refresh_token")).is(200);
}

#[test]
fn a_full_memory_of_ended_sign_ins_takes_no_new_one_and_every_sign_out() {
    let mall = Mall::start();
    let first = token(&mall, SIGN_IN).is(200);
    let (now, hour) = (chassis::clock::wall(), std::time::Duration::from_secs(3600));
    let fill = |more: std::ops::Range<usize>| {
        more.for_each(|number| mall.ended.end(&number.to_string(), now + hour, now));
    };
    fill(1..ENDED_MAX);
    token(&mall, SIGN_IN).is(200);
    fill(0..1);
    let client = || {
        let ask = mall.ask(Name::Account, "POST", "/oauth/token");
        ask.header("authorization", BASIC).form("grant_type=client_credentials").send()
    };
    for refused in [token(&mall, SIGN_IN), client()] {
        let refused = refused.is(503);
        assert_eq!(refused.body, json!({"error": "temporarily_unavailable"}));
        let seconds: u64 = refused.header("retry-after").parse().expect("whole seconds");
        assert!((1..=3600).contains(&seconds), "{seconds}");
        assert_eq!(refused.header("proxy-status"), "yeoul; error=connection_limit_reached");
    }
    // Who is signed in stays so, and can end it.
    me(&mall, &first.body["access_token"]).is(200);
    let refresh = first.body["refresh_token"].as_str().expect("a token");
    let renew = format!("grant_type=refresh_token&refresh_token={refresh}");
    let renewed = token(&mall, &renew).is(200);
    let form = format!("token={refresh}");
    mall.ask(Name::Account, "POST", "/oauth/revoke").form(&form).send().is(200);
    me(&mall, &renewed.body["access_token"]).is(401);
}

#[test]
fn a_refresh_token_may_come_with_what_a_gateway_wrote_beside_it() {
    let mall = Mall::start();
    let first = token(&mall, SIGN_IN).is(200);
    let refresh = first.body["refresh_token"].as_str().expect("a token");
    assert!(!refresh.contains('.'));
    let renew =
        |text: &str| token(&mall, &format!("grant_type=refresh_token&refresh_token={text}"));
    let second = renew(&format!("{refresh}.sign-in.seal")).is(200);
    let third = renew(refresh).is(200);
    assert_eq!(second.body["refresh_token"], third.body["refresh_token"], "the same token");
    renew(".sign-in.seal").is(400);
    let form = format!("token={refresh}.sign-in.seal");
    mall.ask(Name::Account, "POST", "/oauth/revoke").form(&form).send().is(200);
    me(&mall, &third.body["access_token"]).is(401);
}

#[test]
fn revoking_what_is_no_token_is_no_mistake_and_a_wrong_client_is() {
    let mall = Mall::start();
    let revoke = |form: &str| mall.ask(Name::Account, "POST", "/oauth/revoke").form(form);
    revoke("token=junk").send().is(200);
    assert_eq!(revoke("tokens=junk").send().is(400).body, json!({"error": "invalid_request"}));
    let wrong = revoke("token=junk").header("authorization", "Basic eDp5").send().is(401);
    assert_eq!(wrong.body, json!({"error": "invalid_client"}));
    revoke("token=junk").header("authorization", BASIC).send().is(200);
    mall.settle();
    assert!(mall.events(Name::Account).iter().all(|event| event.kind == "UserRegistered"));
}

#[test]
fn signing_up_makes_a_customer_whom_others_hear_of() {
    let mall = Mall::start();
    let body = json!({"username": "New@Example.org", "password": "secret12", "nickname": "새 손님", "address": "부산"});
    let sign_up = |body: &Value| mall.post(Name::Account, "/oauth/users", body).send();
    let made = sign_up(&body).is(201);
    assert_eq!(made.header("location"), "/users/new@example.org");
    assert_eq!(
        (&made.body["id"], &made.body["role"]),
        (&json!("new@example.org"), &json!("ORDER_CUSTOMER"))
    );
    assert!(!made.text.contains("secret12") && !made.text.contains("argon2"));
    sign_up(&body).is(409);
    let short = json!({"username": "x@y", "password": "1234567"});
    assert_eq!(sign_up(&short).is(400).fields(), ["password"]);
    token(&mall, "grant_type=password&username=NEW%40example.org&password=secret12").is(200);

    mall.settle();
    let events = mall.events(Name::Account);
    assert_eq!(events.len(), 4);
    assert!(events.iter().all(|event| event.kind == "UserRegistered" && event.sequence == 1));
    let last = events.last().expect("the new one");
    assert_eq!(last.subject, "new@example.org");
    let data: Value = last.decode().expect("data");
    assert_eq!(
        data,
        json!({"username": "new@example.org", "nickname": "새 손님", "address": "부산"})
    );
}

#[test]
fn the_public_keys_are_open_and_hold_no_secret() {
    let mall = Mall::start();
    let keys = mall.get(Name::Account, "/.well-known/jwks.json").send().is(200);
    let key = &keys.body["keys"][0];
    assert_eq!((&key["kty"], &key["crv"], key.get("d")), (&json!("OKP"), &json!("Ed25519"), None));
    assert!(key["kid"].is_string());
}
