//! What becomes of a delivery: one an order, ever; the decisions, as tables.
//!
//! An order that ended before it was confirmed leaves a tombstone, so that a confirmation that comes
//! late, or again, creates nothing.

use crate::named::named;

/// What delivery has of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Have {
    /// Nothing yet.
    Nothing,
    /// The order ended before it was confirmed.
    Tombstone,
    /// A delivery in this state.
    Delivery(State),
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// On its way.
    Started,
    /// Handed over.
    Completed,
    /// Called back before it was handed over.
    Cancelled,
    /// Sent back by the customer.
    Returned,
}

/// What happened to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// It was confirmed.
    Confirmed,
    /// It was cancelled or rejected.
    Ended,
}

/// What is done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A delivery starts; DeliveryStarted.
    Start,
    /// The delivery is called back; DeliveryCancelled.
    Cancel,
    /// A tombstone is left.
    Bury,
    /// It is so already, or too late.
    Nothing,
}

/// What to do about `input`.
pub(super) fn step(have: Have, input: Input) -> Step {
    match (have, input) {
        (Have::Nothing, Input::Confirmed) => Step::Start,
        (Have::Nothing, Input::Ended) => Step::Bury,
        (Have::Delivery(State::Started), Input::Ended) => Step::Cancel,
        (Have::Delivery(State::Completed | State::Cancelled | State::Returned), Input::Ended)
        | (Have::Delivery(_), Input::Confirmed)
        | (Have::Tombstone, _) => Step::Nothing,
    }
}

/// What an operator's change of a state leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transition {
    /// It is so; the event of that name is published.
    Allowed,
    /// It is so already.
    Unchanged,
    /// 409 with this reason.
    Refused(&'static str),
}

/// Whether a delivery in `state` may be made `wanted`. It is called back by cancelling its order
/// and in no other way: the order would otherwise stay confirmed for goods that never come.
pub(super) fn transition(state: State, wanted: State) -> Transition {
    use State as S;
    match (state, wanted) {
        (have, wanted) if have == wanted => Transition::Unchanged,
        (S::Started, S::Completed) | (S::Completed, S::Returned) => Transition::Allowed,
        (_, S::Started) => {
            Transition::Refused("a delivery starts with its order's confirmation alone")
        }
        (_, S::Cancelled) => Transition::Refused("a delivery is cancelled by cancelling its order"),
        (S::Cancelled, _) => Transition::Refused("the delivery was cancelled"),
        (_, S::Completed) => Transition::Refused("the delivery was returned"),
        (_, S::Returned) => Transition::Refused("the delivery is not completed"),
    }
}

// A state's name is also that of the event that leads to it.
named! {
    State {
        Started => "DeliveryStarted",
        Completed => "DeliveryCompleted",
        Cancelled => "DeliveryCancelled",
        Returned => "DeliveryReturned",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_delivery_can_have_of_an_order_has_one_step_for_each_input() {
        let table = [
            (Have::Nothing, Step::Start, Step::Bury),
            (Have::Tombstone, Step::Nothing, Step::Nothing),
            (Have::Delivery(State::Started), Step::Nothing, Step::Cancel),
            (Have::Delivery(State::Completed), Step::Nothing, Step::Nothing),
            (Have::Delivery(State::Cancelled), Step::Nothing, Step::Nothing),
            (Have::Delivery(State::Returned), Step::Nothing, Step::Nothing),
        ];
        for (have, confirmed, ended) in table {
            assert_eq!(step(have, Input::Confirmed), confirmed, "{have:?}");
            assert_eq!(step(have, Input::Ended), ended, "{have:?}");
        }
    }

    #[test]
    fn only_the_next_step_is_allowed_and_the_same_step_again_is_fine() {
        use State as S;
        for &state in S::ALL {
            for &wanted in S::ALL {
                let allowed = matches!(
                    (state, wanted),
                    (S::Started, S::Completed) | (S::Completed, S::Returned)
                );
                let answer = transition(state, wanted);
                assert_eq!(answer == Transition::Allowed, allowed, "{state:?} to {wanted:?}");
                assert_eq!(
                    answer == Transition::Unchanged,
                    state == wanted,
                    "{state:?} to {wanted:?}"
                );
            }
        }
    }

    #[test]
    fn a_state_reads_back_as_itself() {
        for &state in State::ALL {
            assert_eq!(State::parse(state.as_str()), Some(state));
        }
        assert_eq!(State::parse("Delivered"), None);
    }
}
