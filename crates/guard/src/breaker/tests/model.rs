//! The breaker against a slow model of it, over random operations in virtual time.
//!
//! The model walks through time a millisecond at a step and makes each transition when it is due;
//! the breaker makes them when somebody looks. They must never be told apart.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Wait(u64),
    Admit,
    Record(usize, bool),
    Cancel(usize),
    /// The call never returns.
    Lose(usize),
}

/// Times are in milliseconds.
#[derive(Debug, Clone)]
struct Rules {
    failure_percent: u32,
    window_calls: usize,
    open_for: u64,
    probes: usize,
    probe_deadline: u64,
    enforce: bool,
}

impl Rules {
    fn settings(&self) -> Settings {
        Settings {
            failure_rate: percent(self.failure_percent),
            window_calls: self.window_calls as u32,
            open_for: Duration::from_millis(self.open_for),
            probes: self.probes as u32,
            probe_deadline: Duration::from_millis(self.probe_deadline),
            enforce: self.enforce,
        }
    }
}

#[derive(Debug)]
enum Stay {
    Closed,
    Open { until: u64 },
    HalfOpen { succeeded: usize, in_flight: Vec<(u64, u64)> },
}

#[derive(Debug, Clone, Copy)]
struct Admission {
    id: u64,
    stay: u64,
    heard: bool,
}

struct Model {
    rules: Rules,
    now: u64,
    stay: Stay,
    stays: u64,
    admissions: u64,
    window: VecDeque<bool>,
    refusals: u64,
    opened: u64,
}

impl Model {
    fn new(rules: Rules) -> Model {
        Model {
            rules,
            now: 0,
            stay: Stay::Closed,
            stays: 0,
            admissions: 0,
            window: VecDeque::new(),
            refusals: 0,
            opened: 0,
        }
    }

    fn change(&mut self, stay: Stay) {
        self.stays += 1;
        self.opened += u64::from(matches!(stay, Stay::Open { .. }));
        self.stay = stay;
    }

    fn tick(&mut self) {
        self.now += 1;
        if let Stay::HalfOpen { in_flight, .. } = &self.stay
            && let Some(&(_, deadline)) = in_flight.iter().find(|probe| self.now > probe.1)
        {
            self.change(Stay::Open { until: deadline + self.rules.open_for });
        }
        if let Stay::Open { until } = self.stay
            && self.now >= until
        {
            self.change(Stay::HalfOpen { succeeded: 0, in_flight: Vec::new() });
        }
    }

    fn admit(&mut self) -> Result<Admission, u64> {
        self.admissions += 1;
        let mut admission = Admission { id: self.admissions, stay: self.stays, heard: true };
        let retry_at = match &mut self.stay {
            Stay::Closed => return Ok(admission),
            Stay::Open { until } => *until,
            Stay::HalfOpen { succeeded, in_flight } => {
                if *succeeded + in_flight.len() < self.rules.probes {
                    in_flight.push((admission.id, self.now + self.rules.probe_deadline));
                    return Ok(admission);
                }
                let first = in_flight.iter().map(|probe| probe.1).min();
                first.unwrap_or(u64::MAX).min(self.now + self.rules.open_for)
            }
        };
        self.refusals += 1;
        admission.heard = false;
        if self.rules.enforce { Err(retry_at) } else { Ok(admission) }
    }

    fn record(&mut self, admission: Admission, failed: bool) {
        if admission.stay != self.stays || !admission.heard {
            return;
        }
        let open = Stay::Open { until: self.now + self.rules.open_for };
        match &mut self.stay {
            Stay::Open { .. } => unreachable!("an open circuit hears nobody"),
            Stay::HalfOpen { .. } if failed => self.change(open),
            Stay::HalfOpen { succeeded, in_flight } => {
                in_flight.retain(|probe| probe.0 != admission.id);
                *succeeded += 1;
                if *succeeded == self.rules.probes {
                    self.window.clear();
                    self.change(Stay::Closed);
                }
            }
            Stay::Closed => {
                self.window.push_back(failed);
                if self.window.len() > self.rules.window_calls {
                    self.window.pop_front();
                }
                let percent = self.failures() as usize * 100;
                let full = self.window.len() == self.rules.window_calls;
                if full && percent >= self.rules.failure_percent as usize * self.window.len() {
                    self.change(open);
                }
            }
        }
    }

