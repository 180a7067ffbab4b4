//! A web service that publishes exactly what it commits: notes, over HTTP, with an outbox.
//!
//! `POST /notes` stores a note and its event in one transaction and answers once both are on disk,
//! with the write's position. Whether anybody relays the event yet makes no difference to the
//! answer: that is what an outbox is for. `GET /events` shows what the topic has, for whoever wants
//! to see it arrive.
//!
//! ```text
//! cargo run -p yeoul-events --example outbox_service -- 127.0.0.1:8085 ./target/notes
//! curl -i 127.0.0.1:8085/notes -H 'content-type: application/json' -d '{"text": "hello"}'
//! curl -i 127.0.0.1:8085/notes/1
//! curl -s 127.0.0.1:8085/events
//! ```
//!
//! Three things to see in it. A handler of HTTP never publishes: it writes, and [`Relay`] publishes.
//! The engine's errors become statuses in one place ([`Refusal`]). The end is in order: first the
//! listener, then the relay, then the files.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::{Path as Segment, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::watch;
use yeoul_events::store::{Database, Options, Published, Publishes, Row, Rows, Tx};
use yeoul_events::{
    Broker, Cause, Clock, Draft, Error, Log, Offset, Partitions, Relay, Stored, Topic,
    WritePosition,
};

/// Migrations, each applied once; more are only ever appended.
const SCHEMA: &[&str] = &["CREATE TABLE note (
    id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT NOT NULL, version INTEGER NOT NULL) STRICT"];

/// Characters a note may have: the limit has one name, and the refusal names it.
const TEXT_CHARS_MAX: usize = 1_000;

/// What the service is made of; cheap to clone for each request.
#[derive(Clone)]
struct Service {
    database: Database,
    log: Arc<Log>,
    topic: Topic,
}

/// What a client sends.
#[derive(Deserialize)]
struct NewNote {
    text: String,
}

/// A note, as clients and as readers of `NoteTaken` see it.
#[derive(Debug, Serialize)]
struct Note {
    id: u64,
    text: String,
    version: u64,
}

/// Why a request was not done.
enum Refusal {
    TooLong { chars: usize },
    Unknown,
    Engine(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal::Engine(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Refusal::TooLong { chars } => {
                let what = format!("text too long. chars=`{chars}`, limit=`{TEXT_CHARS_MAX}`");
                (StatusCode::UNPROCESSABLE_ENTITY, what).into_response()
            }
            Refusal::Unknown => StatusCode::NOT_FOUND.into_response(),
            // A full disk, a full queue: nothing was done, and the client may come back.
            Refusal::Engine(error) if error.is_environment() => {
                (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "1")]).into_response()
            }
            // A mistake of the program. The client learns nothing of it; the log does.
            Refusal::Engine(error) => {
                tracing::error!(%error, "a request failed");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

/// State and event, one transaction.
async fn take_note(
    State(service): State<Service>,
    Json(new): Json<NewNote>,
) -> Result<Response, Refusal> {
    let chars = new.text.chars().count();
    if chars > TEXT_CHARS_MAX {
        return Err(Refusal::TooLong { chars });
    }
    let work = service.database.write(new.text, |text, tx| Box::pin(insert(tx, text)));
    // Past this await both are on disk, or neither is. If the client goes away before it, the work
    // is done all the same: it was queued by the call.
    let (note, taken) = work.await?;
    // A reader that is given this back answers with something at least as new.
    let position = WritePosition::new("note", taken.number()).for_key(note.id.to_string());
    let token = HeaderValue::from_str(&position.to_string()).expect("a token is URL-safe");
    let headers = HeaderMap::from_iter([("yeoul-position".parse().expect("a name"), token)]);
    Ok((StatusCode::CREATED, headers, Json(note)).into_response())
}

/// The row, and the event that says so.
async fn insert(tx: &mut Tx<'_>, text: &str) -> Result<(Note, Published), Error> {
    let id = tx.insert("INSERT INTO note (text, version) VALUES (?1, 1)", &[&text]).await?;
    let note = Note { id, text: text.to_owned(), version: 1 };
    // The subject is the key: whatever happens to this note is read in this order.
    let taken = Draft::new("NoteTaken", note.id, note.version, &note, &Cause::default());
    let taken = tx.publish(taken).await?;
    Ok((note, taken))
}

/// A read runs on this thread: an indexed look-up is shorter than a hop to another.
async fn note(
    State(service): State<Service>,
    Segment(id): Segment<u64>,
) -> Result<Json<Note>, Refusal> {
    let note = service.database.read(&id, |&id, rows| Box::pin(find(rows, id))).await?;
    note.map(Json).ok_or(Refusal::Unknown)
}

async fn find(rows: &mut Rows<'_>, id: u64) -> Result<Option<Note>, Error> {
    let select = "SELECT id, text, version FROM note WHERE id = ?1";
    let note = |row: &Row<'_>| {
        Ok(Note { id: row.get("id")?, text: row.get("text")?, version: row.get("version")? })
    };
    rows.find(select, &[&id], note).await
}

/// The first hundred events of the topic, each as CloudEvents 1.0, one a line.
async fn events(State(service): State<Service>) -> Result<String, Refusal> {
    let page = service.log.read(&service.topic.first(), Offset::BEGINNING, 100).await?;
    let line = |stored: &Stored| String::from_utf8_lossy(&stored.event.to_json()).into_owned();
    Ok(page.iter().map(line).fold(String::new(), |lines, line| lines + &line + "\n"))
}

/// Serves until `stop` resolves, and leaves nothing half done.
async fn serve(
    listener: TcpListener,
    folder: &Path,
    clock: Clock,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let topic = Topic::parse("note")?;
    let log = Arc::new(Log::open(folder, std::slice::from_ref(&topic), clock.clone())?);
    let publishes = Some(Publishes {
        source: "note".into(),
        topic: topic.clone(),
        partitions: Partitions::ONE,
    });
    let path = folder.join("note.db");
    let database = Database::open(Options { path, schema: SCHEMA, publishes, clock })?;

    let stopping = watch::Sender::new(false);
    let mut stopped = stopping.subscribe();
    let relay = Relay::new(database.clone(), log.clone());
    let relay = tokio::spawn(relay.run(async move { _ = stopped.wait_for(|it| *it).await }));

    let service = Service { database: database.clone(), log: log.clone(), topic };
    let router = Router::new()
        .route("/notes", post(take_note))
        .route("/notes/{id}", get(note))
        .route("/events", get(events))
        .with_state(service);
    axum::serve(listener, router).with_graceful_shutdown(stop).await?;

    // Nobody writes any more. What the relay does not get to is relayed at the next start.
    stopping.send_replace(true);
    relay.await?;
    database.close().await;
    log.close().await;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the edge of a program is where the clock is read")]
fn wall() -> Clock {
    Arc::new(jiff::Timestamp::now)
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "an example shows what it does")]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8085".to_owned());
    let folder = PathBuf::from(arguments.next().unwrap_or_else(|| "./target/notes".to_owned()));
    std::fs::create_dir_all(&folder)?;
    let listener = TcpListener::bind(&address).await?;
    println!("http://{}", listener.local_addr()?);
    serve(listener, &folder, wall(), async { _ = tokio::signal::ctrl_c().await }).await
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(30);

