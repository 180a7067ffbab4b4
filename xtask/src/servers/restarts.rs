//! When what has ended is started again: at once, but later each time where it ends soon after it was started.
//!
//! What a cluster starts may never come up: a setting that is refused, a port that somebody else took. Tried without a
//! rest it would take a core and fill its file with the same words.

use std::time::{Duration, Instant};

use super::process::Process;

/// One that ran that long did not fail by its start.
const STEADY: Duration = Duration::from_secs(10);
/// How long the second start waits; each one after it waits twice as long.
const WAIT_MIN: Duration = Duration::from_millis(500);
/// How long one waits at most.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// What is remembered of one process's ends.
#[derive(Debug)]
pub(crate) struct Restarts {
    started: Instant,
    /// Ends in a row, each soon after a start.
    early: u32,
    due: Option<Instant>,
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Start,
    /// It will be started later; said at the first of such waits.
    Say,
    Wait,
}

impl Restarts {
    pub(crate) fn new(started: Instant) -> Restarts {
        Restarts { started, early: 0, due: None }
    }

    /// Whether a process has ended, and is to be started again now.
    pub(crate) fn is_due(&mut self, name: &str, process: &mut Process, now: Instant) -> bool {
        if !process.has_ended() {
            return false;
        }
        let step = self.ended(now);
        match step {
            Step::Start if self.early == 1 => eprintln!("{name} has ended and is started again"),
            Step::Say => eprintln!(
                "{name} ends soon after each start: it is started less and less often, in the end every {} s:\n{}",
                WAIT_MAX.as_secs(),
                process.words()
            ),
            Step::Start | Step::Wait => {}
        }
        step == Step::Start
    }

    /// It is seen to have ended.
    fn ended(&mut self, now: Instant) -> Step {
        match self.due {
            Some(due) if now < due => return Step::Wait,
            Some(_) => {}
            None => {
                self.early = if now - self.started < STEADY { self.early + 1 } else { 1 };
                if self.early > 1 {
                    self.due = Some(now + wait(self.early));
                    return if self.early == 2 { Step::Say } else { Step::Wait };
                }
            }
        }
        (self.started, self.due) = (now, None);
        Step::Start
    }
}

/// Before the start after so many early ends.
fn wait(early: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(early.saturating_sub(2));
    WAIT_MIN.saturating_mul(doubled).min(WAIT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell;

    fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    /// When it is started again within this time, in milliseconds, where each one ends at once; looked at every 50 ms.
    fn starts(restarts: &mut Restarts, start: Instant, span: Duration) -> Vec<u64> {
        let looks = (0..=u64::try_from(span.as_millis()).unwrap()).step_by(50);
        looks.filter(|at| restarts.ended(start + millis(*at)) == Step::Start).collect()
    }

    #[test]
    fn what_ends_at_once_is_started_less_and_less_often() {
        let start = crate::servers::now();
        let mut restarts = Restarts::new(start);
        let all = starts(&mut restarts, start, Duration::from_secs(180));
        // At once, then each after twice the wait before it; a look later is when it is seen to have ended again.
        assert_eq!(all[..5], [0, 550, 1_600, 3_650, 7_700]);
        let last = all.windows(2).last().map(|two| two[1] - two[0]);
        assert_eq!(last, Some(30_050), "{all:?}");
    }

    #[test]
    fn one_that_ran_for_a_while_is_started_at_once_and_one_that_did_not_is_not() {
        let start = crate::servers::now();
        for (ran, expected) in [(9_999, Step::Say), (10_000, Step::Start)] {
            let mut restarts = Restarts::new(start);
            assert_eq!(restarts.ended(start + millis(1)), Step::Start, "the first time");
            assert_eq!(restarts.ended(start + millis(1 + ran)), expected, "{ran}");
        }
    }

    #[test]
    fn it_is_said_once_and_again_after_it_ran() {
        let start = crate::servers::now();
        let mut restarts = Restarts::new(start);
        let mut said = |from: u64| {
            // Until it is started next, after a minute.
            let mut looks = (from..).step_by(50).map(|at| (at, restarts.ended(start + millis(at))));
            let mut said = 0;
            let started = looks.find(|(at, step)| {
                said += usize::from(*step == Step::Say);
                *step == Step::Start && *at > from + 60_000
            });
            (said, started.unwrap().0)
        };
        let (before, started) = said(0);
        // It runs for a while.
        let (after, _) = said(started + 10_000);
        assert_eq!((before, after), (1, 1));
    }

    #[test]
    fn a_process_that_has_ended_is_another_one_after_a_look() {
        let folder = tempfile::tempdir().unwrap();
        let run = || Process::start("one", &shell::command(&["false"]), folder.path());
        let mut process = run().unwrap();
        let (start, mut started) = (crate::servers::now(), 0);
        let mut restarts = Restarts::new(start);
        for at in (0..1_000).step_by(50) {
            while !process.has_ended() {
                crate::servers::pause();
            }
            if restarts.is_due("one", &mut process, start + millis(at)) {
                started += 1;
                process = run().unwrap();
            }
        }
        assert_eq!(started, 2);
    }
}
