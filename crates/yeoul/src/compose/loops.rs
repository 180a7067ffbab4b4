//! What runs beside the listeners.

use chassis::cores::Loop;
use events::subscription::Control;

/// Loops, and the handles of the subscriptions among them.
#[derive(Default)]
pub(crate) struct Loops {
    /// Each to be run to its end.
    pub(crate) run: Vec<Loop>,
    pub(crate) controls: Vec<Control>,
}

impl Loops {
    /// With others behind them.
    pub(crate) fn and(mut self, others: impl IntoIterator<Item = Loops>) -> Loops {
        for Loops { run, controls } in others {
            self.run.extend(run);
            self.controls.extend(controls);
        }
        self
    }
}
