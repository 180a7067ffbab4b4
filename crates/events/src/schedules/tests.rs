//! What is due is published once, at its time, whatever happens in between: one suite that every engine passes unchanged.

mod embedded;
mod served;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::moment::{Moment, STEP_MAX, Zone};
use super::*;
use crate::fixture::{ManualClock, topic, until};
use crate::store::location::Location;

const HOUR: Duration = Duration::from_secs(3600);
const LIMITS: Limits = Limits { max_ahead: Duration::from_secs(400 * 24 * 3600), max_pending: 5 };

/// Where events go in a test: a set by source and id, as every road has it.
#[derive(Default)]
struct Received {
    events: Mutex<Vec<Event>>,
    /// Of topics that take nothing.
    closed: Mutex<Vec<String>>,
    /// Types of events that are refused for what they are, with whatever comes beside them.
    hurt: Mutex<Vec<String>>,
    /// Nothing can be stored.
    is_away: AtomicBool,
    offers: AtomicU64,
    /// What is stored is answered to nobody.
    is_deaf: AtomicBool,
    late: Mutex<Vec<Duration>>,
}

impl Received {
    fn ids(&self) -> Vec<String> {
        self.events.lock().unwrap().iter().map(|it| format!("{} {}", it.kind, it.time)).collect()
    }

    fn store(&self, events: Vec<Event>) {
        let mut all = self.events.lock().unwrap();
        for event in events {
            if !all.iter().any(|it| it.source == event.source && it.id == event.id) {
                all.push(event);
            }
        }
    }

    fn count(&self) -> usize {
        self.events.lock().unwrap().len()
    }

    fn has(&self, count: usize) -> Result<(), String> {
        let has = self.count();
        if has == count { Ok(()) } else { Err(format!("{has} of {count}")) }
    }
}

impl Outlet for Received {
    fn publish<'a>(&'a self, topic: &'a Topic, events: Vec<Event>) -> Publishing<'a> {
        Box::pin(async move {
            self.offers.fetch_add(1, Ordering::SeqCst);
            if self.closed.lock().unwrap().contains(&topic.to_string()) {
                return Err(Error::UnknownTopic);
            }
            if self.is_away.load(Ordering::SeqCst) {
                return Err(Error::environment("no disk"));
            }
            if events.iter().any(|it| self.hurt.lock().unwrap().contains(&it.kind)) {
                return Err(Error::Decode { what: "its row is hurt".to_owned() });
            }
            self.store(events);
            if self.is_deaf.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            Ok(())
        })
    }

    fn published(&self, Published { late }: Published) {
        self.late.lock().unwrap().push(late);
    }
}

/// One instance that runs until it is dropped, which is as a crash.
struct Running {
    schedules: Schedules,
    task: tokio::task::JoinHandle<()>,
    stop: Option<oneshot::Sender<()>>,
}

impl Running {
    async fn start(location: Location, clock: &ManualClock, received: &Arc<Received>) -> Running {
        let schedules = open(location, clock).await;
        let (stop, stopped) = oneshot::channel::<()>();
        let (run, received) = (schedules.clone(), Arc::clone(received));
        let task = tokio::spawn(async move {
            run.run(&*received, async move { _ = stopped.await }).await;
        });
        Running { schedules, task, stop: Some(stop) }
    }

    async fn put(&self, key: &str, moment: &str) -> Put {
        self.schedules.put(key, &said(key, moment)).await.unwrap()
    }

    /// Resolves once this is all that is told.
    async fn tells(&self, trouble: Option<&str>, aside: &[&str], is_late: bool) {
        until(async || {
            let report = self.schedules.report();
            let named: Vec<&str> = report.aside.iter().map(|it| it.key.as_str()).collect();
            let says = match (&report.trouble, trouble) {
                (Some(says), Some(part)) => says.contains(part),
                (says, part) => says.is_none() && part.is_none(),
            };
            let is = says && named == aside && (report.late > HOUR / 2) == is_late;
            if is { Ok(()) } else { Err(format!("{report:?}")) }
        })
        .await;
    }

