//! Services that speak bytes, not HTTP: what they answer is the test's.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

/// How many requests a service remembers.
const ASKED_MAX: usize = 100;

/// A service that does `act` with each connection, one after another; the number is the connection's.
pub(crate) fn odd(act: impl Fn(TcpStream, usize) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for (count, stream) in listener.incoming().flatten().enumerate() {
            act(stream, count);
        }
    });
    address
}

/// A service that answers every request with these bytes and closes; what it was asked is sent.
pub(crate) fn answering(bytes: impl Into<Vec<u8>>) -> (SocketAddr, mpsc::Receiver<String>) {
    let (bytes, (sender, asked)) = (bytes.into(), mpsc::sync_channel(ASKED_MAX));
    let address = odd(move |mut stream, _| {
        let _ = sender.try_send(swallow(&mut stream));
        let _ = stream.write_all(&bytes);
    });
    (address, asked)
}

/// Reads what comes at once.
pub(crate) fn swallow(stream: &mut TcpStream) -> String {
    let mut buffer = [0; 16 * 1024];
    let read = stream.read(&mut buffer).unwrap_or(0);
    String::from_utf8_lossy(&buffer[..read]).into_owned()
}

/// Passes every connection on to the address that it is told; before, connections wait.
pub(crate) fn relay() -> (SocketAddr, mpsc::SyncSender<SocketAddr>) {
    let (sender, target) = mpsc::sync_channel::<SocketAddr>(1);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        let Ok(to) = target.recv() else { return };
        for stream in listener.incoming().flatten() {
            let onward = TcpStream::connect(to).expect("connected");
            pipe(&stream, &onward);
            pipe(&onward, &stream);
        }
    });
    (address, sender)
}

fn pipe(from: &TcpStream, to: &TcpStream) {
    let (mut from, mut to) =
        (from.try_clone().expect("one more"), to.try_clone().expect("one more"));
    thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
}
