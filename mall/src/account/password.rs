//! Passwords: argon2id, two at a time, on threads of their own, fair between addresses.
//!
//! One hash takes 35 ms of a processor and 19 MiB: on an event loop it would stop every connection
//! of that core, and without a bound a handful of sign-ins would take the machine. An unknown user
//! costs the same work as a wrong password. A thread keeps its memory while there is more to do and gives
//! it back when there is not.
//!
//! Whether an attempt is one too many is decided when it is asked for, and again when its turn comes,
//! under the lock that picks it: however many guess at once, no more are wrong than may be.

mod argon;
mod fair;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use std::{io, thread};

use chassis::clock;
use tokio::sync::oneshot;
use tracing::error;

use self::argon::{Blocks, hash, verify};
use self::fair::{FairQueue, Waiting};
use super::attempts::{Attempts, Exceeded, Guess, Verdict};
use crate::settings::SignIn;

/// Hashes computed at once.
pub(super) const THREADS: usize = 2;
/// Hashes that may wait; one more takes the place of one of whoever has most.
pub(super) const WAITING_MAX: usize = 64;

/// What a password is compared with where there is no user: a hash that nobody's password has.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$FlsExQP36Yc9LnynjHFzKg$T6l37ECJYB8on7WFGUmfAkaGL0kcVWmbqWeGvUsLqiQ";

/// Asks the threads; the last clone to go ends them.
#[derive(Clone)]
pub(super) struct Passwords {
    handle: Arc<Handle>,
}

struct Handle(Arc<Queue>);

struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    attempts: Attempts,
    queue: FairQueue<Job>,
    closed: bool,
}

/// Why a password was not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotNow {
    /// Too many hashes wait: come back in a second.
    Busy,
    /// Too many were wrong.
    TooMany(Exceeded),
}

enum Work {
    /// Whether it is the password behind this hash; without one, no, after the same work.
    Compare(Option<String>),
    Hash,
}

enum Done {
    Compared(bool),
    Hashed(String),
}

struct Job {
    guess: Guess,
    work: Work,
    password: String,
    reply: oneshot::Sender<Result<Done, NotNow>>,
}

impl Waiting for Job {
    fn flow(&self) -> u64 {
        self.guess.address
    }

    fn share(&self) -> Guess {
        self.guess
    }
}

impl Passwords {
    /// Starts the threads; they end with the last handle.
    pub(super) fn start(limits: &SignIn) -> io::Result<Passwords> {
        let attempts = Attempts::new(limits);
        let state = State { attempts, queue: FairQueue::new(WAITING_MAX), closed: false };
        let queue = Arc::new(Queue { state: Mutex::new(state), changed: Condvar::new() });
        for number in 0..THREADS {
            let queue = queue.clone();
            let name = format!("password-{number}");
            thread::Builder::new().name(name).spawn(move || work(&queue))?;
        }
        Ok(Passwords { handle: Arc::new(Handle(queue)) })
    }

    /// The place of an attempt on `account` from `address`, which has signed in to it or never has.
    pub(super) fn guess(&self, account: &str, address: impl std::hash::Hash, known: bool) -> Guess {
        self.handle.0.state().attempts.guess(account, address, known)
    }

    /// Refuses where too many were wrong of late.
    ///
    /// # Errors
    /// 429: not before the time it names.
    pub(super) fn refused(&self, guess: &Guess) -> Result<(), Exceeded> {
        self.handle.0.state().attempts.refused(guess, clock::now()).map_or(Ok(()), Err)
    }

    /// Notes a failure that took no hash.
    pub(super) fn fail(&self, guess: &Guess) {
        self.handle.0.state().attempts.fail(guess, clock::now());
    }

    /// Whether `password` is the one behind `phc`; without one, no, after the same work.
    pub(super) async fn matches(
        &self,
        guess: Guess,
        password: String,
        phc: Option<String>,
    ) -> Result<bool, NotNow> {
        self.refused(&guess).map_err(NotNow::TooMany)?;
        let done = self.ask(guess, Work::Compare(phc), password).await?;
        Ok(matches!(done, Done::Compared(true)))
    }

    /// The PHC string of a new password, asked for from `address`.
    pub(super) async fn hash(&self, guess: Guess, password: String) -> Result<String, NotNow> {
        match self.ask(guess, Work::Hash, password).await? {
            Done::Hashed(phc) => Ok(phc),
            Done::Compared(_) => Err(NotNow::Busy),
        }
    }

    async fn ask(&self, guess: Guess, work: Work, password: String) -> Result<Done, NotNow> {
        let (reply, answer) = oneshot::channel();
        // Full, the queue gives back the one that it can best do without, which may be this very one.
        let pushed = self.handle.0.state().queue.push(Job { guess, work, password, reply });
        if let Some(displaced) = pushed {
            let _ = displaced.reply.send(Err(NotNow::Busy));
        }
        self.handle.0.changed.notify_one();
        answer.await.unwrap_or(Err(NotNow::Busy))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // What waits is answered by its dropped `reply`.
        self.0.state().closed = true;
        self.0.changed.notify_all();
    }
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The next job whose turn it is; those that are one too many by now are answered on the way.
    fn next(&mut self, now: Instant) -> Option<Job> {
        let attempts = &mut self.attempts;
        loop {
            let mut refused = None;
            let job = self.queue.pop(|job: &Job| match job.work {
                // Nobody waits any more for what a client that went away had asked.
                _ if job.reply.is_closed() => {
                    refused = Some(NotNow::Busy);
                    true
                }
                Work::Hash => true,
                Work::Compare(_) => match attempts.begin(&job.guess, now) {
                    Verdict::Go => true,
                    // Left where it stands, and asked again when the one that it waits for has ended.
                    Verdict::Wait => false,
                    Verdict::Refuse(exceeded) => {
                        refused = Some(NotNow::TooMany(exceeded));
                        true
                    }
                },
            })?;
            match refused {
                None => return Some(job),
                Some(not_now) => drop(job.reply.send(Err(not_now))),
            }
        }
    }
}

fn work(queue: &Queue) {
    let mut blocks = Blocks::default();
    loop {
        let Some(job) = next(queue, &mut blocks) else { return };
        let (guess, compares) = (job.guess, matches!(job.work, Work::Compare(_)));
        let done = match job.work {
            Work::Compare(phc) => {
                // Nobody's password is compared as anybody's is, for as long.
                let known = phc.is_some();
                let phc = phc.as_deref().unwrap_or(NOBODY);
                verify(&mut blocks, &job.password, phc).map(|same| Done::Compared(same && known))
            }
            Work::Hash => hash(&mut blocks, &job.password).map(Done::Hashed),
        };
        if compares {
            let right = match &done {
                Some(Done::Compared(right)) => Some(*right),
                _ => None,
            };
            queue.state().attempts.end(&guess, right, clock::now());
            // What waited for this one can be decided now.
            queue.changed.notify_all();
        }
        if done.is_none() {
            error!("a password could not be hashed; its sign-in was refused");
        }
        let _ = job.reply.send(done.ok_or(NotNow::Busy));
    }
}

/// Waits for the next job; nothing once every handle is gone.
fn next(queue: &Queue, blocks: &mut Blocks) -> Option<Job> {
    let mut state = queue.state();
    loop {
        if state.closed {
            return None;
        }
        if let Some(job) = state.next(clock::now()) {
            return Some(job);
        }
        if !blocks.is_empty() && state.queue.is_empty() {
            drop(state);
            blocks.give_back();
            state = queue.state();
            continue;
        }
        state = queue.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
}

#[cfg(test)]
mod tests;
