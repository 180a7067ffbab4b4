//! The services of `examples/` do what their pages say, each in its language and with that language's CloudEvents library:
//! they publish, are told, fetch, and publish by SQL, whatever fails or is killed meanwhile.
//!
//! They run as they stand there, from the settings and the tables that a reader is shown, whose addresses alone are the
//! test's. What fails them on purpose is their database: a trigger that refuses a transaction at its end, so that all of
//! it is taken back and no line of an example is there for a test.

#[path = "examples/languages.rs"]
mod languages;
#[path = "../../events/tests/postgres/server.rs"]
#[allow(dead_code, reason = "the table's own tests use the rest")]
mod postgres;
#[path = "examples/site.rs"]
mod site;
#[path = "support/lib.rs"]
mod support;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use languages::Language;
use postgres::Server;
use serde_json::{Value, json};
use site::{OTHER_SECRET, Signature, Signed, Site};
use support::{Done, SIGNING, is_elsewhere, pause, within, within_is};

/// Far longer than what comes again waits for its third attempt, a receiver who was away for the next probe, and what a
/// killed worker had for the end of its lease, after a start of whatever was killed.
const SOME_TIME: Duration = Duration::from_secs(100);

#[test]
fn python_publishes_is_told_fetches_and_writes_its_outbox() {
    tells_its_story(Language::Python);
}

#[test]
fn node_publishes_is_told_fetches_and_writes_its_outbox() {
    tells_its_story(Language::Node);
}

#[test]
fn go_publishes_is_told_fetches_and_writes_its_outbox() {
    tells_its_story(Language::Go);
}

#[test]
fn spring_publishes_is_told_fetches_and_writes_its_outbox() {
    tells_its_story(Language::Spring);
}

#[test]
fn python_loses_nothing_and_does_nothing_twice_whatever_is_killed() {
    outlives_kills(Language::Python);
}

#[test]
fn node_loses_nothing_and_does_nothing_twice_whatever_is_killed() {
    outlives_kills(Language::Node);
}

#[test]
fn go_loses_nothing_and_does_nothing_twice_whatever_is_killed() {
    outlives_kills(Language::Go);
}

#[test]
fn spring_loses_nothing_and_does_nothing_twice_whatever_is_killed() {
    outlives_kills(Language::Spring);
}

#[test]
fn python_blames_no_event_for_a_database_that_is_away() {
    outlives_its_database(Language::Python);
}

#[test]
fn node_blames_no_event_for_a_database_that_is_away() {
    outlives_its_database(Language::Node);
}

#[test]
fn go_blames_no_event_for_a_database_that_is_away() {
    outlives_its_database(Language::Go);
}

#[test]
fn spring_blames_no_event_for_a_database_that_is_away() {
    outlives_its_database(Language::Spring);
}

fn tells_its_story(language: Language) {
    if is_elsewhere() || !language.is_here() {
        return;
    }
    let mut site = Site::of(language);
    site.serve(OTHER_SECRET);
    site.start_service();
    what_is_published_is_refused_by_a_wrong_signature_and_comes_again(&mut site);
    what_was_noted_is_only_acknowledged(&mut site);
    what_fails_at_its_end_publishes_nothing_and_comes_again(&site);
    a_redemption_publishes_once_where_it_commits(&site);
    what_comes_twice_is_done_once(&site);
    what_nobody_signed_is_refused(&site);
    a_notice_that_fails_comes_again_in_order(&site);
    site.ends_well();
}

fn what_is_published_is_refused_by_a_wrong_signature_and_comes_again(site: &mut Site) {
    for wrong in [
        json!({"customer": "길동", "won": 0}),
        json!({"won": 5}),
        json!({"customer": "\u{0}", "won": 5}),
    ] {
        assert_eq!(site.put("purchases/0", &wrong), 422, "{wrong}");
    }
    let purchase = json!({"customer": "길동 홍", "won": 12_050});
    assert_eq!(site.put("purchases/1", &purchase), 202);
    assert_eq!(site.put("purchases/1", &purchase), 202, "asked again, it is the first one");
    within(SOME_TIME, "the service refuses what another key signed", || {
        site.push_log().contains("answered 401").then_some(())
    });
    assert_eq!(
        site.customer("길동 홍"),
        json!({"customer": "길동 홍", "points": 0, "notices": []})
    );
    site.stop_serving();
    site.serve(SIGNING);
    within_is(SOME_TIME, "it came again", &json!(120), || {
        site.customer("길동 홍")["points"].clone()
    });
    let purchases = site.topic("purchase");
    let [event] = &purchases[..] else { panic!("{purchases:?}") };
    assert_eq!(
        (&event["id"], &event["source"], &event["type"]),
        (&json!("1"), &json!("/till"), &json!("Purchased"))
    );
    assert_eq!((&event["subject"], &event["data"]), (&json!("길동 홍"), &purchase));
}

