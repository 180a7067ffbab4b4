//! Events sealed at the door, told to those who may, and forgotten.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use chassis::sealing::SealingKey;
use events::store::Location;
use events::{Clock, Event, Topic};
use jiff::Timestamp;
use mistakes::Mistakes;
use serde_json::{Value, json};
use yeoul_privacy::sealing::{Already, VALUES_MAX};
use yeoul_privacy::{Forgotten, Keyring, Refused, Rule, RuleEntry, Sealing};

const DATA: &str = r#"{"who":"p1","name":"Hong Gildong","at":{"street":"Main 1"},"won":1.50}"#;

fn topic() -> Topic {
    Topic::parse("order").expect("a topic")
}

async fn keyring(folder: &Path) -> Keyring {
    let clock: Clock = Arc::new(|| Timestamp::UNIX_EPOCH);
    let file = Location::File(folder.join("people.db"));
    Keyring::open(file, None, clock).await.expect("a keyring")
}

fn sealing(keyring: Keyring, rules: Value) -> Sealing {
    let entries: Vec<RuleEntry> = serde_json::from_value(rules).expect("entries");
    let mut mistakes = Mistakes::default();
    let rules = Rule::compile(&entries, &mut mistakes);
    assert_eq!(mistakes.found(), []);
    Sealing::new(keyring, BTreeMap::from([(topic(), rules)]))
}

fn rules() -> Value {
    json!([{"person": "/who", "fields": ["/name", "/at"]}])
}

fn event(id: &str, data: &str) -> Event {
    let text = format!(
        r#"{{"specversion":"1.0","id":"{id}","source":"/shop","type":"Placed","subject":"{id}",
        "time":"2026-11-28T00:00:00Z","data":{data}}}"#
    );
    Event::from_json(text.as_bytes()).expect("an event")
}

async fn sealed(sealing: &Sealing, id: &str, data: &str) -> Event {
    let mut events = [event(id, data)];
    let sealed = sealing.seal(&topic(), &mut events, Already::Refused).await;
    sealed.expect("sealed");
    let [event] = events;
    event
}

async fn told(sealing: &Sealing, event: &Event) -> Option<String> {
    let opened = sealing.opened(&topic(), event).await.expect("the keys can be read");
    opened.map(|event| event.data.get().to_owned())
}

