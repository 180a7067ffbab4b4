//! A transaction is found wherever its events are, each behind its cause, and what was not looked at is said.

use std::sync::Arc;

use serde_json::value::RawValue;
use tempfile::TempDir;

use super::*;
use crate::Failure;
use crate::event::Cause;
use crate::event::foreign::{EXPIRY, Extension, Foreign};
use crate::fixture::{ManualClock, stamped, topic, until};
use crate::local::Log;
use crate::store::{Database, Options, Tx};
use crate::subscription::{Handler, Retry, Subscription};

/// A topic for each step, and what handles the last.
struct Bench {
    _folder: TempDir,
    log: Arc<Log>,
    database: Database,
    clock: ManualClock,
}

fn wanted(correlation: &str) -> Wanted {
    Wanted { correlation: correlation.to_owned(), limit: LIMIT_DEFAULT, since: None }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).unwrap()
}

/// An event of this source and number, at this second, caused by another.
fn event(source: &str, number: u64, second: i64, cause: Option<&Event>) -> Event {
    let cause = cause.map_or_else(Cause::default, Cause::of);
    Event { cause, time: at(second), ..stamped(source, "key", number) }
}

impl Bench {
    fn new() -> Bench {
        let folder = TempDir::new().unwrap();
        let clock = ManualClock::default();
        let topics = ["order", "product", "delivery"].map(topic);
        let log = Log::open(folder.path(), &topics, clock.component()).unwrap();
        let path = folder.path().join("reader.db");
        let options = Options { path, schema: &[], publishes: None, clock: clock.component() };
        let database = Database::open(options).unwrap();
        Bench { log: Arc::new(log), database, clock, _folder: folder }
    }

    /// The same with its rows on a server.
    async fn served() -> Bench {
        let bench = Bench::new();
        let place = crate::store::served::TestSchema::fresh();
        let database = place.open(&[], None, bench.clock.component()).await;
        Bench { database, ..bench }
    }

    async fn publish(&self, topic_name: &str, events: &[&Event]) {
        let batch = events.iter().copied().cloned().collect();
        self.log.publish(&topic(topic_name).first(), batch).await.unwrap();
    }

    async fn trace(&self, wanted: &Wanted) -> Trace {
        trace(&*self.log, &[], wanted).await.unwrap()
    }
}

/// Depth and what is there, step by step: a source, or a gap by its name.
fn lines(trace: &Trace) -> Vec<String> {
    let line = |Branch { depth, step }: &Branch| match step {
        Step::Event { hop, after_ms: None } => format!("{depth} {} {}", hop.source, hop.id),
        Step::Event { hop, after_ms: Some(ms) } => {
            format!("{depth} {} {} {ms:+}", hop.source, hop.id)
        }
        Step::Missing(name) => format!("{depth} ? {name}"),
    };
    trace.branches.iter().map(line).collect()
}

#[tokio::test]
async fn a_transaction_is_a_tree_over_all_topics_and_others_are_not_in_it() {
    let bench = Bench::new();
    let placed = event("order", 1, 0, None);
    let taken = event("product", 1, 2, Some(&placed));
    let started = event("delivery", 1, 5, Some(&taken));
    let confirmed = event("order", 2, 3, Some(&taken));
    let other = event("order", 3, 4, None);
    let others = event("product", 2, 4, Some(&other));
    bench.publish("order", &[&placed, &confirmed, &other]).await;
    // Of a publisher without an outbox nobody knows a second copy when it is stored.
    let copied = Event { outbox_sequence: None, ..taken.clone() };
    bench.publish("product", &[&copied, &others, &copied]).await;
    bench.publish("delivery", &[&started]).await;
    let found = bench.trace(&wanted("order/id-1")).await;
    let expected =
        ["0 order id-1", "1 product id-1 +2000", "2 order id-2 +1000", "2 delivery id-1 +3000"];
    assert_eq!(lines(&found), expected);
    assert!(!found.is_cut && found.looks.iter().all(|look| look.is_whole), "{found:?}");
    let events: u64 = found.looks.iter().map(|look| look.events).sum();
    assert_eq!(events, 7, "a second copy is read, and is no other event");
    // By any of its events, whose own name is no correlation.
    let by_name = bench.trace(&wanted("delivery/id-1")).await;
    assert_eq!((lines(&by_name), &*by_name.correlation), (lines(&found), "order/id-1"));
    let read = |found: &Trace| found.looks.iter().map(|look| look.events).sum::<u64>();
    assert_eq!(read(&by_name), read(&found));
    assert!(lines(&bench.trace(&wanted("order/id-9")).await).is_empty());
    assert!(lines(&bench.trace(&wanted("id-1")).await).is_empty());
}

