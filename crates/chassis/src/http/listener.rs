//! Listeners: bound once, accepted on every core, stopped and drained together.
//!
//! The first socket of an address is bound without `SO_REUSEPORT`, so that a taken port is an error
//! and not a silent share; then the option is set on it and the other cores join. The kernel then
//! spreads connections over the cores without a lock of ours.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tracing::{debug, warn};

use super::connection::Connection;
use super::framing::head::HeadLimits;
use super::networks::Networks;
use super::problem::Problem;
use super::slots::{Slot, SlotLimits, Slots};
use super::stop::Stop;
use super::target::{self, Checked};
use super::wire::Wire;
use super::{Request, Response, Serve};
use crate::cores::Cores;
use crate::descriptors;

/// Connections waiting to be accepted, per core.
pub const BACKLOG: i32 = 1_024;
/// Open connections per listener and core, where the descriptors of the process allow them; past it
/// the one that has been idle longest makes room, or new ones wait in the backlog.
pub const CONNECTIONS_MAX: usize = 20_000;
/// The eighths of all connections that the clients' listener may have; the rest is for those to and
/// from the services behind it.
const CLIENTS_EIGHTHS: usize = 6;
/// What each other listener may have; hardly ever are all of them busy at once.
const OTHERS_EIGHTHS: usize = 1;
/// The longest that a request's head may take to arrive, the wait between requests included.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// How much of a request that was answered early is read and dropped before the connection closes.
pub const DROPPED_BYTES_MAX: usize = 8 << 20;
/// How long it is read for.
pub const DROPPED_FOR: Duration = Duration::from_secs(1);
/// What the parser's buffer holds beside the largest head: what may have come behind it.
const BEHIND_HEAD_BYTES: usize = 8 * 1024;
/// How long an answer without an end may take to leave once the listener stops.
pub const LIVE_ENDS_IN: Duration = Duration::from_millis(500);
/// How long a client that neither sends what it owes nor reads what it asked for is waited for once
/// the listener stops.
pub const IDLE_ENDS_IN: Duration = Duration::from_secs(1);
/// The pause after the operating system refused a connection (too many files).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound address, not yet accepting.
#[derive(Debug)]
pub struct Listener {
    first: Socket,
    address: SocketAddr,
    /// Who is trusted among clients, where it is theirs.
    clients: Option<Networks>,
}

/// Why an address could not be bound: the environment (exit code 3).
#[derive(Debug, Error)]
#[error("address cannot be listened on. address=`{address}`, cause=`{source}`")]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// The operating system's word.
    #[source]
    pub source: io::Error,
}

impl Listener {
    /// Binds `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// The address is taken or not ours: name another, or stop who holds it.
    pub fn bind(address: SocketAddr) -> Result<Listener, BindError> {
        let refuse = |source| BindError { address, source };
        // Before anything needs many: the soft limit is for others.
        descriptors::limit();
        let first = socket(address, false).map_err(refuse)?;
        first.set_reuse_port(true).map_err(refuse)?;
        first.listen(BACKLOG).map_err(refuse)?;
        let bound = first.local_addr().map_err(refuse)?.as_socket();
        let address = bound.expect("an inet socket has an inet address");
        Ok(Listener { first, address, clients: None })
    }

    /// Makes it one for clients: most connections are theirs, and one address, unless it is
    /// `trusted`, holds at most half of these.
    #[must_use]
    pub fn for_clients(mut self, trusted: Networks) -> Listener {
        self.clients = Some(trusted);
        self
    }

