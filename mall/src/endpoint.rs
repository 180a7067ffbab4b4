//! Where a service is served: it can be switched off and on again at the same address, while its
//! process lives.
//!
//! Off means what a dead process would look like from outside: the port refuses, no event is
//! handled, nothing is relayed. Commits that were acknowledged stay; they are relayed when it is on
//! again. How the port is served is a closure, so that a part composed elsewhere (my page) is
//! switched like one composed here.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chassis::cores::Cores;
use chassis::http::{BindError, Listener, Serve, Stop};

use crate::pause::Pause;
use crate::settings::Name;

/// How long a service that is switched off may finish the requests it is in.
pub const DRAIN: Duration = Duration::from_secs(10);

/// Serves a bound listener until the stop.
pub type Listen = Box<dyn Fn(Listener, &Stop) -> Result<(), BindError> + Send + Sync>;

/// Serves on every core with what `make` makes for it.
pub fn serving<S, M>(cores: Arc<Cores>, make: M) -> Listen
where
    S: Serve,
    M: Fn(usize) -> S + Send + Sync + Clone + 'static,
{
    Box::new(move |listener, stop| listener.serve_on(&cores, make.clone(), stop))
}

/// The endpoint of one service of the mall.
pub struct Endpoint {
    name: Name,
    address: SocketAddr,
    pause: Pause,
    listen: Listen,
    serving: Mutex<Option<Stop>>,
}

impl Endpoint {
    /// Serves `listener` at once.
    ///
    /// # Errors
    /// A core could not join the address: the environment.
    pub fn start_on(
        name: Name,
        listener: Listener,
        pause: Pause,
        listen: Listen,
    ) -> Result<Endpoint, BindError> {
        let address = listener.address();
        let stop = Stop::new();
        listen(listener, &stop)?;
        Ok(Endpoint { name, address, pause, listen, serving: Mutex::new(Some(stop)) })
    }

    /// The service's name.
    pub fn name(&self) -> Name {
        self.name
    }

    /// Where it serves, or served.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it is on.
    pub fn is_on(&self) -> bool {
        self.serving().is_some()
    }

    /// Switches it off: resolves when its port refuses and no request is in it any more, or after
    /// [`DRAIN`]. Off already is as good.
    pub async fn stop(&self) {
        self.pause.stop(true);
        let stop = self.serving().take();
        if let Some(stop) = stop {
            stop.stop();
            stop.drain(DRAIN).await;
        }
    }

    /// Switches it on at the same address; on already is as good.
    ///
    /// # Errors
    /// The address was taken in between: it stays off, and its handlers too.
    pub fn start(&self) -> Result<(), BindError> {
        let mut serving = self.serving();
        if serving.is_none() {
            let stop = Stop::new();
            (self.listen)(Listener::bind(self.address)?, &stop)?;
            *serving = Some(stop);
        }
        self.pause.stop(false);
        Ok(())
    }

    /// Ends the listener as part of the process's end: handlers and relay go on until their own
    /// stop, so that what is in flight finishes.
    pub fn close(&self) -> Option<Stop> {
        let stop = self.serving().take();
        if let Some(stop) = &stop {
            stop.stop();
        }
        stop
    }

    fn serving(&self) -> std::sync::MutexGuard<'_, Option<Stop>> {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint")
            .field("name", &self.name)
            .field("address", &self.address)
            .field("on", &self.is_on())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::rc::Rc;

    use chassis::http::{Problem, Request, Response, empty};
    use http::StatusCode;
    use http::request::Parts;

    use super::*;

    struct Always;

    impl Serve for Always {
        async fn serve(self: Rc<Self>, _request: Request, _peer: SocketAddr) -> Response {
            empty(StatusCode::NO_CONTENT)
        }

        fn admits(&self, _head: &Parts) -> Result<(), Problem> {
            Ok(())
        }
    }

    fn answers(address: SocketAddr) -> bool {
        let Ok(mut stream) = TcpStream::connect(address) else { return false };
        let request = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        if stream.write_all(request).is_err() {
            return false;
        }
        let mut text = String::new();
        stream.read_to_string(&mut text).is_ok() && text.starts_with("HTTP/1.1 204")
    }

    #[test]
    fn a_service_switched_off_refuses_and_comes_back_at_the_same_address() {
        let cores = Arc::new(Cores::start(2).expect("threads start"));
        let listener = Listener::bind("127.0.0.1:0".parse().expect("an address")).expect("free");
        let listen = serving(cores, |_| Always);
        let endpoint =
            Endpoint::start_on(Name::Order, listener, Pause::new(), listen).expect("it serves");
        let handlers = endpoint.pause.handlers();
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        for _ in 0..2 {
            assert!(answers(endpoint.address()));
            assert!(!*handlers.borrow());

            runtime.block_on(endpoint.stop());
            runtime.block_on(endpoint.stop());
            assert!(!endpoint.is_on() && !answers(endpoint.address()));
            assert!(*handlers.borrow());

            endpoint.start().expect("the address is still free");
            endpoint.start().expect("on already");
            assert!(endpoint.is_on());
        }
    }
}
