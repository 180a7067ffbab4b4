//! One receiver: who may be asked now, and an attempt from the permit to make it to what it means.
//!
//! A permit is given where no pause is asked for, fewer attempts than `concurrency` are under way, and the circuit is
//! closed or wants a probe. So whoever waits for one waits for the receiver and for nothing else, and an event that gets none
//! has used up no attempt.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chassis::clock;
use chassis::telemetry::Level;
use events::deliveries::{Answer, Receiver};
use events::{Error, Event, Opener};
use guard::breaker::{self, Breaker, PROBE_DEADLINE_MAX, Permit, State};
use guard::share::Share;
use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::address::{Address, Allowed};
use crate::binary::{self, Message};
use crate::client::{Client, NoAnswer, ReplyHead};
use crate::judgement::{Judged, Reply, judge, retry_after};
use crate::log::{Attempt, AttemptLog, AttemptResult, shortened};
use crate::meters::Meters;
use crate::signature::Secret;

/// What is known of a receiver.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where he is.
    pub address: Address,
    /// Where he may be.
    pub allowed: Allowed,
    /// Attempts at once.
    pub concurrency: usize,
    /// How long he may take to answer, connecting included.
    pub timeout: Duration,
    /// By which deliveries are signed.
    pub secrets: Vec<Secret>,
}

/// A receiver.
pub struct Subscriber {
    client: Client,
    timeout: Duration,
    secrets: Vec<Secret>,
    slots: Arc<Semaphore>,
    breaker: Arc<Breaker>,
    /// Until when he asked to be left alone.
    pause: Mutex<Option<Instant>>,
    log: AttemptLog,
    meters: Meters,
    /// What tells him what is sealed, if he may know.
    opener: Option<Arc<dyn Opener>>,
}

/// A permit to make one attempt.
pub struct AttemptPermit {
    circuit: Permit,
    _slot: OwnedSemaphorePermit,
}

/// An attempt that was not made.
struct Untold<'a> {
    event: &'a Event,
    attempt: u32,
    why: &'a Error,
}

impl Subscriber {
    /// A receiver who was not asked yet.
    pub fn new(settings: Settings, meters: Meters) -> Subscriber {
        let breaker = Breaker::new(circuit(settings.timeout)).expect("settings in range");
        Subscriber {
            client: Client::new(settings.address, settings.allowed),
            timeout: settings.timeout,
            secrets: settings.secrets,
            slots: Arc::new(Semaphore::new(settings.concurrency)),
            breaker: Arc::new(breaker),
            pause: Mutex::new(None),
            log: AttemptLog::default(),
            meters,
            opener: None,
        }
    }

    /// The same, who is told what is sealed.
    #[must_use]
    pub fn opened_by(self, opener: Option<Arc<dyn Opener>>) -> Subscriber {
        Subscriber { opener, ..self }
    }

    /// What was attempted lately.
    pub fn log(&self) -> AttemptLog {
        self.log.clone()
    }

    /// Resolves once no pause is asked for any more.
    async fn unpaused(&self) {
        loop {
            let until = *self.pause();
            let left = until.map(|until| until.saturating_duration_since(clock::now()));
            match left.filter(|left| !left.is_zero()) {
                Some(left) => tokio::time::sleep(left).await,
                None => return,
            }
        }
    }

    /// Whether a pause was asked for meanwhile.
    fn is_paused(&self) -> bool {
        self.pause().is_some_and(|until| until > clock::now())
    }

    /// Everybody waits for so long from now; of two pauses the longer one counts.
    fn pause_for(&self, pause: Duration) {
        let until = clock::now() + pause;
        let mut paused = self.pause();
        *paused = Some(paused.map_or(until, |before| before.max(until)));
    }

    fn pause(&self) -> MutexGuard<'_, Option<Instant>> {
        self.pause.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks, within the time that he has.
    async fn ask(&self, event: &Event, now: Instant, at: Timestamp) -> Reply {
        let message = Message::of(event, self.client.authority(), &self.secrets, at);
        match self.client.post(&message, now, self.timeout).await {
            Ok(ReplyHead { status, retry_after: text }) => {
                let text = text.as_ref().and_then(|text| text.to_str().ok());
                Reply::Status { status, retry_after: text.and_then(|text| retry_after(text, at)) }
            }
            Err(NoAnswer::Unreached(why)) => Reply::Nobody(why),
            Err(NoAnswer::Unheard(why)) => Reply::Nothing(why),
        }
    }

