//! The end: whom a listener that stops waits for, and for how long.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream as Std;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;

use super::*;
use crate::clock;
use crate::http::{Body, BoxError, whole};

/// How long the answer at `/slow` takes.
const SLOW: Duration = Duration::from_secs(2);
/// Far above what an end takes that waits for nobody, far below what waiting would take.
const AT_ONCE: Duration = Duration::from_secs(5);
const SOON: Duration = Duration::from_secs(10);
const PIECE: usize = 16 * 1024;

/// Answers by path: a stream without an end, a large answer, one that takes its time; else how much the
/// body had.
struct Answers(Arc<AtomicUsize>);

/// So many pieces; how many have been taken is counted.
struct Pieces(usize, Arc<AtomicUsize>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.0 == 0 {
            return Poll::Ready(None);
        }
        self.0 -= 1;
        self.1.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(vec![b'x'; PIECE].into()))))
    }
}

impl Serve for Answers {
    async fn serve(self: Rc<Self>, request: Request, _peer: SocketAddr) -> Response {
        match request.uri().path() {
            "/live" => Response::new(Body::live(Pieces(usize::MAX, self.0.clone()))),
            "/large" => Response::new(Body::stream(Pieces(1 << 16, self.0.clone()))),
            "/slow" => {
                tokio::time::sleep(SLOW).await;
                Response::new(Body::full("done"))
            }
            _ => match whole::read(&http::HeaderMap::new(), request.into_body(), 1 << 20).await {
                Ok(bytes) => Response::new(Body::full(bytes.len().to_string())),
                Err(problem) => problem.into_response(&crate::http::Trace::start()),
            },
        }
    }

    fn admits(&self, _head: &Parts) -> Result<(), Problem> {
        Ok(())
    }
}

/// A listener, and how many pieces of bodies were taken there.
struct Listening {
    address: SocketAddr,
    taken: Arc<AtomicUsize>,
    stop: Stop,
    cores: Option<Cores>,
}

impl Listening {
    fn new() -> Listening {
        let listener = Listener::bind(([127, 0, 0, 1], 0).into()).expect("a port");
        let (address, taken, stop) =
            (listener.address(), Arc::<AtomicUsize>::default(), Stop::new());
        let cores = Cores::start(1).expect("a core");
        let counted = taken.clone();
        listener.serve_on(&cores, move |_| Answers(counted.clone()), &stop).expect("listening");
        Listening { address, taken, stop, cores: Some(cores) }
    }

    /// A connection on which this has been sent.
    fn asked(&self, text: &str) -> Std {
        let mut client = Std::connect(self.address).expect("connected");
        client.set_read_timeout(Some(SOON)).expect("a timeout");
        client.write_all(text.as_bytes()).expect("sent");
        client
    }

    /// One whose client reads nothing until nothing more can be sent to it.
    fn stuck(&self, path: &str) -> Std {
        let client = self.asked(&get(path));
        let mut before = 0;
        loop {
            std::thread::park_timeout(Duration::from_millis(200));
            let taken = self.taken.load(Ordering::Relaxed);
            if taken > 0 && taken == before {
                return client;
            }
            before = taken;
        }
    }

    /// How long its end takes.
    fn ends_in(&self) -> Duration {
        let start = clock::now();
        self.stop.stop();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let drained = runtime.expect("a runtime").block_on(self.stop.drain(SOON));
        assert!(drained, "it never ended");
        clock::now() - start
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(cores) = self.cores.take() {
            cores.stop();
        }
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")
}

fn post(announced: usize, sent: &str) -> String {
    format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {announced}\r\n\r\n{sent}")
}

/// What comes until the connection ends.
fn rest(mut client: Std) -> String {
    let mut bytes = Vec::new();
    match client.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn a_stream_whose_client_reads_nothing_ends_at_once() {
    let listening = Listening::new();
    let (_one, _other) = (listening.stuck("/live"), listening.stuck("/live"));
    let took = listening.ends_in();
    assert!(took < AT_ONCE, "{took:?}");
}

#[test]
fn a_client_that_sends_nothing_of_its_body_or_reads_nothing_of_its_answer_is_not_waited_for() {
    let listening = Listening::new();
    let _stuck = listening.stuck("/large");
    let half = listening.asked(&post(10, "01234"));
    let none = listening.asked(&post(10, ""));
    let chunked = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\n012";
    let chunk = listening.asked(chunked);
    std::thread::park_timeout(Duration::from_millis(200));
    let took = listening.ends_in();
    assert!(took < AT_ONCE, "{took:?}");
    for client in [half, none, chunk] {
        assert_eq!(rest(client), "", "nobody is told that half a body was enough");
    }
}

#[test]
fn what_is_in_flight_is_finished_as_long_as_its_client_does_its_part() {
    let listening = Listening::new();
    let slow = listening.asked(&get("/slow"));
    let mut sending = listening.asked(&post(10, ""));
    std::thread::park_timeout(Duration::from_millis(200));
    let sender = std::thread::spawn(move || {
        for _ in 0..10 {
            std::thread::park_timeout(Duration::from_millis(200));
            sending.write_all(b"x").expect("it is still read");
        }
        rest(sending)
    });
    let took = listening.ends_in();
    assert!(took >= SLOW - Duration::from_millis(500), "{took:?}");
    let answer = rest(slow);
    assert!(answer.ends_with("\r\n\r\ndone"), "{answer:?}");
    let answer = sender.join().expect("sent");
    assert!(answer.ends_with("\r\n\r\n10"), "{answer}");
}
