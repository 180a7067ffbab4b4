//! Probes by requests whose bodies had not come whole: a slow client does not decide whether a service is back.

use std::cell::Cell;
use std::time::Duration;

use chassis::clock;
use chassis::http::Problem;

use super::upload::Upload;
use super::{Core, Route};
use crate::guards::CallPermit;

/// The largest body that is waited for so that a request may probe.
const PROBE_BYTES_MAX: usize = 1024 * 1024;
/// How long it is waited for.
const PROBE_BODY_FOR: Duration = Duration::from_secs(1);
/// How many bodies are waited for at once, on each core.
const GATHERING_MAX: usize = 16;

/// What became of a request that wanted to probe before its body was whole.
pub(super) enum Probing {
    /// It may go; without a permit where there is no circuit.
    Admitted {
        upload: Upload,
        permit: Option<CallPermit>,
    },
    Refused(Problem),
    /// Its client broke off.
    Unreadable,
}

impl Core {
    /// A permit to probe the service with a request whose body had not come whole: waits for it a while,
    /// so that no slow client decides whether the service is back.
    pub(super) async fn probe(&self, route: &Route, mut upload: Upload) -> Probing {
        // Bodies that are waited for are kept in memory: past so many the circuit answers as if it were open.
        if self.gathering.get() >= GATHERING_MAX {
            return Probing::Refused(route.guards.refuse(clock::now()));
        }
        self.gathering.set(self.gathering.get() + 1);
        let _one_less = Gathering(&self.gathering);
        let gathered = tokio::time::timeout(PROBE_BODY_FOR, upload.gather(PROBE_BYTES_MAX)).await;
        if let Ok(Err(_)) = gathered {
            return Probing::Unreadable;
        }
        // Asked anew: the circuit may have closed, or another request may probe by now.
        let now = clock::now();
        match route.guards.admit(now) {
            Ok(Some(permit)) if permit.is_probe() && !upload.is_whole() => {
                drop(permit);
                Probing::Refused(route.guards.refuse(now))
            }
            Ok(permit) => Probing::Admitted { upload, permit },
            Err(problem) => Probing::Refused(problem),
        }
    }
}

/// One of the bodies that are waited for.
struct Gathering<'c>(&'c Cell<usize>);

impl Drop for Gathering<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
