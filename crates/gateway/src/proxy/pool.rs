//! A core's connections to one upstream: the newest idle one first, a fresh one where there is none.
//!
//! The newest is the warmest and the least likely to have been closed by the service; those that
//! nobody needs sink and are closed by age. A service that closes an idle connection just as it is
//! taken up costs a request, so they are kept for a shorter while than services usually do, or for
//! as long as this one says itself (`Keep-Alive: timeout`). Several addresses take turns.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use chassis::clock;
use chassis::telemetry::Level;
use guard::breaker::Outcome;
use guard::outlier::{Outliers, Ticket};

use super::link::Link;
use crate::endpoint::Endpoint;
use crate::plan::Upstream;

/// Idle connections kept per address and core.
pub const IDLE_MAX: usize = 256;
/// The longest that an idle connection is kept, whatever its service says.
pub const KEPT_MAX: Duration = Duration::from_secs(60);
/// How much sooner than its service an idle connection is closed.
const KEPT_MARGIN: Duration = Duration::from_millis(500);
/// The time between two looks for connections that are too old.
const SWEEP: Duration = Duration::from_millis(250);

/// What all cores know together of one upstream.
pub(crate) struct AcrossCores {
    /// How many connections to it are open.
    pub(crate) open: Level,
    /// Which of its addresses are left out.
    pub(crate) outliers: Arc<Outliers>,
}

/// The connections to one upstream.
pub(crate) struct Pool {
    addresses: Vec<Rc<AddressPool>>,
    turn: Cell<usize>,
}

/// The connections to one address.
pub(crate) struct AddressPool {
    endpoint: Endpoint,
    /// How long a connection is kept where the service does not say.
    keep: Duration,
    /// The oldest first.
    idle: RefCell<Vec<Idle>>,
    /// Whether somebody looks for those that are too old.
    swept: Cell<bool>,
    open: Level,
    /// None where it is the only one.
    among: Option<Among>,
}

/// An address's place among several.
struct Among {
    outliers: Arc<Outliers>,
    at: usize,
}

/// A connection that nobody uses.
struct Idle {
    link: Box<Link>,
    until: Instant,
}

impl Pool {
    /// No connections yet.
    pub(crate) fn new(upstream: &Upstream, shared: &AcrossCores) -> Pool {
        let address = |at: usize, endpoint: &Endpoint| {
            let mut address =
                AddressPool::new(endpoint.clone(), upstream.keep_alive, shared.open.clone());
            // One alone is never left out.
            address.among = (upstream.endpoints.len() > 1)
                .then(|| Among { outliers: shared.outliers.clone(), at });
            Rc::new(address)
        };
        let each = upstream.endpoints.iter().enumerate();
        let addresses = each.map(|(at, endpoint)| address(at, endpoint)).collect();
        Pool { addresses, turn: Cell::new(0) }
    }

    /// Where they lead.
    pub(crate) fn endpoints(&self) -> impl Iterator<Item = &Endpoint> + Clone {
        self.addresses.iter().map(|address| &address.endpoint)
    }

    /// How many addresses there are.
    pub(crate) fn count(&self) -> usize {
        self.addresses.len()
    }

    /// The addresses in the order in which this call should try them, each with a ticket to do so: by turns,
    /// then those that are left out.
    pub(crate) fn by_turns(&self, now: Instant) -> ByTurns<'_> {
        let turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        ByTurns { addresses: &self.addresses, turn, step: 0, passed_over: 0, now }
    }
}

/// See [`Pool::by_turns`].
pub(crate) struct ByTurns<'p> {
    addresses: &'p [Rc<AddressPool>],
    turn: usize,
    step: usize,
    /// A bit for each that is left out.
    passed_over: u64,
    now: Instant,
}

impl<'p> Iterator for ByTurns<'p> {
    type Item = (&'p Rc<AddressPool>, Ticket);

    fn next(&mut self) -> Option<Self::Item> {
        let count = self.addresses.len();
        while self.step < 2 * count {
            // Twice around: first those that are in, then whoever was passed over.
            let (at, again) = ((self.turn % count + self.step) % count, self.step >= count);
            self.step += 1;
            let (address, bit) = (&self.addresses[at], 1 << at);
            if again && self.passed_over & bit != 0 {
                return Some((address, Ticket::Probe));
            }
            if !again {
                match address.admit(self.now) {
                    Some(ticket) => return Some((address, ticket)),
                    None => self.passed_over |= bit,
                }
            }
        }
        None
    }
}

impl AddressPool {
    fn new(endpoint: Endpoint, keep: Duration, open: Level) -> AddressPool {
        let (idle, swept) = (RefCell::default(), Cell::new(false));
        AddressPool { endpoint, keep, idle, swept, open, among: None }
    }

    /// A ticket to make a call; nothing while the address is left out.
    fn admit(&self, now: Instant) -> Option<Ticket> {
        match &self.among {
            Some(Among { outliers, at }) => outliers.admit(*at, now),
            None => Some(Ticket::Call),
        }
    }

    /// Says how a call went.
    pub(crate) fn record(&self, ticket: Ticket, outcome: Outcome, now: Instant) {
        if let Some(Among { outliers, at }) = &self.among {
            outliers.record(*at, ticket, outcome, now);
        }
    }

    /// Whether another address of the same service is good.
    pub(crate) fn is_another_good(&self) -> bool {
        self.among.as_ref().is_some_and(|among| among.outliers.is_another_good(among.at))
    }

