//! Thread per core: one current-thread runtime on each core, sharing nothing.
//!
//! A connection is accepted, served and proxied on one core, so that a request never wakes another
//! thread and its state needs no lock (measured: `docs/decisions/0002-data-plane.md`). Futures run on a
//! `LocalSet` and need not be `Send`.
//!
//! It does not pin threads to processors: the scheduler does as well on a machine shared with
//! others, and `taskset` pins the process when a measurement wants it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::thread::JoinHandle;

use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::task::{JoinSet, LocalSet};
use tracing::error;

/// How many pieces of work may wait for a core to pick them up.
const STARTS_MAX: usize = 256;

type Start = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()>>> + Send>;

/// A part of a process that runs until it is stopped: a subscription, a relay. It is `Send`, because which
/// core it runs on is chosen after it was made.
pub type Loop = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The cores of a process; see the module.
pub struct Cores {
    starts: Vec<mpsc::Sender<Start>>,
    threads: Vec<JoinHandle<()>>,
}

impl Cores {
    /// Starts `count` core threads (at least 1).
    ///
    /// # Errors
    /// The operating system refused a thread or a poller: give up.
    pub fn start(count: usize) -> io::Result<Cores> {
        let mut cores = Cores { starts: Vec::new(), threads: Vec::new() };
        for core in 0..count.max(1) {
            let (starts, inbox) = mpsc::channel(STARTS_MAX);
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let thread = std::thread::Builder::new()
                .name(format!("core-{core}"))
                // What runs here never leaves: connections and their state need neither `Send` nor a lock.
                .spawn(move || LocalSet::new().block_on(&runtime, run(inbox)))?;
            cores.starts.push(starts);
            cores.threads.push(thread);
        }
        Ok(cores)
    }

    /// As many cores as the machine lets this process use.
    pub fn available() -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }

    /// How many cores run.
    pub fn count(&self) -> usize {
        self.starts.len()
    }

    /// Runs `make(core)`'s future on every core.
    pub fn spawn_each<F, Fut>(&self, make: F)
    where
        F: Fn(usize) -> Fut + Send + Clone + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        for core in 0..self.count() {
            let make = make.clone();
            self.send(core, Box::new(move || Box::pin(make(core))));
        }
    }

    /// Runs one future on the core `at` (taken modulo the count).
    pub fn spawn_on<Fut>(&self, at: usize, future: Fut)
    where
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.send(at % self.count(), Box::new(move || Box::pin(future)));
    }

    /// Runs loops, spread over the cores. One that panics is gone, and who waits for it would wait for ever: then
    /// `on_panic` is called, on its core.
    pub fn run(&self, loops: Vec<Loop>, on_panic: fn()) {
        let mut shares: Vec<Vec<Loop>> = self.starts.iter().map(|_| Vec::new()).collect();
        for (at, part) in loops.into_iter().enumerate() {
            shares[at % self.count()].push(part);
        }
        for (core, share) in shares.into_iter().enumerate() {
            // One start a core, however many loops there are: they all have to find a place.
            self.send(core, Box::new(move || Box::pin(watched(share, on_panic))));
        }
    }

    /// Ends every core once it has polled what it holds no further; unfinished tasks are dropped.
    pub fn stop(self) {
        drop(self.starts);
        for thread in self.threads {
            if thread.join().is_err() {
                error!("a core ended by a panic");
            }
        }
    }

    fn send(&self, core: usize, start: Start) {
        if self.starts[core].try_send(start).is_err() {
            error!(core, limit = STARTS_MAX, "a core takes no more work");
        }
    }
}

async fn run(mut inbox: mpsc::Receiver<Start>) {
    while let Some(start) = inbox.recv().await {
        tokio::task::spawn_local(start());
    }
}

/// Runs these until they have ended.
async fn watched(loops: Vec<Loop>, on_panic: fn()) {
    let mut running = JoinSet::new();
    for part in loops {
        running.spawn_local(part);
    }
    while let Some(ended) = running.join_next().await {
        if ended.is_err_and(|error| error.is_panic()) {
            on_panic();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::sync_channel;

    use super::*;

    #[test]
    fn every_core_runs_its_own_copy() {
        let cores = Cores::start(2).expect("threads start");
        let (sender, ran) = sync_channel(2);
        cores.spawn_each(move |core| {
            let sender = sender.clone();
            async move { sender.send(core).expect("the test listens") }
        });
        let mut seen = vec![ran.recv().expect("runs"), ran.recv().expect("runs")];
        seen.sort_unstable();
        assert_eq!(seen, [0, 1]);
        cores.stop();
    }

    #[test]
    fn a_loop_that_panics_is_noticed_and_the_others_go_on_however_many_they_are() {
        static PANICKED: AtomicUsize = AtomicUsize::new(0);
        let cores = Cores::start(2).expect("threads start");
        let (sender, ran) = sync_channel(STARTS_MAX * 8);
        let part = |number: usize| -> Loop {
            let sender = sender.clone();
            Box::pin(async move {
                assert_ne!(number, 1, "on purpose");
                sender.send(number).expect("the test listens");
            })
        };
        let count = STARTS_MAX * 4;
        cores.run((0..count).map(part).collect(), || {
            PANICKED.fetch_add(1, Ordering::Relaxed);
        });
        drop(sender);
        assert_eq!(ran.iter().count(), count - 1);
        cores.stop();
        assert_eq!(PANICKED.load(Ordering::Relaxed), 1);
    }
}
