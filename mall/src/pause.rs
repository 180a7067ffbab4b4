//! What rests while a service is switched off: its handlers, and its relay.
//!
//! Two switches reach the relay (the service's own and the fault `{"relay":"off"}`), so what the
//! relay follows is both of them together; ending one leaves the other as it is.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// The switches of one service; clones are handles of the same.
#[derive(Clone, Debug)]
pub struct Pause(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    handlers: watch::Sender<bool>,
    relay: watch::Sender<bool>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    stopped: bool,
    relay_off: bool,
}

impl Pause {
    /// Nothing rests.
    pub fn new() -> Pause {
        let inner = Inner {
            state: Mutex::default(),
            handlers: watch::Sender::new(false),
            relay: watch::Sender::new(false),
        };
        Pause(Arc::new(inner))
    }

    /// `true` while handlers rest.
    pub fn handlers(&self) -> watch::Receiver<bool> {
        self.0.handlers.subscribe()
    }

    /// `true` while the relay rests.
    pub fn relay(&self) -> watch::Receiver<bool> {
        self.0.relay.subscribe()
    }

    /// Switches the whole service.
    pub fn stop(&self, stopped: bool) {
        self.change(|state| state.stopped = stopped);
    }

    /// Switches the relay alone.
    pub fn relay_off(&self, off: bool) {
        self.change(|state| state.relay_off = off);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        // Sent under the lock, so that what is followed is the newest state.
        self.0.handlers.send_replace(state.stopped);
        self.0.relay.send_replace(state.stopped || state.relay_off);
    }
}

impl Default for Pause {
    fn default() -> Pause {
        Pause::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_relay_rests_for_either_reason_and_the_handlers_for_one() {
        for (stopped, relay_off) in [(false, false), (false, true), (true, false), (true, true)] {
            let pause = Pause::new();
            pause.stop(stopped);
            pause.relay_off(relay_off);
            assert_eq!(*pause.handlers().borrow(), stopped);
            assert_eq!(*pause.relay().borrow(), stopped || relay_off);
        }
    }
}
