//! A partition that cannot be read keeps no other waiting.

use std::sync::Mutex;

use tokio::sync::watch;

use super::*;
use crate::broker::{Offset, Pending};
use crate::fixture::altered_log::AlteredLog;
use crate::store::tests::execute;
use crate::topic::TopicPartition;
use crate::wait::BACKOFF_MAX;

/// The log, whose second partition may be away: nothing is answered of it but why.
struct Away {
    log: Arc<Log>,
    why: Mutex<Option<Error>>,
    /// How often each partition was asked where it ends.
    watched: [AtomicU64; 2],
}

impl Away {
    fn now(log: &Arc<Log>, why: Error) -> Arc<Away> {
        let (why, watched) = (Mutex::new(Some(why)), Default::default());
        Arc::new(Away { log: Arc::clone(log), why, watched })
    }

    fn is_back(&self) {
        *self.why.lock().unwrap() = None;
    }

    fn answer<'a, T: Send + 'a>(
        &'a self,
        at: &TopicPartition,
        answer: Pending<'a, T>,
    ) -> Pending<'a, T> {
        let why = self.why.lock().unwrap().clone().filter(|_| at.partition.index() == 1);
        match why {
            Some(why) => Box::pin(async { Err(why) }),
            None => answer,
        }
    }
}

impl AlteredLog for Away {
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

    fn end<'a>(&'a self, at: &'a TopicPartition) -> Pending<'a, Offset> {
        self.answer(at, self.log.end(at))
    }

    fn watch<'a>(&'a self, at: &'a TopicPartition) -> Pending<'a, watch::Receiver<Offset>> {
        self.watched[usize::from(at.partition.index())].fetch_add(1, Ordering::SeqCst);
        self.answer(at, self.log.watch(at))
    }
}

fn partitions() -> [TopicPartition; 2] {
    [0, 1].map(|it| topic("order").at(Partition::new(it).unwrap()))
}

#[tokio::test]
async fn a_partition_that_is_away_keeps_its_leases_and_the_others_go_on() {
    // What a server that has lost its leader says, by whoever asks it, is not always that.
    away(Error::environment("it has no leader")).await;
    away(Error::UnknownTopic).await;
}

/// What is out of it stays out meanwhile, and its lease is ended, or answered for, after it.
async fn away(why: Error) {
    let [one, other] = partitions();
    let bench = Bench::of(Partitions::new(2).unwrap());
    // Where something was read, it is looked at again when one begins.
    for number in [1, 2] {
        bench.log.publish(&other, vec![stamped("other", "b", number)]).await.unwrap();
        let running = bench.start();
        let token = running.pull(10, &[number]).await;
        if number == 1 {
            running.acknowledge(&token, &[1]).await;
        }
        running.kill().await;
    }
    let broker = Away::now(&bench.log, why);
    let running = bench.start_with(broker.clone());
    bench.log.publish(&one, vec![stamped("order", "a", 3)]).await.unwrap();
    let token = running.pull(10, &[3]).await;
    running.acknowledge(&token, &[3]).await;
    let refused = running.desk.acknowledge("lease-1", Named::All).await;
    assert!(matches!(refused, Err(Refusal::Unread)), "{refused:?}");
    bench.clock.advance(LEASE);
    running.nothing().await;
    broker.is_back();
    bench.clock.advance(BACKOFF_MAX);
    let lent = running.lent(10).await.expect("its lease has ended");
    assert_eq!((numbers(Some(&lent)), lent.events[0].attempt), (vec![2], 2));
    running.desk.acknowledge(&lent.token, Named::All).await.unwrap();
    assert_eq!(running.lag().await, 0);
}

#[tokio::test]
async fn what_is_in_other_partitions_of_a_lease_is_answered_for_and_ends_while_one_is_away() {
    let [one, other] = partitions();
    let bench = Bench::of(Partitions::new(2).unwrap());
    let batch = [("a", 1), ("b", 2), ("c", 3)].map(|it| stamped("order", it.0, it.1));
    bench.log.publish(&one, batch.to_vec()).await.unwrap();
    bench.log.publish(&other, vec![stamped("other", "d", 4)]).await.unwrap();
    let running = bench.start();
    let lent = running.lent(10).await.expect("they are there");
    assert_eq!(lent.events.len(), 4);
    running.kill().await;
    let broker = Away::now(&bench.log, Error::environment("it has no leader"));
    let running = bench.start_with(broker.clone());
    assert_eq!(running.acknowledge(&lent.token, &[1]).await.count, 1);
    // Beside one that cannot be read it is settled, too, and who asks is told that not all is.
    for named in [ids(&[2, 4]), ids(&[4])] {
        let refused = running.desk.acknowledge(&lent.token, named).await;
        assert!(matches!(refused, Err(Refusal::Unread)), "{refused:?}");
    }
    bench.clock.advance(LEASE);
    let again = running.lent(10).await.expect("what can be read has ended");
    assert_eq!((numbers(Some(&again)), again.events[0].attempt), (vec![3], 2));
    assert_eq!(running.desk.acknowledge(&again.token, Named::All).await.unwrap().count, 1);
    running.nothing().await;
    broker.is_back();
    bench.clock.advance(BACKOFF_MAX);
    let last = running.lent(10).await.expect("its lease has ended");
    assert_eq!((numbers(Some(&last)), last.events[0].attempt), (vec![4], 2));
    running.desk.acknowledge(&last.token, Named::All).await.unwrap();
    assert_eq!(running.lag().await, 0);
}

