//! Topics that do not keep everything: what they keep, who misses what, and what is said of it.

use super::*;
use crate::support::{eventually, eventually_is};

const RETAINING: &str = "events:\n  topics:\n    \
     paid: { publish: TILL, retain: { bytes: 1MiB } }\n    \
     many: { publish: TILL, partitions: 3, retain: { latest_per_key: true } }\n    \
     short: { publish: TILL, retain: { for: 2s } }\n";

/// Events of one kilobyte, more than the topic keeps.
fn kilobytes(first: usize) -> Vec<Value> {
    let with_data = |number: usize| {
        let mut event = paid(format!("k{number}"));
        event["data"] = json!("x".repeat(1_000));
        event
    };
    (first..first + 700).map(with_data).collect()
}

/// Bytes of a topic's events, as they are shown.
fn bytes(served: &Served, topic: &str) -> usize {
    served.events(topic).iter().map(|event| event.to_string().len()).sum()
}

#[test]
fn a_topic_keeps_its_newest_bytes_and_whoever_read_before_them_is_told() {
    let folder = Folder::new();
    let served = Served::with(&folder, RETAINING);
    let early = position(&served.structured("paid", &paid("early")));
    for batch in 0..3 {
        served.batch("paid", &kilobytes(batch * 700)).expect(200);
    }
    eventually("its oldest go", || (bytes(&served, "paid") < 1_300_000).then_some(()));
    let kept = served.ids("paid");
    assert_eq!(kept.last().map(String::as_str), Some("k2099"), "the newest stays");
    assert!(kept.len() > 700, "no more than has to: {}", kept.len());
    let url = format!("{}/admin/events/paid?from={early}", served.admin);
    let gone = Call::new("GET", url).send().problem(410);
    assert!(gone["detail"].as_str().expect("why").contains("may be missing"), "{gone}");
    // Its id is known for as long as the event is there.
    assert_eq!(position(&served.structured("paid", &paid("early"))), "t2102.paid");
    let says = run(&["doctor", "--data", text(&folder.data())]).stdout;
    assert!(
        says.contains("one of paid is removed as the oldest when its topic has over"),
        "{says}"
    );
    drop(served);
    // It was killed: what is left is sound, and is what is served again.
    let says = run(&["doctor", "--data", text(&folder.data())]).expect(0).stdout;
    for words in ["one of many is removed when its key has a newer one", "tell one story"] {
        assert!(says.contains(words), "{says}");
    }
    let served = Served::with(&folder, RETAINING);
    let again = served.ids("paid");
    let [before @ .., newest] = &again[..] else { panic!("nothing is left") };
    assert_eq!(newest, "early");
    assert!(before.len() > 700 && kept.ends_with(before), "{again:?}");
}

#[test]
fn of_each_key_the_newest_is_kept_and_what_is_too_old_goes() {
    let folder = Folder::new();
    let served = Served::with(&folder, RETAINING);
    let of_key = |number: usize| {
        let mut event = paid(number);
        event["subject"] = json!(format!("till-{}", number % 7));
        event
    };
    served.batch("many", &(0..100).map(of_key).collect::<Vec<_>>()).expect(200);
    let newest: std::collections::BTreeSet<String> = (93..100).map(|it| it.to_string()).collect();
    eventually_is("of each key one is left", &newest, || served.ids("many").into_iter().collect());
    served.batch("short", &(0..100).map(of_key).collect::<Vec<_>>()).expect(200);
    assert_eq!(served.ids("short").len(), 100);
    eventually_is("they are two seconds old", &vec!["99".to_owned()], || served.ids("short"));
}
