//! A way to the server that can be cut, or held up, where a commit passes.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::store::postgres::fixture::TestSchema;

/// What happens to the next message that passes and has these words in it: a commit, where nothing else is said.
#[derive(Clone, Copy)]
pub(super) enum Next {
    Passes = 0,
    /// The server has it, and nobody hears what it says.
    CutBehind = 1,
    /// The server never hears of it.
    CutBefore = 2,
    /// The server waits for it, as for an instance that stands still right there.
    HeldUp = 3,
    /// The server has it, and what it says is on its way for ever.
    Silent = 4,
}

/// Of which connections nothing passes any more, and nobody is told.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
pub(super) enum Silence {
    Nobody = 0,
    /// Those that carried a lease.
    Leases = 1,
    Everybody = 2,
}

/// How a commit ends, whatever is before it.
const COMMIT: &str = "COMMIT";

/// What asks for a lease has this in it.
const LEASE: &[u8] = b"pg_try_advisory_lock";

/// A proxy before the server of a place.
pub(super) struct Proxy {
    watch: Watch,
    /// Where new connections lead; nowhere, where this is 0.
    to: Arc<AtomicU16>,
    pub(super) place: TestSchema,
}

/// What every connection looks at while it carries.
#[derive(Clone)]
struct Watch {
    next: Arc<AtomicU8>,
    words: Arc<Mutex<&'static str>>,
    silent: Arc<AtomicU8>,
}

impl Watch {
    fn is_silent(&self, from: Silence) -> bool {
        self.silent.load(Ordering::SeqCst) >= from as u8
    }

    /// What happens to what passes here.
    fn of(&self, passing: &[u8]) -> u8 {
        let words = self.words.lock().unwrap().as_bytes();
        if passing.windows(words.len()).any(|bytes| bytes == words) {
            return self.next.swap(Next::Passes as u8, Ordering::SeqCst);
        }
        Next::Passes as u8
    }
}

fn port_of(address: &str) -> u16 {
    let (_, rest) = address.rsplit_once(':').unwrap();
    rest.split_once('/').unwrap().0.parse().unwrap()
}

impl Proxy {
    /// Listens on a free port, for as long as the runtime runs.
    pub(super) async fn before(place: &TestSchema) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = port_of(&place.address);
        let address = place.address.replace(&format!(":{server}/"), &format!(":{port}/"));
        let watch = Watch {
            next: Arc::new(AtomicU8::new(Next::Passes as u8)),
            words: Arc::new(Mutex::new(COMMIT)),
            silent: Arc::new(AtomicU8::new(Silence::Nobody as u8)),
        };
        let to = Arc::new(AtomicU16::new(server));
        let (watches, leads_to) = (watch.clone(), to.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = ("127.0.0.1", leads_to.load(Ordering::SeqCst));
                if let Ok(server) = TcpStream::connect(server).await {
                    tokio::spawn(carry(client, server, watches.clone()));
                }
            }
        });
        Proxy { watch, to, place: TestSchema { address, name: place.name.clone() } }
    }

    pub(super) fn silence(&self, whom: Silence) {
        self.watch.silent.store(whom as u8, Ordering::SeqCst);
    }

    /// Has new connections lead to another server, or nowhere.
    pub(super) fn lead_to(&self, address: Option<&str>) {
        self.to.store(address.map_or(0, port_of), Ordering::SeqCst);
    }

    pub(super) fn next(&self, next: Next) {
        self.next_at(next, COMMIT);
    }

    /// Whether that has passed.
    pub(super) fn has_met(&self) -> bool {
        self.watch.next.load(Ordering::SeqCst) == Next::Passes as u8
    }

    pub(super) fn next_at(&self, next: Next, words: &'static str) {
        *self.watch.words.lock().unwrap() = words;
        self.watch.next.store(next as u8, Ordering::SeqCst);
    }
}

async fn carry(client: TcpStream, server: TcpStream, watch: Watch) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let is_mute = Arc::new(AtomicBool::new(false));
    let (behind, mute) = (watch.clone(), is_mute.clone());
    let is_silent = move || mute.load(Ordering::SeqCst) || behind.is_silent(Silence::Everybody);
    let back = tokio::spawn(async move {
        let mut buffer = [0; 8192];
        while let Ok(count @ 1..) = from_server.read(&mut buffer).await {
            if !is_silent() && to_client.write_all(&buffer[..count]).await.is_err() {
                return;
            }
        }
        // Whoever is silent does not say that it is gone either.
        if is_silent() {
            std::future::pending::<()>().await;
        }
    });
    let mut buffer = [0; 8192];
    let mut is_lease = false;
    while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
        let passing = &buffer[..count];
        is_lease |= passing.windows(LEASE.len()).any(|bytes| bytes == LEASE);
        if watch.is_silent(if is_lease { Silence::Leases } else { Silence::Everybody }) {
            continue;
        }
        let what = watch.of(passing);
        if what == Next::CutBehind as u8 {
            back.abort();
            _ = to_server.write_all(passing).await;
            return;
        }
        if what == Next::CutBefore as u8 {
            break;
        }
        if what == Next::HeldUp as u8 {
            // Until the server has had enough.
            _ = back.await;
            return;
        }
        is_mute.fetch_or(what == Next::Silent as u8, Ordering::SeqCst);
        if to_server.write_all(passing).await.is_err() {
            break;
        }
    }
    back.abort();
}
