//! Somebody who is delivered to: a small HTTP server that keeps what it got and answers as it is told.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use serde_json::Value;

use super::support::now;

/// One delivery, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Delivered {
    pub(crate) at: Instant,
    pub(crate) target: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
    /// What was answered.
    pub(crate) status: u16,
}

impl Delivered {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The event's key, which is its subject.
    pub(crate) fn key(&self) -> &str {
        self.header("ce-subject")
    }

    pub(crate) fn id(&self) -> &str {
        self.header("webhook-id")
    }

    pub(crate) fn data(&self) -> Value {
        serde_json::from_slice(&self.body).expect("data")
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: &'static str,
}

impl Reply {
    pub(crate) const TAKEN: Reply = Reply { status: 204, headers: "" };

    pub(crate) fn status(status: u16) -> Reply {
        Reply { status, headers: "" }
    }
}

type Answering = Box<dyn FnMut(&Delivered) -> Reply + Send>;

#[derive(Clone)]
struct Shared(Arc<Mutex<State>>);

struct State {
    got: Vec<Delivered>,
    answer: Answering,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A server at work, gone when dropped.
pub(crate) struct Receiver {
    address: SocketAddr,
    shared: Shared,
    over: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Receiver {
    /// One on a free port that takes everything.
    pub(crate) fn new() -> Receiver {
        Receiver::at("127.0.0.1:0".parse().expect("an address"), Vec::new())
    }

    /// One at this address, with what another one got before.
    pub(crate) fn at(address: SocketAddr, got: Vec<Delivered>) -> Receiver {
        let listener =
            super::support::eventually("the port is free", || TcpListener::bind(address).ok());
        let address = listener.local_addr().expect("an address");
        let shared =
            Shared(Arc::new(Mutex::new(State { got, answer: Box::new(|_| Reply::TAKEN) })));
        let over = Arc::new(AtomicBool::new(false));
        let (kept, ended) = (shared.clone(), over.clone());
        let accepting = Some(std::thread::spawn(move || accept(&listener, &kept, &ended)));
        Receiver { address, shared, over, accepting }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where events go.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/events?from=yeoul", self.address)
    }

    /// How it answers from now on.
    pub(crate) fn answer(&self, answer: impl FnMut(&Delivered) -> Reply + Send + 'static) {
        self.shared.state().answer = Box::new(answer);
    }

    /// All that came.
    pub(crate) fn got(&self) -> Vec<Delivered> {
        self.shared.state().got.clone()
    }

    /// Ids of what it took of this key, in order.
    pub(crate) fn taken(&self, key: &str) -> Vec<String> {
        let state = self.shared.state();
        let is_its = |it: &&Delivered| it.key() == key && it.status < 300;
        state.got.iter().filter(is_its).map(|it| it.id().to_owned()).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // One last connection ends the wait for the next.
        drop(TcpStream::connect(self.address));
        self.accepting.take().into_iter().for_each(|it| it.join().expect("it accepts"));
    }
}

fn accept(listener: &TcpListener, shared: &Shared, over: &Arc<AtomicBool>) {
    for stream in listener.incoming() {
        if over.load(Ordering::SeqCst) {
            return;
        }
        let (shared, over) = (shared.clone(), over.clone());
        let stream = stream.expect("a connection");
        std::thread::spawn(move || serve(&stream, &shared, &over));
    }
}

/// Request after request, until either side is gone.
fn serve(stream: &TcpStream, shared: &Shared, over: &AtomicBool) {
    let mut reader = BufReader::new(stream);
    while let Some(mut delivered) = read(&mut reader) {
        if over.load(Ordering::SeqCst) {
            return;
        }
        let Reply { status, headers } = {
            let mut state = shared.state();
            let reply = (state.answer)(&delivered);
            delivered.status = reply.status;
            state.got.push(delivered);
            reply
        };
        let answer = format!("HTTP/1.1 {status} As-Told\r\ncontent-length: 0\r\n{headers}\r\n");
        let mut writer = stream;
        if writer.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<&TcpStream>) -> Option<Delivered> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let target = line.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|it| it.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Delivered { at: now(), target, headers, body, status: 0 })
}
