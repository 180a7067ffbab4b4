//! A core's connections to one upstream: the newest idle one first, a fresh one where there is none.
//!
//! The newest is the warmest and the least likely to have been closed by the service; those that
//! nobody needs sink and are dropped by age. Several addresses take turns.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use chassis::telemetry::Level;

use super::link::Link;
use crate::plan::Endpoint;

/// Idle connections kept per address and core.
pub const IDLE_MAX: usize = 256;
/// How long an idle connection is trusted: less than what services usually close after.
pub const IDLE_FOR: Duration = Duration::from_secs(30);

/// The connections to one upstream.
pub(crate) struct Pool {
    lanes: Vec<Rc<Lane>>,
    turn: Cell<usize>,
}

/// The connections to one address.
pub(crate) struct Lane {
    endpoint: Endpoint,
    /// The oldest first.
    idle: RefCell<Vec<(Box<Link>, Instant)>>,
    open: Level,
}

impl Pool {
    /// No connections yet; `open` counts those there are.
    pub(crate) fn new(endpoints: &[Endpoint], open: &Level) -> Pool {
        let lane = |endpoint: &Endpoint| {
            let (endpoint, idle, open) = (endpoint.clone(), RefCell::default(), open.clone());
            Rc::new(Lane { endpoint, idle, open })
        };
        Pool { lanes: endpoints.iter().map(lane).collect(), turn: Cell::new(0) }
    }

    /// The lanes in the order in which this call should try them.
    pub(crate) fn lanes(&self) -> impl Iterator<Item = &Rc<Lane>> {
        let turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        let count = self.lanes.len();
        (0..count).map(move |step| &self.lanes[(turn.wrapping_add(step)) % count])
    }
}

impl Lane {
    /// Where it leads.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The newest idle connection that is still open.
    pub(crate) async fn take(&self, now: Instant) -> Option<Box<Link>> {
        if self.idle.borrow().is_empty() {
            return None;
        }
        poll_fn(|context| Poll::Ready(self.take_now(context, now))).await
    }

    fn take_now(&self, context: &mut Context<'_>, now: Instant) -> Option<Box<Link>> {
        let mut idle = self.idle.borrow_mut();
        while let Some((mut link, since)) = idle.pop() {
            if now.saturating_duration_since(since) > IDLE_FOR {
                // Those below are older.
                idle.clear();
                return None;
            }
            if link.is_idle(context) {
                return Some(link);
            }
            // One that was closed is seldom alone: a service that stops closes all it has.
            idle.retain_mut(|(link, _)| link.is_idle(context));
        }
        None
    }

    /// A fresh connection.
    pub(crate) async fn connect(&self) -> io::Result<Box<Link>> {
        Link::connect(&self.endpoint, self.open.clone()).await
    }

    /// Keeps a connection whose answer has been read to the end, if it can take another request.
    pub(crate) fn put(&self, mut link: Box<Link>, context: &mut Context<'_>, now: Instant) {
        if link.is_ready() || link.is_idle(context) {
            let mut idle = self.idle.borrow_mut();
            if idle.len() < IDLE_MAX {
                idle.push((link, now));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::task::Waker;

    use chassis::clock;
    use tokio::runtime::Builder;

    use super::*;

    fn on_a_core(test: impl Future<Output = ()>) {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(test);
    }

    /// A lane to a listener, and the gauge of what is open.
    fn lane() -> (TcpListener, Lane, Level) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let open = Level::default();
        let (endpoint, idle) = (Endpoint::at(address), RefCell::default());
        (listener, Lane { endpoint, idle, open: open.clone() }, open)
    }

    async fn keep(lane: &Lane, now: Instant) {
        let link = lane.connect().await.expect("connected");
        lane.put(link, &mut Context::from_waker(Waker::noop()), now);
    }

    #[test]
    fn an_idle_connection_is_taken_up_again_until_it_is_too_old() {
        on_a_core(async {
            let (_listener, lane, open) = lane();
            let now = clock::now();
            keep(&lane, now).await;
            let link = lane.take(now + IDLE_FOR).await.expect("young enough");
            assert!(lane.take(now).await.is_none(), "it is in use");
            lane.put(link, &mut Context::from_waker(Waker::noop()), now);
            keep(&lane, now).await;
            assert!(lane.take(now + IDLE_FOR + Duration::from_nanos(1)).await.is_none());
            assert!(open.get().abs() < f64::EPSILON, "those that are too old are closed");
        });
    }

    #[test]
    fn connections_that_the_service_closed_are_given_up_together() {
        on_a_core(async {
            let (listener, lane, open) = lane();
            let now = clock::now();
            for _ in 0..3 {
                keep(&lane, now).await;
            }
            for _ in 0..3 {
                drop(listener.accept().expect("accepted"));
            }
            let looking = async {
                // The operating system may not have told of it yet.
                while let Some(link) = lane.take(now).await {
                    lane.put(link, &mut Context::from_waker(Waker::noop()), now);
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(10), looking)
                .await
                .expect("they are given up");
            assert!(open.get().abs() < f64::EPSILON, "{} are open", open.get());
        });
    }

    #[test]
    fn no_more_idle_connections_are_kept_than_the_limit() {
        on_a_core(async {
            let (listener, lane, open) = lane();
            let now = clock::now();
            let mut accepted = Vec::new();
            for _ in 0..=IDLE_MAX {
                keep(&lane, now).await;
                accepted.push(listener.accept().expect("accepted"));
            }
            assert_eq!(lane.idle.borrow().len(), IDLE_MAX);
            assert!((open.get() - IDLE_MAX as f64).abs() < f64::EPSILON);
        });
    }
}