/// As where a worker died between its commit and its acknowledgement.
fn what_was_noted_is_only_acknowledged(site: &mut Site) {
    let change = json!({"customer": "길동 홍", "points": 120, "balance": 120});
    within_is(SOME_TIME, "it is published", &vec![change], || site.changes("길동 홍"));
    site.note_as_handled("길동 홍");
    site.start_worker();
    let acknowledged = || site.metric("yeoul_pull_acknowledged_total", "notify.points");
    within_is(SOME_TIME, "it is fetched", &1.0, acknowledged);
    assert_eq!(site.notices("길동 홍"), notices(&[]));
}

fn what_fails_at_its_end_publishes_nothing_and_comes_again(site: &Site) {
    site.fail_twice("account", "영희");
    assert_eq!(site.put("purchases/2", &json!({"customer": "영희", "won": 5_000})), 202);
    within_is(SOME_TIME, "the third attempt stands", &notices(&[earned(50, 50)]), || {
        site.notices("영희")
    });
    assert_eq!(site.attempts(), 3);
    assert_eq!(site.changes("영희"), [json!({"customer": "영희", "points": 50, "balance": 50})]);
    assert_eq!(site.push_log().matches("answered 500").count(), 2, "{}", site.push_log());
}

fn a_redemption_publishes_once_where_it_commits(site: &Site) {
    let redemption = |points: u64| json!({"customer": "영희", "points": points});
    assert_eq!(site.put("redemptions/1", &redemption(51)), 409, "there are 50");
    site.fail_twice("account", "영희");
    assert_eq!(site.put("redemptions/1", &redemption(20)), 500);
    assert_eq!(site.put("redemptions/1", &redemption(20)), 500);
    assert_eq!(site.outbox("영희"), 1, "what was rolled back left no row");
    assert_eq!(site.put("redemptions/1", &redemption(20)), 204);
    assert_eq!(site.put("redemptions/1", &redemption(20)), 204, "asked again, it is done");
    let expected = notices(&[earned(50, 50), spent(20, 30)]);
    within_is(SOME_TIME, "it is told once", &expected, || site.notices("영희"));
    assert_eq!(site.changes("영희").len(), 2);
    assert_eq!(site.customer("영희")["points"], 30);
}

fn what_comes_twice_is_done_once(site: &Site) {
    let bought = json!({"customer": "철수", "won": 700}).to_string();
    let signed = Signed { id: "%2Ftill/3", kind: "Purchased", body: &bought, key: SIGNING, age: 0 };
    assert_eq!((site.deliver(&signed), site.deliver(&signed)), (204, 204));
    let another = Signed { id: "%2Ftill/4", kind: "Returned", ..signed };
    assert_eq!(site.deliver(&another), 204, "what it does not know is not its business");
    within_is(SOME_TIME, "once", &notices(&[earned(7, 7)]), || site.notices("철수"));
}

fn what_nobody_signed_is_refused(site: &Site) {
    let bought = json!({"customer": "철수", "won": 900}).to_string();
    let more = bought.replace("900", "999999");
    let good = Signed { id: "%2Ftill/5", kind: "Purchased", body: &bought, key: SIGNING, age: 0 };
    let signature = site::sign(&good);
    let of = |value: &str| Signature { value: value.to_owned(), ..signature.clone() };
    for (sent, signature) in [
        (Signed { body: &more, ..good }, signature.clone()),
        (Signed { id: "%2Ftill/6", ..good }, signature.clone()),
        (good, site::sign(&Signed { key: OTHER_SECRET, ..good })),
        (good, site::sign(&Signed { age: 3_600, ..good })),
        (good, Signature { timestamp: "now".to_owned(), ..signature.clone() }),
        (good, of("v1")),
        (good, of("v1,?")),
        (good, of("")),
    ] {
        assert_eq!(site.deliver_as(&sent, &signature), 401, "{sent:?} {signature:?}");
    }
    assert_eq!(site.customer("철수")["points"], 7);
    // The first of two keys may be another one, while they are changed.
    let both =
        format!("{} {}", site::sign(&Signed { key: OTHER_SECRET, ..good }).value, signature.value);
    assert_eq!(site.deliver_as(&good, &of(&both)), 204);
    assert_eq!(site.customer("철수")["points"], 16);
}

fn a_notice_that_fails_comes_again_in_order(site: &Site) {
    site.fail_twice("notice", "민지");
    for (id, won) in [(7, 100), (8, 200), (9, 300)] {
        assert_eq!(
            site.put(&format!("purchases/{id}"), &json!({"customer": "민지", "won": won})),
            202
        );
    }
    let expected = notices(&[earned(1, 1), earned(2, 3), earned(3, 6)]);
    within_is(SOME_TIME, "all are written, in order", &expected, || site.notices("민지"));
    assert!(site.attempts() >= 3);
    assert!((site.metric("yeoul_pull_rejected_total", "notify.points") - 2.0).abs() < 0.5);
}

/// What one customer bought, in won.
type Bought = BTreeMap<String, Vec<u64>>;

