//! Whether an order gets its goods: one decision an order, kept for ever.
//!
//! The decision row is the tombstone: an order that was decided upon is never decided again,
//! whatever is delivered twice, late or in another order.
//!
//! 1. The first event of an order decides: placed, it is `Taken` or `OutOfStock`; ended, it is `Ended`
//!    and a placement that comes later takes nothing. A return cannot be first and waits.
//! 2. Only `Taken` leads on, once: whichever of cancellation and return comes first gives the pieces
//!    back, and the other finds `GivenBack`.
//! 3. Everything else is what an event does that was delivered again: nothing.

use crate::named::named;

/// What was decided about an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Its quantity was taken out of the stock.
    Taken,
    /// There was not enough; nothing was taken.
    OutOfStock,
    /// What was taken is back.
    GivenBack,
    /// It ended before it was decided upon; nothing was taken and nothing will be.
    Ended,
}

/// What happened to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// It was placed; whether the stock is `enough` for it.
    Placed {
        /// Whether there is as much as it wants.
        enough: bool,
    },
    /// It was cancelled or rejected.
    Ended,
    /// Its delivery was returned.
    Returned,
}

/// What is done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Stock − quantity; StockDecreased and ProductChanged.
    Take,
    /// ProductOutOfStock; the stock stays.
    Refuse,
    /// Stock + quantity; StockIncreased and ProductChanged.
    GiveBack,
    /// The order is remembered as ended.
    Remember,
    /// It was decided before.
    Nothing,
    /// This cannot come first: what should have come before is tried again before it.
    TooEarly,
}

/// What to do about `input` for an order about which `before` was decided.
pub(super) fn step(before: Option<Decision>, input: Input) -> Step {
    use {Decision as D, Input as I};
    match (before, input) {
        (None, I::Placed { enough: true }) => Step::Take,
        (None, I::Placed { enough: false }) => Step::Refuse,
        (None, I::Ended) => Step::Remember,
        (None, I::Returned) => Step::TooEarly,

        (Some(D::Taken), I::Ended | I::Returned) => Step::GiveBack,

        (Some(D::Taken), I::Placed { .. }) | (Some(D::OutOfStock | D::GivenBack | D::Ended), _) => {
            Step::Nothing
        }
    }
}

impl Step {
    /// What is decided once the step is done.
    pub(super) fn decides(self) -> Option<Decision> {
        match self {
            Step::Take => Some(Decision::Taken),
            Step::Refuse => Some(Decision::OutOfStock),
            Step::GiveBack => Some(Decision::GivenBack),
            Step::Remember => Some(Decision::Ended),
            Step::Nothing | Step::TooEarly => None,
        }
    }
}

named! {
    Decision {
        Taken => "taken",
        OutOfStock => "out-of-stock",
        GivenBack => "given-back",
        Ended => "ended",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_decision_has_one_step_for_each_input() {
        use {Decision as D, Step as S};
        let inputs = [
            Input::Placed { enough: true },
            Input::Placed { enough: false },
            Input::Ended,
            Input::Returned,
        ];
        let table = [
            (None, [S::Take, S::Refuse, S::Remember, S::TooEarly]),
            (Some(D::Taken), [S::Nothing, S::Nothing, S::GiveBack, S::GiveBack]),
            (Some(D::OutOfStock), [S::Nothing; 4]),
            (Some(D::GivenBack), [S::Nothing; 4]),
            (Some(D::Ended), [S::Nothing; 4]),
        ];
        for (before, steps) in table {
            for (input, expected) in inputs.into_iter().zip(steps) {
                assert_eq!(step(before, input), expected, "{before:?} {input:?}");
            }
        }
    }

    #[test]
    fn no_sequence_of_inputs_gives_back_what_was_not_taken_or_twice() {
        let inputs = [
            Input::Placed { enough: true },
            Input::Placed { enough: false },
            Input::Ended,
            Input::Returned,
        ];
        for number in 0..inputs.len().pow(5) {
            let (mut before, mut taken) = (None, 0);
            for turn in 0..5 {
                let input = inputs[number / inputs.len().pow(turn) % inputs.len()];
                let step = step(before, input);
                match step {
                    Step::Take => taken += 1,
                    Step::GiveBack => taken -= 1,
                    _ => {}
                }
                assert!((0..=1).contains(&taken), "sequence {number}");
                before = step.decides().or(before);
            }
        }
    }

    #[test]
    fn a_decision_reads_back_as_itself() {
        for text in ["taken", "out-of-stock", "given-back", "ended"] {
            assert_eq!(Decision::parse(text).map(Decision::as_str), Some(text));
        }
        assert_eq!(Decision::parse("Taken"), None);
    }
}
