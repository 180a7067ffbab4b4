//! Second copies are known for as long as they are remembered, conditions decided where they are stored, and nothing is
//! half there: whatever the store.

use super::*;

#[tokio::test]
async fn a_second_copy_is_answered_with_the_place_of_the_first_whatever_its_key_and_after_a_restart()
 {
    let place = Place::new();
    let outbox = place.open(4).await;
    let first = offer(&outbox, &[paid(1), event(2, "Paid", "other"), paid(1)]).await;
    assert_eq!(first[0], first[2], "the same twice in a batch is there once");
    let again = [event(2, "Paid", "k"), event(1, "Refunded", "else"), paid(3)];
    let told = offer(&outbox, &again).await;
    assert_eq!([told[0], told[1]], [first[1], first[0]]);
    let newest = outbox.newest().await.unwrap();
    outbox.database().close().await;
    drop(outbox);
    let outbox = place.open(4).await;
    assert_eq!(offer(&outbox, &[paid(1), paid(3)]).await, [first[0], told[2]]);
    assert_eq!(outbox.newest().await.unwrap(), newest, "nothing was numbered for them");
    let mut ids = Vec::new();
    for at in 0..4 {
        ids.extend(waiting(&outbox, at).await.into_iter().map(|it| it.id));
    }
    ids.sort();
    assert_eq!(ids, ["1", "2", "3"]);
    // What differs in one of the two is another event.
    let other = Event { source: "/till/2".to_owned(), ..paid(1) };
    assert_ne!(offer(&outbox, &[other]).await, [first[0]]);
}

#[tokio::test]
async fn what_is_relayed_is_what_came_with_a_number_of_the_topic_s_own_publisher() {
    let place = Place::new();
    let outbox = place.open(1).await;
    let ours = r#"{"specversion":"1.0","id":"9","source":"order","type":"OrderPlaced","subject":"9","time":"2024-05-01T12:00:00Z","datacontenttype":"application/json","partitionkey":"k'\\","sequence":"1","data":{"a":"'\\u0001"}}"#;
    let sent = [paid(1), Event::from_json(ours.as_bytes()).unwrap(), event(3, "Paid", "")];
    offer(&outbox, &sent).await;
    let came = waiting(&outbox, 0).await;
    assert_eq!(came.len(), 3);
    for (at, (came, sent)) in came.iter().zip(&sent).enumerate() {
        assert_eq!((came.publisher(), came.outbox_sequence), ("paid", Some(at as u64 + 1)));
        assert_eq!((&came.key, &came.source), (&sent.key, &sent.source));
        let bare = Event { outbox_sequence: None, outbox_source: None, ..came.clone() };
        assert_eq!(bare.to_json(), sent.to_json());
        assert_eq!(outbox.database().id_of(first(at as u64 + 1)).await.unwrap(), sent.id);
    }
    let folder = TempDir::new().unwrap();
    let log = Arc::new(Log::open(folder.path(), &[topic("paid")], clock()).unwrap());
    let relay = Relay::new(outbox.database(), log.clone());
    let running = tokio::spawn(relay.run(std::future::pending()));
    let at = topic("paid").first();
    until(async || {
        let published = log.published(&at, "paid").await.unwrap();
        if published == Some(3) { Ok(()) } else { Err(format!("{published:?}")) }
    })
    .await;
    running.abort();
    let read = log.read(&at, Offset(0), 10).await.unwrap();
    assert_eq!(read.iter().map(|it| &*it.event.id).collect::<Vec<_>>(), ["1", "9", "3"]);
    assert_eq!(read[2].event.outbox_previous, Some(2), "the chain is the outbox's");
}

#[tokio::test]
async fn who_else_publishes_to_the_topic_is_seen_there() {
    let place = Place::new();
    let outbox = place.open(1).await;
    let folder = TempDir::new().unwrap();
    let log = Log::open(folder.path(), &[topic("paid")], clock()).unwrap();
    let at = topic("paid").first();
    let own = Event { outbox_sequence: Some(1), outbox_source: Some("paid".to_owned()), ..paid(1) };
    let claim = |id: &str| event(id, "Claimed", "gil");
    let first = offer_unless(&outbox, claim("a"), "Claimed", 0).await.unwrap();
    let Outcome::Stored(places) = first else { panic!("{first:?}") };
    for (event, seen) in [(own, false), (paid(2), true)] {
        log.publish(&at, vec![event]).await.unwrap();
        outbox.look_for_others(&log).await.unwrap();
        assert_eq!(outbox.has_others(), seen);
    }
    // From here on no condition is decided, and who asks again whether he was heard is told so.
    let other = offer_unless(&outbox, claim("b"), "Freed", 0).await.unwrap();
    assert!(matches!(other, Outcome::Others), "{other:?}");
    let again = offer_unless(&outbox, claim("a"), "Claimed", 0).await.unwrap();
    assert!(matches!(&again, Outcome::Stored(at) if *at == places), "{again:?}");
}

