//! One rule for each way in which the files may not fit, and what a kill leaves always fits.

use super::*;

fn publisher(newest: u64, oldest: Option<u64>, relayed: u64, published: u64) -> Publisher {
    let (source, partition) = ("order".to_owned(), Partition::FIRST);
    Publisher { source, partition, newest, oldest, relayed, published }
}

fn subscriber(
    position: u64,
    end: u64,
    unstamped: u64,
    received: u64,
    published: u64,
) -> Subscriber {
    let receipt = Receipt { source: "order".to_owned(), received, published };
    Subscriber {
        name: "product.order".to_owned(),
        partition: Partition::FIRST,
        position,
        end,
        unstamped,
        receipts: vec![receipt],
    }
}

#[test]
fn a_log_that_knows_more_than_the_store_or_lost_what_nobody_keeps_does_not_fit() {
    for (it, sound) in [
        (publisher(0, None, 0, 0), true),
        (publisher(9, Some(1), 7, 7), true),
        // Killed between publishing and noting it, or before publishing.
        (publisher(9, Some(1), 7, 9), true),
        (publisher(9, Some(1), 0, 0), true),
        // The log is from before, and the outbox keeps what it lacks.
        (publisher(9, Some(5), 9, 4), true),
        (publisher(9, Some(6), 9, 4), false),
        (publisher(9, None, 9, 4), false),
        // The store is from before.
        (publisher(8, Some(1), 7, 9), false),
        (publisher(0, None, 0, 1), false),
    ] {
        assert_eq!(fits(&it).is_ok(), sound, "{it:?}");
    }
}

#[test]
fn an_inbox_that_received_what_is_nowhere_does_not_fit() {
    let keeping = publisher(9, Some(5), 9, 4);
    for (it, kept, sound) in [
        (subscriber(4, 4, 0, 4, 4), false, true),
        (subscriber(2, 4, 0, 2, 4), false, true),
        // The log is from before: mended if the outbox keeps what was received.
        (subscriber(7, 4, 0, 7, 4), true, true),
        (subscriber(7, 4, 0, 7, 4), false, false),
        (subscriber(7, 4, 0, 10, 4), true, false),
        // Rows are gone that no mark speaks of.
        (subscriber(5, 4, 0, 4, 4), true, false),
        (subscriber(4, 4, 5, 4, 4), true, false),
        (subscriber(4, 4, 4, 4, 4), true, true),
    ] {
        let publishers: Vec<Publisher> = kept.then(|| keeping.clone()).into_iter().collect();
        assert_eq!(follows(&it, &publishers).is_ok(), sound, "{it:?}");
    }
}

#[test]
fn what_another_partition_keeps_mends_nothing() {
    let elsewhere = Partition::new(1).unwrap();
    let keeping = Publisher { partition: elsewhere, ..publisher(9, Some(5), 9, 4) };
    let reading = subscriber(7, 4, 0, 7, 4);
    assert!(follows(&reading, std::slice::from_ref(&keeping)).is_err());
    assert!(follows(&Subscriber { partition: elsewhere, ..reading }, &[keeping]).is_ok());
}
