//! Where shares have their turns: a lease has of each as much, whoever has thousands or fails, and several instances keep that.

use super::*;

/// Small ones, and how many events each has.
const SMALL: u64 = 10;
const EACH: u64 = 10;
/// All of them, and one more.
const ROUND: usize = 11;

/// Stores events of these keys, numbered on from `first`, as one share's.
async fn publish(bench: &Bench, share: &str, first: u64, keys: impl Iterator<Item = String>) {
    let of = |it: (u64, String)| Event { kind: share.to_owned(), ..stamped("order", &it.1, it.0) };
    let events: Vec<Event> = (first..).zip(keys).map(of).collect();
    for batch in events.chunks(500) {
        bench.log.publish(&topic("order").first(), batch.to_vec()).await.unwrap();
    }
}

/// Those of the small ones, of one key each.
async fn publish_small(bench: &Bench, first: u64) {
    for small in 0..SMALL {
        let keys = (0..EACH).map(|_| format!("small-{small}"));
        publish(bench, &format!("small-{small}"), first + small * EACH, keys).await;
    }
}

/// How many events of each share there are.
fn of_each(lent: &Lent) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for given in &lent.events {
        *counts.entry(given.event().kind.as_str()).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn a_lease_has_of_each_share_as_much_whatever_one_has_before_the_others() {
    let bench = Bench::new().by_share("type");
    publish(&bench, "hog", 1, (0..10_000).map(|at| format!("hog-{}", at % 2_000))).await;
    publish_small(&bench, 10_001).await;
    let running = bench.start();
    // Until all is read that may be.
    until(async || {
        bench.clock.advance(Duration::from_secs(2));
        let lent = running.lent(1).await.expect("there are events");
        running.desk.acknowledge(&lent.token, Named::All).await.unwrap();
        let shares = running.control.status().await.unwrap().partitions[0].shares.clone();
        let count = shares.map(|report| report.count);
        if count == Some(ROUND) { Ok(()) } else { Err(format!("{count:?}")) }
    })
    .await;
    // What was lent on the way was the hog's, or one each of theirs.
    let mut small = 0;
    while small < 80 {
        let lent = running.lent(2 * ROUND).await.expect("there are events");
        let counts = of_each(&lent);
        assert_eq!((counts.len(), counts["hog"]), (ROUND, 2), "{counts:?}");
        small += counts.values().sum::<usize>() - 2;
        running.desk.acknowledge(&lent.token, Named::All).await.unwrap();
    }
    // Without the small ones, it is the hog's alone.
    while running.lent(100).await.is_some_and(|lent| of_each(&lent).len() > 1) {}
    assert_eq!(of_each(&running.lent(100).await.expect("there are more"))["hog"], 100);
}

#[tokio::test]
async fn one_whose_events_all_fail_hides_nothing_of_the_others_that_is_due_or_new() {
    failing(Bench::new()).await;
}

#[tokio::test]
async fn on_a_server_too_one_whose_events_all_fail_hides_nothing_of_the_others() {
    failing(Bench::served().await).await;
}

async fn failing(bench: Bench) {
    let bench = bench.by_share("type");
    publish(&bench, "hog", 1, (0..200).map(|at| format!("hog-{at}"))).await;
    let running = bench.start();
    let reject = async |expected: usize| {
        let lent = running.lent(1000).await.expect("there are events");
        assert_eq!(lent.events.len(), expected);
        let why = Rejection { reason: "it is broken".to_owned(), again: Again::Backoff };
        running.desk.reject(&lent.token, Named::All, why).await.unwrap();
    };
    reject(200).await;
    bench.clock.advance(Duration::from_millis(10));
    publish(&bench, "small-3", 201, ["small-3-x".to_owned()].into_iter()).await;
    reject(1).await;
    bench.clock.advance(PACE.backoff);
    publish_small(&bench, 202).await;
    let lent = running.lent(2 * ROUND).await.expect("there are events");
    let counts = of_each(&lent);
    assert_eq!(counts.len(), ROUND);
    assert!(counts.values().all(|count| *count == 2), "{counts:?}");
    let again = lent.events.iter().filter(|given| given.attempt > 1);
    let again: Vec<&str> = again.map(|given| given.event().kind.as_str()).collect();
    assert_eq!(again.len(), 3, "{again:?}");
    assert!(again.contains(&"small-3"), "it is due, though later than all of the other's");
}

#[tokio::test]
async fn of_what_is_due_of_a_key_the_rest_goes_into_no_other_lease() {
    let bench = Bench::new().by_share("type");
    publish(&bench, "a", 1, ["k", "k", "k"].map(str::to_owned).into_iter()).await;
    publish(&bench, "b", 4, ["l", "m"].map(str::to_owned).into_iter()).await;
    let running = bench.start();
    let token = running.pull(10, &[1, 4, 2, 5, 3]).await;
    let why = Rejection { reason: "it is broken".to_owned(), again: Again::Backoff };
    running.desk.reject(&token, Named::All, why).await.unwrap();
    bench.clock.advance(PACE.backoff);
    // Both are put together at once.
    let (first, second) = tokio::join!(running.lent(2), running.lent(10));
    let (first, second) = (first.expect("some are due"), second.expect("some are due"));
    assert_eq!(numbers(Some(&first)), [1, 4]);
    assert_eq!(numbers(Some(&second)), [5], "the first of a key that nobody has");
    running.desk.acknowledge(&first.token, Named::All).await.unwrap();
    running.pull(10, &[2, 3]).await;
}

#[tokio::test]
async fn who_has_nothing_but_what_is_due_has_a_turn_among_many_who_have_new_events() {
    let bench = Bench::new().by_share("type");
    publish(&bench, "due", 1, ["due"].map(str::to_owned).into_iter()).await;
    let running = bench.start();
    let token = running.pull(1, &[1]).await;
    running.reject(&token, &[1], Again::Backoff).await;
    for new in 0..5 {
        publish(
            &bench,
            &format!("new-{new}"),
            2 + new * 10,
            (0..10).map(|at| format!("{new}-{at}")),
        )
        .await;
    }
    let mut lent = Vec::new();
    let mut pull = async || {
        let one = running.lent(1).await.expect("there are events");
        running.desk.acknowledge(&one.token, Named::All).await.unwrap();
        lent.extend(numbers(Some(&one)));
    };
    pull().await;
    bench.clock.advance(PACE.backoff);
    for _ in 0..6 {
        pull().await;
    }
    assert_eq!(lent, [2, 12, 22, 32, 42, 3, 1], "the round that it came into, and then it");
}

/// Each reads everything anew for each lease of the other's.
#[tokio::test]
async fn of_several_instances_each_goes_on_with_whose_turn_it_is() {
    let bench = Bench::served().await.by_share("type");
    publish(&bench, "hog", 1, (0..40).map(|at| format!("hog-{at}"))).await;
    publish_small(&bench, 41).await;
    let running = [bench.start(), bench.start()];
    let mut small = 0;
    for turn in 0..130 {
        let running = &running[turn % 2];
        let lent = running.lent(1).await.expect("there are events");
        small += usize::from(lent.events[0].event().kind != "hog");
        running.desk.acknowledge(&lent.token, Named::All).await.unwrap();
    }
    // Each has turns of its own: two to the hog in each round of both.
    assert_eq!(small, 100);
}
