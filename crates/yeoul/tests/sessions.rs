//! A sign-in is one family: what ends it ends every token and stream of it, everywhere and for good,
//! whatever is switched off or killed; two tabs that renew at once are no thieves.

#[path = "support/lib.rs"]
mod support;

use std::sync::LazyLock;
use std::time::Duration;

use serde_json::json;
use support::{Answer, Call, Mall, SOON, Stream, eventually, unique};

static MALL: LazyLock<Mall> = LazyLock::new(Mall::fresh);

const PASSWORD: &str = "correct horse";

/// A browser: what it is known by, and the cookies it holds.
#[derive(Clone, Debug)]
struct Browser {
    user: String,
    session: (String, String),
    refresh: (String, String),
}

impl Browser {
    /// Signs a new customer in.
    #[track_caller]
    fn new(mall: &Mall) -> Browser {
        let user = format!("{}@test.example", unique("s"));
        let body = json!({"username": user, "password": PASSWORD, "nickname": "N", "address": "A"});
        mall.call("POST", "/oauth/users").json(&body).send().expect(201);
        let form = [("username", user.as_str()), ("password", PASSWORD)];
        let call = mall.call("POST", "/oauth/session").header("origin", mall.base("gateway"));
        let answer = call.form(&form).send().expect(204);
        Browser::of(user, &answer)
    }

    #[track_caller]
    fn of(user: String, answer: &Answer) -> Browser {
        let cookie = |begins: &str| {
            let all = answer.headers.get_all("set-cookie").iter();
            let pairs = all.filter_map(|cookie| cookie.to_str().ok()?.split(';').next());
            let mut found = pairs.filter_map(|pair| pair.split_once('='));
            let (name, value) =
                found.find(|(name, _)| name.starts_with(begins)).expect("the cookie");
            (name.to_owned(), value.to_owned())
        };
        Browser { user, session: cookie("yeoul_session"), refresh: cookie("yeoul_refresh") }
    }

    fn cookies(&self) -> String {
        let ((session, token), (refresh, secret)) = (&self.session, &self.refresh);
        format!("{session}={token}; {refresh}={secret}")
    }

    fn ask(&self, mall: &Mall, method: &str) -> Call {
        let call = mall.call(method, "/oauth/session").header("cookie", self.cookies());
        call.header("origin", mall.base("gateway"))
    }

    #[track_caller]
    fn renewed(&self, mall: &Mall) -> Browser {
        Browser::of(self.user.clone(), &self.ask(mall, "PUT").send().expect(204))
    }

    #[track_caller]
    fn signs_out(&self, mall: &Mall) {
        self.ask(mall, "DELETE").send().expect(204);
    }

    /// What its refresh token is answered at the token endpoint.
    fn refreshes(&self, mall: &Mall) -> u16 {
        let form = [("grant_type", "refresh_token"), ("refresh_token", self.refresh.1.as_str())];
        mall.call("POST", "/oauth/token").form(&form).send().status
    }

    /// What its access token is answered at every door.
    fn opens(&self, mall: &Mall) -> Vec<u16> {
        let page = format!("/mypages/{}", self.user);
        let doors = [
            ("gateway", "/orders"),
            ("gateway", page.as_str()),
            ("gateway", "/oauth/me"),
            ("order", "/orders"),
            ("product", "/products"),
            ("delivery", "/deliveries"),
            ("account", "/oauth/me"),
            ("mypage", page.as_str()),
        ];
        let status =
            |(door, path)| mall.at(door, "GET", path).bearer(&self.session.1).send().status;
        doors.into_iter().map(status).collect()
    }

    #[track_caller]
    fn is_dead(&self, mall: &Mall) {
        assert_eq!(self.opens(mall), [401; 8], "{}", self.user);
        let renewal = self.ask(mall, "PUT").send();
        assert_eq!(renewal.status, 401);
        let cookies = renewal.headers.get_all("set-cookie").iter();
        assert_eq!(cookies.count(), 2, "a family that has ended is taken back whole");
        assert_eq!(self.refreshes(mall), 400);
        let orders = mall.get("/orders").header("cookie", self.cookies()).send();
        assert_eq!(orders.status, 401);
    }
}

#[test]
fn signing_out_ends_every_token_of_the_sign_in() {
    let (first, stays) = (Browser::new(&MALL), Browser::new(&MALL));
    let second = first.renewed(&MALL);
    assert_eq!(first.opens(&MALL), [200; 8]);
    first.signs_out(&MALL);
    first.is_dead(&MALL);
    second.is_dead(&MALL);
    assert_eq!(stays.opens(&MALL), [200; 8]);
    stays.renewed(&MALL);
}

