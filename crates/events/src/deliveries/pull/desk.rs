//! Where a subscriber asks for events and says what became of them: a handle for as many as ask at once.
//!
//! What is asked is one loop's to answer ([`keeper`](super::keeper)); here one waits for it, as long as was said. Whoever
//! gives up waiting before the answer is there gets none: what was put together for him is taken back, and counts as no
//! attempt.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::lease::{Named, Rejection};
use super::tally::{Counts, Tally};
use super::{Answered, Lent, Refusal, WAIT_MAX, WAITING_MAX};
use crate::Clock;

/// A handle; see the module. Good for as long as the loop runs that answers.
#[derive(Clone)]
pub struct Desk {
    asks: mpsc::Sender<Ask>,
    places: Arc<Semaphore>,
    tally: Arc<Tally>,
    clock: Clock,
}

/// What is asked.
pub(super) enum Ask {
    Pull(PullAsk),
    Settle(SettleAsk),
    /// Nobody heard of the lease of this token.
    TakeBack(String),
}

/// An answer that somebody waits for. Where he goes away when it is there and he has not looked, its lease is taken back.
struct Awaited<'d> {
    answer: oneshot::Receiver<Result<Option<Lent>, Refusal>>,
    asks: &'d mpsc::Sender<Ask>,
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        self.answer.close();
        if let Ok(Ok(Some(Lent { token, .. }))) = self.answer.try_recv() {
            // Where there is no room for that, the lease ends by itself.
            drop(self.asks.try_send(Ask::TakeBack(token)));
        }
    }
}

/// A lease on its way to whom it is for: dropped before he has all of it, it is taken back.
#[must_use]
pub struct OnItsWay {
    asks: mpsc::Sender<Ask>,
    token: Option<String>,
}

impl OnItsWay {
    /// All of it was handed over: from now on it is his.
    pub fn arrived(mut self) {
        self.token = None;
    }
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        if let Some(token) = self.token.take() {
            // Where there is no room for that, the lease ends by itself.
            drop(self.asks.try_send(Ask::TakeBack(token)));
        }
    }
}

/// Somebody waits for events.
pub(super) struct PullAsk {
    pub(super) limit: usize,
    pub(super) lease: Duration,
    /// He takes none for an answer.
    pub(super) is_at_once: bool,
    pub(super) reply: Reply<Option<Lent>>,
}

/// Somebody says what became of events.
pub(super) struct SettleAsk {
    /// When he said so: by that it is in time or not, however late it is looked at.
    pub(super) at: Timestamp,
    pub(super) token: String,
    pub(super) named: Named,
    /// Why they were not handled, if they were not.
    pub(super) rejection: Option<Rejection>,
    pub(super) reply: Reply<Answered>,
}

pub(super) type Reply<T> = oneshot::Sender<Result<T, Refusal>>;

/// How a subscriber asks for events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pull {
    /// Events at most; 1 to [`LIMIT_MAX`](super::LIMIT_MAX).
    pub limit: usize,
    /// How long he waits where there are none, at most [`WAIT_MAX`](super::WAIT_MAX).
    pub wait: Duration,
    /// How long he has them, at most [`LEASE_MAX`](super::LEASE_MAX).
    pub lease: Duration,
}

/// What is answered in time; nothing where nothing is.
async fn within(
    wait: Duration,
    answer: &mut oneshot::Receiver<Result<Option<Lent>, Refusal>>,
) -> Result<Option<Lent>, Refusal> {
    if let Ok(answered) = tokio::time::timeout(wait, &mut *answer).await {
        return answered.unwrap_or(Err(Refusal::Stopped));
    }
    // From here on nobody answers any more; what was answered until now counts.
    answer.close();
    answer.try_recv().unwrap_or(Ok(None))
}

impl Desk {
    pub(super) fn new(asks: mpsc::Sender<Ask>, tally: Arc<Tally>, clock: Clock) -> Desk {
        Desk { asks, places: Arc::new(Semaphore::new(WAITING_MAX)), tally, clock }
    }

    /// Events and their lease, once it is on disk; `None` where none came in time.
    ///
    /// Dropped before it resolves, nothing of it is out.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn pull(&self, pull: Pull) -> Result<Option<Lent>, Refusal> {
        let Pull { limit, wait, lease } = pull;
        let _place = self.places.try_acquire().map_err(|_| Refusal::Full {
            what: "requests that wait for events",
            limit: WAITING_MAX,
        })?;
        let (reply, answer) = oneshot::channel();
        let mut awaited = Awaited { answer, asks: &self.asks };
        // Where all is stopped there is nothing to wait for; whether that still is so the loop says.
        let wait = if self.tally.stopped().is_all { Duration::ZERO } else { wait };
        let is_at_once = wait.is_zero();
        self.ask(Ask::Pull(PullAsk { limit, lease, is_at_once, reply }))?;
        // Who takes none for an answer is told so as soon as that is known.
        let lent = within(if is_at_once { WAIT_MAX } else { wait }, &mut awaited.answer).await;
        match (lent, self.tally.stopped().why) {
            (Ok(None), Some(why)) => Err(Refusal::Stuck(why)),
            (lent, _) => lent,
        }
    }

    /// A lease that [`Desk::pull`] gave, to be watched on its way: an answer that breaks off reaches nobody.
    pub fn on_its_way(&self, token: &str) -> OnItsWay {
        OnItsWay { asks: self.asks.clone(), token: Some(token.to_owned()) }
    }

    /// These of a lease are handled; resolves once that is on disk.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn acknowledge(&self, token: &str, named: Named) -> Result<Answered, Refusal> {
        self.settle(token, named, None).await
    }

    /// These of a lease are not handled, and why; resolves once that is on disk.
    ///
    /// It counts once what was given before them of their key is answered for; what was given behind them leaves the lease
    /// with them.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn reject(
        &self,
        token: &str,
        named: Named,
        rejection: Rejection,
    ) -> Result<Answered, Refusal> {
        self.settle(token, named, Some(rejection)).await
    }

    /// What was counted since it runs.
    pub fn counts(&self) -> Counts {
        self.tally.counts(WAITING_MAX - self.places.available_permits())
    }

    async fn settle(
        &self,
        token: &str,
        named: Named,
        rejection: Option<Rejection>,
    ) -> Result<Answered, Refusal> {
        let (reply, answer) = oneshot::channel();
        let (at, token) = ((self.clock)(), token.to_owned());
        self.ask(Ask::Settle(SettleAsk { at, token, named, rejection, reply }))?;
        answer.await.unwrap_or(Err(Refusal::Stopped))
    }

    fn ask(&self, ask: Ask) -> Result<(), Refusal> {
        self.asks.try_send(ask).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                Refusal::Full { what: "requests that wait to be answered", limit: super::ASKS_MAX }
            }
            mpsc::error::TrySendError::Closed(_) => Refusal::Stopped,
        })
    }
}