fn outlives_kills(language: Language) {
    if is_elsewhere() || !language.is_here() {
        return;
    }
    let mut site = Site::of(language);
    ["account", "notice"].into_iter().for_each(|table| site.slow_down(table));
    site.serve(SIGNING);
    site.start_service();
    site.start_worker();
    let (address, over) = (site.service_url(), AtomicBool::new(false));
    let bought = std::thread::scope(|scope| {
        let till = scope.spawn(|| sells(&address, &over));
        let done = Done(&over);
        for kill in [Site::kill_service, Site::kill_worker, Site::kill_yeoul, Site::kill_all] {
            let before = site.all_notices();
            within(SOME_TIME, "it goes on", || (site.all_notices() > before + 10).then_some(()));
            kill(&mut site);
        }
        drop(done);
        till.join().expect("the till")
    });
    for (customer, won) in &bought {
        let mut balance = 0;
        let texts = won.iter().map(|won| {
            balance += won / 100;
            earned(won / 100, balance)
        });
        let expected = notices(&texts.collect::<Vec<_>>());
        let arrived = || (site.notices(customer) == expected).then_some(());
        within(SOME_TIME, "every purchase has its notice, once and in order", arrived);
        assert_eq!(site.customer(customer)["points"], balance);
    }
    let sold: usize = bought.values().map(Vec::len).sum();
    assert_eq!((site.topic("purchase").len(), site.topic("points").len()), (sold, sold));
    assert_eq!(site.all_notices(), sold);
    site.ends_well();
}

/// Attempts of an event where its worker's database goes away.
const FEW_ATTEMPTS: u32 = 3;
/// Longer than so many leases of a worker, of 5 s each, and the second that it waits after each failure.
const AWAY: Duration = Duration::from_secs(25);
const SHORT: Duration = Duration::from_secs(2);
const CHANGES: usize = 300;
const CUSTOMERS: usize = 30;

fn outlives_its_database(language: Language) {
    if is_elsewhere() || !language.is_here() {
        return;
    }
    let mut server = Server::start();
    let mut site = Site::on(language, server.database("points"), FEW_ATTEMPTS);
    site.slow_down("notice");
    site.serve(SIGNING);
    site.publish_changes(CHANGES, CUSTOMERS);
    within_is(SOME_TIME, "there is work", &CHANGES, || site.topic("points").len());
    site.start_worker();
    let leaves: [fn(&mut Server); 3] = [|it| it.end_by("-INT"), Server::kill, Server::kill];
    for (leave, away) in leaves.into_iter().zip([AWAY, SHORT, SHORT]) {
        let before = site.all_notices();
        within(SOME_TIME, "it goes on", || (site.all_notices() > before + 20).then_some(()));
        leave(&mut server);
        pause(away);
        server.start_again();
        assert_eq!(site.dead(), [""; 0], "it was no event's fault");
    }
    assert!(site.all_notices() < CHANGES, "it went away while there was work");
    within_is(SOME_TIME * 3, "all are written", &CHANGES, || site.all_notices());
    for customer in 0..CUSTOMERS {
        let own = (1..=CHANGES as u64).filter(|it| *it as usize % CUSTOMERS == customer);
        let expected: Vec<_> = own.map(|it| earned(it, it)).collect();
        assert_eq!(site.texts(&format!("customer {customer}")), expected, "once and in order");
    }
    what_cannot_be_read_is_that_events_failure(&mut site);
}

fn what_cannot_be_read_is_that_events_failure(site: &mut Site) {
    site.publish_as_they_are(&[("a", "null"), ("b", r#""a word""#)]);
    within_is(SOME_TIME, "both are given up on", &vec!["a".to_owned(), "b".to_owned()], || {
        site.dead()
    });
    assert_eq!(site.all_notices(), CHANGES);
    assert!(site.worker_runs(), "and it goes on");
}

/// Until it is over: purchases of three customers, each asked for until it is taken.
fn sells(service: &str, over: &AtomicBool) -> Bought {
    let mut bought = Bought::new();
    for id in 1_u64.. {
        if over.load(Ordering::SeqCst) {
            return bought;
        }
        let (customer, won) = (format!("customer {}", id % 3), 100 * (1 + id % 7));
        let purchase = json!({"customer": customer, "won": won});
        // One that is not taken is asked for also when it is over: it may have been published.
        within(SOME_TIME, "it is taken", || {
            let answer = site::try_put(service, &format!("purchases/{id}"), &purchase);
            (answer == Some(202)).then_some(())
        });
        bought.entry(customer).or_default().push(won);
        pause(Duration::from_millis(40));
    }
    bought
}

fn earned(points: u64, balance: u64) -> String {
    format!("You earned {points} points and have {balance} now.")
}

fn spent(points: u64, balance: u64) -> String {
    format!("You spent {points} points and have {balance} left.")
}

fn notices(texts: &[String]) -> Value {
    json!(texts)
}
