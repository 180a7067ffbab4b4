//! How an event of the window stands, and what may happen to it: the table in the header of [`window`](super), as a function.

/// How an event of the window stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EventState {
    /// Another one of its key is before it.
    Waiting,
    /// The first of its key.
    Ready,
    /// Somebody was given it.
    Out,
    /// Handled, parked or a second copy: nobody is given it any more.
    Settled,
}

/// What may happen to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    GivenOut,
    /// To who has all before it of its key that is not settled.
    GivenBehind,
    Acknowledged,
    Failed,
    PutBack,
    /// With others of its key before it.
    PutBehind,
    Turn,
}

impl EventState {
    /// How it stands after that; as before, where that says nothing of it.
    pub(super) fn after(self, input: Input) -> EventState {
        match (self, input) {
            (EventState::Waiting, Input::Turn) => EventState::Ready,
            (EventState::Ready, Input::GivenOut) => EventState::Out,
            (EventState::Waiting, Input::GivenBehind) => EventState::Out,
            (EventState::Out, Input::Acknowledged | Input::Failed) => EventState::Settled,
            (EventState::Out, Input::PutBack) => EventState::Ready,
            (EventState::Out, Input::PutBehind) => EventState::Waiting,
            (state, _) => state,
        }
    }
}
