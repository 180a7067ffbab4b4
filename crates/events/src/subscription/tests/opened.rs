//! A handler is told what is sealed, and whatever is kept of its events is as they were stored.

use super::*;
use crate::opener::{Opener, Opening};
use crate::parking::Edited;

/// What stands in place of each number, told.
const TOLD: &str = "\"a secret\"";

/// Tells a secret in every event but those of one key; none while it is away.
#[derive(Default)]
struct Telling {
    is_away: Mutex<bool>,
}

impl Opener for Telling {
    fn open<'a>(&'a self, event: &'a Event) -> Opening<'a> {
        let answer = if *self.is_away.lock().unwrap() {
            Err(Error::environment("away"))
        } else if event.key == "plain" {
            Ok(None)
        } else {
            let data = serde_json::value::RawValue::from_string(TOLD.to_owned()).unwrap();
            Ok(Some(Event { data, ..event.clone() }))
        };
        Box::pin(std::future::ready(answer))
    }
}

/// Fails with whatever it was given, by its answer or by a panic.
#[derive(Clone, Default)]
struct Repeats {
    told: Arc<Mutex<Vec<String>>>,
}

impl Handler for Repeats {
    type Batch = ();

    async fn handle(&self, (): &mut (), tx: &mut Tx<'_>, event: &Event) -> Result<(), Failure> {
        effect(tx, &event.key, event.sequence).await?;
        self.told.lock().unwrap().push(event.data.get().to_owned());
        assert!(event.key != "panics", "{}", event.data);
        match &*event.key {
            "well" => Ok(()),
            _ => Err(Failure::Handler(format!("{} is broken", event.data))),
        }
    }
}

#[tokio::test]
async fn a_handler_is_told_and_nothing_that_is_kept_repeats_it() {
    let bench = bench().await;
    bench.publish(1, &["well", "fails", "panics", "plain"]).await;
    let repeats = Repeats::default();
    let subscription = bench.subscription(repeats.clone());
    let running = start(subscription.opened_by(Some(Arc::new(Telling::default()))));
    bench.dead(&running.control, 3).await;
    assert_eq!(bench.of_key("well").await, [1]);
    assert_eq!(repeats.told.lock().unwrap()[0], TOLD);
    let letters = running.control.dead(9).await.unwrap();
    for letter in &letters {
        let event = running.control.dead_event(&letter.id).await.unwrap().expect("its event");
        assert_ne!(event.data.get(), TOLD, "it is parked as it was stored");
        assert!(!letter.reason.contains("secret"), "{}", letter.reason);
    }
    let of = |key: &str| letters.iter().find(|letter| letter.key == key).expect("a letter");
    assert!(of("fails").reason.starts_with("it failed, and why is not kept"));
    assert!(of("panics").reason.starts_with("it failed, and why is not kept"));
    assert_eq!(of("plain").reason, "4 is broken", "nothing was told");
    let rehearsed = running.control.rehearse(&of("fails").id, None).await.unwrap();
    assert_eq!(rehearsed, Edited::Fails(format!("{TOLD} is broken")));
    running.stop().await;
}

#[tokio::test]
async fn while_it_cannot_be_told_no_event_is_handled_and_none_has_failed() {
    let bench = bench().await;
    bench.publish(1, &["well", "plain"]).await;
    let telling = Arc::new(Telling { is_away: Mutex::new(true) });
    let repeats = Repeats::default();
    let running = start(bench.subscription(repeats.clone()).opened_by(Some(telling.clone())));
    until(async || {
        let status = running.control.status().await.unwrap();
        status.stuck.as_ref().map(drop).ok_or_else(|| format!("{status:?}"))
    })
    .await;
    assert_eq!(repeats.told.lock().unwrap().len(), 0);
    assert_eq!(running.control.retried(9).await.unwrap().len(), 0);
    *telling.is_away.lock().unwrap() = false;
    bench.effects_are("well", &[1]).await;
    running.stop().await;
}
