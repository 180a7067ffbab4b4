//! One question over HTTP on a connection of its own: to an admin listener, or for another process's keys.

use chassis::http::whole;
use http::header::HOST;
use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The longest answer that is taken.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// What `authority` (host and port) answers. How long one waits is the caller's.
///
/// # Errors
/// Nobody answers there, or what is no HTTP.
pub(crate) async fn exchange(
    authority: &str,
    method: &Method,
    path: &str,
) -> Result<Response<Bytes>, Box<dyn std::error::Error + Send + Sync>> {
    let request = Request::builder().method(method).uri(path).body(Full::default())?;
    send(authority, request).await
}

/// The same for a request with a body.
///
/// # Errors
/// As there.
pub(crate) async fn send(
    authority: &str,
    mut request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(authority).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driving = tokio::spawn(connection);
    request.headers_mut().insert(HOST, authority.parse()?);
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = whole::answered(body, ANSWER_BYTES_MAX).await?;
    driving.abort();
    Ok(Response::from_parts(head, body))
}
