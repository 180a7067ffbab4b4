//! A bounded queue that is fair: each address is a flow, and the flows take turns.
//!
//! Where it is full, whoever has most gives a place up: the longest flow, and within it the share that
//! is largest. So one address cannot keep another out, nor one account the others of its address.

use std::collections::VecDeque;

use crate::account::attempts::Guess;

/// What can wait in flows.
pub(super) trait Waiting {
    /// What takes turns.
    fn flow(&self) -> u64;
    /// What shares a flow: equal for those that count together.
    fn share(&self) -> Guess;
}

/// The queue.
pub(super) struct FairQueue<T> {
    limit: usize,
    count: usize,
    /// None is empty; the first is next.
    flows: VecDeque<VecDeque<T>>,
}

impl<T: Waiting> FairQueue<T> {
    pub(super) fn new(limit: usize) -> FairQueue<T> {
        FairQueue { limit, count: 0, flows: VecDeque::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Puts one in; what had to give its place up, which may be that one.
    pub(super) fn push(&mut self, job: T) -> Option<T> {
        let flow = job.flow();
        match self.flows.iter_mut().find(|jobs| jobs[0].flow() == flow) {
            Some(jobs) => jobs.push_back(job),
            None => self.flows.push_back(VecDeque::from([job])),
        }
        self.count += 1;
        if self.count > self.limit { self.displace() } else { None }
    }

    /// Takes the next that is `ready`, and has its flow wait its turn.
    pub(super) fn pop(&mut self, mut ready: impl FnMut(&T) -> bool) -> Option<T> {
        for at in 0..self.flows.len() {
            let Some(place) = self.flows[at].iter().position(&mut ready) else { continue };
            let mut jobs = self.flows.remove(at)?;
            let job = jobs.remove(place);
            if !jobs.is_empty() {
                self.flows.push_back(jobs);
            }
            self.count -= 1;
            return job;
        }
        None
    }

    /// Takes out the newest of the largest share of the longest flow.
    fn displace(&mut self) -> Option<T> {
        let longest = (0..self.flows.len()).max_by_key(|at| self.flows[*at].len())?;
        let jobs = &mut self.flows[longest];
        let share = |at: usize| jobs.iter().filter(|job| job.share() == jobs[at].share()).count();
        let place = (0..jobs.len()).max_by_key(|at| (share(*at), *at))?;
        let job = jobs.remove(place);
        if jobs.is_empty() {
            self.flows.remove(longest);
        }
        self.count -= 1;
        job
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::attempts::Attempts;
    use crate::settings::SignIn;

    struct Job(u64, Guess, usize);

    impl Waiting for Job {
        fn flow(&self) -> u64 {
            self.0
        }

        fn share(&self) -> Guess {
            self.1
        }
    }

    struct Maker(Attempts);

    impl Maker {
        fn job(&self, address: u64, account: &str, number: usize) -> Job {
            Job(address, self.0.guess(account, address, true), number)
        }
    }

    fn maker() -> Maker {
        Maker(Attempts::new(&SignIn::default()))
    }

    #[test]
    fn flows_take_turns() {
        let (mut queue, maker) = (FairQueue::new(10), maker());
        for (number, address) in [1, 1, 1, 2, 3].into_iter().enumerate() {
            assert!(queue.push(maker.job(address, "a", number)).is_none());
        }
        let order: Vec<usize> =
            std::iter::from_fn(|| queue.pop(|_| true)).map(|job| job.2).collect();
        assert_eq!(order, [0, 3, 4, 1, 2]);
        assert!(queue.is_empty());
    }

    #[test]
    fn what_is_not_ready_lets_others_pass() {
        let (mut queue, maker) = (FairQueue::new(10), maker());
        for (number, address) in [1, 1, 2].into_iter().enumerate() {
            queue.push(maker.job(address, "a", number));
        }
        assert_eq!(queue.pop(|job| job.2 > 0).map(|job| job.2), Some(1));
        assert_eq!(queue.pop(|job| job.2 > 0).map(|job| job.2), Some(2));
        assert_eq!(queue.pop(|job| job.2 > 0).map(|job| job.2), None);
        assert!(!queue.is_empty());
    }

    #[test]
    fn whoever_has_most_gives_its_place_up() {
        let (mut queue, maker) = (FairQueue::new(4), maker());
        for number in 0..4 {
            assert!(queue.push(maker.job(1, "guessed", number)).is_none());
        }
        assert_eq!(queue.push(maker.job(1, "guessed", 4)).map(|job| job.2), Some(4));
        assert_eq!(queue.push(maker.job(2, "other", 5)).map(|job| job.2), Some(3));
        assert_eq!(queue.push(maker.job(1, "owner", 6)).map(|job| job.2), Some(2));
        let left: Vec<usize> =
            std::iter::from_fn(|| queue.pop(|_| true)).map(|job| job.2).collect();
        assert_eq!(left, [0, 5, 1, 6]);
    }
}
