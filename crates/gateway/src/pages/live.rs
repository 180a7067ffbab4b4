//! Live updates of an owner's page as server-sent events.
//!
//! A stream continues where the client stopped, or begins with the whole page. It has a task and a
//! place for one piece of text: the next changes are read from the feed only when the client has
//! taken the last, so a slow reader costs one read and is never sent what it cannot take. If it
//! falls behind what the feed keeps, it gets the page again.
//!
//! It ends on sign-out, when the token expires, when nobody can tell which sign-ins have ended, and when the gateway
//! stops; the browser comes back by itself and is asked who it is again.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use chassis::clock;
use chassis::http::{Body, BoxError, Problem, Response};
use events::FeedPosition;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderName, HeaderValue};
use http_body::Frame;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tracing::warn;
use views::{Change, Changes, Page, Slice, Views};

use crate::streams::StreamPermit;

/// How often a stream says that it lives, whatever else it says: who misses it may come back.
pub const HEARTBEAT: Duration = Duration::from_secs(15);
/// It has no id: what a client resumes after stays the last change.
const ALIVE: &[u8] = b"event: alive\ndata: {}\n\n";
/// How soon a browser comes back to a stream that ended.
const RETRY: Duration = Duration::from_secs(1);
/// Changes sent in one piece.
const CHANGES_AT_ONCE: usize = 100;
/// How long a stream lives that no token ends.
const LIFE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Whom one stream is for, and of what.
pub(crate) struct Viewer {
    pub(crate) views: Views,
    pub(crate) page: Page,
    pub(crate) owner: String,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) permit: StreamPermit,
}

/// Where the client stopped: its last event's id, else the page's position in the query.
///
/// # Errors
/// 400 for what is no position of a feed.
pub(crate) fn after(parts: &Parts) -> Result<Option<FeedPosition>, Problem> {
    let query = chassis::http::query::Query::parse(parts.uri.query())?;
    let (field, token) = match parts.headers.get(&LAST_EVENT_ID) {
        Some(value) => ("Last-Event-ID", Some(value.to_str().unwrap_or_default())),
        None => ("after", query.get("after")),
    };
    let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(None) };
    let position = token.parse().map(Some);
    position.map_err(|_| Problem::bad_field(field, "must be the position of a page or an event"))
}

/// The answer, and its task on this core.
pub(crate) fn open(viewer: Viewer, after: Option<FeedPosition>) -> Response {
    // Room for one piece: a client that reads nothing holds up its own stream and keeps no more in memory.
    let (sender, pieces) = mpsc::channel(1);
    tokio::task::spawn_local(run(viewer, after, sender));
    stream(Body::live(Pieces(pieces)))
}

/// The head of the answer alone, for HEAD.
pub(crate) fn head() -> Response {
    stream(Body::empty())
}

fn stream(body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}

/// What is sent at once.
struct Piece {
    text: Bytes,
    /// Where the client is when it has it.
    up_to: FeedPosition,
}

