//! Against a plain story: for each key a list, and who has how much of its beginning.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;

use super::*;

/// What may happen, by turns.
#[derive(Clone, Debug)]
enum Step {
    Publish(u8),
    Pull(usize),
    /// Of one of the leases, the events whose bits are set.
    Acknowledge(usize, u8),
    /// All that is left of one.
    AcknowledgeAll(usize),
    Reject(usize, u8, Again),
    Wait(u8),
    Crash,
}

fn again() -> impl Strategy<Value = Again> {
    let after = Again::After(Duration::from_secs(3));
    prop::sample::select(vec![Again::Backoff, after, Again::Uncounted, Again::Never])
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..3u8).prop_map(Step::Publish),
        4 => (1..9usize).prop_map(Step::Pull),
        4 => (0..8usize, any::<u8>()).prop_map(|(lease, which)| Step::Acknowledge(lease, which)),
        6 => (0..8usize).prop_map(Step::AcknowledgeAll),
        8 => (0..8usize, any::<u8>(), again())
            .prop_map(|(lease, which, again)| Step::Reject(lease, which, again)),
        2 => (0..40u8).prop_map(Step::Wait),
        1 => Just(Step::Crash),
    ];
    prop::collection::vec(step, 0..60)
}

/// An event that somebody has.
#[derive(Clone)]
struct Had {
    number: u64,
    key: String,
}

/// A lease as its holder knows it.
struct Held {
    token: String,
    /// What he did not answer for yet.
    left: Vec<Had>,
    until: u64,
}

/// The story, and who it is told of.
struct Model {
    bench: Bench,
    running: Option<Running>,
    published: u64,
    /// Of each key what is not acknowledged, in order.
    open: BTreeMap<String, VecDeque<u64>>,
    held: Vec<Held>,
    seconds: u64,
}

impl Model {
    fn new(bench: Bench) -> Model {
        let running = Some(bench.start());
        Model { bench, running, published: 0, open: BTreeMap::new(), held: Vec::new(), seconds: 0 }
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("it runs")
    }

    async fn take(&mut self, step: &Step) {
        match step {
            Step::Publish(key) => self.publish(&key.to_string()).await,
            Step::Pull(limit) => _ = self.pull(*limit).await,
            Step::Acknowledge(lease, which) => self.acknowledge(*lease, *which).await,
            Step::AcknowledgeAll(lease) => self.acknowledge_all(*lease).await,
            Step::Reject(lease, which, again) => self.reject(*lease, *which, *again).await,
            Step::Wait(seconds) => self.wait(u64::from(*seconds)),
            Step::Crash => {
                self.running.take().expect("it runs").kill().await;
                self.running = Some(self.bench.start());
            }
        }
    }

