//! Where shares have their turns: whoever has thousands, is slow or fails costs the others their turn and nothing more, and
//! all that holds of deliveries holds.

use super::*;
use crate::fixture::stamped;

/// Small ones, and how many events each has.
const SMALL: u64 = 10;
const EACH: u64 = 10;
/// All of them, and one more.
const ROUND: u64 = SMALL + 1;

/// Stores events of these keys, numbered on from `first`, as one share's.
async fn publish(bench: &Bench, share: &str, first: u64, keys: impl Iterator<Item = String>) {
    let of = |it: (u64, String)| Event { kind: share.to_owned(), ..stamped("order", &it.1, it.0) };
    let events: Vec<Event> = (first..).zip(keys).map(of).collect();
    for batch in events.chunks(500) {
        bench.log.publish(&topic("order").first(), batch.to_vec()).await.unwrap();
    }
}

/// Those of the small ones, a key for each event.
async fn publish_small(bench: &Bench, first: u64) {
    for small in 0..SMALL {
        let keys = (0..EACH).map(|at| format!("small-{small}-{at}"));
        publish(bench, &format!("small-{small}"), first + small * EACH, keys).await;
    }
}

/// Waits until so many events wait that were read.
async fn read(control: &Control, waiting: usize) {
    until(async || {
        let shares = control.status().await.unwrap().partitions[0].shares.clone();
        match shares {
            Some(report) if report.waiting == waiting => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

/// Whose turn each attempt was, from the `from`th on: the small ones have numbers from `first` on.
fn small_ones_at(bench: &Bench, from: usize, first: u64) -> Vec<u64> {
    let asked = bench.mailbox.said().asked.clone();
    let is_small = |it: &(u64, &u64)| (first..first + SMALL * EACH).contains(it.1);
    (0..).zip(&asked[from..]).filter(is_small).map(|it| it.0).collect()
}

/// Each of the small ones has its nth event delivered in the nth round or before.
fn assert_their_turns(at: &[u64], slack: u64) {
    assert_eq!(at.len() as u64, SMALL * EACH);
    for (nth, at) in (0..).zip(at) {
        let latest = (nth / SMALL + 1) * ROUND + slack;
        assert!(*at < latest, "the {nth}th of theirs was the {at}th of all");
    }
}

#[tokio::test]
async fn one_with_ten_thousand_events_before_theirs_keeps_the_small_waiting_for_a_turn_alone() {
    for slots in [1, 4] {
        let bench = Bench { mailbox: Mailbox::of(slots), ..Bench::new().by_share("type") };
        // While all is read, the first that were given out are under way.
        let first: HashSet<String> = (0..slots).map(|at| format!("hog-{at}")).collect();
        bench.mailbox.tell(|said| said.silent = first);
        publish(&bench, "hog", 1, (0..10_000).map(|at| format!("hog-{}", at % 2_000))).await;
        publish_small(&bench, 10_001).await;
        let running = bench.start();
        bench.asked(slots).await;
        read(&running.control, 10_100).await;
        bench.mailbox.tell(|said| said.silent.clear());
        bench.mailbox.took("small-9-9", &[10_100]).await;
        until(async || match small_ones_at(&bench, slots, 10_001).len() {
            100 => Ok(()),
            others => Err(format!("{others}")),
        })
        .await;
        assert_their_turns(&small_ones_at(&bench, slots, 10_001), slots as u64);
        running.stop().await;
    }
}

#[tokio::test]
async fn what_was_delivered_ahead_of_one_that_waits_is_not_delivered_again_after_a_crash() {
    let bench = Bench { mailbox: Mailbox::of(4), ..Bench::new().by_share("type") };
    bench.mailbox.tell(|said| _ = said.silent.insert("hog-0".to_owned()));
    publish(&bench, "hog", 1, (0..300).map(|at| format!("hog-{at}"))).await;
    publish_small(&bench, 301).await;
    let running = bench.start();
    until(async || match bench.rows("settled_ahead").await {
        399 => Ok(()),
        others => Err(format!("{others} are remembered")),
    })
    .await;
    running.kill().await;
    bench.mailbox.tell(|said| said.silent.clear());
    let running = bench.start();
    bench.caught_up(&running.control).await;
    running.stop().await;
    let mut asked = bench.mailbox.said().asked.clone();
    asked.sort_unstable();
    let twice_the_first: Vec<u64> = std::iter::once(1).chain(1..=400).collect();
    assert_eq!(asked, twice_the_first, "all once, and twice the one that was under way");
    assert_eq!(bench.rows("settled_ahead").await, 0);
}

/// One whose every event fails, and all of that is due; another who has one that is due, later than all of those.
#[tokio::test]
async fn one_whose_events_all_fail_costs_the_others_its_turn_and_hides_nothing_of_theirs() {
    failing(Bench::new()).await;
}

#[tokio::test]
async fn on_a_server_too_one_whose_events_all_fail_hides_nothing_of_the_others() {
    failing(Bench::served().await).await;
}

async fn failing(bench: Bench) {
    let bench = Bench { mailbox: Mailbox::of(1), ..bench.by_share("type") };
    let hogs: Vec<String> = (0..300).map(|at| format!("hog-{at}")).collect();
    bench.mailbox.tell(|said| {
        said.failing.extend(hogs.iter().cloned());
        said.failing.insert("small-3-x".to_owned());
    });
    publish(&bench, "hog", 1, hogs.into_iter()).await;
    let running = bench.start();
    bench.caught_up(&running.control).await;
    bench.clock.advance(Duration::from_millis(10));
    publish(&bench, "small-3", 301, ["small-3-x".to_owned()].into_iter()).await;
    bench.caught_up(&running.control).await;
    assert_eq!(bench.rows("parked").await, 301);
    // Nobody may be asked, until all is due and all that is new was read.
    bench.mailbox.tell(|said| said.is_away = true);
    bench.clock.advance(PACE.backoff);
    let before = bench.mailbox.said().asked.len();
    publish_small(&bench, 302).await;
    // One permit may have been there already.
    read(&running.control, 100).await;
    bench.mailbox.tell(|said| said.is_away = false);
    until(async || match small_ones_at(&bench, before, 302).len() {
        100 => Ok(()),
        others => Err(format!("{others}")),
    })
    .await;
    // One of theirs takes a turn to be tried again.
    assert_their_turns(&small_ones_at(&bench, before, 302), ROUND + 1);
    let tried = bench.mailbox.said().asked[before..].iter().position(|number| *number == 301);
    assert!(tried.is_some_and(|at| (at as u64) < ROUND + 1), "it was the {tried:?}th");
    running.stop().await;
}

#[tokio::test]
async fn one_whose_receiver_takes_long_has_one_slot_while_the_others_have_work_and_then_all() {
    let bench = Bench { mailbox: Mailbox::of(4), ..Bench::new().by_share("type") };
    let slow: Vec<String> = (0..20).map(|at| format!("slow-{at}")).collect();
    bench.mailbox.tell(|said| said.silent.extend(slow.iter().cloned()));
    publish(&bench, "slow", 1, slow.into_iter()).await;
    publish_small(&bench, 21).await;
    let running = bench.start();
    // The last of theirs leaves nobody else with work: the slots are its.
    bench.asked(104).await;
    let asked = bench.mailbox.said().asked.clone();
    let slow: Vec<usize> = (0..).zip(&asked).filter(|it| *it.1 <= 20).map(|it| it.0).collect();
    // While the last three of theirs are under way, a slot may be free.
    assert!(slow[0] < 4 && slow[1] > 95, "{slow:?}");
    running.kill().await;
}

#[tokio::test]
async fn where_shares_have_their_turns_too_a_key_that_fails_holds_up_only_itself() {
    one_key_fails(Bench::new().by_share("partitionkey")).await;
}

#[tokio::test]
async fn where_shares_have_their_turns_too_everything_arrives_whenever_it_is_killed() {
    killed(Bench::new().by_share("partitionkey")).await;
}

#[tokio::test]
async fn where_shares_have_their_turns_too_a_paused_subscriber_is_asked_nothing_new() {
    paused(Bench::new().by_share("partitionkey")).await;
}

#[tokio::test]
async fn where_shares_have_their_turns_too_who_lost_the_partition_parks_nothing() {
    owner_delivers(Bench::served().await.by_share("partitionkey")).await;
}

#[tokio::test]
async fn on_a_server_too_an_event_whose_share_has_a_nul_is_parked_and_the_others_follow() {
    let bench = Bench::served().await.by_share("event.tenant");
    bench.mailbox.tell(|said| _ = said.failing.insert("bad".to_owned()));
    // No text of an envelope has one, and what data say nobody looks at.
    let data = serde_json::value::RawValue::from_string(r#"{"tenant":"a\u0000b"}"#.to_owned());
    let bad = Event { data: data.unwrap(), ..stamped("order", "bad", 1) };
    bench.log.publish(&topic("order").first(), vec![bad]).await.unwrap();
    publish(&bench, "c", 2, ["good".to_owned()].into_iter()).await;
    let running = bench.start();
    bench.mailbox.took("good", &[2]).await;
    bench.caught_up(&running.control).await;
    assert_eq!(bench.rows("parked").await, 1);
    running.stop().await;
}
