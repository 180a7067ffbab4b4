//! What ended the process is known by who was being tried then, and by nothing else.

use super::*;
use crate::partition::Partition;
use crate::store::inbox::Assigned;
use crate::store::trials::{self, CountedStart, StartFound, Trial};
use crate::store::tx::Working;

/// What runs of one partition say in the store.
struct Store<'b>(&'b Bench);

const OF: Assigned<'static> =
    Assigned { subscription: "product.order", partition: Partition::FIRST };

impl Store<'_> {
    async fn write<T: Send + 'static>(
        &self,
        work: impl for<'a> Fn(&'a mut Tx<'_>) -> Working<'a, T, Error> + Send + 'static,
    ) -> T {
        let work = self.0.database.write((), move |(), tx| work(tx));
        work.await.unwrap()
    }

    async fn start(&self) -> CountedStart {
        self.write(|tx| Box::pin(trials::count_start(tx, OF, Offset(0)))).await
    }

    async fn note(&self, trial: Trial) {
        self.write(move |tx| Box::pin(trials::note(tx, OF, trial))).await;
    }

    /// It lives, and lets the partition go.
    async fn lets_go(&self, start: CountedStart, trial: Trial) {
        self.write(move |tx| {
            Box::pin(async move {
                trials::withdraw(tx, OF, trial).await?;
                trials::forget_start(tx, OF, start).await
            })
        })
        .await;
    }

    /// What a run finds: how many starts there were, whether anybody was being tried, and how many died of the first event.
    async fn found(&self, run: u64) -> (u64, bool, u32) {
        let trial = Trial { at: Offset(1), run };
        let (found, deaths) = self
            .write(move |tx| {
                Box::pin(async move {
                    let found = trials::found(tx, OF, run).await?;
                    Ok((found, trials::deaths(tx, OF, trial).await?))
                })
            })
            .await;
        let StartFound { starts, is_any_tried, .. } = found;
        (starts, is_any_tried, deaths)
    }
}

#[tokio::test]
async fn a_partition_that_moves_is_no_death_however_late_that_is_said() {
    let bench = bench().await;
    let store = Store(&bench);
    let first = store.start().await;
    let tried = Trial { at: Offset(1), run: first.run };
    store.note(tried).await;
    // Whoever takes over cannot know yet.
    let second = store.start().await;
    assert_eq!(store.found(second.run).await, (2, true, 1));
    store.note(Trial { at: Offset(1), run: second.run }).await;
    store.lets_go(first, tried).await;
    assert_eq!(store.found(second.run).await, (1, false, 0));
    // What it said of itself stands: it dies, and is known to have.
    let third = store.start().await;
    assert_eq!(store.found(third.run).await, (2, true, 1));
}

#[tokio::test]
async fn an_event_that_fails_keeps_the_deaths_that_it_had_until_it_is_given_up_or_handled() {
    let bench = bench().await;
    for (key, count) in [("bad", 1), ("good", 0)] {
        bench.hurt("DELETE FROM trial").await;
        let died = format!(
            "INSERT INTO trial (subscription, partition, \"offset\", run, attempts)
            SELECT 'product.order', 0, {} , 0, 1",
            if key == "bad" { 1 } else { 2 }
        );
        bench.hurt(&died).await;
        bench.orders.break_key("bad", Wrong::Fails);
        bench.publish(if key == "bad" { 1 } else { 2 }, &[key]).await;
        let running = bench.start();
        bench.caught_up(&running.control).await;
        running.stop().await;
        let left = bench.hurt("UPDATE trial SET attempts = attempts").await;
        assert_eq!(left, count, "{key}");
    }
}
