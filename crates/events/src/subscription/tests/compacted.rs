//! A topic that keeps of each key the newest event: what is missing there is what was asked for.

use super::*;
use crate::fixture::altered_log::AlteredLog;
use crate::topic::TopicPartition;

/// The log, as if it were compacted or were not.
struct Compacted {
    log: Arc<Log>,
    is_compacted: bool,
}

impl AlteredLog for Compacted {
    fn log(&self) -> &Log {
        &self.log
    }

    fn is_compacted(&self, _at: &TopicPartition) -> bool {
        self.is_compacted
    }
}

/// Numbers 2 and 3 were published and are not there.
#[tokio::test]
async fn the_chain_is_looked_at_but_where_a_topic_is_compacted() {
    for (is_compacted, gaps) in [(false, 1), (true, 0)] {
        let bench = Bench::new();
        let broker = Arc::new(Compacted { log: bench.log.clone(), is_compacted });
        let (database, clock) = (bench.database.clone(), bench.clock.component());
        let orders = bench.orders.clone();
        let subscription = Subscription::new(
            "product.order",
            topic("order"),
            database,
            broker,
            orders,
            RETRY,
            clock,
        );
        let chained = |(number, previous)| Event {
            outbox_previous: Some(previous),
            ..stamped("order", "a", number)
        };
        let events = [(1, 0), (4, 3)].map(chained).to_vec();
        bench.log.publish(&topic("order").first(), events).await.unwrap();
        let running = start(subscription);
        bench.caught_up(&running.control).await;
        assert_eq!(bench.of_key("a").await, [1, 4]);
        let notes = running.control.skipped().await.unwrap();
        assert_eq!(notes.len(), gaps, "{is_compacted}: {notes:?}");
        running.stop().await;
    }
}