#[tokio::test]
async fn a_cause_that_is_not_there_is_a_gap_and_others_names_for_a_cause_are_understood() {
    let bench = Bench::new();
    let correlation = "shop/7".to_owned();
    let of = |number: u64, causation: Option<&str>| {
        let cause = Cause {
            correlation_id: Some(correlation.clone()),
            causation_id: causation.map(str::to_owned),
            traceparent: None,
        };
        Event { cause, ..event("mail", number, number as i64, None) }
    };
    // By its id alone, as services elsewhere say it; by a name that nobody here gives; itself; and in a circle.
    let mut slashed = of(1, None);
    slashed.id = "a/b".to_owned();
    let chain = [
        slashed,
        of(2, Some("mail/a/b")),
        of(3, Some("id-2")),
        of(4, Some("erp/77")),
        of(5, Some("mail/id-4")),
        of(6, Some("mail/id-6")),
        of(7, Some("mail/id-8")),
        of(8, Some("mail/id-7")),
        // Two have one id, so that alone it names neither.
        Event { id: "twice".to_owned(), ..of(9, None) },
        Event { id: "twice".to_owned(), source: "post".to_owned(), ..of(10, None) },
        of(11, Some("twice")),
    ];
    bench.publish("order", &chain.iter().collect::<Vec<_>>()).await;
    let expected = [
        "0 mail a/b",
        "1 mail id-2 +1000",
        "2 mail id-3 +1000",
        "0 mail id-6",
        "0 mail twice",
        "0 post twice",
        "0 ? erp/77",
        "1 mail id-4",
        "2 mail id-5 +1000",
        "0 ? twice",
        "1 mail id-11",
        "0 mail id-7 -1000",
        "1 mail id-8 +1000",
    ];
    assert_eq!(lines(&bench.trace(&wanted(&correlation)).await), expected);
}

#[tokio::test]
async fn what_is_outside_of_the_window_is_said_and_what_one_topic_does_not_need_others_get() {
    let bench = Bench::new();
    let first = event("order", 1, 0, None);
    let many: Vec<Event> =
        (2..=101).map(|number| event("order", number, number as i64, None)).collect();
    let last = event("product", 1, 200, Some(&first));
    bench.publish("order", &[&first]).await;
    bench.publish("order", &many.iter().collect::<Vec<_>>()).await;
    bench.publish("product", &[&last]).await;

    let all = Wanted { limit: 102, ..wanted("order/id-1") };
    assert_eq!(lines(&bench.trace(&all).await), ["0 order id-1", "1 product id-1 +200000"]);

    let newest = bench.trace(&Wanted { limit: 31, ..all.clone() }).await;
    assert_eq!(lines(&newest), ["0 ? order/id-1", "1 product id-1"]);
    let of = |found: &Trace, name: &str| {
        let look = found.looks.iter().find(|look| look.at.topic.as_str() == name).unwrap();
        (look.after.0, look.to.0, look.end.0, look.events, look.is_whole)
    };
    assert_eq!(of(&newest, "order"), (71, 101, 101, 30, false));
    assert_eq!(of(&newest, "product"), (0, 1, 1, 1, true));
    assert_eq!(of(&newest, "delivery"), (0, 0, 0, 0, true));

    let since = at(50).checked_add(CLOCKS_DIFFER).unwrap();
    let early = bench.trace(&Wanted { since: Some(since), limit: 10, ..all.clone() }).await;
    // Half of the limit is what the smaller one of two with something leaves.
    assert_eq!(of(&early, "order"), (49, 58, 101, 9, false));
    assert_eq!(of(&early, "product"), (0, 1, 1, 1, true));
    let look = early.looks.iter().find(|look| look.at.topic.as_str() == "order").unwrap();
    assert_eq!(look.since, Some(at(50)));
}

