//! Schedules, as one reports on them: whether all that is due waits, or a few that are refused while the others go out.

use std::time::Duration;

use events::schedules::{AGAIN_AFTER, Report, Schedules};
use tokio::sync::watch;

/// How late something may be before the process says that it is not ready.
const LATE_MAX: Duration = Duration::from_secs(10);

/// Schedules, for whoever reports on them.
#[derive(Clone)]
pub(crate) struct Scheduling {
    /// What they are called where something is wrong with them.
    pub(crate) name: &'static str,
    schedules: Schedules,
    /// `true` while whoever they are told to rests on purpose.
    rests: watch::Receiver<bool>,
}

impl Scheduling {
    /// Those whose events are taken at any time.
    pub(crate) fn of(name: &'static str, schedules: Schedules) -> Scheduling {
        Scheduling { name, schedules, rests: watch::Sender::new(false).subscribe() }
    }

    /// Those of somebody who takes nothing while that is said.
    pub(crate) fn resting(self, rests: watch::Receiver<bool>) -> Scheduling {
        Scheduling { rests, ..self }
    }

    /// Why nothing that is due is published, where that lasts.
    pub(crate) fn stuck(&self) -> Option<String> {
        let Report { late, trouble, .. } = self.schedules.report();
        let late_says = || format!("what was due {late:?} ago is not published");
        (late > LATE_MAX && !*self.rests.borrow()).then(|| trouble.unwrap_or_else(late_says))
    }

    /// Those that are refused while others go out, each with the reason.
    pub(crate) fn aside(&self) -> Option<String> {
        let Report { aside, .. } = self.schedules.report();
        let again = AGAIN_AFTER;
        let named =
            aside.iter().map(|it| format!("`{}` is due and is refused: {}", it.key, it.why));
        let named = named.collect::<Vec<_>>().join("; ");
        let says = || format!("{named}; it is tried again every {again:?}, and the others go on");
        (!aside.is_empty()).then(says)
    }
}
