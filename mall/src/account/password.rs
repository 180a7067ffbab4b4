//! Passwords: argon2id, two at a time, on threads of their own.
//!
//! One hash takes 35 ms of a processor and 19 MiB: on an event loop it would stop every connection
//! of that core, and without a bound a handful of sign-ins would take the machine. What does not fit
//! into the queue is refused at once. An unknown user costs the same work as a wrong password.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::{io, thread};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use chassis::chance;
use tokio::sync::oneshot;
use tracing::error;

/// Hashes computed at once.
pub(super) const THREADS: usize = 2;
/// Hashes that may wait; one more is refused.
pub(super) const WAITING_MAX: usize = 64;

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;

/// What a password is compared with where there is no user: a hash that nobody's password has.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$FlsExQP36Yc9LnynjHFzKg$T6l37ECJYB8on7WFGUmfAkaGL0kcVWmbqWeGvUsLqiQ";

type Job = Box<dyn FnOnce() + Send>;

/// Asks the threads; clones ask the same.
#[derive(Clone)]
pub(super) struct Passwords {
    jobs: SyncSender<Job>,
}

/// Too many hashes wait: come back in a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Busy;

impl Passwords {
    /// Starts the threads; they end with the last handle.
    pub(super) fn start() -> io::Result<Passwords> {
        let (jobs, queue) = sync_channel::<Job>(WAITING_MAX);
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..THREADS {
            let queue = queue.clone();
            let name = format!("password-{number}");
            thread::Builder::new().name(name).spawn(move || work(&queue))?;
        }
        Ok(Passwords { jobs })
    }

    /// Whether `password` is the one behind `phc`; without one, no, after the same work.
    pub(super) async fn matches(
        &self,
        password: String,
        phc: Option<String>,
    ) -> Result<bool, Busy> {
        self.run(move || {
            let known = phc.is_some();
            verify(&password, phc.as_deref().unwrap_or(NOBODY)) && known
        })
        .await
    }

    /// The PHC string of a new password.
    pub(super) async fn hash(&self, password: String) -> Result<String, Busy> {
        self.run(move || hash(&password)).await
    }

    async fn run<T: Send + 'static>(
        &self,
        compute: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(move || {
            // Nobody waits any more for what a client that went away had asked.
            if !reply.is_closed() {
                let _ = reply.send(compute());
            }
        });
        match self.jobs.try_send(job) {
            Ok(()) => answer.await.map_err(|_| Busy),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Err(Busy),
        }
    }
}

fn work(queue: &Mutex<Receiver<Job>>) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        if catch_unwind(AssertUnwindSafe(job)).is_err() {
            error!("hashing a password panicked; its sign-in was refused");
        }
    }
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("constants within range");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn hash(password: &str) -> String {
    let mut salt = [0; SALT_BYTES];
    chance::fill(&mut salt);
    let hash: PasswordHash = argon2()
        .hash_password_with_salt(password.as_bytes(), &salt)
        .expect("a password of bounded length can be hashed");
    hash.to_string()
}

fn verify(password: &str, phc: &str) -> bool {
    PasswordHash::new(phc)
        .is_ok_and(|hash| argon2().verify_password(password.as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_matches_its_own_hash_alone() {
        let passwords = Passwords::start().expect("threads start");
        let phc = passwords.hash("맞는 비밀번호".into()).await.expect("not busy");
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        let matches = async |password: &str, phc| {
            passwords.matches(password.into(), phc).await.expect("idle")
        };
        assert!(matches("맞는 비밀번호", Some(phc.clone())).await);
        assert!(!matches("wrong", Some(phc)).await);
        assert!(!matches("wrong", None).await);
        assert!(!matches("wrong", Some("no hash".into())).await);
    }

    #[test]
    fn comparing_with_nobody_is_as_much_work_as_with_somebody() {
        let nobody = PasswordHash::new(NOBODY).expect("a hash");
        let somebody = hash("x");
        let somebody = PasswordHash::new(&somebody).expect("a hash");
        assert_eq!(nobody.algorithm, somebody.algorithm);
        assert_eq!(nobody.params.to_string(), somebody.params.to_string());
    }

    #[tokio::test]
    async fn what_does_not_fit_into_the_queue_is_refused_at_once() {
        let passwords = Passwords::start().expect("threads start");
        let (release, gate) = sync_channel::<()>(0);
        let gate = Arc::new(Mutex::new(gate));
        let mut held = Vec::new();
        let mut refused = 0;
        // Threads may have taken up to `THREADS` jobs out of the queue in between.
        for _ in 0..WAITING_MAX + THREADS + 1 {
            let gate = gate.clone();
            let job: Job = Box::new(move || {
                let _ = gate.lock().unwrap_or_else(PoisonError::into_inner).recv();
            });
            match passwords.jobs.try_send(job) {
                Ok(()) => held.push(()),
                Err(_) => refused += 1,
            }
        }
        assert!(refused >= 1 && held.len() >= WAITING_MAX);
        while passwords.jobs.try_send(Box::new(|| ())).is_ok() {}
        assert_eq!(passwords.hash("x".into()).await, Err(Busy));
        drop(release);
    }
}
