//! The lab's own client: a thread per connection, each sending again when its answer is there.

use std::io;
use std::time::{Duration, Instant};

use super::{CONNECTIONS, Outcome};
use crate::clock;
use crate::error::Error;
use crate::http::{Connection, Request};

/// What one connection saw.
#[derive(Default)]
struct Seen {
    taken: Vec<Duration>,
    refused: u64,
}

pub(super) fn run(request: &Request, seconds: u64) -> Result<Outcome, Error> {
    let began = clock::now();
    let until = began + Duration::from_secs(seconds);
    // The scope joins every thread, so that nobody loads the server once this returns, whatever one of them met.
    let seen: Vec<io::Result<Seen>> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..CONNECTIONS).map(|_| scope.spawn(|| repeat(request, until))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic in a client")).collect()
    });
    let mut all = Seen::default();
    for one in seen {
        let one = one?;
        all.taken.extend(one.taken);
        all.refused += one.refused;
    }
    Ok(sum_up(all, began.elapsed()))
}

fn repeat(request: &Request, until: Instant) -> io::Result<Seen> {
    let bytes = request.bytes();
    let mut seen = Seen::default();
    let mut connection = Connection::open(&request.address)?;
    while clock::now() < until {
        let sent = clock::now();
        match connection.call(request.method, &bytes) {
            Ok(answer) => {
                seen.taken.push(sent.elapsed());
                seen.refused += u64::from(!(200..400).contains(&answer.status));
            }
            Err(_) => {
                // A connection that broke is a refusal and no answer; a new one takes its place, so that the load
                // stays what it is.
                seen.refused += 1;
                connection = Connection::open(&request.address)?;
            }
        }
    }
    Ok(seen)
}

fn sum_up(mut seen: Seen, time: Duration) -> Outcome {
    seen.taken.sort_unstable();
    let at = |share: usize| {
        let index = (seen.taken.len() * share / 100).min(seen.taken.len().saturating_sub(1));
        seen.taken.get(index).copied().unwrap_or_default()
    };
    Outcome {
        requests: seen.taken.len() as u64,
        time,
        refused: seen.refused,
        p50: at(50),
        p99: at(99),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn percentiles_are_of_all_connections_together() {
        let taken = (1..=200).rev().map(Duration::from_micros).collect();
        let outcome = sum_up(Seen { taken, refused: 2 }, Duration::from_secs(2));
        assert_eq!(outcome.requests, 200);
        assert_eq!(outcome.refused, 2);
        assert_eq!(outcome.p50, Duration::from_micros(101));
        assert_eq!(outcome.p99, Duration::from_micros(199));
    }

    #[test]
    fn nothing_answered_is_nothing_counted() {
        let outcome = sum_up(Seen::default(), Duration::from_secs(1));
        assert_eq!((outcome.requests, outcome.p99), (0, Duration::ZERO));
    }

    /// Answers every connection with this status until the client goes.
    fn server(status: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            for stream in listener.incoming().take(CONNECTIONS) {
                let mut stream = stream.unwrap();
                std::thread::spawn(move || {
                    let mut bytes = [0; 1024];
                    while stream.read(&mut bytes).is_ok_and(|read| read > 0) {
                        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nok");
                        if stream.write_all(answer.as_bytes()).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        address
    }

    #[test]
    fn answers_are_counted_and_refusals_beside_them() {
        for (status, all_refused) in [("200 OK", false), ("503 Service Unavailable", true)] {
            let outcome = run(&Request::new("GET", &server(status), "/"), 1).unwrap();
            assert!(outcome.requests > 0);
            assert_eq!(outcome.refused, if all_refused { outcome.requests } else { 0 });
        }
    }

    #[test]
    fn a_server_that_is_not_there_is_an_error() {
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        assert!(run(&Request::new("GET", &gone, "/"), 1).is_err());
    }
}