#[test]
fn a_stream_opened_with_any_token_of_the_sign_in_ends() {
    for older_signs_out in [true, false] {
        let first = Browser::new(&MALL);
        let second = first.renewed(&MALL);
        let path = format!("/mypages/{}/events", first.user);
        let open = |browser: &Browser| {
            let cookies = browser.cookies();
            let stream = Stream::open(MALL.base("gateway"), &path, &[("Cookie", &cookies)]);
            assert_eq!(stream.status, 200);
            stream
        };
        let mut streams = [open(&first), open(&second)];
        let by = if older_signs_out { &first } else { &second };
        by.signs_out(&MALL);
        for stream in &mut streams {
            assert!(stream.ends_within(SOON), "a stream goes on");
        }
    }
}

#[test]
fn a_revocation_by_either_token_ends_the_sign_in_and_says_so_on_the_topic() {
    for by_refresh in [false, true] {
        let browser = Browser::new(&MALL);
        let token = if by_refresh { &browser.refresh.1 } else { &browser.session.1 };
        MALL.call("POST", "/oauth/revoke").form(&[("token", token)]).send().expect(200);
        browser.is_dead(&MALL);
    }
    MALL.call("POST", "/oauth/revoke").form(&[("token", "junk")]).send().expect(200);
    let refused = MALL.call("POST", "/oauth/revoke").form(&[]).send().expect(400);
    assert_eq!(refused.value(), json!({"error": "invalid_request"}));

    let ended = eventually("the topic says so", || {
        let events = MALL.events("account");
        events.into_iter().rev().find(|event| event["type"] == "SessionEnded")
    });
    let data = &ended["data"];
    assert_eq!(data["sid"], ended["subject"]);
    assert!(data["until"].as_str().is_some_and(|until| until.ends_with('Z')), "{data}");
}

#[test]
fn two_tabs_that_renew_at_once_both_go_on() {
    for _ in 0..5 {
        let browser = Browser::new(&MALL);
        let renewed: Vec<Browser> = std::thread::scope(|scope| {
            let tabs: Vec<_> = (0..4).map(|_| scope.spawn(|| browser.renewed(&MALL))).collect();
            tabs.into_iter().map(|tab| tab.join().expect("204")).collect()
        });
        for tab in &renewed {
            assert_eq!(tab.refresh, renewed[0].refresh, "the newest of one chain");
            assert_eq!(tab.opens(&MALL)[0], 200);
        }
        let later = renewed[0].renewed(&MALL);
        assert_eq!(browser.renewed(&MALL).refresh, later.refresh, "a tab that slept a moment");
        later.signs_out(&MALL);
        browser.is_dead(&MALL);
    }
}

#[test]
fn a_cookie_that_is_no_good_keeps_nobody_from_what_is_open() {
    let browser = Browser::new(&MALL);
    let junk = format!("name=유엔진; {}=junk", browser.session.0);
    let product = MALL.get("/products/1").header("cookie", &junk).send().expect(200);
    let gone = product.must("set-cookie");
    assert!(gone.starts_with(&format!("{}=;", browser.session.0)), "{gone}");
    assert!(gone.contains("Max-Age=0"), "{gone}");
    let user = format!("{}@test.example", unique("j"));
    let body = json!({"username": user, "password": PASSWORD});
    let sign_up = MALL.call("POST", "/oauth/users").header("cookie", &junk);
    sign_up.json(&body).send().expect(201);
    MALL.get("/orders").header("cookie", &junk).send().problem(401);
    MALL.get("/products/1").bearer("junk").send().problem(401);
    let among = format!("name=유엔진; {}; other=1", browser.cookies());
    MALL.get("/orders").header("cookie", among).send().expect(200);
}

#[test]
fn whose_a_refresh_cookie_is_nobody_can_make_up_and_one_without_it_goes_on() {
    let (victim, thief) = (Browser::new(&MALL), Browser::new(&MALL));
    let parts = |browser: &Browser| -> Vec<String> {
        browser.refresh.1.split('.').map(str::to_owned).collect()
    };
    let (theirs, own) = (parts(&victim), parts(&thief));
    assert_eq!(theirs.len(), 3, "token, sign-in, seal");
    // The victim's sign-in beside another token, under either seal and under none.
    let forged = [
        format!("{}.{}.{}", own[0], theirs[1], theirs[2]),
        format!("{}.{}.{}", own[0], theirs[1], own[2]),
        format!("junk.{}.{}", theirs[1], theirs[2]),
        format!("junk.{}.", theirs[1]),
        format!("junk.{}", theirs[1]),
    ];
    for text in &forged {
        let cookie = format!("{}={text}", thief.refresh.0);
        let call = MALL.call("DELETE", "/oauth/session").header("cookie", cookie);
        call.header("origin", MALL.base("gateway")).send().expect(204);
        assert_eq!(victim.opens(&MALL), [200; 8], "{text}");
    }
    victim.renewed(&MALL);
    // As cookies were before: the token alone.
    let old = |browser: &Browser| {
        let refresh = (browser.refresh.0.clone(), parts(browser)[0].clone());
        Browser { refresh, ..browser.clone() }
    };
    let renewed = old(&Browser::new(&MALL)).renewed(&MALL);
    assert_eq!(parts(&renewed).len(), 3, "from now on with its sign-in");
    let alone = old(&renewed);
    let cookie = format!("{}={}", alone.refresh.0, alone.refresh.1);
    let call = MALL.call("DELETE", "/oauth/session").header("cookie", cookie);
    call.header("origin", MALL.base("gateway")).send().expect(204);
    renewed.is_dead(&MALL);
}

