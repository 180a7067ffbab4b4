//! A subscription that was fetched and is delivered from now on: what is lent is waited for.

use std::sync::Mutex;

use super::*;
use crate::deliveries::{Answer, Deliveries, Receiver};

/// Takes everything, and remembers what.
#[derive(Clone, Default)]
struct Takes(Arc<Mutex<Vec<u64>>>);

impl Receiver for Takes {
    type Permit = ();

    async fn permit(&self) {}

    async fn deliver(&self, (): (), event: &Event, _attempt: u32) -> Answer {
        self.0.lock().unwrap().push(event.sequence);
        Answer::Acknowledged
    }
}

async fn check(bench: Bench) {
    bench.publish(1, &["a", "b"]).await;
    let running = bench.start();
    running.pull(1, &[1]).await;
    running.kill().await;
    let takes = Takes::default();
    let timing = Timing { pace: PACE, clock: bench.clock.component(), jitter: Arc::new(|| 1.0) };
    let (name, database) = ("mail.order", bench.database.clone());
    let deliveries =
        Deliveries::new(name, topic("order"), database, bench.log.clone(), takes.clone(), timing);
    let control = deliveries.control();
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(deliveries.run(async move { drop(stopped.await) }));
    // Longer than it takes to deliver both, as often as it looks.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(*takes.0.lock().unwrap(), [0; 0], "one of them is lent");
    assert_eq!(control.status().await.unwrap().stuck, None);
    bench.clock.advance(LEASE);
    until(async || {
        let mut taken = takes.0.lock().unwrap().clone();
        taken.sort_unstable();
        if taken == [1, 2] { Ok(()) } else { Err(format!("{taken:?}")) }
    })
    .await;
    drop(stop);
    task.await.unwrap();
}

#[tokio::test]
async fn what_is_lent_is_delivered_to_nobody_else_before_its_lease_ends() {
    check(Bench::new()).await;
    check(Bench::served().await).await;
}
