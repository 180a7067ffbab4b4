//! `yeoul events publish`: a document of events into a topic, beside the running process.
//!
//! The same as `POST /events/TOPIC` by whoever owns the machine: the process says what is wrong with the events, and
//! answers once they are on disk.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use events::offer::BATCH_BYTES_MAX;
use http::header::CONTENT_TYPE;
use http::{Method, Request};
use http_body_util::Full;
use hyper::body::Bytes;

use super::ask::{self, Process};
use super::{advise, print};
use crate::exit::Failure;

pub(super) fn run(topic: &str, file: Option<&Path>, data: &Path) -> Result<(), Failure> {
    let document = read(file, BATCH_BYTES_MAX, "publish it in several batches")?;
    let process = Process::holding(data)?;
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("/admin/events/{}", ask::segment(topic)))
        .header(CONTENT_TYPE, media_type(&document))
        .body(Full::new(Bytes::from(document)));
    let request = request.map_err(|error| Failure::input(error, "check the topic"))?;
    let stored = ask::done(process.send(request)?)?;
    print(stored["position"].as_str().map(str::to_owned))?;
    advise(&format!(
        "stored; the same events published again are stored once; read them: `yeoul events tail {topic}`"
    ))
}

/// All of a file, or of standard input: what is larger than it may be is refused here, unread, with what to do then.
pub(super) fn read(file: Option<&Path>, limit: usize, todo: &str) -> Result<Vec<u8>, Failure> {
    let name = file.map_or_else(|| "standard input".to_owned(), |it| it.display().to_string());
    let unread = |error: io::Error| {
        Failure::input(
            format!("cannot be read. file=`{name}`, cause=`{error}`"),
            "name another file",
        )
    };
    let from: Box<dyn Read> = match file {
        Some(file) => Box::new(File::open(file).map_err(unread)?),
        None => Box::new(io::stdin().lock()),
    };
    let mut document = Vec::new();
    from.take(limit as u64 + 1).read_to_end(&mut document).map_err(unread)?;
    if document.len() > limit {
        let says = format!("is too large. file=`{name}`, limit=`{limit}`");
        return Err(Failure::input(says, todo));
    }
    Ok(document)
}

/// One event or several, by how the document begins; what it is worth the process says.
fn media_type(document: &[u8]) -> &'static str {
    match document.trim_ascii_start().first() {
        Some(b'[') => "application/cloudevents-batch+json",
        _ => "application/cloudevents+json",
    }
}
