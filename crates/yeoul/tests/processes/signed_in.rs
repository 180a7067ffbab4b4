//! What is signed in by way of one instance of account or of the gateway is so by way of every other.

use support::{Answer, Call, Stream, timed, unique};

use super::*;

/// Sign-outs that are timed.
const ROUNDS: usize = 5;
const PASSWORD: &str = "correct horse";

/// A browser, by the cookies that it holds.
struct Browser {
    user: String,
    cookies: Vec<(String, String)>,
}

impl Browser {
    /// Signs this customer in at a gateway.
    fn new(gateway: &str, user: &str) -> Browser {
        let form = [("username", user), ("password", PASSWORD)];
        let call = Call::new("POST", format!("{gateway}/oauth/session")).header("origin", gateway);
        let answer = call.form(&form).send().expect(204);
        Browser { user: user.to_owned(), cookies: cookies(&answer) }
    }

    fn ask(&self, gateway: &str, method: &str, path: &str) -> Answer {
        let call = Call::new(method, format!("{gateway}{path}")).header("origin", gateway);
        call.header("cookie", self.header()).send()
    }

    fn header(&self) -> String {
        let pairs = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("; ")
    }
}

fn cookies(answer: &Answer) -> Vec<(String, String)> {
    let set = answer.headers.get_all("set-cookie").iter();
    let pairs = set.filter_map(|cookie| cookie.to_str().ok()?.split(';').next()?.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn customer(mall: &Mall) -> String {
    let user = format!("{}@test.example", unique("p"));
    let body = json!({"username": user, "password": PASSWORD, "nickname": "N", "address": "A"});
    mall.call("POST", "/oauth/users").json(&body).send().expect(201);
    user
}

#[test]
fn who_signed_in_at_one_gateway_and_account_is_signed_in_at_the_others_and_out_at_all_within_a_second()
 {
    let Some(cluster) = Cluster::served(&["account-2", "gateway-2"]) else { return };
    let mall = cluster.mall();
    let url = |instance| cluster.url(instance).expect("it runs").to_owned();
    let keys = |instance| {
        let keys = Call::new("GET", format!("{}/.well-known/jwks.json", url(instance)));
        keys.send().expect(200).value()
    };
    assert_eq!(keys("account"), keys("account-2"));
    for part in ["account", "account-2", "gateway", "gateway-2"] {
        for file in ["account/signing.key", "account/refresh.key", "gateway/seal.key", "identity"] {
            assert!(!cluster.data(part).join(file).exists(), "{part} {file}");
        }
    }

    let (first, second) = (url("gateway"), url("gateway-2"));
    let user = customer(&mall);
    let page = format!("/mypages/{user}");
    let mut late = Vec::new();
    for round in 0..ROUNDS {
        let (here, there) = if round % 2 == 0 { (&first, &second) } else { (&second, &first) };
        let browser = Browser::new(here, &user);
        for gateway in [here, there] {
            assert_eq!(browser.ask(gateway, "GET", &page).status, 200, "{round}");
        }
        // Renewed at the other one, it goes on at both.
        let renewed = browser.ask(there, "PUT", "/oauth/session").expect(204);
        let browser = Browser { user: browser.user, cookies: cookies(&renewed) };
        assert_eq!(browser.cookies.len(), 2);
        let names = |all: &[(String, String)]| {
            all.iter().map(|(name, _)| name.clone()).collect::<BTreeSet<_>>()
        };
        assert_eq!(
            names(&browser.cookies),
            names(&cookies(&browser.ask(here, "PUT", "/oauth/session").expect(204)))
        );
        let cookie = browser.header();
        let headers = [("cookie", cookie.as_str())];
        let mut stream = Stream::open(there, &format!("/mypages/{user}/events"), &headers);
        assert_eq!(stream.status, 200);
        // Signed out here, it opens nothing there, and what it had open there ends.
        browser.ask(here, "DELETE", "/oauth/session").expect(204);
        assert_eq!(browser.ask(here, "GET", &page).status, 401, "at once where it was asked");
        let (span, ()) = timed(|| {
            within(HEARD_BY, "it is over there", || {
                (browser.ask(there, "GET", &page).status == 401).then_some(())
            });
        });
        late.push(span);
        assert!(stream.ends_within(HEARD_BY), "{round}");
        browser.ask(there, "PUT", "/oauth/session").expect(401);
    }
    eprintln!("a sign-out was over at the other gateway after {late:?}");

    // The same, asked of account: what one instance ends the other refuses.
    let (one, other) = (url("account"), url("account-2"));
    let mut late = Vec::new();
    for (here, there) in [(&one, &other), (&other, &one)] {
        let who = mall.customer();
        let me = |account: &str| {
            Call::new("GET", format!("{account}/oauth/me")).bearer(&who.token).send().status
        };
        assert_eq!([me(here), me(there)], [200; 2]);
        let form = [("token", who.token.as_str())];
        Call::new("POST", format!("{here}/oauth/revoke")).form(&form).send().expect(200);
        assert_eq!(me(here), 401);
        let heard = || within(HEARD_BY, "it is over there", || (me(there) == 401).then_some(()));
        late.push(timed(heard).0);
    }
    eprintln!("a revocation was over at the other account after {late:?}");
}
