//! A topic that removed what a subscription had not read.

use std::collections::BTreeMap;

use super::*;
use crate::partition::Partitions;
use crate::retention::Retention;
use crate::topic::Declared;

/// A bench whose topic keeps a few events.
fn short() -> Bench {
    let mut bench = Bench::new();
    let declared = [Declared { topic: topic("order"), partitions: Partitions::ONE }];
    let few = Retention { bytes: Some(2_000), ..Retention::default() };
    let retained = BTreeMap::from([(topic("order"), few)]);
    let clock = bench.clock.component();
    let folder = bench._folder.path().join("short");
    std::fs::create_dir(&folder).unwrap();
    bench.log = Arc::new(Log::open_retaining(&folder, &declared, &retained, clock).unwrap());
    bench
}

async fn fill(bench: &Bench) -> u64 {
    bench.publish(4, &["a"; 97]).await;
    while bench.log.remove_expired().await.unwrap() {}
    let read = bench.log.read(&topic("order").first(), Offset::BEGINNING, 1).await.unwrap();
    read[0].event.sequence
}

#[tokio::test]
async fn who_is_before_what_was_removed_stops_and_says_how_to_go_on() {
    let bench = short();
    bench.publish(1, &["a"; 3]).await;
    let running = bench.start();
    bench.caught_up(&running.control).await;
    running.stop().await;
    let oldest = fill(&bench).await;
    let running = bench.start();
    until(async || {
        let status = running.control.status().await.unwrap();
        let said = status.stuck.unwrap_or_default();
        let says = ["has this place no more", "`yeoul events place product.order --to beginning`"];
        says.iter().all(|it| said.contains(it)).then_some(()).ok_or(said)
    })
    .await;
    assert_eq!(bench.of_key("a").await, [1, 2, 3], "it passes nothing over by itself");
    running.stop().await;
    let resting = bench.start();
    resting.control.rewind().await.unwrap();
    let expected: Vec<u64> = (1..=3).chain(oldest..=100).collect();
    bench.effects_are("a", &expected).await;
    resting.stop().await;
}

#[tokio::test]
async fn who_begins_after_it_was_removed_begins_with_what_is_there_and_notes_nothing_as_missing() {
    let bench = short();
    let oldest = fill(&bench).await;
    let running = bench.start();
    bench.caught_up(&running.control).await;
    assert_eq!(bench.of_key("a").await, (oldest..=100).collect::<Vec<_>>());
    assert_eq!(running.control.skipped().await.unwrap().len(), 0);
    running.stop().await;
}
