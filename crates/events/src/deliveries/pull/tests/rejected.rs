//! What is rejected in the middle of its key stays rejected, whatever is said of the lease afterwards.

use super::*;

/// What is lent: each event's number and which attempt it is.
async fn attempts(running: &Running) -> Vec<[u64; 2]> {
    let lent = running.lent(10).await.expect("something is open");
    lent.events.iter().map(|it| [it.event().sequence, u64::from(it.attempt)]).collect()
}

#[tokio::test]
async fn an_acknowledgement_of_the_whole_lease_leaves_what_was_rejected_and_what_is_behind_it() {
    for (again, expected) in [
        (Again::Backoff, Some([[2, 2], [3, 1], [4, 1]])),
        (Again::After(PACE.backoff), Some([[2, 2], [3, 1], [4, 1]])),
        (Again::Uncounted, Some([[2, 1], [3, 1], [4, 1]])),
        (Again::Never, None),
    ] {
        let bench = Bench::new();
        bench.publish(1, &["a", "a", "a", "a"]).await;
        let running = bench.start();
        let token = running.pull(10, &[1, 2, 3, 4]).await;
        assert_eq!(running.reject(&token, &[2], again).await.count, 1);
        // What is behind it was left alone, or should have been.
        assert_eq!(running.acknowledge(&token, &[3]).await.count, 0);
        running.kill().await;
        let running = bench.start();
        let answered = running.desk.acknowledge(&token, Named::All).await.unwrap();
        let unknown = [2, 3, 4].map(|number| format!("id-{number}")).to_vec();
        assert_eq!(answered, Answered { count: 1, unknown }, "{again:?}");
        bench.clock.advance(PACE.backoff);
        match expected {
            Some(expected) => assert_eq!(attempts(&running).await, expected, "{again:?}"),
            None => {
                running.nothing().await;
                let dead = running.control.dead(10).await.unwrap();
                let reasons: Vec<_> = dead.iter().map(|it| (&*it.reason, it.waiting)).collect();
                assert_eq!(reasons, [("it is broken", 2)]);
            }
        }
    }
}

#[tokio::test]
async fn where_the_lease_ends_or_what_is_before_is_rejected_too_what_was_rejected_counts_once() {
    for (before, expected) in [
        (None, [[1, 2], [2, 2], [3, 1]]),
        (Some(Again::Backoff), [[1, 2], [2, 2], [3, 1]]),
        (Some(Again::Uncounted), [[1, 1], [2, 2], [3, 1]]),
    ] {
        let bench = Bench::new();
        bench.publish(1, &["a", "a", "a"]).await;
        let running = bench.start();
        let token = running.pull(10, &[1, 2, 3]).await;
        running.reject(&token, &[2], Again::Backoff).await;
        running.nothing().await;
        if let Some(before) = before {
            running.reject(&token, &[1], before).await;
        }
        bench.clock.advance(LEASE);
        assert_eq!(attempts(&running).await, expected, "{before:?}");
    }
}