#[tokio::test]
async fn no_more_events_are_shown_than_may_be_and_a_long_chain_is_no_deep_recursion() {
    let bench = Bench::new();
    let mut chain = vec![event("order", 1, 0, None)];
    for number in 2..=EVENTS_MAX as u64 + 1 {
        chain.push(event("order", number, number as i64, chain.last()));
    }
    for part in chain.chunks(500) {
        bench.publish("order", &part.iter().collect::<Vec<_>>()).await;
    }
    let found = bench.trace(&wanted("order/id-1")).await;
    assert_eq!((found.branches.len(), found.is_cut), (EVENTS_MAX, true));
    assert_eq!(found.branches.last().unwrap().depth, EVENTS_MAX - 1);
}

/// Fails at everything.
struct Broken;

impl Handler for Broken {
    type Batch = ();

    async fn handle(&self, (): &mut (), _: &mut Tx<'_>, _: &Event) -> Result<(), Failure> {
        Err(Failure::Handler("it is broken".to_owned()))
    }
}

#[tokio::test]
async fn what_is_parked_is_marked_with_what_it_waits_for() {
    parked(Bench::new()).await;
}

#[tokio::test]
async fn what_is_parked_on_a_server_is_marked_too() {
    parked(Bench::served().await).await;
}

/// Fails at whatever it is given, once.
fn reader(bench: &Bench) -> Subscription<Broken> {
    let retry = Retry { attempts: 1, backoff: Duration::from_secs(1) };
    let clock = bench.clock.component();
    let (log, database) = (bench.log.clone(), bench.database.clone());
    Subscription::new("mail.order", topic("order"), database, log, Broken, retry, clock)
}

async fn parked(bench: Bench) {
    let first = event("order", 1, 0, None);
    let second = event("order", 2, 1, Some(&first));
    bench.publish("order", &[&first, &second]).await;
    let reader = reader(&bench);
    let control = reader.control();
    let running = crate::fixture::running::Running::start(control.clone(), |stop| reader.run(stop));
    until(async || match control.parked().await.unwrap() {
        2 => Ok(()),
        other => Err(format!("{other} parked")),
    })
    .await;
    let found = trace(&*bench.log, &[control], &wanted("order/id-1")).await.unwrap();
    let marks = found.branches.iter().map(|branch| match &branch.step {
        Step::Event { hop, .. } => {
            let of = |it: &ParkedHop| format!("{} {:?} {}", it.subscription, it.wait, it.reason);
            hop.parked.iter().map(of).collect::<Vec<_>>()
        }
        Step::Missing(name) => panic!("{name}"),
    });
    let marks: Vec<_> = marks.collect();
    let expected = [["mail.order Operator it is broken"], ["mail.order Turn "]];
    assert_eq!(marks, expected);
    running.stop().await;
}

#[tokio::test]
async fn what_a_subscription_passed_for_its_deadline_is_marked() {
    let bench = Bench::new();
    let value = RawValue::from_string("\"1970-01-01T00:00:00Z\"".to_owned()).unwrap();
    let extensions = vec![Extension { name: EXPIRY.to_owned(), value }];
    let foreign = Some(Box::new(Foreign { extensions, ..Foreign::default() }));
    bench.publish("order", &[&Event { foreign, ..event("order", 1, 0, None) }]).await;
    let reader = reader(&bench);
    let control = reader.control();
    let running = crate::fixture::running::Running::start(control.clone(), |stop| reader.run(stop));
    until(async || match control.expired().await.unwrap() {
        1 => Ok(()),
        other => Err(format!("{other} passed")),
    })
    .await;
    let found = trace(&*bench.log, &[control], &wanted("order/id-1")).await.unwrap();
    let Step::Event { hop, .. } = &found.branches[0].step else { panic!("an event") };
    assert_eq!((hop.expired.as_slice(), hop.parked.len()), (&["mail.order".to_owned()][..], 0));
    running.stop().await;
}

#[test]
fn a_limit_is_divided_so_that_none_gets_more_than_it_has() {
    for (sizes, limit, expected) in [
        (&[][..], 10, &[][..]),
        (&[5, 5], 10, &[5, 5]),
        (&[100, 3, 100], 33, &[15, 3, 15]),
        (&[0, 7], 3, &[0, 3]),
        (&[9, 9, 9], 2, &[0, 1, 1]),
    ] {
        assert_eq!(shares(sizes, limit), expected, "{sizes:?} {limit}");
    }
}
