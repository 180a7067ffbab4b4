//! The service behind: its path says what it does, and it remembers what it saw.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use chassis::cores::Cores;
use chassis::http::{Body, Listener, Problem, Request, Response, Serve, Stop, Trace, json, whole};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body::Frame;
use serde_json::json as value;

/// A request as the service saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    pub(crate) peer: SocketAddr,
}

/// The service; gone when it is dropped.
pub(crate) struct Service {
    address: SocketAddr,
    state: State,
    stop: Stop,
    cores: Option<Cores>,
}

#[derive(Clone, Default)]
struct State {
    seen: Arc<Mutex<Vec<Seen>>>,
    sick: Arc<Mutex<bool>>,
    /// What a revocation is answered with instead of 200; 0 is never.
    revocation: Arc<Mutex<Option<u16>>>,
}

impl Service {
    pub(crate) fn start() -> Service {
        let listener = Listener::bind(([127, 0, 0, 1], 0).into()).expect("a port");
        let (address, state, stop) = (listener.address(), State::default(), Stop::new());
        let cores = Cores::start(1).expect("a core");
        let answers = state.clone();
        listener.serve_on(&cores, move |_| Answers(answers.clone()), &stop).expect("listening");
        Service { address, state, stop, cores: Some(cores) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What reached it.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().expect("sound").clone()
    }

    /// Makes `/s/moody` and what takes tokens back fail, or work again.
    pub(crate) fn is_sick(&self, sick: bool) {
        *self.state.sick.lock().expect("sound") = sick;
    }
}

impl Service {
    /// Answers revocations with this status, or with 0 never.
    pub(crate) fn answers_revocations_with(&self, status: u16) {
        *self.state.revocation.lock().expect("sound") = Some(status);
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(cores) = self.cores.take() {
            cores.stop();
        }
    }
}

struct Answers(State);

impl Serve for Answers {
    async fn serve(self: Rc<Self>, request: Request, peer: SocketAddr) -> Response {
        let (parts, incoming) = request.into_parts();
        let path = parts.uri.path().to_owned();
        if path == "/s/early" {
            return status(404);
        }
        let text = match whole::read(&parts.headers, incoming, 16 << 20).await {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(_) => return status(400),
        };
        let sick = *self.0.sick.lock().expect("sound");
        let revocation = *self.0.revocation.lock().expect("sound");
        self.0.seen.lock().expect("sound").push(Seen {
            method: parts.method.to_string(),
            target: parts.uri.to_string(),
            headers: parts.headers,
            body: text.clone(),
            peer,
        });
        if let Some(millis) = path.strip_prefix("/s/slow/") {
            tokio::time::sleep(Duration::from_millis(millis.parse().expect("a number"))).await;
        }
        if let Some(bytes) = path.strip_prefix("/s/large/") {
            return pieces(bytes.parse().expect("a number"), None);
        }
        match path.as_str() {
            "/s/fail" => status(500),
            "/s/moody" if sick => status(500),
            "/s/stall" => pieces(4, Some(Duration::from_secs(600))),
            "/s/none" | "/orders/none" | "/products/none" => problem(Problem::not_found()),
            "/s/busy" | "/products/sick" => {
                let mut response = problem(Problem::unavailable("connection_limit_reached", 7));
                response.headers_mut().insert("x-own", HeaderValue::from_static("1"));
                response
            }
            "/products/broken" => status(500),
            "/products/slow" => {
                tokio::time::sleep(Duration::from_secs(5)).await;
                problem(Problem::not_found())
            }
            "/s/html" => {
                let mut response = Response::new(Body::full("<p>its own</p>"));
                *response.status_mut() = StatusCode::NOT_FOUND;
                response
                    .headers_mut()
                    .insert("content-type", HeaderValue::from_static("text/html"));
                response
            }
            "/s/refused" => {
                let mut response = status(503);
                let who = HeaderValue::from_static("yeoul; error=connection_refused");
                response.headers_mut().insert("proxy-status", who);
                response
            }
            "/s/hops" => {
                let mut response = status(200);
                let headers = response.headers_mut();
                headers.insert("connection", HeaderValue::from_static("x-hop"));
                headers.insert("x-hop", HeaderValue::from_static("1"));
                headers.insert("keep-alive", HeaderValue::from_static("timeout=5"));
                headers.insert("x-end", HeaderValue::from_static("2"));
                response
            }
            "/oauth/token" => token(&text),
            "/oauth/revoke" if sick => status(503),
            // One that the endpoint stumbles over each time.
            "/oauth/revoke" if text.contains("poison") => status(500),
            "/oauth/revoke" => match revocation {
                Some(0) => std::future::pending().await,
                other => status(other.unwrap_or(200)),
            },
            _ => json(StatusCode::OK, &value!({ "body": text })),
        }
    }

    fn admits(&self, _head: &Parts) -> Result<(), Problem> {
        Ok(())
    }
}

fn problem(problem: Problem) -> Response {
    problem.into_response(&Trace::start())
}

fn status(status: u16) -> Response {
    let mut response = Response::new(Body::full("text of the service"));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response
}

/// A body of pieces without a length, which may stop in the middle.
fn pieces(bytes: usize, stall: Option<Duration>) -> Response {
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    tokio::task::spawn_local(async move {
        let mut left = bytes;
        while left > 0 {
            let piece = vec![b'x'; left.min(16 * 1024)];
            left -= piece.len();
            if sender.send(Bytes::from(piece)).await.is_err() {
                return;
            }
        }
        if let Some(stall) = stall {
            tokio::time::sleep(stall).await;
        }
    });
    Response::new(Body::stream(Pieces(receiver)))
}

struct Pieces(tokio::sync::mpsc::Receiver<Bytes>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

/// A refresh token such as no cookie can hold (RFC 6749, A.17), and as a form has it.
pub(crate) const SPACED: &str = "a b;c,\"d\"";
pub(crate) const SPACED_IN_FORMS: &str = "token=a+b%3Bc%2C%22d%22";

fn token(form: &str) -> Response {
    let answer = match form {
        _ if form.contains("password=right") || form.contains("refresh_token=good") => {
            let token = form.split("username=").nth(1).and_then(|rest| rest.split('&').next());
            let token = token.unwrap_or("renewed");
            return json(
                StatusCode::OK,
                &value!({ "access_token": token, "token_type": "Bearer", "expires_in": 900, "refresh_token": "good" }),
            );
        }
        _ if form.contains("password=spaced") || form.contains(SPACED_IN_FORMS) => {
            let refresh = SPACED;
            return json(
                StatusCode::OK,
                &value!({ "access_token": "opaque", "expires_in": 900, "refresh_token": refresh }),
            );
        }
        _ if form.contains("password=mac") => {
            return json(
                StatusCode::OK,
                &value!({ "access_token": "opaque", "token_type": "mac", "refresh_token": "good" }),
            );
        }
        _ if form.contains("refresh_token=odd") => value!({ "error": "invalid_request" }),
        _ => value!({ "error": "invalid_grant" }),
    };
    json(StatusCode::BAD_REQUEST, &answer)
}
