//! Which consumer has a partition, without a server: what is assigned waits for one.

use std::time::Duration;

use events::{Partition, Topic};

use super::*;

/// Longer than any of this takes, and short enough to be waited for in vain.
const A_MOMENT: Duration = Duration::from_millis(300);

fn consumers() -> Arc<Consumers> {
    let nobody = "kafka://127.0.0.1:1".parse().expect("an address");
    Consumers::new(&Client::new(&nobody, Duration::from_secs(1)), 8)
}

fn at(partition: u16) -> TopicPartition {
    let topic = Topic::parse("order").expect("a name");
    topic.at(Partition::new(partition).expect("in range"))
}

fn cursor(partition: u16, after: u64) -> Cursor {
    Cursor { at: at(partition), after: Offset(after) }
}

async fn pointed(consumers: &Arc<Consumers>, place: Cursor, followers: usize) -> Taken {
    let room = consumers.room().await.expect("room");
    let to = Pointed { name: "order", from: place.after, place, followers };
    consumers.pointed(to, room).await.expect("a reader")
}

/// How many consumers there are, and how many readers rest.
fn there_are(of: &Arc<Consumers>) -> [usize; 2] {
    let shelf = of.shelf();
    [shelf.consumers.len(), shelf.resting.len()]
}

#[tokio::test]
async fn one_consumer_has_all_partitions_and_another_only_what_is_read_twice() {
    let consumers = consumers();
    let mut taken = Vec::new();
    for partition in 0..8 {
        taken.push(pointed(&consumers, cursor(partition, 5), 1).await);
    }
    assert_eq!(there_are(&consumers), [1, 0]);
    let twice = pointed(&consumers, cursor(3, 7), 2).await;
    let once_more = pointed(&consumers, cursor(3, 9), 3).await;
    assert_eq!(there_are(&consumers), [3, 0]);
    drop(twice);
    drop(once_more);
    assert_eq!(there_are(&consumers), [1, 0], "those end with their last reader");
    drop(taken);
    assert_eq!(there_are(&consumers), [1, 0], "one stays");
}

#[tokio::test]
async fn what_rests_is_found_at_its_place_and_nowhere_else() {
    let consumers = consumers();
    pointed(&consumers, cursor(0, 5), 1).await.give_back(Some(cursor(0, 6)), Ends::default());
    for elsewhere in [cursor(0, 5), cursor(1, 6)] {
        let room = consumers.room().await.expect("room");
        assert!(consumers.rested(&elsewhere, room).is_err(), "{elsewhere:?}");
    }
    let room = consumers.room().await.expect("room");
    let found = consumers.rested(&cursor(0, 6), room).expect("it rests there");
    found.give_back(None, Ends::default());
    assert_eq!(there_are(&consumers), [1, 0], "nobody knows where that one would go on");
    pointed(&consumers, cursor(0, 5), 1).await.give_back(Some(cursor(0, 6)), Ends::default());
    consumers.forget(&cursor(0, 6));
    assert_eq!(there_are(&consumers), [1, 0]);
}

#[tokio::test]
async fn a_reader_rests_for_each_who_follows_and_one_too_many_gives_way() {
    let consumers = consumers();
    pointed(&consumers, cursor(0, 5), 1).await.give_back(Some(cursor(0, 6)), Ends::default());
    // It was rewound, or the partition was another instance's for a while.
    pointed(&consumers, cursor(0, 1), 1).await.give_back(Some(cursor(0, 2)), Ends::default());
    assert_eq!(there_are(&consumers), [1, 1]);
    pointed(&consumers, cursor(0, 8), 2).await.give_back(Some(cursor(0, 9)), Ends::default());
    assert_eq!(there_are(&consumers), [2, 2], "two follow it");
    pointed(&consumers, cursor(0, 3), 2).await.give_back(Some(cursor(0, 4)), Ends::default());
    assert_eq!(there_are(&consumers), [2, 2]);
    let left: Vec<u64> = consumers.shelf().resting.iter().map(|it| it.place.after.0).collect();
    assert_eq!(left, [9, 4], "the one that rested longest gave way");
}

#[tokio::test]
async fn past_the_most_consumers_a_read_waits_for_one() {
    let consumers = consumers();
    let mut taken = Vec::new();
    for place in 1..=CONSUMERS_MAX {
        taken.push(pointed(&consumers, cursor(0, place as u64), CONSUMERS_MAX).await);
    }
    assert_eq!(there_are(&consumers), [CONSUMERS_MAX, 0]);
    // Another partition waits for nobody.
    drop(pointed(&consumers, cursor(1, 1), 1).await);
    let more = pointed(&consumers, cursor(0, 99), CONSUMERS_MAX + 1);
    let mut more = pin!(more);
    assert!(tokio::time::timeout(A_MOMENT, more.as_mut()).await.is_err(), "there is none");
    taken.pop().expect("one").give_back(Some(cursor(0, 50)), Ends::default());
    drop(more.await);
    assert_eq!(there_are(&consumers), [CONSUMERS_MAX - 1, 0]);
}

#[tokio::test]
async fn a_consumer_that_ended_has_no_reader_any_more() {
    let consumers = consumers();
    pointed(&consumers, cursor(0, 5), 1).await.give_back(Some(cursor(0, 6)), Ends::default());
    let in_use = pointed(&consumers, cursor(1, 5), 1).await;
    let number = consumers.shelf().consumers[0].number;
    consumers.abandon(number);
    assert_eq!(there_are(&consumers), [0, 0]);
    let next = pointed(&consumers, cursor(1, 5), 1).await;
    drop(in_use);
    assert_eq!(there_are(&consumers), [1, 0], "what it still had ends without the other's");
    assert!(consumers.shelf().consumers[0].partitions.contains(&at(1)));
    drop(next);
}

#[tokio::test]
async fn a_reader_whose_consumer_was_left_meanwhile_does_not_rest() {
    let consumers = consumers();
    for place in 1..=2 * CONSUMERS_MAX as u64 {
        let in_use = pointed(&consumers, cursor(0, place), 1).await;
        let number = consumers.shelf().consumers[0].number;
        consumers.abandon(number);
        in_use.give_back(Some(cursor(0, place + 1)), Ends::default());
        assert_eq!(there_are(&consumers), [0, 0], "{place}");
    }
}

#[tokio::test]
async fn a_consumer_is_never_closed_by_whoever_reads() {
    let consumers = consumers();
    let in_use = pointed(&consumers, cursor(0, 5), 1).await;
    let (number, consumer) = {
        let shelf = consumers.shelf();
        (shelf.consumers[0].number, Arc::downgrade(&shelf.consumers[0].consumer))
    };
    consumers.abandon(number);
    tokio::time::sleep(A_MOMENT).await;
    drop(in_use);
    // Nothing else has run since: this is the runtime's only thread.
    assert!(consumer.strong_count() > 0, "whoever attends to it has it last");
    let closed = async {
        while consumer.strong_count() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), closed).await.expect("it is closed");
}

#[test]
fn what_is_fetched_ahead_is_shared_by_all_partitions() {
    for (partitions, bytes) in [
        (0, AHEAD_BYTES_MOST),
        (64, AHEAD_BYTES_MOST),
        (128, AHEAD_BYTES_MOST / 2),
        (READERS_MAX, AHEAD_BYTES_FEWEST),
        (READERS_MAX + 1, AHEAD_BYTES_FEWEST),
    ] {
        assert_eq!(ahead_bytes(partitions), bytes, "{partitions}");
    }
}