    /// The address, with the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts on every core until `stop`; `make(core)` builds what answers there.
    ///
    /// # Errors
    /// Another core could not join the address: the environment.
    pub fn serve_on<S, M>(self, cores: &Cores, make: M, stop: &Stop) -> Result<(), BindError>
    where
        S: Serve,
        M: Fn(usize) -> S + Send + Clone + 'static,
    {
        let address = self.address;
        let limits = self.slot_limits(cores.count());
        let refuse = |source| BindError { address, source };
        let mut sockets = vec![self.first];
        for _ in 1..cores.count() {
            // All of them here, before any core accepts: what cannot be had is an error of the start, not of a
            // core.
            let joined = socket(address, true).map_err(refuse)?;
            joined.listen(BACKLOG).map_err(refuse)?;
            sockets.push(joined);
        }
        let sockets: Arc<[std::sync::Mutex<Option<Socket>>]> =
            sockets.into_iter().map(|socket| std::sync::Mutex::new(Some(socket))).collect();
        let stop = stop.clone();
        cores.spawn_each(move |core| {
            let socket = sockets[core].lock().expect("taken once").take();
            let socket = socket.expect("one socket for each core");
            // Tracked too: a drained address is free to be bound again.
            let slots = Rc::new(Slots::new(limits.clone()));
            stop.track(accept(socket, slots, Rc::new(make(core)), stop.clone()))
        });
        Ok(())
    }
}

impl Listener {
    /// What each of `cores` may hold.
    fn slot_limits(&self, cores: usize) -> SlotLimits {
        let connections = descriptors::for_connections(descriptors::limit());
        let eighths = if self.clients.is_some() { CLIENTS_EIGHTHS } else { OTHERS_EIGHTHS };
        SlotLimits {
            slots: (connections / 8 * eighths / cores).clamp(1, CONNECTIONS_MAX),
            // To a port of this machine alone one address is all there is.
            fair: self.clients.is_some() || !self.address.ip().is_loopback(),
            trusted: self.clients.clone().unwrap_or_default(),
        }
    }
}