#[tokio::test]
async fn a_partition_that_stays_away_has_no_other_begin_anew() {
    let bench = Bench::of(Partitions::new(2).unwrap());
    let broker = Away::now(&bench.log, Error::environment("it has no leader"));
    let running = bench.start_with(broker.clone());
    let watched = || [0, 1].map(|it| broker.watched[it].load(Ordering::SeqCst));
    for _ in 0..5 {
        running.nothing().await;
        bench.clock.advance(BACKOFF_MAX);
    }
    let [one, other] = watched();
    assert!(one == 1 && other >= 4, "{one} and {other}");
}

#[tokio::test]
async fn a_clock_that_is_set_back_leaves_no_partition_alone_for_longer() {
    let [_, other] = partitions();
    let bench = Bench::of(Partitions::new(2).unwrap());
    bench.log.publish(&other, vec![stamped("other", "b", 1)]).await.unwrap();
    let broker = Away::now(&bench.log, Error::environment("it has no leader"));
    let running = bench.start_with(broker.clone());
    running.nothing().await;
    bench.clock.step_back(Duration::from_secs(3600));
    broker.is_back();
    running.pull(10, &[1]).await;
}

/// With a record of the second partition that is hurt while an event behind it is out.
#[tokio::test]
async fn a_partition_that_is_hurt_leaves_the_others_their_leases() {
    let two = Partitions::new(2).unwrap();
    let [one, other] = partitions();
    let bench = Bench::of(two);
    bench.log.publish(&one, vec![stamped("order", "a", 1)]).await.unwrap();
    let batch = vec![stamped("other", "b", 2), stamped("other", "c", 3)];
    bench.log.publish(&other, batch).await.unwrap();
    let running = bench.start();
    let lent = running.lent(10).await.expect("they are there");
    assert_eq!(lent.events.len(), 3);
    running.kill().await;
    bench.log.close().await;
    let Bench { log, folder, clock, database, tokens, share } = bench;
    drop(log);
    let hurt = "UPDATE t2 SET record = CAST(replace(CAST(record AS TEXT), 'Num', 'Nom') AS BLOB)
        WHERE offset = 1";
    execute(&folder.path().join("log.db"), hurt);
    let declared = [Declared { topic: topic("order"), partitions: two }];
    let log = Arc::new(Log::open_declared(folder.path(), &declared, clock.component()).unwrap());
    let bench = Bench { log, folder, clock, database, tokens, share };
    let running = bench.start();
    assert_eq!(running.acknowledge(&lent.token, &[1]).await.count, 1);
    bench.log.publish(&one, vec![stamped("order", "a", 4)]).await.unwrap();
    let token = running.pull(10, &[4]).await;
    running.acknowledge(&token, &[4]).await;
    let status = running.control.status().await.unwrap();
    assert_eq!(status.partitions.iter().map(|it| it.lag).collect::<Vec<_>>(), [0, 2]);
    let stuck = status.partitions[1].stuck.clone().expect("it says so");
    assert!(stuck.contains("yeoul events skip mail.order"), "{stuck}");
    // Nothing else is there: whoever asks is told why, and not kept waiting for it.
    let pull = Pull { limit: 10, wait: Duration::ZERO, lease: LEASE };
    let Err(Refusal::Stuck(why)) = running.desk.pull(pull).await else { panic!("it is stuck") };
    assert!(why.contains("yeoul events skip mail.order"), "{why}");
    // An operator steps over it, and what was behind it comes again.
    assert!(running.control.skip("a test").await.unwrap().is_some());
    let token = running.pull(10, &[3]).await;
    running.acknowledge(&token, &[3]).await;
    assert_eq!(running.lag().await, 0);
}