    /// Where it leads.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// How long a connection may be kept after an answer whose service states this.
    pub(crate) fn keep(&self, stated: Option<Duration>) -> Duration {
        stated.map_or(self.keep, |stated| stated.saturating_sub(KEPT_MARGIN).min(KEPT_MAX))
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
        while let Some(Idle { mut link, until }) = idle.pop() {
            // Dropped, it is closed; its service may be about to do the same.
            if until < now {
                continue;
            }
            if link.is_idle(context) {
                return Some(link);
            }
            // One that was closed is seldom alone: a service that stops closes all it has.
            idle.retain_mut(|it| it.link.is_idle(context));
        }
        None
    }

    /// A fresh connection.
    pub(crate) async fn connect(&self) -> io::Result<Box<Link>> {
        Link::connect(&self.endpoint, self.open.clone()).await
    }

    /// Keeps a connection whose answer has been read to the end until then, if it can take another
    /// request; needs the `LocalSet` of a core.
    pub(crate) fn put(
        self: &Rc<Self>,
        mut link: Box<Link>,
        until: Instant,
        context: &mut Context<'_>,
    ) {
        if !(link.is_ready() || link.is_idle(context)) {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        // Past the limit it is closed: enough others wait.
        if idle.len() < IDLE_MAX {
            idle.push(Idle { link, until });
            if !self.swept.replace(true) {
                tokio::task::spawn_local(sweep(self.clone()));
            }
        }
    }

    /// Closes what is too old; whether anything is left.
    fn drop_old(&self, now: Instant) -> bool {
        let mut idle = self.idle.borrow_mut();
        idle.retain(|it| it.until > now);
        !idle.is_empty()
    }
}

/// Closes idle connections soon after their time is over, until there is none.
async fn sweep(address: Rc<AddressPool>) {
    while address.drop_old(clock::now()) {
        tokio::time::sleep(SWEEP).await;
    }
    address.swept.set(false);
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::task::Waker;

    use tokio::runtime::Builder;
    use tokio::task::LocalSet;

    use super::*;

    const KEEP: Duration = Duration::from_secs(30);

    fn on_a_core(test: impl Future<Output = ()>) {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        LocalSet::new().block_on(&runtime, test);
    }

    /// An address to a listener, and the gauge of what is open.
    fn address() -> (TcpListener, Rc<AddressPool>, Level) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let open = Level::default();
        (listener, Rc::new(AddressPool::new(Endpoint::at(address), KEEP, open.clone())), open)
    }

    async fn keep(address: &Rc<AddressPool>) {
        put(address, address.connect().await.expect("connected"), KEEP);
    }

    fn put(address: &Rc<AddressPool>, link: Box<Link>, keep: Duration) {
        address.put(link, clock::now() + keep, &mut Context::from_waker(Waker::noop()));
    }

    #[test]
    fn an_idle_connection_is_taken_up_again_until_it_is_too_old() {
        on_a_core(async {
            let (_listener, address, open) = address();
            let before = clock::now();
            keep(&address).await;
            let link = address.take(before + KEEP).await.expect("young enough");
            assert!(address.take(before).await.is_none(), "it is in use");
            put(&address, link, KEEP);
            keep(&address).await;
            let late = clock::now() + KEEP + Duration::from_nanos(1);
            assert!(address.take(late).await.is_none());
            assert!(open.get().abs() < f64::EPSILON, "those that are too old are closed");
        });
    }

    #[test]
    fn connections_that_the_service_closed_are_given_up_together() {
        on_a_core(async {
            let (listener, address, open) = address();
            let now = clock::now();
            for _ in 0..3 {
                keep(&address).await;
            }
            for _ in 0..3 {
                drop(listener.accept().expect("accepted"));
            }
            let looking = async {
                // The operating system may not have told of it yet.
                while let Some(link) = address.take(now).await {
                    put(&address, link, KEEP);
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
            let (listener, address, open) = address();
            let mut accepted = Vec::new();
            for _ in 0..=IDLE_MAX {
                keep(&address).await;
                accepted.push(listener.accept().expect("accepted"));
            }
            assert_eq!(address.idle.borrow().len(), IDLE_MAX);
            assert!((open.get() - IDLE_MAX as f64).abs() < f64::EPSILON);
        });
    }

    #[test]
    fn a_connection_that_nobody_takes_is_closed_when_its_time_is_over() {
        on_a_core(async {
            let (_listener, address, open) = address();
            keep(&address).await;
            put(&address, address.connect().await.expect("connected"), Duration::from_millis(50));
            put(&address, address.connect().await.expect("connected"), Duration::ZERO);
            let closing = async {
                while open.get() > 1.0 {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(10), closing).await.expect("closed");
            assert_eq!(address.idle.borrow().len(), 1, "the other one is young");
        });
    }

    #[test]
    fn a_service_says_itself_how_long_it_keeps_a_connection() {
        let (_listener, address, _) = address();
        let keep = |seconds: u64| address.keep(Some(Duration::from_secs(seconds)));
        let half = Duration::from_millis(500);
        let cases = [
            (5, Duration::from_secs(5) - half),
            (1, half),
            (0, Duration::ZERO),
            (99_999, KEPT_MAX),
        ];
        for (stated, expected) in cases {
            assert_eq!(keep(stated), expected, "{stated}");
        }
        assert_eq!(address.keep(None), KEEP);
    }
}