struct Pieces(mpsc::Receiver<Bytes>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

async fn run(viewer: Viewer, after: Option<FeedPosition>, sender: mpsc::Sender<Bytes>) {
    let life = match viewer.expires {
        Some(expires) => {
            Duration::try_from(expires.duration_since(clock::wall())).unwrap_or_default()
        }
        None => LIFE_MAX,
    };
    tokio::select! {
        // Whichever comes first ends it; the permit goes with `viewer`.
        () = follow(&viewer, after, &sender) => {}
        () = viewer.permit.ended() => {}
        () = tokio::time::sleep(life.min(LIFE_MAX)) => {}
        () = sender.closed() => {}
    }
}

/// Sends changes until the client has gone or the store fails.
async fn follow(viewer: &Viewer, mut after: Option<FeedPosition>, sender: &mpsc::Sender<Bytes>) {
    // Before the first read, so that no change falls between reading and waiting.
    let mut watch = viewer.views.watch(&viewer.page, &viewer.owner);
    // At once, so that whoever is on the way passes the answer on.
    if sender.send(Bytes::from(format!("retry: {}\n\n", RETRY.as_millis()))).await.is_err() {
        return;
    }
    let mut beat_at = clock::now() + HEARTBEAT;
    loop {
        // Room first and then the look: what is read is the newest at the moment it is sent.
        let Ok(room) = sender.reserve().await else { return };
        if clock::now() >= beat_at {
            beat_at = clock::now() + HEARTBEAT;
            room.send(Bytes::from_static(ALIVE));
            continue;
        }
        match viewer.next(after.as_ref()).await {
            Ok(Some(Piece { text, up_to })) => {
                after = Some(up_to);
                room.send(text);
            }
            Ok(None) => {
                drop(room);
                let quiet = beat_at.saturating_duration_since(clock::now());
                // Whichever comes first, it is seen above.
                let _ = tokio::time::timeout(quiet, watch.changed()).await;
            }
            Err(error) => {
                warn!(%error, "a live stream ends: its changes cannot be read");
                return;
            }
        }
    }
}

impl Viewer {
    /// What to send next, if there is anything.
    async fn next(&self, after: Option<&FeedPosition>) -> Result<Option<Piece>, views::Error> {
        // Whoever comes without a place, or from one that was forgotten, begins with the page itself.
        let Some(after) = after else { return self.reset().await.map(Some) };
        match self.views.changes(&self.page, &self.owner, after, CHANGES_AT_ONCE).await? {
            Changes::TooOld => self.reset().await.map(Some),
            Changes::Some(changes) => Ok(piece(&changes)),
        }
    }

    async fn reset(&self) -> Result<Piece, views::Error> {
        let shown = self.views.page(&self.page, &self.owner, Slice::first(self.page.size)).await?;
        let mut text = String::new();
        event(&mut text, "reset", &shown.position, &shown.json);
        Ok(Piece { text: text.into(), up_to: shown.position })
    }
}

fn piece(changes: &[Change]) -> Option<Piece> {
    let up_to = changes.last()?.position.clone();
    let mut text = String::new();
    for change in changes {
        event(&mut text, &change.kind, &change.position, &change.row);
    }
    Some(Piece { text: text.into(), up_to })
}

/// One event; JSON has no line breaks of its own.
fn event(text: &mut String, kind: &str, position: &FeedPosition, data: &serde_json::Value) {
    use std::fmt::Write as _;
    write!(text, "event: {kind}\nid: {position}\ndata: {data}\n\n")
        .expect("a string takes any text");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(uri: &str, last: Option<&str>) -> Result<Option<u64>, u16> {
        let mut request = http::Request::get(uri);
        if let Some(last) = last {
            request = request.header(LAST_EVENT_ID, last);
        }
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        after(&parts).map(|it| it.map(|it| it.sequence)).map_err(|it| it.status().as_u16())
    }

    #[test]
    fn a_stream_goes_on_after_the_last_event_else_after_the_page() {
        let cases = [
            (asked("/e", None), Ok(None)),
            (asked("/e?after=f7.x", None), Ok(Some(7))),
            (asked("/e?after=f7.x", Some("f9.x")), Ok(Some(9))),
            (asked("/e?after=", None), Ok(None)),
            (asked("/e?after=w7.order", None), Err(400)),
            (asked("/e?after=nonsense", None), Err(400)),
            (asked("/e?after=f7.x", Some("t1.order")), Err(400)),
        ];
        for (at, (found, expected)) in cases.into_iter().enumerate() {
            assert_eq!(found, expected, "case {at}");
        }
    }

    #[test]
    fn an_event_is_three_lines_whatever_its_data_holds() {
        let position = FeedPosition { feed: "x".to_owned(), sequence: 7 };
        let mut text = String::new();
        event(&mut text, "order", &position, &serde_json::json!({ "name": "a\nb\r\n\ndata: c" }));
        assert_eq!(text, "event: order\nid: f7.x\ndata: {\"name\":\"a\\nb\\r\\n\\ndata: c\"}\n\n");
    }
}