    async fn end(mut self) {
        drop(self.stop.take());
        (&mut self.task).await.unwrap();
        self.schedules.database().close().await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn open(location: Location, clock: &ManualClock) -> Schedules {
    let drawn = Arc::new(AtomicU64::new(0));
    // Of another instance they are others.
    let beginning = unique();
    let draw = move || format!("{beginning}{}", drawn.fetch_add(1, Ordering::SeqCst));
    let given = Given { clock: clock.component(), draw: Arc::new(draw), limits: LIMITS };
    Schedules::open(location, given).await.unwrap()
}

fn unique() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("t{}.", NEXT.fetch_add(1, Ordering::SeqCst))
}

/// To the topic that is called as the key begins, of the key's type.
fn said(key: &str, moment: &str) -> Said {
    let topic = topic(key.split('/').next().unwrap());
    let data = Some(RawValue::from_string(r#"{"price":1.10}"#.to_owned()).unwrap());
    let (moment, kind) = (moment.parse().unwrap(), key.to_owned());
    Said { moment, topic, kind, subject: Some("7".to_owned()), data }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

#[test]
fn what_was_missed_comes_once_and_a_clock_that_was_wrong_is_forgotten() {
    let hourly: Moment = "every UTC 0 * * * *".parse().unwrap();
    assert_eq!(hourly.first(at(1)), Some(at(3600)));
    assert_eq!(hourly.next(at(3600), at(3600)), Some(at(7200)));
    assert_eq!(hourly.next(at(3600), at(10 * 3600 + 1)), Some(at(11 * 3600)), "nine are one");
    assert_eq!(hourly.next(at(3600), at(0)), Some(at(7200)), "a clock stepped back");
    let step = i64::try_from(STEP_MAX.as_secs()).unwrap();
    assert_eq!(hourly.anew(at(7200), at(7200 - step)), None, "so far it holds");
    assert_eq!(hourly.anew(at(7200), at(7200 - step - 1)), Some(at(3600)), "past that it is anew");
    for once in ["at 1970-01-01T01:00:00Z", "in 3600000"] {
        let once: Moment = once.parse().unwrap();
        assert_eq!((once.first(at(0)), once.next(at(3600), at(3600))), (Some(at(3600)), None));
    }
}

#[test]
fn a_moment_is_read_as_it_is_written() {
    for text in ["at 2026-11-28T05:00:00Z", "in 600000", "every Asia/Seoul 30 9 * * mon-fri"] {
        let moment: Moment = text.parse().unwrap();
        assert_eq!(moment.to_string(), text);
    }
    for text in
        ["", "at", "at noon", "in x", "every Asia/Soul 0 * * * *", "every UTC 0 * *", "never"]
    {
        assert!(text.parse::<Moment>().is_err(), "{text}");
    }
    assert_eq!(Zone::named("asia/seoul").unwrap().name(), "Asia/Seoul");
    assert!(Zone::named("Asia/Soul").is_none());
}

#[test]
fn an_event_says_when_it_was_due_and_by_which_schedule() {
    let event = said("paid/1 %", "in 1").event("paid/1 %", "x-1", at(7)).unwrap();
    let text = String::from_utf8(event.to_json()).unwrap();
    for part in [
        r#""source":"/schedules/paid%2F1%20%25""#,
        r#""id":"x-1""#,
        r#""subject":"7""#,
        r#""time":"1970-01-01T00:00:07Z""#,
        r#""data":{"price":1.10}"#,
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let large = |bytes: usize| {
        let data = RawValue::from_string(format!("\"{}\"", "x".repeat(bytes - 2))).unwrap();
        Said { data: Some(data), ..said("paid", "in 1") }.event("paid", "x-1", at(7))
    };
    assert!(large(DATA_BYTES_MAX).is_ok());
    let wrong = large(DATA_BYTES_MAX + 1).unwrap_err();
    assert_eq!((&*wrong[0].field, wrong[0].limit), ("data", Some(DATA_BYTES_MAX)));
    let wrong = Said { kind: String::new(), ..said("paid", "in 1") }.event("k", "x", at(7));
    assert_eq!(wrong.unwrap_err()[0].field, "type");
}

/// So many that are due in a minute.
async fn many(location: Location, clock: &ManualClock, count: usize) -> Schedules {
    let limits = Limits { max_pending: count as u64, ..LIMITS };
    let given = Given { clock: clock.component(), draw: Arc::new(unique), limits };
    let schedules = Schedules::open(location, given).await.unwrap();
    let mut put = Vec::new();
    for at in 0..count {
        let schedules = schedules.clone();
        put.push(tokio::spawn(async move {
            let key = format!("paid/{at}");
            schedules.put(&key, &said(&key, "in 60000")).await.unwrap();
        }));
    }
    for put in put {
        put.await.unwrap();
    }
    schedules
}