    /// What is sealed in an event cannot be told now: nobody is asked.
    fn put_off(&self, permit: AttemptPermit, attempt: &Untold<'_>) -> Answer {
        permit.circuit.cancel(clock::now());
        self.pause_for(UNTOLD_PAUSE);
        let &Untold { event, attempt, why } = attempt;
        let why = shortened(&format!("what is sealed in it cannot be told now: {why}"));
        let result = AttemptResult::NotNow(Some(why));
        let (id, key, at) = (binary::id(event), event.key.clone(), clock::wall());
        self.log.add(Attempt { at, id, key, attempt, status: None, took: Duration::ZERO, result });
        Answer::NotNow
    }

    fn show_circuit(&self) {
        let state = match self.breaker.state(clock::now()) {
            State::Closed => 0.0,
            State::Open => 1.0,
            State::HalfOpen => 2.0,
        };
        self.meters.circuit.set(state);
    }

    fn count(&self, answer: &Answer, attempt: u32, took: Duration) {
        let Meters { delivered, failed, retried, not_now, .. } = &self.meters;
        match answer {
            Answer::Acknowledged => delivered.inc(),
            Answer::Failed(_) => failed.inc(),
            Answer::NotNow => not_now.inc(),
        };
        if attempt > 1 {
            retried.inc();
        }
        self.meters.took.observe(took.as_secs_f64());
    }
}

impl Receiver for Subscriber {
    type Permit = AttemptPermit;

    async fn permit(&self) -> AttemptPermit {
        loop {
            self.unpaused().await;
            let slot = Arc::clone(&self.slots).acquire_owned().await;
            let slot = slot.expect("nobody closes the slots");
            if self.is_paused() {
                continue;
            }
            match self.breaker.admit(clock::now()) {
                Ok(circuit) => return AttemptPermit { circuit, _slot: slot },
                Err(open) => {
                    drop(slot);
                    self.show_circuit();
                    let wait = open.retry_at.saturating_duration_since(clock::now());
                    // A half-open circuit may say "now" while its probe is under way.
                    tokio::time::sleep(wait.max(LOOK_AGAIN)).await;
                }
            }
        }
    }

    async fn deliver(&self, permit: AttemptPermit, event: &Event, attempt: u32) -> Answer {
        let told = match &self.opener {
            None => None,
            Some(opener) => match opener.open(event).await {
                Ok(told) => told,
                Err(why) => return self.put_off(permit, &Untold { event, attempt, why: &why }),
            },
        };
        let (began, at) = (clock::now(), clock::wall());
        let under_way = UnderWay::new(&self.meters.in_flight);
        let reply = self.ask(told.as_ref().unwrap_or(event), began, at).await;
        drop(under_way);
        let took = clock::now() - began;
        let Judged { answer, outcome, pause } = judge(&reply, attempt, permit.circuit.is_probe());
        // Before the circuit's permit is back: whoever waits for a permit has to see the pause.
        pause.into_iter().for_each(|pause| self.pause_for(pause));
        match outcome {
            Some(outcome) => permit.circuit.record(outcome, clock::now()),
            None => permit.circuit.cancel(clock::now()),
        }
        self.show_circuit();
        self.count(&answer, attempt, took);
        let (status, result) = (reply.status(), result(&answer, &reply));
        let (id, key) = (binary::id(event), event.key.clone());
        self.log.add(Attempt { at, id, key, attempt, status, took, result });
        answer
    }
}

/// The gateway's own circuit. It looks at fewer calls than a route's: where little is delivered, a receiver who is away is to
/// be known as that before the few events there are have used up their attempts.
fn circuit(timeout: Duration) -> breaker::Settings {
    breaker::Settings {
        failure_rate: Share::of_percent(50).expect("a share"),
        window_calls: 5,
        open_for: Duration::from_secs(5),
        probes: 1,
        probe_deadline: timeout.saturating_add(PROBE_GRACE).min(PROBE_DEADLINE_MAX),
        enforce: true,
    }
}

/// What a receiver's own timeout is given on top before his probe has failed.
const PROBE_GRACE: Duration = Duration::from_secs(1);

/// How long everybody waits where people's keys cannot be read.
const UNTOLD_PAUSE: Duration = Duration::from_secs(1);

/// The shortest pause between two looks at a circuit that refuses.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Counts an attempt while it is under way, whether it ends or is dropped.
struct UnderWay<'m>(&'m Level);

impl<'m> UnderWay<'m> {
    fn new(level: &'m Level) -> UnderWay<'m> {
        level.inc();
        UnderWay(level)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// What the log says of it.
fn result(answer: &Answer, reply: &Reply) -> AttemptResult {
    match answer {
        Answer::Acknowledged => AttemptResult::Delivered,
        Answer::Failed(reason) => AttemptResult::Failed(shortened(reason)),
        Answer::NotNow => AttemptResult::NotNow(match reply {
            Reply::Nobody(why) | Reply::Nothing(why) => Some(shortened(why)),
            Reply::Status { .. } => None,
        }),
    }
}