#[tokio::test]
async fn a_letter_of_such_an_outbox_is_redriven_as_the_event_that_it_is() {
    let place = Place::new();
    let outbox = place.open(1).await;
    offer(&outbox, &[paid(1)]).await;
    let again = outbox.database().write((), |(), tx| Box::pin(tx.publish_again(first(1))));
    again.await.unwrap();
    let came = waiting(&outbox, 0).await;
    assert_eq!(came.len(), 2);
    let [one, two] = [&came[0], &came[1]].map(|it| Event { outbox_sequence: None, ..it.clone() });
    assert_eq!(one.to_json(), two.to_json());
    assert_eq!(offer(&outbox, &[paid(1)]).await, [first(1)], "it is known as it was answered");
}

#[tokio::test]
async fn a_condition_is_decided_by_what_came_for_its_key_after_its_place() {
    let place = Place::new();
    let outbox = place.open(3).await;
    let claim = |id: &str| event(id, "Claimed", "gil");
    let won = offer_unless(&outbox, claim("a"), "Claimed", 0).await.unwrap();
    let Outcome::Stored(places) = &won else { panic!("{won:?}") };
    let lost = offer_unless(&outbox, claim("b"), "Claimed", 0).await.unwrap();
    assert_eq!(came(&lost), ["a"]);
    let Outcome::Came(of) = &lost else { panic!("{lost:?}") };
    assert_eq!((of[0].at, &of[0].event.to_json()[..13]), (places[0], &br#"{"specversion"#[..]));
    assert_eq!(of[0].event.data.get(), r#""/w==""#, "as it came");
    // Who asks again is told that he has it; whoever looks behind that place, or for something else, is not concerned.
    let again = offer_unless(&outbox, claim("a"), "Claimed", 0).await.unwrap();
    assert!(matches!(again, Outcome::Stored(again) if again == *places));
    let behind: Numbers = places.iter().copied().collect();
    assert!(
        came(&offer_unless(&outbox, claim("c"), "Claimed", behind.clone()).await.unwrap())
            .is_empty()
    );
    assert_eq!(came(&offer_unless(&outbox, claim("d"), "Claimed", behind).await.unwrap()), ["c"]);
    for other in [event("e", "Claimed", "su"), event("f", "Freed", "gil")] {
        let kind = if other.key == "su" { "Claimed" } else { "Renamed" };
        assert!(came(&offer_unless(&outbox, other, kind, 0).await.unwrap()).is_empty());
    }
    let ids: BTreeSet<String> = {
        let mut ids = BTreeSet::new();
        for at in 0..3 {
            ids.extend(waiting(&outbox, at).await.into_iter().map(|it| it.id));
        }
        ids
    };
    assert!(!ids.contains("b") && !ids.contains("d"), "{ids:?}");
}

#[tokio::test]
async fn a_condition_looks_at_so_many_events_and_answers_with_so_many() {
    let place = Place::new();
    let outbox = place.open(1).await;
    for batch in 0..10 {
        let events: Vec<Event> = (batch * 100..batch * 100 + 100).map(paid).collect();
        offer(&outbox, &events).await;
    }
    let lost = offer_unless(&outbox, paid("x"), "Paid", 0).await.unwrap();
    assert_eq!(came(&lost).len(), CAME_MAX, "at the limit of those that are looked at");
    offer(&outbox, &[paid("one more")]).await;
    let refused = offer_unless(&outbox, paid("x"), "Paid", 0).await.unwrap_err();
    let limit = LOOKED_AT_MAX as u64;
    assert!(
        matches!(refused, Error::Limit { field: "events", limit: at, .. } if at == limit),
        "{refused}"
    );
    assert_eq!(came(&offer_unless(&outbox, paid("x"), "Paid", 1000).await.unwrap()), ["one more"]);
}

#[tokio::test]
async fn what_the_outbox_keeps_no_more_is_known_and_told_without_its_data() {
    let place = Place::new();
    let outbox = place.open(1).await;
    offer(&outbox, &[paid(1), paid(2)]).await;
    let prune = outbox.database().write((), |(), tx| {
        Box::pin(async move {
            tx.execute("DELETE FROM outbox WHERE sequence = ?1", &[&packed::pack(first(1))]).await
        })
    });
    assert_eq!(prune.await.unwrap(), 1);
    assert_eq!(offer(&outbox, &[paid(1)]).await, [first(1)]);
    let lost = offer_unless(&outbox, paid("x"), "Paid", 0).await.unwrap();
    let Outcome::Came(of) = &lost else { panic!("{lost:?}") };
    let [gone, kept] = &of[..] else { panic!("{of:?}") };
    let shown = String::from_utf8(gone.event.to_json()).unwrap();
    assert_eq!(
        shown,
        r#"{"specversion":"1.0","id":"1","source":"/till","type":"Paid","receivedtime":"1970-01-01T00:00:00Z","partitionkey":"k"}"#
    );
    assert_eq!((gone.at, kept.event.data.get()), (first(1), r#""/w==""#));
}

#[tokio::test]
async fn the_oldest_are_forgotten_past_the_limit_and_a_condition_about_them_is_refused() {
    let place = Place::new();
    let outbox = place.open(1).await;
    let events: Vec<Event> = (1..=5).map(|id| event(id, "Paid", &format!("k{id}"))).collect();
    offer(&outbox, &events).await;
    outbox.forget_beyond(Partition::FIRST, 5).await.unwrap();
    assert_eq!(offer(&outbox, &events[..1]).await, [first(1)], "at the limit");
    outbox.forget_beyond(Partition::FIRST, 3).await.unwrap();
    assert_eq!(offer(&outbox, &events[2..3]).await, [first(3)]);
    let claim = || event("x", "Paid", "k9");
    let refused = offer_unless(&outbox, claim(), "Paid", 1).await.unwrap_err();
    assert!(matches!(refused, Error::Gone { place: 1, .. }), "{refused}");
    assert_eq!(
        offer(&outbox, &events[..1]).await,
        [first(6)],
        "a copy of what is forgotten is a new event"
    );
    assert!(came(&offer_unless(&outbox, claim(), "Paid", 2).await.unwrap()).is_empty());
    // What is remembered makes it false however much is not.
    assert_eq!(
        came(&offer_unless(&outbox, event("y", "Paid", "k5"), "Paid", 0).await.unwrap()),
        ["5"]
    );
}

#[tokio::test]
async fn an_event_has_room_at_the_limit_and_is_named_past_it() {
    let place = Place::new();
    let outbox = place.open(1).await;
    let sized = |bytes: usize| {
        let bare = paid(1);
        let room = bytes - bare.to_json().len() + 4;
        let data = serde_json::value::to_raw_value(&"A".repeat(room)).unwrap();
        let event = Event { data, ..bare };
        assert_eq!(event.to_json().len(), bytes);
        event
    };
    let fits = Offer::new(&[paid(0), sized(DATA_BYTES_MAX)]).unwrap();
    Outbox::check(&fits).unwrap();
    assert!(
        matches!(outbox.offer(fits).await.unwrap(), Outcome::Stored(places) if places.len() == 2)
    );
    let large =
        Offer::new(&[paid(2), Event { id: "3".to_owned(), ..sized(DATA_BYTES_MAX + 1) }]).unwrap();
    let refused = Outbox::check(&large).unwrap_err();
    assert_eq!(refused.at, 1);
    // Whoever did not look is refused all the same, and nothing of it is there.
    outbox.offer(large).await.unwrap_err();
    assert_eq!(waiting(&outbox, 0).await.len(), 2);
}

#[tokio::test]
async fn what_waits_in_an_outbox_that_nobody_opens_is_counted_until_it_is_relayed() {
    let place = Place::new();
    let outbox = place.open(4).await;
    let count = async || unrelayed(place.location(), clock()).await.unwrap();
    assert_eq!(count().await, 0, "nothing was published");
    let many: Vec<Event> = (0..40).map(|id| event(id, "Paid", &id.to_string())).collect();
    offer(&outbox, &many).await;
    assert_eq!(count().await, 40);
    let folder = TempDir::new().unwrap();
    let log = Log::open_declared(folder.path(), &[declared(4)], clock()).unwrap();
    let relay = Relay::new(outbox.database(), Arc::new(log));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(relay.run(async move { drop(stopped.await) }));
    let database = outbox.database();
    let is_over = || {
        declared(4).partitions.each().all(|of| {
            let number = database.relayed_up_to(of);
            database.lag(Numbered { partition: of, number }) == 0
        })
    };
    until(async || if is_over() { Ok(()) } else { Err("it is relayed".to_owned()) }).await;
    drop(stop);
    drop(running.await);
    outbox.database().close().await;
    assert_eq!(count().await, 0);
}

/// A log that keeps fewer places than are looked at: none but the beginning is there to read after.
struct Short(Log);

impl AlteredLog for Short {
    fn log(&self) -> &Log {
        &self.0
    }

    fn read<'a>(
        &'a self,
        at: &'a TopicPartition,
        after: Offset,
        limit: usize,
    ) -> Pending<'a, Vec<Stored>> {
        let kept = Offset(OTHERS_SOUGHT - 10);
        let gone = Error::Gone { topic: at.to_string(), place: after.0, what: String::new() };
        match after {
            Offset::BEGINNING => self.0.read(at, kept, limit),
            after if after < kept => Box::pin(async move { Err(gone) }),
            after => self.0.read(at, after, limit),
        }
    }
}

#[tokio::test]
async fn who_else_publishes_is_seen_where_the_broker_keeps_less_than_is_looked_at() {
    let place = Place::new();
    let outbox = place.open(1).await;
    let folder = TempDir::new().unwrap();
    let log = Short(Log::open(folder.path(), &[topic("paid")], clock()).unwrap());
    let at = topic("paid").first();
    let own = |number: u64| {
        let (outbox_sequence, outbox_source) = (Some(number), Some("paid".to_owned()));
        Event { outbox_sequence, outbox_source, ..paid(number) }
    };
    log.0.publish(&at, (1..=OTHERS_SOUGHT).map(own).collect()).await.unwrap();
    log.0.publish(&at, vec![own(OTHERS_SOUGHT + 1)]).await.unwrap();
    outbox.look_for_others(&log).await.unwrap();
    assert!(!outbox.has_others());
    log.0.publish(&at, vec![paid("x")]).await.unwrap();
    outbox.look_for_others(&log).await.unwrap();
    assert!(outbox.has_others());
}

#[tokio::test]
async fn what_is_to_be_forgotten_is_looked_for_once_so_many_more_came() {
    let place = Place::new();
    let outbox = place.open(1).await;
    let batch = |from: u64| (from..from + 500).map(paid).collect::<Vec<Event>>();
    offer(&outbox, &batch(1)).await;
    let mut forgotten = Vec::new();
    for from in [501, 1001, 1501] {
        let last = batch(from);
        let newest = offer(&outbox, &last[..499]).await[498];
        outbox.forget_where_many_came(3).await.unwrap();
        let database = outbox.database();
        let up_to =
            database.read(&(), |(), rows| Box::pin(remembered::forgotten(rows, Partition::FIRST)));
        forgotten.push(up_to.await.unwrap());
        assert_eq!(offer(&outbox, &last[499..]).await[0].number, newest.number + 1);
    }
    // At 999 nobody looks, at 1,499 one does, at 1,999 it is 500 since.
    assert_eq!(forgotten, [0, 1496, 1496]);
}

#[tokio::test]
async fn what_was_taken_before_the_topic_was_looked_at_is_known_by_the_number_that_it_gets_then() {
    let (before, anew, folder) = (Place::new(), Place::new(), TempDir::new().unwrap());
    let log = Arc::new(Log::open(folder.path(), &[topic("paid")], clock()).unwrap());
    let at = topic("paid").first();
    let broker: Arc<dyn Broker> = Arc::new(Uncounting(log.clone()));
    let there = async |count: usize| {
        until(async || match log.read(&at, Offset(0), 100).await.unwrap() {
            read if read.len() == count => Ok(()),
            read => Err(format!("{} of {count}", read.len())),
        })
        .await;
    };
    let outbox = before.open(1).await;
    offer(&outbox, &[paid(1), paid(2), paid(3)]).await;
    assert_eq!(outbox.number_of_another(&*broker).await.unwrap(), None, "nothing is there");
    let running =
        tokio::spawn(Relay::new(outbox.database(), broker.clone()).run(std::future::pending()));
    there(3).await;
    running.abort();
    assert_eq!(outbox.number_of_another(&*broker).await.unwrap(), None, "all of it is its own");

    let outbox = anew.open(1).await;
    let given = offer(&outbox, &[paid(2), paid(4), paid(5), paid(6)]).await;
    let another = outbox.number_of_another(&*broker).await.unwrap();
    assert!(another.is_some(), "who never published finds another one");
    let running =
        tokio::spawn(Relay::new(outbox.database(), broker.clone()).run(std::future::pending()));
    there(7).await;
    running.abort();
    let known = offer(&outbox, &[paid(2), paid(4), paid(5), paid(6)]).await;
    assert!(known[0] > given[3] && known.is_sorted(), "{given:?} {known:?}");
    let read = log.read(&at, Offset(0), 100).await.unwrap();
    let numbers = read[3..].iter().filter_map(|it| it.event.outbox_sequence);
    assert_eq!(numbers.collect::<Vec<_>>(), known.iter().map(|it| it.number).collect::<Vec<_>>());
    outbox.close_to_offers();
    assert!(outbox.offer(Offer::new(&[paid(7)]).unwrap()).await.unwrap_err().is_environment());
}