fn socket(address: SocketAddr, share: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if share {
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

async fn accept<S: Serve>(socket: Socket, slots: Rc<Slots>, serve: Rc<S>, stop: Stop) {
    let listener = TcpListener::from_std(socket.into()).expect("a runtime runs on this core");
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.stopped() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok((stream, peer)) => (Rc::new(RefCell::new(stream)), peer),
            Err(error) => {
                let made = slots.make_room_for_any();
                warn!(%error, made_room = made, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // With a connection that was accepted: while all slots are at work nobody else is accepted on this core, and
        // waits in the backlog.
        let slot = tokio::select! {
            biased;
            () = stop.stopped() => return,
            slot = slots.take(peer.ip(), &stream) => slot,
        };
        let Some(slot) = slot else {
            debug!(%peer, "refused: its address works on all the connections it may have");
            continue;
        };
        let accepted = Accepted { stream, peer, slot };
        let connection = connection(accepted, serve.clone(), stop.clone());
        tokio::task::spawn_local(stop.track(connection));
    }
}

/// A connection that has its slot.
struct Accepted {
    stream: Rc<RefCell<TcpStream>>,
    peer: SocketAddr,
    slot: Slot,
}

async fn connection<S: Serve>(Accepted { stream, peer, slot }: Accepted, serve: Rc<S>, stop: Stop) {
    // Small answers must not wait for the client's delayed acknowledgement.
    // It fails only where the client has gone already.
    let _ = stream.borrow().set_nodelay(true);
    let limits = serve.head_limits();
    let connection = Rc::new(Connection::new(slot, limits));
    let wire = Wire::new(stream.clone(), connection.clone(), limits, serve.write_idle());
    let parties = Parties { serve, connection: connection.clone(), peer };
    if let Err(error) = exchange(wire, parties, &stop).await {
        debug!(%peer, %error, "a connection broke");
    }
    // Closed with something unread, the system answers what still comes with a reset, which may take the refusal
    // back out of the client's hands.
    if connection.is_cut_short()
        && let Ok(stream) = Rc::try_unwrap(stream)
    {
        // On the heap: every connection would have to be large enough for what hardly any needs.
        Box::pin(drop_rest(stream.into_inner())).await;
    }
}

/// Who answers on a connection, and whom.
struct Parties<S> {
    serve: Rc<S>,
    connection: Rc<Connection>,
    peer: SocketAddr,
}

/// Answers a connection's requests one after the other until either side ends it.
async fn exchange<S: Serve>(wire: Wire, parties: Parties<S>, stop: &Stop) -> hyper::Result<()> {
    let Parties { serve, connection, peer } = parties;
    let limits = serve.head_limits();
    let service = service_fn(|request: http::Request<Incoming>| {
        let (serve, connection) = (serve.clone(), connection.clone());
        async move {
            let mut response = match begin(&*serve, &connection, request) {
                Begun::Request(request) => serve.serve(request, peer).await,
                Begun::Answered(response) => response,
            };
            connection.settle(&mut response).await;
            Ok::<_, Infallible>(response)
        }
    });
    let mut served = pin!(parser(limits).serve_connection(wire, service));
    // By reference: a stop ends the waiting and not what is being answered.
    match stop.or(served.as_mut()).await {
        Some(ended) => ended,
        None => {
            served.as_mut().graceful_shutdown();
            wind_up(served, &connection).await
        }
    }
}

/// The parser of a connection whose heads have these limits.
fn parser(limits: HeadLimits) -> http1::Builder {
    let mut parser = http1::Builder::new();
    parser
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(limits.bytes + BEHIND_HEAD_BYTES)
        // Head and body in one buffer and one send: cheaper than a vectored write through the file layer.
        .writev(false);
    if limits != HeadLimits::EDGE {
        // Costs an allocation for each head, so that the edge does without: its limit is the parser's own.
        parser.max_headers(limits.fields);
    }
    parser
}

/// Lets a connection end after what it is in: as long as that takes, but not longer than its client
/// does its part ([`IDLE_ENDS_IN`]), and a stream, which has been told to end, not longer than it takes
/// to leave ([`LIVE_ENDS_IN`]). Whoever waits for all connections has a limit of his own.
async fn wind_up(
    mut served: Pin<&mut impl Future<Output = hyper::Result<()>>>,
    connection: &Connection,
) -> hyper::Result<()> {
    let mut idle = Duration::ZERO;
    while idle < IDLE_ENDS_IN {
        let moves = connection.moves();
        if let Ok(ended) = tokio::time::timeout(LIVE_ENDS_IN, served.as_mut()).await {
            return ended;
        }
        if connection.is_live() {
            break;
        }
        // Whatever moved in between begins the count anew: only a client that stands still all the time is given
        // up.
        let stands = connection.waits_for_client() && connection.moves() == moves;
        idle = if stands { idle + LIVE_ENDS_IN } else { Duration::ZERO };
    }
    connection.give_up();
    Ok(())
}

/// A request that has come in.
enum Begun {
    /// For whoever answers.
    Request(Request),
    /// One that goes no further.
    Answered(Response),
}

/// Refuses or answers what nobody has to be asked for.
fn begin<S: Serve>(
    serve: &S,
    connection: &Rc<Connection>,
    request: http::Request<Incoming>,
) -> Begun {
    let counted = connection.next_request();
    let (mut head, body) = request.into_parts();
    let body = connection.body(&head, body);
    match counted.and_then(|()| check(serve, &mut head)) {
        Ok(Checked::Resource) => Begun::Request(Request::from_parts(head, body)),
        Ok(Checked::Answered(response)) => Begun::Answered(response),
        Err(problem) => Begun::Answered(serve.refuse(problem, &head)),
    }
}

fn check<S: Serve>(serve: &S, head: &mut Parts) -> Result<Checked, Problem> {
    let checked = target::check(head)?;
    serve.admits(head)?;
    Ok(checked)
}

/// Reads and drops what a client still sends, for a bounded while: closing at once would reset the
/// connection before the client has seen the answer. Our end of it is closed already.
async fn drop_rest(mut stream: TcpStream) {
    let reading = async {
        let mut piece = vec![0; 16 * 1024];
        let mut dropped = 0;
        while let Ok(count @ 1..) = stream.read(&mut piece).await {
            dropped += count;
            if dropped > DROPPED_BYTES_MAX {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(DROPPED_FOR, reading).await;
}

#[cfg(test)]
mod tests;
