//! A partition that does not answer keeps no other waiting, and what is said in time counts however late it is looked at.

use tokio::sync::watch;

use super::*;
use crate::broker::{Offset, Pending};
use crate::fixture::altered_log::AlteredLog;
use crate::topic::TopicPartition;

/// Longer than anything here takes on a slow machine, and no wait for a broker that does not answer.
const SOON: Duration = Duration::from_secs(20);

/// The log, whose second partition answers only while it may.
struct Silent {
    log: Arc<Log>,
    answers: watch::Sender<bool>,
}

impl Silent {
    fn new(log: &Arc<Log>) -> Arc<Silent> {
        let answers = watch::Sender::new(true);
        Arc::new(Silent { log: Arc::clone(log), answers })
    }

    fn answer<'a, T: Send + 'a>(
        &'a self,
        at: &TopicPartition,
        answer: Pending<'a, T>,
    ) -> Pending<'a, T> {
        let is_second = at.partition.index() == 1;
        Box::pin(async move {
            if is_second {
                self.answers.subscribe().wait_for(|it| *it).await.unwrap();
            }
            answer.await
        })
    }
}

impl AlteredLog for Silent {
    fn log(&self) -> &Log {
        &self.log
    }

    fn read<'a>(
        &'a self,
        at: &'a TopicPartition,
        after: Offset,
        limit: usize,
    ) -> Pending<'a, Vec<Stored>> {
        self.answer(at, self.log.read(at, after, limit))
    }

    fn watch<'a>(&'a self, at: &'a TopicPartition) -> Pending<'a, watch::Receiver<Offset>> {
        self.answer(at, self.log.watch(at))
    }
}

async fn publish(bench: &Bench, partition: u16, source: &str, number: u64) {
    let at = topic("order").at(Partition::new(partition).unwrap());
    bench.log.publish(&at, vec![stamped(source, source, number)]).await.unwrap();
}

async fn soon<T>(asked: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, asked).await.expect("nobody waits for the other partition")
}

/// While it is read on, and when one begins.
#[tokio::test]
async fn of_a_partition_that_does_not_answer_nothing_is_lent_or_lost_and_the_others_go_on() {
    let bench = Bench::of(Partitions::new(2).unwrap());
    let broker = Silent::new(&bench.log);
    let running = bench.start_with(broker.clone());
    publish(&bench, 1, "other", 1).await;
    let other = running.pull(10, &[1]).await;
    broker.answers.send_replace(false);
    publish(&bench, 1, "other", 2).await;
    for number in [3, 4] {
        publish(&bench, 0, "order", number).await;
        let token = soon(running.pull(1, &[number])).await;
        // Who waits has it read on, and so does who takes none for an answer.
        let desk = running.desk.clone();
        let waits = Pull { limit: 10, wait: WAIT_MAX, lease: LEASE };
        let waiting = tokio::spawn(async move { desk.pull(waits).await });
        soon(running.nothing()).await;
        assert_eq!(soon(running.acknowledge(&token, &[number])).await.count, 1);
        waiting.abort();
        _ = waiting.await;
    }
    assert_eq!(soon(running.acknowledge(&other, &[1])).await.count, 1);
    running.kill().await;
    let running = bench.start_with(broker.clone());
    publish(&bench, 0, "order", 5).await;
    let token = soon(running.pull(10, &[5])).await;
    assert_eq!(soon(running.acknowledge(&token, &[5])).await.count, 1);
    let desk = running.desk.clone();
    let waits = Pull { limit: 10, wait: WAIT_MAX, lease: LEASE };
    let waiting = tokio::spawn(async move { desk.pull(waits).await.unwrap() });
    soon(running.nothing()).await;
    broker.answers.send_replace(true);
    let lent = soon(waiting).await.unwrap().expect("it answers");
    assert_eq!(numbers(Some(&lent)), [2]);
    running.desk.acknowledge(&lent.token, Named::All).await.unwrap();
    assert_eq!(running.lag().await, 0);
}

/// What is out of it is not known before it answers: who says that it is handled is told then, or to ask again.
#[tokio::test]
async fn an_answer_for_what_is_out_of_it_waits_for_a_moment_and_is_then_to_be_given_again() {
    let bench = Bench::of(Partitions::new(2).unwrap());
    let broker = Silent::new(&bench.log);
    let running = bench.start_with(broker.clone());
    publish(&bench, 1, "other", 1).await;
    let token = running.pull(10, &[1]).await;
    running.kill().await;
    broker.answers.send_replace(false);
    let running = bench.start_with(broker.clone());
    let refused = soon(running.desk.acknowledge(&token, Named::All)).await;
    assert!(matches!(refused, Err(Refusal::Unread)), "{refused:?}");
    broker.answers.send_replace(true);
    until(async || match running.desk.acknowledge(&token, Named::All).await {
        Ok(Answered { count: 1, .. }) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert_eq!(running.lag().await, 0);
}

#[tokio::test]
async fn what_is_said_in_time_counts_however_late_it_is_looked_at() {
    let bench = Bench::new();
    bench.publish(1, &["a", "b"]).await;
    let running = bench.start();
    let token = running.pull(10, &[1, 2]).await;
    bench.clock.advance(LEASE - Duration::from_micros(1));
    let mut said = std::pin::pin!(running.desk.acknowledge(&token, ids(&[1])));
    let is_pending = std::future::poll_fn(|context| {
        std::task::Poll::Ready(said.as_mut().poll(context).is_pending())
    });
    assert!(is_pending.await, "it is said, and nobody has looked at it yet");
    bench.clock.advance(Duration::from_micros(1));
    assert_eq!(said.await.unwrap().count, 1);
    let late = running.desk.acknowledge(&token, ids(&[2])).await;
    assert!(matches!(late, Err(Refusal::Ended)), "{late:?}");
    let lent = running.lent(10).await.expect("of the second it has ended");
    assert_eq!((numbers(Some(&lent)), lent.events[0].attempt), (vec![2], 2));
}