#[test]
fn what_was_signed_out_stays_so_through_a_restart_and_a_kill() {
    let Some(mall) = Mall::owned(&[]) else { return };
    let (first, stays) = (Browser::new(&mall), Browser::new(&mall));
    let second = first.renewed(&mall);
    second.signs_out(&mall);
    // At once: nothing may be left to be written when the answer is there.
    let mall = Mall::on(mall.kill(), &[]);
    first.is_dead(&mall);
    second.is_dead(&mall);
    assert_eq!(stays.opens(&mall), [200; 8]);
    let (code, folder) = mall.stop_by("TERM", Duration::from_secs(12));
    assert_eq!(code, 0);
    let mall = Mall::on(folder, &[]);
    first.is_dead(&mall);
    second.is_dead(&mall);
    stays.renewed(&mall);
}

#[test]
fn a_sign_out_while_account_is_away_holds_at_once_and_is_told_by_itself() {
    let Some(mall) = Mall::owned(&["--faults"]) else { return };
    let switch = |mall: &Mall, what: &str| {
        mall.at("admin", "POST", &format!("/admin/services/account/{what}")).send().expect(204);
    };
    let account_hears = |mall: &Mall, browser: &Browser| {
        eventually("account hears of it", || (browser.refreshes(mall) == 400).then_some(()));
        browser.is_dead(mall);
    };
    let (one, two, three) = (Browser::new(&mall), Browser::new(&mall), Browser::new(&mall));
    let (four, stays, revoked) = (Browser::new(&mall), Browser::new(&mall), Browser::new(&mall));
    let renewed = one.renewed(&mall);
    switch(&mall, "stop");
    one.signs_out(&mall);
    let orders = |mall: &Mall, browser: &Browser| {
        mall.get("/orders").bearer(&browser.session.1).send().status
    };
    for browser in [&one, &renewed] {
        assert_eq!(orders(&mall, browser), 401, "ended at the gateway");
    }
    // Who asks account itself is to come back: until then the token is as good as it was (RFC 7009, 2.2.1).
    let revoke =
        || mall.call("POST", "/oauth/revoke").form(&[("token", &revoked.session.1)]).send();
    let away = revoke().expect(503);
    assert!(
        away.header("retry-after")
            .unwrap_or_default()
            .parse::<u64>()
            .is_ok_and(|seconds| seconds >= 1)
    );
    assert_eq!(orders(&mall, &revoked), 200);
    assert_eq!(orders(&mall, &two), 200);
    assert_eq!(one.ask(&mall, "PUT").send().status, 401, "known without asking");
    switch(&mall, "start");
    account_hears(&mall, &one);
    renewed.is_dead(&mall);
    revoke().expect(200);
    revoked.is_dead(&mall);

    // The same, and the process dies before account is back.
    switch(&mall, "stop");
    two.signs_out(&mall);
    // A browser whose access token has gone, or is no good any more, names its family by the refresh
    // token alone.
    let alone = |browser: &Browser| format!("{}={}", browser.refresh.0, browser.refresh.1);
    for (browser, brings) in
        [(&three, alone(&three)), (&four, format!("{}; {}=junk", alone(&four), four.session.0))]
    {
        let path = format!("/mypages/{}/events", browser.user);
        let cookies = browser.cookies();
        let mut stream = Stream::open(mall.base("gateway"), &path, &[("Cookie", &cookies)]);
        assert_eq!((stream.status, orders(&mall, browser)), (200, 200));
        let call = mall.call("DELETE", "/oauth/session").header("cookie", &brings);
        call.header("origin", mall.base("gateway")).send().expect(204);
        assert!(stream.ends_within(SOON), "a stream goes on");
        assert_eq!(orders(&mall, browser), 401, "ended at the gateway, though account is away");
        assert_eq!(browser.ask(&mall, "PUT").send().status, 401, "known without asking");
    }
    assert_eq!(orders(&mall, &stays), 200);
    let mall = Mall::on(mall.kill(), &["--faults"]);
    for browser in [&two, &three, &four] {
        assert_eq!(browser.opens(&mall), [401; 8]);
    }
    stays.renewed(&mall);
    account_hears(&mall, &four);
    account_hears(&mall, &two);
    account_hears(&mall, &three);
}