#[tokio::test]
async fn what_is_sealed_is_told_as_it_came_and_after_the_key_is_gone_to_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let sealing = sealing(keyring(folder.path()).await, rules());
    let stored = sealed(&sealing, "1", DATA).await;
    let text = stored.data.get();
    assert!(!text.contains("Hong") && !text.contains("Main"), "{text}");
    assert!(text.contains(r#""who":"p1""#) && text.contains("1.50"), "{text}");
    assert_eq!(told(&sealing, &stored).await.as_deref(), Some(DATA));

    let keys = sealing.keyring();
    assert_eq!(keys.forget("nobody").await.expect("done"), Forgotten::NothingKnown);
    assert_eq!(keys.forget("p1").await.expect("done"), Forgotten::Now);
    assert_eq!(keys.forget("p1").await.expect("again"), Forgotten::NothingKnown);
    let forgotten = r#"{"who":"p1","name":"(forgotten)","at":null,"won":1.50}"#;
    assert_eq!(told(&sealing, &stored).await.as_deref(), Some(forgotten));

    // A new key, by which the old is told no more than before.
    let again = sealed(&sealing, "2", DATA).await;
    assert_eq!(told(&sealing, &again).await.as_deref(), Some(DATA));
    assert_eq!(told(&sealing, &stored).await.as_deref(), Some(forgotten));
}

#[tokio::test]
async fn a_key_outlives_its_process_and_no_byte_of_it_what_it_is_thrown_away_by() {
    let folder = tempfile::tempdir().expect("a folder");
    let one = sealing(keyring(folder.path()).await, rules());
    let stored = sealed(&one, "1", DATA).await;
    let key = one.keyring().find("p1").await.expect("read").expect("a key");
    let bytes = || {
        let files = std::fs::read_dir(folder.path()).expect("a folder");
        let read = |file: std::io::Result<std::fs::DirEntry>| std::fs::read(file?.path());
        files.map(read).collect::<Result<Vec<_>, _>>().expect("bytes").concat()
    };
    let is_there = || bytes().windows(32).any(|part| part == key.bytes());
    assert!(is_there());
    one.keyring().database().close().await;

    let next = sealing(keyring(folder.path()).await, rules());
    assert_eq!(told(&next, &stored).await.as_deref(), Some(DATA));
    next.keyring().forget("p1").await.expect("done");
    assert!(!is_there(), "the key's bytes are on the disk");
    assert!(told(&next, &stored).await.expect("opened").contains("(forgotten)"));
}

/// Enough for the table's pages to be copied, split and joined many times.
const MANY: usize = 1000;

#[tokio::test]
async fn no_byte_of_a_key_among_many_outlives_its_person() {
    let folder = tempfile::tempdir().expect("a folder");
    let sealing = sealing(keyring(folder.path()).await, rules());
    let mut events: Vec<Event> = (0..MANY)
        .map(|at| event(&at.to_string(), &format!(r#"{{"who":"p{at}","name":"x"}}"#)))
        .collect();
    for few in events.chunks_mut(50) {
        sealing.seal(&topic(), few, Already::Refused).await.expect("sealed");
    }
    let keys = sealing.keyring();
    // Those that were first are where the table was small; the rest from everywhere in it, in no order of it.
    for at in (0..100).chain((100..MANY).map(|at| 100 + (at * 7) % (MANY - 100)).step_by(9)) {
        let person = format!("p{at}");
        let key = keys.find(&person).await.expect("read").expect("a key");
        assert_eq!(keys.forget(&person).await.expect("done"), Forgotten::Now);
        let files = std::fs::read_dir(folder.path()).expect("a folder");
        for file in files.map(|file| file.expect("a file").path()) {
            let bytes = std::fs::read(&file).expect("bytes");
            let is_there = bytes.windows(32).any(|part| part == key.bytes());
            assert!(!is_there, "the key of {person} is in {}", file.display());
        }
    }
}

#[tokio::test]
async fn a_rule_of_which_it_is_not_known_whose_it_is_hides_nothing_of_another_rule() {
    let folder = tempfile::tempdir().expect("a folder");
    let one = json!([{"person": "/who", "fields": ["/name"]}]);
    let stored = sealed(&sealing(keyring(folder.path()).await, one), "1", DATA).await;
    let two =
        json!([{"person": "/nobody", "fields": ["/at"]}, {"person": "/who", "fields": ["/name"]}]);
    let later = sealing(keyring(folder.path()).await, two);
    assert_eq!(told(&later, &stored).await.as_deref(), Some(DATA));
}

#[tokio::test]
async fn data_that_no_rule_can_look_into_are_refused_and_what_says_nothing_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let keys = keyring(folder.path()).await;
    let sealing = |rules| self::sealing(keys.clone(), rules);
    let of_objects = sealing(rules());
    for data in [r#""Hong Gildong""#, r#"[{"who":"p1","name":"Hong"}]"#, "3", "true"] {
        let mut events = [event("1", data)];
        match of_objects.seal(&topic(), &mut events, Already::Refused).await {
            Err(Refused::Event { at: 0, field, .. }) => assert_eq!(field, "data"),
            other => panic!("{data}: {other:?}"),
        }
    }
    sealed(&of_objects, "1", "null").await;
    let of_arrays = sealing(json!([{"fields": ["/*/name"]}]));
    let stored = sealed(&of_arrays, "1", r#"[{"name":"Hong"}]"#).await;
    assert!(!stored.data.get().contains("Hong"));
    let of_others = sealing(json!([{"fields": ["/name"], "types": ["Cancelled"]}]));
    sealed(&of_others, "1", r#""of a type without rules""#).await;
}

#[tokio::test]
async fn an_event_has_as_many_personal_values_as_may_be_and_one_more_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let sealing = sealing(keyring(folder.path()).await, json!([{"fields": ["/of/*"]}]));
    let data = |count| json!({ "of": vec![1; count] }).to_string();
    sealed(&sealing, "1", &data(VALUES_MAX)).await;
    let mut events = [event("1", &data(VALUES_MAX + 1))];
    match sealing.seal(&topic(), &mut events, Already::Refused).await {
        Err(Refused::Event { field, says, .. }) => {
            assert_eq!(field, "data/of/1000");
            assert!(says.ends_with("1000"), "{says}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_sealed_value_of_another_event_is_told_in_no_place_of_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let sealing = sealing(keyring(folder.path()).await, rules());
    let stored = sealed(&sealing, "1", DATA).await;
    let other = Event { subject: "2".to_owned(), ..stored };
    assert!(told(&sealing, &other).await.expect("opened").contains("(forgotten)"));
}

#[tokio::test]
async fn what_nobody_can_be_named_for_is_refused_and_nothing_of_its_batch_changed() {
    let folder = tempfile::tempdir().expect("a folder");
    let sealing = sealing(keyring(folder.path()).await, rules());
    let looks_sealed = r#"{"who":"p1","name":"yeoul-sealed:1:t:AAAA"}"#;
    let escaped = r#"{"who":"p1","name":"\u0079eoul-sealed:1:t:AAAA"}"#;
    for (data, field) in
        [(r#"{"name":"x"}"#, "data/who"), (looks_sealed, "data/name"), (escaped, "data/name")]
    {
        let mut events = [event("1", DATA), event("2", data)];
        match sealing.seal(&topic(), &mut events, Already::Refused).await {
            Err(Refused::Event { at: 1, field: named, .. }) => assert_eq!(named, field),
            other => panic!("{data}: {other:?}"),
        }
        assert_eq!(events[0].data.get(), DATA);
    }
    // Who has the event before him may leave in it what is sealed.
    let mut events = [event("1", looks_sealed)];
    sealing.seal(&topic(), &mut events, Already::Kept).await.expect("kept");
    assert_eq!(events[0].data.get(), looks_sealed);
}

#[tokio::test]
async fn other_topics_and_events_without_personal_values_are_left_as_they_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let sealing = sealing(keyring(folder.path()).await, rules());
    let plain = sealed(&sealing, "1", r#"{"won":3,"name":null}"#).await;
    assert_eq!(plain.data.get(), r#"{"won":3,"name":null}"#);
    assert_eq!(told(&sealing, &plain).await, None);
    // Stored before there were rules.
    assert_eq!(told(&sealing, &event("1", DATA)).await, None);
    let elsewhere = Topic::parse("product").expect("a topic");
    let mut events = [event("1", DATA)];
    sealing.seal(&elsewhere, &mut events, Already::Refused).await.expect("nothing to do");
    assert_eq!(events[0].data.get(), DATA);
    assert!(sealing.opener(&elsewhere).is_none() && sealing.opener(&topic()).is_some());
}

#[tokio::test]
async fn keys_that_another_key_seals_are_no_forgotten_ones() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = |outer: &SealingKey| {
        let clock: Clock = Arc::new(|| Timestamp::UNIX_EPOCH);
        let file = Location::File(folder.path().join("people.db"));
        Keyring::open(file, Some(outer.clone()), clock)
    };
    let (outer, another) = (SealingKey::drawn(), SealingKey::drawn());
    let one = sealing(open(&outer).await.expect("a keyring"), rules());
    let stored = sealed(&one, "1", DATA).await;
    one.keyring().database().close().await;

    let wrong = sealing(open(&another).await.expect("a keyring"), rules());
    let refused = wrong.opened(&topic(), &stored).await.expect_err("another key");
    assert!(refused.is_environment(), "{refused}");
    wrong.keyring().database().close().await;
    let right = sealing(open(&outer).await.expect("a keyring"), rules());
    assert_eq!(told(&right, &stored).await.as_deref(), Some(DATA));
}
