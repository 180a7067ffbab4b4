//! How long a call may still take: the service until its head is there, the client while it sends.
//!
//! The route's timeout is the service's. While the service waits for a piece of the client's body
//! that time stands; then the client has the idle limit for each piece, and a limit for all of them.
//! What is decided is pure ([`judge`]); the one alarm of a call is set to whichever comes first.

use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use chassis::clock;

use super::deadlines::{Alarm, Deadlines};
use super::failure::Failure;
use super::upload::{Sending, Stand};
use crate::plan::Timeouts;

/// The time of one call, until its head.
pub(crate) struct Patience {
    alarm: Alarm,
    started: Instant,
    timeouts: Timeouts,
    sending: Sending,
    /// Whether the alarm is set to the client's limit.
    for_client: bool,
}

impl Patience {
    /// A call that begins at `started`; needs the `LocalSet` of a core.
    pub(crate) fn new(
        deadlines: &Rc<Deadlines>,
        timeouts: Timeouts,
        sending: Sending,
        started: Instant,
    ) -> Patience {
        let alarm = deadlines.alarm(started + timeouts.answer);
        Patience { alarm, started, timeouts, sending, for_client: false }
    }

    /// Ready once somebody took too long: with [`Failure::Late`] or [`Failure::Client`].
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Failure> {
        // Most bodies had come whole before anything was sent: one alarm, and it is the service's.
        let Some(stand) = self.sending.stand() else {
            return self.alarm.poll(context).map(|()| Failure::Late);
        };
        if self.for_client && stand.since.is_none() {
            // The client has sent: from here on the service's time runs again.
            self.for_client = false;
            self.alarm.reset(self.started + self.timeouts.answer + stand.stood);
        } else if !self.for_client
            && let Some(since) = stand.since
            && let end = clients_end(since, self.started, self.timeouts)
            && end < self.started + self.timeouts.answer
        {
            // The client's limit is the nearer one; a farther one is set when the service's has gone off.
            self.for_client = true;
            self.alarm.reset(end);
        }
        loop {
            // An alarm that went off was set before the client stood still, or sent again: who is late is
            // judged by how things stand now, and the alarm moved if it is nobody.
            ready!(self.alarm.poll(context));
            match judge(stand, self.started, self.timeouts, clock::now()) {
                Ok(at) => {
                    self.for_client = stand.since.is_some();
                    self.alarm.reset(at);
                }
                Err(failure) => return Poll::Ready(failure),
            }
        }
    }

    /// How long a connection may take, where `left` addresses are still to be tried: each gets its
    /// share of the service's time, so that one that swallows everything leaves some to the next.
    pub(crate) fn connect_for(&self, left: usize, now: Instant) -> Duration {
        let over = self.started + self.timeouts.answer;
        // The last one has its own timeout whole: there is nobody to leave time to.
        let share = over.saturating_duration_since(now) / u32::try_from(left.max(1)).unwrap_or(1);
        if left > 1 { share.min(self.timeouts.connect) } else { self.timeouts.connect }
    }

    /// The alarm, for the body of the answer.
    pub(crate) fn into_alarm(self) -> Alarm {
        self.alarm
    }
}

/// When to look again, or who took too long.
fn judge(
    stand: Stand,
    started: Instant,
    timeouts: Timeouts,
    now: Instant,
) -> Result<Instant, Failure> {
    let (at, failure) = match stand.since {
        Some(since) => (clients_end(since, started, timeouts), Failure::Client),
        None => (started + timeouts.answer + stand.stood, Failure::Late),
    };
    if at > now { Ok(at) } else { Err(failure) }
}

/// Until when a client that stands still since then is waited for.
fn clients_end(since: Instant, started: Instant, timeouts: Timeouts) -> Instant {
    (since + timeouts.idle).min(started + timeouts.upload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_services_time_stands_while_the_client_sends() {
        let second = Duration::from_secs(1);
        let timeouts = Timeouts {
            answer: second * 2,
            connect: second,
            idle: second * 60,
            upload: second * 3_600,
        };
        let start = clock::now();
        let judged = |since: Option<u32>, stood: u32, now: u32| {
            let stand = Stand { since: since.map(|at| start + second * at), stood: second * stood };
            judge(stand, start, timeouts, start + second * now).map(|at| (at - start).as_secs())
        };
        assert_eq!(judged(None, 0, 1), Ok(2));
        assert_eq!(judged(None, 0, 2), Err(Failure::Late));
        assert_eq!(judged(None, 10, 11), Ok(12));
        assert_eq!(judged(None, 10, 12), Err(Failure::Late));
        assert_eq!(judged(Some(5), 0, 5), Ok(65));
        assert_eq!(judged(Some(5), 0, 64), Ok(65));
        assert_eq!(judged(Some(5), 0, 65), Err(Failure::Client));
        assert_eq!(judged(Some(3_590), 3_000, 3_599), Ok(3_600));
        assert_eq!(judged(Some(3_590), 3_000, 3_600), Err(Failure::Client));
    }
}
