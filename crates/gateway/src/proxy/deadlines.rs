//! One coarse timer for all calls of a core.
//!
//! Nearly every call answers long before its deadline, so a deadline must cost nearly nothing to
//! set and to forget: a place in a list and a waker. A single task looks at the list every [`TICK`]
//! while there is anything in it, and wakes what is over; a deadline is met up to a tick late,
//! never early.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use chassis::clock;

/// How late a deadline may be noticed.
pub(crate) const TICK: Duration = Duration::from_millis(10);
/// How many ticks with nothing to watch before the task ends; starting it is not free either.
const IDLE_TICKS: u32 = 100;

/// The deadlines of one core.
#[derive(Default)]
pub(crate) struct Deadlines {
    slots: RefCell<Slots>,
}

#[derive(Default)]
struct Slots {
    entries: Vec<Deadline>,
    free: Vec<usize>,
    ticking: bool,
}

#[derive(Default)]
struct Deadline {
    at: Option<Instant>,
    over: bool,
    waker: Option<Waker>,
}

/// One deadline, forgotten when it is dropped.
pub(crate) struct Alarm {
    deadlines: Rc<Deadlines>,
    slot: usize,
}

impl Deadlines {
    /// Sets a deadline; needs the `LocalSet` of a core.
    pub(crate) fn alarm(self: &Rc<Self>, at: Instant) -> Alarm {
        let slots = &mut *self.slots.borrow_mut();
        let slot = slots.free.pop().unwrap_or_else(|| {
            slots.entries.push(Deadline::default());
            slots.entries.len() - 1
        });
        slots.entries[slot].at = Some(at);
        // One task for all, and none while there is nothing to watch.
        if !slots.ticking {
            slots.ticking = true;
            tokio::task::spawn_local(tick(self.clone()));
        }
        Alarm { deadlines: self.clone(), slot }
    }

    /// Wakes what is over at `now`; whether anything is watched at all.
    fn look(&self, now: Instant) -> bool {
        let slots = &mut *self.slots.borrow_mut();
        for entry in &mut slots.entries {
            // Each is woken once; who asks later finds it over.
            if !entry.over && entry.at.is_some_and(|at| at <= now) {
                entry.over = true;
                entry.waker.take().into_iter().for_each(Waker::wake);
            }
        }
        slots.free.len() < slots.entries.len()
    }
}

async fn tick(deadlines: Rc<Deadlines>) {
    let mut idle = 0;
    while idle < IDLE_TICKS {
        tokio::time::sleep(TICK).await;
        let busy = deadlines.look(clock::now());
        idle = if busy { 0 } else { idle + 1 };
    }
    deadlines.slots.borrow_mut().ticking = false;
}

impl Alarm {
    /// Ready once the deadline is over; wakes the task then.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let entry = &mut self.deadlines.slots.borrow_mut().entries[self.slot];
        if entry.over {
            return Poll::Ready(());
        }
        // A call stays in its task: the waker that was left is good nearly always.
        let known = entry.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker()));
        if !known {
            entry.waker = Some(context.waker().clone());
        }
        Poll::Pending
    }

    /// Moves the deadline.
    pub(crate) fn reset(&mut self, at: Instant) {
        let entry = &mut self.deadlines.slots.borrow_mut().entries[self.slot];
        entry.at = Some(at);
        entry.over = false;
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let slots = &mut *self.deadlines.slots.borrow_mut();
        slots.entries[self.slot] = Deadline::default();
        slots.free.push(self.slot);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::runtime::Builder;
    use tokio::task::LocalSet;

    use super::*;

    fn on_a_core(test: impl Future<Output = ()>) {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        LocalSet::new().block_on(&runtime, test);
    }

    #[test]
    fn a_deadline_wakes_its_task_when_it_is_over_and_not_before() {
        on_a_core(async {
            let deadlines = Rc::new(Deadlines::default());
            let start = clock::now();
            let mut alarm = deadlines.alarm(start + Duration::from_millis(50));
            poll_fn(|context| alarm.poll(context)).await;
            assert!(clock::now() >= start + Duration::from_millis(50));
        });
    }

    #[test]
    fn a_deadline_that_was_moved_is_not_over() {
        on_a_core(async {
            let deadlines = Rc::new(Deadlines::default());
            let start = clock::now();
            let mut alarm = deadlines.alarm(start);
            deadlines.look(start);
            let mut context = Context::from_waker(Waker::noop());
            assert!(alarm.poll(&mut context).is_ready());
            alarm.reset(start + TICK);
            assert!(alarm.poll(&mut context).is_pending());
            deadlines.look(start + TICK);
            assert!(alarm.poll(&mut context).is_ready());
        });
    }

    #[test]
    fn places_are_used_again() {
        on_a_core(async {
            let deadlines = Rc::new(Deadlines::default());
            let start = clock::now();
            for _ in 0..1000 {
                let _two = [deadlines.alarm(start), deadlines.alarm(start)];
            }
            assert_eq!(deadlines.slots.borrow().entries.len(), 2);
            assert!(!deadlines.look(start), "nothing is watched");
        });
    }
}
