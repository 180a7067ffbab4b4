//! Events are there if and only if the work that published them is, and their numbers mean the same: whatever the store.

use super::*;

#[tokio::test]
async fn an_event_is_there_if_and_only_if_its_work_and_its_part_of_it_commit() {
    let place = Place::new();
    let database = place.open(1).await;
    assert_eq!(database.position().unwrap().sequences, Numbers::from(0));
    let refused = database.write((), |(), tx| {
        Box::pin(async move {
            tx.publish(draft(1)).await?;
            Err::<(), _>(Error::UnknownTopic)
        })
    });
    assert!(refused.await.is_err());
    let parts = database.write((), |(), tx| {
        Box::pin(async move {
            tx.publish(draft(2)).await?;
            let savepoint = tx.savepoint().await?;
            tx.publish(draft(3)).await?;
            tx.settle(savepoint, false).await?;
            tx.publish(draft(4)).await
        })
    });
    let last = parts.await.unwrap().number();
    assert_eq!(subjects(&database).await, ["2", "4"]);
    assert_eq!(last, first(2), "what was taken back took no number");
    assert_eq!(*database.committed().borrow(), Numbers::from(2));
    assert_eq!(database.committed_by_now().await.unwrap(), Numbers::from(2));
    assert_eq!(database.position().unwrap().to_string(), "w2.order");
    database.close().await;
    drop(database);
    let again = place.open(1).await;
    assert_eq!(again.position().unwrap().to_string(), "w2.order");
    assert_eq!(publish(&again, 5..=5).await, 3);
}

#[tokio::test]
async fn a_row_becomes_the_event_that_was_drafted_and_keeps_its_id() {
    let place = Place::new();
    let database = place.open(1).await;
    let cause = Cause {
        correlation_id: Some("c'\\".to_owned()),
        causation_id: Some("product/1".to_owned()),
        traceparent: Some("00-1-2-01".to_owned()),
    };
    let subject = "7 'E\\' \n 여울 🛶 $1 ?1";
    let data = serde_json::json!({"a": "가 '\\\" \u{1}"});
    let whole = Draft::new("Placed", subject, 3, &data, &cause);
    let published = give(&database, whole).await.unwrap();
    let waiting = database.waiting(first(0), 10).await.unwrap();
    let [event] = &waiting[..] else { panic!("one event: {waiting:?}") };
    assert_eq!((event.source.as_str(), event.kind.as_str()), ("order", "Placed"));
    assert_eq!((event.subject.as_str(), event.key.as_str(), event.sequence), (subject, subject, 3));
    assert_eq!((event.outbox_sequence, &event.cause), (Some(1), &cause));
    assert_eq!(event.data.get(), data.to_string());
    assert_eq!(event.time, clock()());
    assert_eq!(event.id, published.id().to_string());
    assert_eq!(database.number_of(published.id(), subject).await.unwrap(), Some(first(1)));
    assert_eq!(database.id_of(first(1)).await.unwrap(), event.id);
    database.close().await;
    drop(database);
    let again = place.open(1).await.waiting(first(0), 10).await.unwrap();
    assert_eq!(again[0].id, event.id, "an id stays through a restart");
}

#[tokio::test]
async fn each_partition_counts_its_own_and_a_position_has_them_all() {
    let place = Place::new();
    let database = place.open(3).await;
    let partitions = Partitions::new(3).unwrap();
    let mut expected = Numbers::default();
    for key in 0..9 {
        let at = partitions.of(&key.to_string());
        let before = database.newest(&key.to_string()).await.unwrap();
        let number = give(&database, draft(key)).await.unwrap().number();
        assert_eq!((number.partition, number.number), (at, before.number + 1), "{key}");
        expected.raise(number);
        let waiting = database.waiting(before, 10).await.unwrap();
        assert_eq!(waiting.iter().map(|it| &*it.subject).collect::<Vec<_>>(), [key.to_string()]);
    }
    assert_eq!(
        partitions.each().filter(|it| expected.of(*it) > 0).count(),
        3,
        "all three are used"
    );
    assert_eq!(database.position().unwrap().sequences, expected);
    database.close().await;
    drop(database);
    let again = place.open(3).await;
    assert_eq!(again.position().unwrap().sequences, expected, "known again at the start");
    for partition in partitions.each() {
        let newest = expected.of(partition);
        assert_eq!(again.lag(Numbered { partition, number: 0 }), newest);
    }
}

