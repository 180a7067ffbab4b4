//! A way to the server that can be cut, or held up, where a commit passes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::store::postgres::fixture::TestSchema;

/// What happens to the next commit that passes.
#[derive(Clone, Copy)]
pub(super) enum Next {
    Passes = 0,
    /// The server has it, and nobody hears what it says.
    CutBehind = 1,
    /// The server never hears of it.
    CutBefore = 2,
    /// The server waits for it, as for an instance that stands still right there.
    HeldUp = 3,
}

/// What asks for a lease has this in it.
const LEASE: &[u8] = b"pg_try_advisory_lock";

/// A proxy before the server of a place.
pub(super) struct Proxy {
    next: Arc<AtomicU8>,
    /// Whether connections that carried a lease are silent: nothing passes, and nobody is told.
    silent: Arc<AtomicBool>,
    pub(super) place: TestSchema,
}

impl Proxy {
    /// Listens on a free port, for as long as the runtime runs.
    pub(super) async fn before(place: &TestSchema) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (before, rest) = place.address.rsplit_once(':').unwrap();
        let (server, database) = rest.split_once('/').unwrap();
        let server: u16 = server.parse().unwrap();
        let address = format!("{before}:{port}/{database}");
        let next = Arc::new(AtomicU8::new(Next::Passes as u8));
        let silent = Arc::new(AtomicBool::new(false));
        let (seen, no_lease) = (next.clone(), silent.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                tokio::spawn(carry(client, server, seen.clone(), no_lease.clone()));
            }
        });
        Proxy { next, silent, place: TestSchema { address, name: place.name.clone() } }
    }

    pub(super) fn silence_leases(&self, silent: bool) {
        self.silent.store(silent, Ordering::SeqCst);
    }

    pub(super) fn next(&self, next: Next) {
        self.next.store(next as u8, Ordering::SeqCst);
    }
}

async fn carry(client: TcpStream, server: TcpStream, next: Arc<AtomicU8>, silent: Arc<AtomicBool>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let back = tokio::spawn(async move {
        _ = tokio::io::copy(&mut from_server, &mut to_client).await;
    });
    let mut buffer = [0; 8192];
    let mut is_lease = false;
    while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
        let passing = &buffer[..count];
        is_lease |= passing.windows(LEASE.len()).any(|bytes| bytes == LEASE);
        if is_lease && silent.load(Ordering::SeqCst) {
            continue;
        }
        let is_commit = passing.windows(7).any(|bytes| bytes == b"COMMIT\0");
        let what = if is_commit { next.swap(Next::Passes as u8, Ordering::SeqCst) } else { 0 };
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
        if to_server.write_all(passing).await.is_err() {
            break;
        }
    }
    back.abort();
}
