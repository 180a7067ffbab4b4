//! Events are delivered to services of any language by POST: at least once, of each key in order, signed, and to nobody
//! who asks for a pause or is away.
//!
//! The services are a receiver in this test, the events are the mall's orders.

#[path = "push/receiver.rs"]
mod receiver;
#[path = "support/lib.rs"]
mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use receiver::{Delivered, Receiver, Reply};
use serde_json::json;
use support::{
    Customer, Folder, Mall, SIGNING, SOON, eventually, eventually_is, overlay, pause, run, stays,
    text, within,
};

/// A mall that delivers its orders to `receiver`.
struct Pushing {
    mall: Mall,
    who: Customer,
    product: u64,
}

const PIECES: u64 = 100_000;

/// Settings with one subscription, of these members beside topic and address.
fn settings(folder: &Path, address: &str, members: &str) -> std::path::PathBuf {
    let text = format!(
        "events:\n  subscriptions:\n    mail: {{ topic: order, push: \"{address}\", {members} }}\n"
    );
    overlay(folder, "push.yaml", &text)
}

impl Pushing {
    fn to(receiver: &Receiver, members: &str) -> Option<Pushing> {
        let folder = Folder::owned()?;
        let file = settings(folder.path(), &receiver.url(), members);
        let mall = Mall::on(folder, &["--faults", "-c", text(&file)]);
        let (who, product) = (mall.customer(), mall.product(PIECES, "cancel"));
        Some(Pushing { mall, who, product })
    }

    /// The same on the same folder, after it was killed.
    fn again(self) -> Pushing {
        let Pushing { mall, who, product } = self;
        Pushing::on(mall.kill(), who, product)
    }

    fn on(folder: Folder, who: Customer, product: u64) -> Pushing {
        let file = folder.path().join("push.yaml");
        let mall = Mall::on(folder, &["--faults", "-c", text(&file)]);
        Pushing { mall, who, product }
    }

    fn order(&self) -> u64 {
        self.mall.order(&self.who, self.product, 1).id
    }

    /// `webhook-id`s of what the topic has of this order, in order.
    fn published(&self, order: u64) -> Vec<String> {
        let events = self.mall.events_of("order", order);
        let id = |it: &serde_json::Value| format!("order/{}", it["id"].as_str().expect("an id"));
        events.iter().map(id).collect()
    }

    /// Waits until all of an order arrived: each once at least, and in order.
    #[track_caller]
    fn arrived(&self, receiver: &Receiver, order: u64) {
        self.mall.await_order(order, "OrderPlaced");
        let key = order.to_string();
        // Asked for each time: what the order causes may be published in between.
        eventually("all of the order arrived", || {
            (first_copies(&receiver.taken(&key)) == self.published(order)).then_some(())
        });
    }

    fn log(&self) -> String {
        let data = self.mall.folder().data();
        run(&["push", "log", "mail", "--data", text(&data)]).expect(0).stdout
    }