#[tokio::test]
async fn what_waits_is_never_removed_and_what_was_relayed_is_kept_up_to_the_limit() {
    let place = Place::new();
    let database = place.open(1).await;
    let all = OUTBOX_KEPT + 300;
    publish(&database, 1..=all).await;
    database.save_relayed().await.unwrap();
    assert_eq!(subjects(&database).await.len() as u64, all, "what waits is never removed");
    for (relayed, oldest) in [(OUTBOX_KEPT, 1), (OUTBOX_KEPT + 1, 2), (all, 301)] {
        database.relayed(first(relayed));
        database.save_relayed().await.unwrap();
        let kept = subjects(&database).await;
        assert_eq!((&*kept[0], kept.len() as u64), (&*oldest.to_string(), all + 1 - oldest));
    }
    database.close().await;
    drop(database);
    let again = place.open(1).await;
    assert_eq!(again.relayed_up_to(first(0).partition), all, "it is known how far that got");
    assert_eq!(publish(&again, 1..=1).await, all + 1);
}

#[tokio::test]
async fn parts_of_a_draft_are_taken_at_their_limit_and_refused_past_it() {
    let place = Place::new();
    let database = place.open(1).await;
    let sized = |subject: usize, data: usize, cause: usize| {
        let cause = Cause { correlation_id: Some("c".repeat(cause)), ..Cause::default() };
        let draft = Draft::new("Placed", "s".repeat(subject), 1, &"d".repeat(data - 2), &cause);
        give(&database, draft)
    };
    for (more, accepted) in [(0, true), (1, false)] {
        for outcome in [
            sized(KEY_BYTES_MAX + more, 10, 1).await,
            sized(1, DATA_BYTES_MAX + more, 1).await,
            sized(1, 10, CAUSE_BYTES_MAX + more).await,
        ] {
            assert_eq!(outcome.is_ok(), accepted, "{outcome:?}");
        }
    }
    let waiting = database.waiting(first(0), 10).await.unwrap();
    assert_eq!(waiting.len(), 3);
    for event in waiting {
        assert!(event.to_json().len() <= EVENT_BYTES_MAX);
    }
}

#[tokio::test]
async fn a_broker_that_knows_more_has_numbering_go_on_above_it() {
    let place = Place::new();
    let database = place.open(1).await;
    publish(&database, 1..=3).await;
    database.close().await;
    drop(database);
    // Rows of up to 9 were lost: the broker has seen them.
    let database = place.open(1).await;
    let found = database.reconcile(first(9)).await.unwrap();
    assert_eq!(found.outbox_lost, Some(4..=9));
    let above = epoch::after(9).unwrap();
    assert_eq!(publish(&database, 4..=5).await, above + 2);
    assert_eq!(database.lag(first(9)), 2, "what was left out is no backlog");
    assert_eq!(database.waiting_whole(first(9), 100).await.unwrap().len(), 2);
    assert_eq!(database.reconcile(first(above + 2)).await.unwrap(), Reconciled::default());
    database.close().await;
    drop(database);
    assert_eq!(publish(&place.open(1).await, 6..=6).await, above + 3);
}

#[tokio::test]
async fn a_broker_that_knows_less_is_filled_again_from_what_is_kept() {
    let place = Place::new();
    let database = place.open(1).await;
    publish(&database, 1..=20).await;
    assert_eq!(database.reconcile(first(0)).await.unwrap(), Reconciled::default());
    database.relayed(first(20));
    database.save_relayed().await.unwrap();
    database.close().await;
    drop(database);
    let database = place.open(1).await;
    let found = database.reconcile(first(4)).await.unwrap();
    assert_eq!((found.log_lost, found.unmendable), (Some(5..=20), None));
    assert_eq!(database.waiting(first(4), 100).await.unwrap().len(), 16);
    let again = database.reconcile(first(10)).await.unwrap();
    assert_eq!(again, Reconciled::default(), "what was mended meanwhile is not lost");
}