    fn cancel(&mut self, admission: Admission) {
        if let Stay::HalfOpen { in_flight, .. } = &mut self.stay {
            in_flight.retain(|probe| probe.0 != admission.id);
        }
    }

    fn failures(&self) -> u32 {
        self.window.iter().map(|&failed| u32::from(failed)).sum()
    }

    fn snapshot(&self, start: Instant) -> Snapshot {
        let (state, probes_in_flight, retry_at) = match &self.stay {
            Stay::Closed => (State::Closed, 0, None),
            Stay::Open { until } => (State::Open, 0, Some(start + Duration::from_millis(*until))),
            Stay::HalfOpen { in_flight, .. } => (State::HalfOpen, in_flight.len() as u32, None),
        };
        Snapshot {
            state,
            transitions: self.stays,
            calls: self.window.len() as u32,
            failures: self.failures(),
            probes_in_flight,
            retry_at,
            refused: if self.rules.enforce { self.refusals } else { 0 },
            would_refuse: if self.rules.enforce { 0 } else { self.refusals },
            opened: self.opened,
        }
    }
}

/// Breaker and model side by side, and the permits both gave out.
struct Pair {
    breaker: Arc<Breaker>,
    model: Model,
    start: Instant,
    held: Vec<(Permit, Admission)>,
}

impl Pair {
    fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.model.now)
    }

    fn take(&mut self, place: usize) -> Option<(Permit, Admission)> {
        if self.held.is_empty() {
            return None;
        }
        Some(self.held.swap_remove(place % self.held.len()))
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Wait(millis) => (0..millis).for_each(|_| self.model.tick()),
            Step::Admit => match (self.breaker.admit(self.now()), self.model.admit()) {
                (Ok(permit), Ok(admission)) => self.held.push((permit, admission)),
                (Err(open), Err(millis)) => {
                    assert_eq!(open.retry_at, self.start + Duration::from_millis(millis));
                }
                (breaker, model) => panic!("breaker: {breaker:?}, model: {model:?}"),
            },
            Step::Record(place, failed) => {
                let now = self.now();
                if let Some((permit, admission)) = self.take(place) {
                    permit.record(if failed { Outcome::Failure } else { Outcome::Success }, now);
                    self.model.record(admission, failed);
                }
            }
            Step::Cancel(place) => {
                let now = self.now();
                if let Some((permit, admission)) = self.take(place) {
                    permit.cancel(now);
                    self.model.cancel(admission);
                }
            }
            Step::Lose(place) => {
                if let Some((permit, _)) = self.take(place) {
                    std::mem::forget(permit);
                }
            }
        }
    }
}

fn rules() -> impl Strategy<Value = Rules> {
    (1..=100_u32, 1..=6_usize, 1..=20_u64, 1..=4_usize, 1..=15_u64, any::<bool>()).prop_map(
        |(failure_percent, window_calls, open_for, probes, probe_deadline, enforce)| Rules {
            failure_percent,
            window_calls,
            open_for,
            probes,
            probe_deadline,
            enforce,
        },
    )
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..12_u64).prop_map(Step::Wait),
        6 => Just(Step::Admit),
        6 => (any::<usize>(), any::<bool>()).prop_map(|(at, failed)| Step::Record(at, failed)),
        1 => any::<usize>().prop_map(Step::Cancel),
        1 => any::<usize>().prop_map(Step::Lose),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn the_breaker_cannot_be_told_from_its_model(rules in rules(), steps in steps(), looks: bool) {
        let breaker = breaker(rules.settings());
        let start = origin();
        let mut pair = Pair { breaker, model: Model::new(rules), start, held: Vec::new() };
        for step in &steps {
            pair.step(step);
            // Whether somebody looks after each step must not make a difference.
            if looks {
                prop_assert_eq!(pair.breaker.snapshot(pair.now()), pair.model.snapshot(start));
            }
        }
        prop_assert_eq!(pair.breaker.snapshot(pair.now()), pair.model.snapshot(start));
    }
}