    struct Running {
        address: SocketAddr,
        stop: oneshot::Sender<()>,
        task: JoinHandle<()>,
    }

    async fn start(folder: &Path) -> Running {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let folder = folder.to_owned();
        let task = tokio::spawn(async move {
            let clock: Clock = Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
            serve(listener, &folder, clock, async { _ = stopped.await }).await.unwrap();
        });
        Running { address, stop, task }
    }

    impl Running {
        /// One request on a connection of its own; the whole answer as text.
        async fn ask(&self, line: &str, body: &str) -> String {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            let (host, bytes) = (self.address, body.len());
            let request = format!(
                "{line} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
                 content-type: application/json\r\ncontent-length: {bytes}\r\n\r\n{body}"
            );
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        }

        async fn stop(self) {
            drop(self.stop);
            self.task.await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_note_and_its_event_are_one_and_outlive_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let running = start(folder.path()).await;
        let taken = running.ask("POST /notes", r#"{"text": "hello"}"#).await;
        assert!(taken.starts_with("HTTP/1.1 201 Created"), "{taken}");
        assert!(taken.contains("yeoul-position: w1.note.1\r\n"), "{taken}");
        assert!(taken.ends_with(r#"{"id":1,"text":"hello","version":1}"#), "{taken}");
        running.stop().await;

        let running = start(folder.path()).await;
        assert!(running.ask("GET /notes/1", "").await.contains(r#""text":"hello""#));
        assert!(running.ask("GET /notes/2", "").await.starts_with("HTTP/1.1 404"));
        // Relayed by now or soon: the relay asked the log how far it had come.
        let mut events = String::new();
        let arrived = async {
            while !events.contains("NoteTaken") {
                events = running.ask("GET /events", "").await;
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(DEADLINE, arrived).await.expect("in time");
        assert_eq!(events.matches(r#""type":"NoteTaken""#).count(), 1, "{events}");
        assert!(events.contains(r#""outboxsequence":"1""#), "{events}");
        running.stop().await;
    }

    #[tokio::test]
    async fn a_refused_note_leaves_neither_row_nor_event() {
        let folder = tempfile::tempdir().unwrap();
        let running = start(folder.path()).await;
        for (chars, status) in [(TEXT_CHARS_MAX + 1, "422"), (TEXT_CHARS_MAX, "201")] {
            let body = format!("{{\"text\": \"{}\"}}", "재".repeat(chars));
            let answer = running.ask("POST /notes", &body).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        }
        assert!(running.ask("POST /notes", "no JSON").await.starts_with("HTTP/1.1 400"));
        assert!(running.ask("GET /notes/1", "").await.starts_with("HTTP/1.1 200"));
        assert!(running.ask("GET /notes/2", "").await.starts_with("HTTP/1.1 404"));
        running.stop().await;
    }
}