    async fn publish(&mut self, key: &str) {
        self.published += 1;
        let data = format!(r#"{{"share":{}}}"#, self.published % 3);
        let data = serde_json::value::RawValue::from_string(data).expect("JSON");
        let event = Event { data, ..stamped("order", key, self.published) };
        self.bench.log.publish(&topic("order").first(), vec![event]).await.unwrap();
        self.open.entry(key.to_owned()).or_default().push_back(self.published);
    }

    fn wait(&mut self, seconds: u64) {
        self.seconds += seconds;
        self.bench.clock.advance(Duration::from_secs(seconds));
        self.held.retain(|held| held.until > self.seconds);
    }

    /// Whatever is lent is the beginning of what is open of its key, and nobody has any of that.
    async fn pull(&mut self, limit: usize) -> bool {
        let Some(lent) = self.running().lent(limit).await else { return false };
        assert!(lent.events.len() <= limit && !lent.events.is_empty());
        let had =
            |given: &Given| Had { number: given.event().sequence, key: given.event().key.clone() };
        let left: Vec<Had> = lent.events.iter().map(had).collect();
        for (key, open) in &self.open {
            let of_key: Vec<u64> =
                left.iter().filter(|it| it.key == *key).map(|it| it.number).collect();
            let first: Vec<u64> = open.iter().take(of_key.len()).copied().collect();
            assert_eq!(of_key, first, "the first of {key}, in order");
            let has = |held: &Held| held.left.iter().any(|it| it.key == *key);
            assert!(of_key.is_empty() || !self.held.iter().any(has), "nobody else has {key}");
        }
        let until = self.seconds + LEASE.as_secs();
        self.held.push(Held { token: lent.token, left, until });
        true
    }

    /// Which lease is meant.
    fn at(&self, lease: usize) -> Option<usize> {
        lease.checked_rem(self.held.len())
    }

    /// Its events whose bits are set.
    fn some(&self, at: usize, which: u8) -> Vec<Had> {
        let left = self.held[at].left.iter().enumerate();
        left.filter(|it| which >> (it.0 % 8) & 1 == 1).map(|it| it.1.clone()).collect()
    }

    async fn acknowledge(&mut self, lease: usize, which: u8) {
        let Some(at) = self.at(lease) else { return };
        let some = self.some(at, which);
        let numbers: Vec<u64> = some.iter().map(|it| it.number).collect();
        let answered = self.running().acknowledge(&self.held[at].token, &numbers).await;
        assert_eq!(answered.count, some.len(), "he has them until he says what became of them");
        numbers.into_iter().for_each(|number| self.handled(at, number));
    }

    fn handled(&mut self, at: usize, number: u64) {
        self.held[at].left.retain(|it| it.number != number);
        self.open.values_mut().for_each(|of_key| of_key.retain(|it| *it != number));
    }

    /// What he rejected before, and what is behind that, is not among them.
    async fn acknowledge_all(&mut self, lease: usize) {
        let Some(at) = self.at(lease) else { return };
        let answered = self.running().desk.acknowledge(&self.held[at].token, Named::All).await;
        assert_eq!(answered.unwrap().count, self.held[at].left.len());
        let left = self.held[at].left.clone();
        left.iter().for_each(|had| self.handled(at, had.number));
    }

    /// Anywhere in its key: it leaves with what is behind it, and what is before it stays his.
    async fn reject(&mut self, lease: usize, which: u8, again: Again) {
        let Some(at) = self.at(lease) else { return };
        let some = self.some(at, which);
        let numbers: Vec<u64> = some.iter().map(|it| it.number).collect();
        let answered = self.running().reject(&self.held[at].token, &numbers, again).await;
        assert_eq!(answered.count, some.len());
        let has_left = |it: &Had| {
            some.iter().any(|rejected| rejected.key == it.key && rejected.number <= it.number)
        };
        self.held[at].left.retain(|it| !has_left(it));
    }

    /// Everything is acknowledged in the end, dead letters once they are redriven.
    async fn finish(&mut self) {
        for _ in 0..200 {
            self.wait(LEASE.as_secs());
            while self.pull(1000).await {
                let at = self.held.len() - 1;
                for Had { number, .. } in self.held[at].left.clone() {
                    self.running().acknowledge(&self.held[at].token, &[number]).await;
                    self.handled(at, number);
                }
            }
            for letter in self.running().control.dead(100).await.unwrap() {
                assert!(self.running().control.redrive(&letter.id).await.unwrap());
            }
            if self.open.values().all(VecDeque::is_empty) {
                break;
            }
        }
        assert!(self.open.values().all(VecDeque::is_empty), "left: {:?}", self.open);
        assert_eq!(self.running().lag().await, 0);
        assert_eq!(self.bench.rows("parked").await, 0);
        assert_eq!(self.bench.rows("settled_ahead").await, 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_answered_ends_or_crashes_each_key_is_one_s_at_a_time_in_order_and_nothing_is_lost(
        steps in steps()
    ) {
        told(Bench::new, &steps);
    }

    #[test]
    fn whoever_s_turn_it_is_each_key_is_one_s_at_a_time_in_order_and_nothing_is_lost(steps in steps()) {
        // Three shares of three keys each: what is parked and what is new are of several.
        told(|| Bench::new().by_share("event.share"), &steps);
    }
}

fn told(bench: impl FnOnce() -> Bench, steps: &[Step]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut model = Model::new(bench());
        for step in steps {
            model.take(step).await;
        }
        model.finish().await;
    });
}