    fn metric(&self, name: &str) -> f64 {
        let text = self.mall.at("admin", "GET", "/metrics").send().expect(200).text();
        let begins = format!("{name}{{subscription=\"mail.order\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&begins));
        line.unwrap_or_else(|| panic!("no {name}: {text}")).parse().expect("a number")
    }
}

fn first_copies(ids: &[String]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    ids.iter().filter(|id| seen.insert((*id).clone())).cloned().collect()
}

#[test]
fn each_event_is_a_signed_post_in_binary_mode() {
    let receiver = Receiver::new();
    let Some(pushing) = Pushing::to(&receiver, "secret: YEOUL_TEST_SIGNING") else { return };
    let order = pushing.order();
    pushing.arrived(&receiver, order);
    let got = receiver.got();
    let first = got.iter().find(|it| it.key() == order.to_string()).expect("a delivery");
    assert_eq!(first.target, "/events?from=yeoul");
    for (name, value) in [
        ("ce-specversion", "1.0"),
        ("ce-type", "OrderPlaced"),
        ("ce-source", "order"),
        ("content-type", "application/json"),
        ("host", &receiver.address().to_string()),
    ] {
        assert_eq!(first.header(name), value, "{name}");
    }
    assert_eq!(first.data()["orderId"], order);
    assert_eq!(first.header("webhook-signature"), signature(first), "as Python's hmac says");
    let log = pushing.log();
    assert!(log.contains(first.id()) && log.contains("204") && log.contains("delivered"), "{log}");
    assert!(pushing.metric("yeoul_push_delivered_total") >= 1.0);
    eventually_is("nothing is behind", &0.0, || pushing.metric("yeoul_subscription_lag_events"));
    run(&["push", "log", "nosuch", "--data", text(&pushing.mall.folder().data())]).expect(1);
}

/// What another implementation signs it with.
fn signature(delivered: &Delivered) -> String {
    let script = "import sys,hmac,hashlib,base64\n\
        key=base64.b64decode(sys.argv[1].removeprefix('whsec_'))\n\
        said=f'{sys.argv[2]}.{sys.argv[3]}.{sys.argv[4]}'.encode()\n\
        print('v1,'+base64.b64encode(hmac.new(key,said,hashlib.sha256).digest()).decode(),end='')";
    let body = String::from_utf8(delivered.body.clone()).expect("text");
    let (id, at) = (delivered.id(), delivered.header("webhook-timestamp"));
    let signed = Command::new("python3").args(["-c", script, SIGNING, id, at, &body]).output();
    let signed = signed.expect("python3 is installed");
    String::from_utf8(signed.stdout).expect("text")
}

#[test]
fn a_key_that_fails_holds_up_itself_alone_until_it_is_a_dead_letter_and_redriven() {
    let receiver = Receiver::new();
    let Some(pushing) = Pushing::to(&receiver, "attempts: 2, backoff: 50ms") else { return };
    // Every other order fails: by keys, so that the circuit sees a receiver who is there.
    receiver.answer(|it| match it.key().parse::<u64>() {
        Ok(order) if order % 2 == 1 => Reply::status(400),
        _ => Reply::TAKEN,
    });
    let orders: Vec<u64> = (0..6).map(|_| pushing.order()).collect();
    let (odd, even): (Vec<u64>, Vec<u64>) = orders.iter().partition(|order| **order % 2 == 1);
    even.iter().for_each(|order| pushing.arrived(&receiver, *order));
    let letters = eventually("each of the others is a dead letter", || {
        let dead = pushing.mall.dead();
        let keys: BTreeSet<_> = dead.iter().map(|it| it["key"].to_string()).collect();
        let of_odd = |order: &u64| keys.contains(&format!("\"{order}\""));
        odd.iter().all(of_odd).then_some(dead)
    });
    for letter in &letters {
        assert_eq!(
            (&letter["subscription"], &letter["attempts"]),
            (&json!("mail.order"), &json!(2))
        );
        assert_eq!(letter["reason"], "the receiver answered 400");
    }
    eventually_is("the place moved over them", &json!(0), || {
        let all = pushing.mall.subscriptions();
        all.iter().find(|it| it["name"] == "mail.order").expect("a subscription")["lag"].clone()
    });
    odd.iter().for_each(|order| assert_eq!(receiver.taken(&order.to_string()), [""; 0]));
    assert!(pushing.log().contains("the receiver answered 400"));
    receiver.answer(|_| Reply::TAKEN);
    for letter in &letters {
        pushing.mall.redrive(letter["id"].as_str().expect("an id")).expect(202);
    }
    odd.iter().for_each(|order| pushing.arrived(&receiver, *order));
    assert_eq!(pushing.mall.dead(), [json!(null); 0]);
}

#[test]
fn a_receiver_who_asks_for_a_pause_gets_it_and_no_attempt_is_used_up() {
    let receiver = Receiver::new();
    let Some(pushing) = Pushing::to(&receiver, "attempts: 1, concurrency: 1") else { return };
    let order = pushing.order();
    pushing.arrived(&receiver, order);
    for status in [429, 503] {
        let before = receiver.got().len();
        let mut asks = 0;
        receiver.answer(move |_| {
            asks += 1;
            if asks == 1 { Reply { status, headers: "retry-after: 2\r\n" } } else { Reply::TAKEN }
        });
        let orders = [pushing.order(), pushing.order()];
        eventually("he asked", || {
            receiver.got().iter().any(|it| it.status == status).then_some(())
        });
        orders.iter().for_each(|order| pushing.arrived(&receiver, *order));
        // What was under way when he began to ask comes before.
        let got = receiver.got();
        let asked = got.iter().skip(before).position(|it| it.status == status).expect("he asked");
        let got = &got[before + asked..];
        let waited = got[1].at - got[0].at;
        assert!(waited >= Duration::from_secs(2), "{status}: asked again after {waited:?}");
    }
    assert_eq!(pushing.mall.dead(), [json!(null); 0]);
}

#[test]
fn whenever_the_process_is_killed_everything_arrives_and_of_each_key_in_order() {
    let receiver = Receiver::new();
    let Some(mut pushing) = Pushing::to(&receiver, "concurrency: 4") else { return };
    // Slow enough that something is under way at any moment.
    receiver.answer(|_| {
        pause(Duration::from_millis(2));
        Reply::TAKEN
    });
    let mut orders = Vec::new();
    for kill in 1..=5 {
        let got = receiver.got().len();
        orders.extend((0..10).map(|_| pushing.order()));
        within(SOON, "something arrives", || (receiver.got().len() > got + kill).then_some(()));
        pushing = pushing.again();
    }
    orders.iter().for_each(|order| pushing.arrived(&receiver, *order));
    // A copy comes before the next of its key does, or not at all.
    for order in orders {
        let published = pushing.published(order);
        let mut newest = 0;
        for id in receiver.taken(&order.to_string()) {
            let at = published.iter().position(|it| *it == id).expect("a published one");
            assert!(at <= newest + 1, "{id} came before those that precede it");
            newest = newest.max(at);
        }
    }
}

/// Longer than a partition's next owner is kept waiting, and less than requests are waited for.
#[test]
fn what_is_under_way_when_the_process_is_told_to_end_is_waited_for_and_comes_once() {
    let receiver = Receiver::new();
    let Some(pushing) = Pushing::to(&receiver, "concurrency: 4") else { return };
    receiver.answer(|_| {
        pause(Duration::from_secs(4));
        Reply::TAKEN
    });
    let order = pushing.order();
    let meter = || pushing.metric("yeoul_push_in_flight");
    eventually("somebody is delivered to", || (meter() > 0.0).then_some(()));
    let Pushing { mall, who, product } = pushing;
    let (code, folder) = mall.stop_by("TERM", 2 * SOON);
    assert_eq!(code, 0);
    receiver.answer(|_| Reply::TAKEN);
    let pushing = Pushing::on(folder, who, product);
    let next = pushing.order();
    [order, next].iter().for_each(|order| pushing.arrived(&receiver, *order));
    let ids = receiver.taken(&order.to_string());
    assert_eq!(ids, first_copies(&ids), "each came once");
}

#[test]
fn a_receiver_who_is_away_is_left_alone_and_catches_up() {
    let receiver = Receiver::new();
    let Some(pushing) = Pushing::to(&receiver, "attempts: 2, backoff: 10ms, timeout: 1s") else {
        return;
    };
    let first = pushing.order();
    pushing.arrived(&receiver, first);
    let (address, got) = (receiver.address(), receiver.got());
    drop(receiver);
    let orders: Vec<u64> = (0..30).map(|_| pushing.order()).collect();
    eventually_is("the circuit opens", &1.0, || pushing.metric("yeoul_push_circuit_state"));
    let failed = pushing.metric("yeoul_push_failed_total");
    // Nobody is there, which is no event's fault: an attempt is what broke off while it was under way.
    assert!(failed <= 1.0, "{failed} attempts failed");
    stays("nobody is asked", Duration::from_secs(2), &failed, || {
        pushing.metric("yeoul_push_failed_total")
    });
    let receiver = Receiver::at(address, got);
    within(3 * SOON, "everything arrives", || {
        let has = |order: &u64| !receiver.taken(&order.to_string()).is_empty();
        orders.iter().all(has).then_some(())
    });
    orders.iter().for_each(|order| pushing.arrived(&receiver, *order));
    assert_eq!(pushing.mall.dead(), [json!(null); 0]);
}

#[test]
fn who_orders_once_is_not_behind_all_of_who_orders_often() {
    let receiver = Receiver::new();
    let members = "concurrency: 1, share: event.customerId";
    let Some(pushing) = Pushing::to(&receiver, members) else { return };
    let Pushing { mall, who, product } = &pushing;
    let operate = |verb: &str| {
        let path = format!("/admin/subscriptions/mail.order/{verb}");
        mall.at("admin", "POST", &path).send().expect(204);
    };
    operate("pause");
    let often: Vec<u64> = (0..8).map(|_| pushing.order()).collect();
    let once = mall.order(&mall.customer(), *product, 1).id;
    for order in often.iter().chain([&once]) {
        mall.await_order(*order, "OrderPlaced");
    }
    let before = receiver.got().len();
    operate("resume");
    pushing.arrived(&receiver, once);
    let got = receiver.got()[before..].to_vec();
    let of = |order: u64| got.iter().position(|it| it.key() == order.to_string());
    // One turn of his, one of those that name no customer, and whatever was read before the rest.
    assert!(
        of(once) < of(often[3]),
        "{who:?}: {:?}",
        got.iter().map(Delivered::key).collect::<Vec<_>>()
    );
}

#[test]
fn what_is_tried_again_is_listed_with_its_next_attempt() {
    let receiver = Receiver::new();
    let Some(pushing) = Pushing::to(&receiver, "attempts: 5, backoff: 5m") else { return };
    receiver.answer(|_| Reply::status(400));
    let order = pushing.order();
    let data = pushing.mall.folder().data();
    let listed = eventually("it is listed", || {
        let listed = run(&["dead", "list", "--data", text(&data)]).expect(0).stdout;
        listed.contains("retried  mail.order.").then_some(listed)
    });
    let line = listed.lines().find(|it| it.contains(&format!("key {order}  "))).expect("a line");
    assert!(line.contains("order OrderPlaced") && line.contains("1 attempts"), "{line}");
    let behind = line.split("next at ").nth(1).expect("when it is tried next");
    let (at, reason) = behind.split_once("  ").expect("why it failed");
    assert!(at.starts_with("20") && at.ends_with('Z'), "{at}");
    assert_eq!(reason, "the receiver answered 400");
    assert_eq!(pushing.mall.dead(), [json!(null); 0]);
    let log = run(&["push", "log", "mail", "--data", text(&data)]).expect(0);
    assert!(log.stderr.contains("`yeoul dead list` says when each is tried again"), "{log:?}");
}

#[test]
fn what_is_wrong_with_a_subscription_is_named_with_its_line() {
    let folder = Folder::new();
    let check = |name: &str, yaml: &str, arguments: &[&str]| {
        let file = overlay(folder.path(), name, yaml);
        run(&[&["check", "-c", text(&file)][..], arguments].concat())
    };
    let subscription = |members: &str| {
        format!(
            "events:\n  topics: {{ order: {{}} }}\n  subscriptions:\n    mail: {{ {members} }}\n"
        )
    };
    let good = "topic: order, push: \"http://mail.internal/events\"";
    check("good.yaml", &subscription(good), &[]).expect(0);
    for share in ["tenant", "subject", "event.customer.id"] {
        check("good.yaml", &subscription(&format!("{good}, share: {share}")), &[]).expect(0);
    }
    for (members, says) in [
        (
            "topic: order, push: \"http://127.0.0.1:9000\"",
            "events.subscriptions.mail.push: no receiver may be there unless `events.allow` has `loopback`",
        ),
        ("topic: order, push: \"http://localhost\"", "`events.allow` has `loopback`"),
        ("topic: order, push: \"http://127.1:9000/\"", "an address has four numbers"),
        (
            "topic: order, push: \"http://[::1]:9/hooks/SECRET?token=SECRET\"",
            "no receiver may be there unless `events.allow` has `loopback`, `link-local` or its network. push=`http://[::1]:9`",
        ),
        ("topic: order, push: \"http://SECRET:SECRET@mail/\"", "it has no user"),
        ("topic: order, push: \"http://169.254.169.254/\"", "no receiver may be there"),
        ("topic: order, push: \"https://mail.internal\"", "what ends TLS stands beside"),
        ("topic: order, push: mail", "must be `http://HOST[:PORT][/PATH]`"),
        ("topic: ordre, push: \"http://mail\"", "nearest=`order`"),
        ("topic: order", "push"),
        (&format!("{good}, attempts: 0"), "must be 1 to 100. attempts=`0`"),
        (&format!("{good}, attempts: 101"), "must be 1 to 100. attempts=`101`"),
        (&format!("{good}, concurrency: 257"), "must be 1 to 256. concurrency=`257`"),
        (&format!("{good}, timeout: 61s"), "must be 1ms to 60s"),
        (&format!("{good}, backoff: 1ms"), "must be 10ms to 600s"),
        (
            &format!("{good}, secret: YEOUL_TEST_MISSING"),
            "the variable `YEOUL_TEST_MISSING` is not set",
        ),
        (
            &format!("{good}, secret: YEOUL_STORE_KEY"),
            "the variable `YEOUL_STORE_KEY` must be `whsec_`",
        ),
        (
            &format!(
                "{good}, secret: [YEOUL_TEST_SIGNING, YEOUL_TEST_SIGNING, YEOUL_TEST_SIGNING]"
            ),
            "names 1 to 2 variables",
        ),
        (&format!("{good}, share:"), "mail.share: is empty: name an attribute of the event"),
        (
            &format!("{good}, share: /customer/id"),
            "such as `event.customer.id`. share=`/customer/id`",
        ),
        (&format!("{good}, share: event."), "such as `event.customer.id`. share=`event.`"),
        (&format!("{good}, share: id"), "`id` does not say whose an event is"),
        (&format!("{good}, share: [a, b]"), "share"),
        (&format!("{good}, concurency: 2"), "nearest=`concurrency`"),
    ] {
        let outcome = check("bad.yaml", &subscription(members), &[]);
        let is_told = outcome.stdout.contains(says) && outcome.stdout.contains("bad.yaml:4");
        assert!(is_told || members.contains("ordre"), "{members}: {outcome:?}");
        assert!(outcome.stdout.contains(says), "{members}: {outcome:?}");
        assert!(!outcome.stdout.contains("SECRET"), "{members}: {outcome:?}");
        outcome.expect(if members.contains("ordre") { 0 } else { 1 });
    }
    let allowed = |entry: &str| {
        subscription("topic: order, push: \"http://127.0.0.1:9000\"")
            + &format!("  allow: [{entry}]\n")
    };
    check("allowed.yaml", &allowed("loopback"), &[]).expect(0);
    check("allowed.yaml", &allowed("127.0.0.0/8"), &[]).expect(0);
    check("allowed.yaml", &allowed("10.0.0.0/8"), &[]).expect(1);
    let mistyped = check("allowed.yaml", &allowed("lopback"), &[]).expect(1).stdout;
    assert!(mistyped.contains("must be `loopback`, `link-local` or a network"), "{mistyped}");
    let named = |name: &str| {
        format!(
            "events:\n  subscriptions:\n    {name}: {{ topic: order, push: \"http://127.0.0.1:9000\" }}\n"
        )
    };
    // The mall is on one machine, and has subscriptions of its own.
    check("mall.yaml", &named("mail"), &["--mall"]).expect(0);
    let taken = check("mall.yaml", &named("product"), &["--mall"]).expect(1).stdout;
    assert!(taken.contains("`product` is the name of something else"), "{taken}");
    check("mall.yaml", &named("Mail"), &["--mall"]).expect(1);
}
