//! How a bench spends its seconds: every subject warms up once, then all take turns in rounds.

/// Seconds for starting and stopping what is measured.
const SETTING_UP: u64 = 6;
/// Seconds one subject is warmed up.
pub(crate) const WARM_UP: u64 = 1;
/// Rounds, if there is time: an odd number has a median that was seen.
const ROUNDS_MAX: u64 = 5;

/// What fits into a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    pub(crate) rounds: u64,
    /// Seconds of one subject in one round.
    pub(crate) seconds: u64,
}

impl Schedule {
    /// The schedule of so many subjects in a run of `seconds`, everything included; as short as it
    /// gets where the seconds do not suffice.
    pub(crate) fn new(seconds: u64, subjects: u64) -> Schedule {
        let left = seconds.saturating_sub(SETTING_UP + subjects * WARM_UP);
        let turns = left / subjects.max(1);
        // Two seconds a turn at least, where there are seconds for three rounds; below that, short turns rather
        // than one.
        let rounds = match turns / 2 {
            0..=2 => turns.min(3),
            rounds => rounds.min(ROUNDS_MAX),
        };
        let rounds = odd(rounds);
        Schedule { rounds, seconds: (turns / rounds).max(1) }
    }
}

/// The odd number at or below it, at least 1.
fn odd(number: u64) -> u64 {
    if number % 2 == 1 { number } else { number.saturating_sub(1).max(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_never_takes_longer_than_it_may_unless_it_cannot_be_shorter() {
        for subjects in 1..=6 {
            for seconds in 0..=120 {
                let schedule = Schedule::new(seconds, subjects);
                assert_eq!(schedule.rounds % 2, 1, "{seconds} {subjects}");
                let takes = SETTING_UP + subjects * (WARM_UP + schedule.rounds * schedule.seconds);
                let shortest = SETTING_UP + subjects * (WARM_UP + 1);
                assert!(takes <= seconds.max(shortest), "{seconds} {subjects} {schedule:?}");
            }
        }
    }

    #[test]
    fn the_usual_run_has_three_rounds_or_five() {
        assert_eq!(Schedule::new(45, 4), Schedule { rounds: 3, seconds: 2 });
        assert_eq!(Schedule::new(45, 2), Schedule { rounds: 5, seconds: 3 });
    }
}
