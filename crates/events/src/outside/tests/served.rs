//! The same on a server, word for word; and what several instances keep together.

#![expect(clippy::duplicate_mod, reason = "one suite for every engine")]

use super::*;
use crate::outside::left::schemas;
use crate::store::OUTBOX_WAITING_MAX;
use crate::store::options::Host;
use crate::store::served::TestSchema;

#[path = "suite.rs"]
mod suite;

/// A schema that an outbox's tables are in.
struct Place(TestSchema);

impl Place {
    fn new() -> Place {
        Place(TestSchema::fresh())
    }

    async fn open(&self, partitions: u16) -> Outbox {
        Outbox::open(self.location(), declared(partitions), clock()).await.unwrap()
    }

    fn location(&self) -> Location {
        let TestSchema { address, name } = self.0.clone();
        let host = Host { address: address.parse().unwrap(), password: None, connections: 5 };
        // As the program calls them.
        let name = format!("published.{name}");
        Location::Schema { host, name }
    }
}

/// Each sends what the others send, in an order of its own, under keys that are not theirs.
#[tokio::test]
async fn of_what_two_instances_are_sent_at_once_each_event_is_there_once_and_both_say_where() {
    let place = Place::new();
    let outboxes = [place.open(4).await, place.open(4).await];
    let mut sent = Vec::new();
    for (at, outbox) in (0..8).zip(outboxes.iter().cycle()) {
        let outbox = outbox.clone();
        sent.push(tokio::spawn(async move {
            let mut told = Vec::new();
            for batch in 0..10 {
                let mut ids: Vec<usize> = (batch * 5..batch * 5 + 10).collect();
                if at % 2 == 1 {
                    ids.reverse();
                }
                let key = |id: usize| format!("{}", id + at % 3);
                let events: Vec<Event> =
                    ids.iter().map(|&id| event(id, "Paid", &key(id))).collect();
                told.extend(ids.into_iter().zip(offer(&outbox, &events).await));
            }
            told
        }));
    }
    let mut places: BTreeSet<(usize, Numbered)> = BTreeSet::new();
    for told in sent {
        places.extend(told.await.unwrap());
    }
    assert_eq!(places.len(), 55, "each has one place, whoever was asked: {places:?}");
    let mut ids = Vec::new();
    for at in 0..4 {
        ids.extend(waiting(&place.open(4).await, at).await.into_iter().map(|event| event.id));
    }
    let once: BTreeSet<&String> = ids.iter().collect();
    assert_eq!((ids.len(), once.len()), (55, 55));
}

#[tokio::test]
async fn of_many_who_claim_one_name_at_two_instances_one_has_it_and_all_others_hear_of_him() {
    let place = Place::new();
    let outboxes = [place.open(4).await, place.open(4).await];
    for name in 0..5 {
        let mut claims = Vec::new();
        for (who, outbox) in (0..12).zip(outboxes.iter().cycle()) {
            let (outbox, name) = (outbox.clone(), format!("name-{name}"));
            let claim = event(format!("{name}-{who}"), "Claimed", &name);
            claims.push(tokio::spawn(async move {
                // Who claims without a condition is in nobody's way, and everybody's reason.
                let outcome = offer_unless(&outbox, claim, "Claimed", 0).await.unwrap();
                came(&outcome).into_iter().map(str::to_owned).collect::<Vec<_>>()
            }));
        }
        let mut heard = Vec::new();
        for claim in claims {
            heard.push(claim.await.unwrap());
        }
        let (won, lost): (Vec<_>, Vec<_>) = heard.into_iter().partition(Vec::is_empty);
        assert_eq!((won.len(), lost.len()), (1, 11));
        let winners: BTreeSet<Vec<String>> = lost.into_iter().collect();
        assert_eq!(winners.len(), 1, "all hear of the same: {winners:?}");
    }
}

/// Another instance's relay is at it; what that leaves is found by the schema's name.
#[tokio::test]
async fn what_another_instance_relays_is_not_left_and_what_nobody_relays_is_found() {
    let place = Place::new();
    let outbox = place.open(4).await;
    offer(&outbox, &[paid(1), paid(2)]).await;
    let count = async || unrelayed(place.location(), clock()).await.unwrap();
    outbox.database().take_lease(Partition::FIRST).await.unwrap();
    assert_eq!(count().await, 0);
    outbox.database().close().await;
    assert_eq!(count().await, 2);
    let Location::Schema { host, name } = place.location() else { panic!("a schema") };
    let found = schemas(&host, "published.", clock()).await.unwrap();
    assert!(found.contains(&name), "{name} is not in {found:?}");
    assert!(found.iter().all(|it| it.starts_with("published.")), "{found:?}");
}

#[tokio::test]
async fn a_second_copy_is_answered_while_so_many_wait_that_nothing_new_has_room() {
    let place = Place::new();
    let outbox = place.open(1).await;
    offer(&outbox, &[paid(1)]).await;
    let full = outbox.database().write((), |(), tx| {
        Box::pin(async move {
            let raise = "SELECT setval('yeoul_outbox_1_0', ?1)";
            tx.one(raise, &[&OUTBOX_WAITING_MAX], |row| row.get::<i64>(0)).await
        })
    });
    let full: Result<i64, Error> = full.await;
    full.unwrap();
    offer(&outbox, &[paid(2)]).await;
    for new in [&[paid(3)][..], &[paid(1), paid(3)]] {
        let refused = outbox.offer(Offer::new(new).unwrap()).await.unwrap_err();
        assert!(refused.to_string().contains("wait for the broker"), "{refused}");
    }
    assert_eq!(offer(&outbox, &[paid(1)]).await, [first(1)]);
}
