//! The beginning of an answer: what its head decides of the call, and how its body goes on.

use std::time::Duration;

use chassis::clock;
use chassis::http::{Body, Response};
use guard::breaker::Outcome;
use http::StatusCode;
use hyper::body::Incoming;

use super::deadlines::Alarm;
use super::download::{Download, Prefetched, Underway};
use super::failure::Failure;
use super::head;
use super::recorder::Recorder;

/// The time of an answer's body.
pub(super) struct BodyTime {
    /// Set to the call's deadline until now; moved by whoever waits from here on.
    pub(super) alarm: Alarm,
    /// How long it may stand still.
    pub(super) idle: Duration,
}

/// Takes an answer and its body, as far as it has come, and records what its head says of the call.
///
/// 1. What cannot be passed on as it is counts as a failure, and nothing of it is passed on.
/// 2. A failure, a stream without an end and a probe are decided by the head.
/// 3. Everything else is decided when its body ends, which for most is here.
pub(super) async fn begin(
    response: http::Response<Incoming>,
    summary: head::Summary,
    mut underway: Underway,
    time: BodyTime,
) -> Result<Response, Failure> {
    let (parts, body) = response.into_parts();
    // Protocols are switched for nobody.
    if parts.status == StatusCode::SWITCHING_PROTOCOLS || !summary.is_framed {
        underway
            .recorder
            .take()
            .into_iter()
            .for_each(|it| it.record(Outcome::Failure, clock::now()));
        return Err(Failure::Nonsense);
    }
    let failed = parts.status.is_server_error() && !head::is_passed_on(&parts.headers);
    // What the body will do changes nothing of a failure, and is not waited for where others wait.
    let at_head = |recorder: &mut Recorder| failed || summary.is_endless || recorder.is_probe();
    if let Some(recorder) = underway.recorder.take_if(at_head) {
        recorder.record(if failed { Outcome::Failure } else { Outcome::Success }, clock::now());
    }
    // A stream of events may be silent for as long as it likes.
    let alarm = (!summary.is_endless).then_some(time.alarm);
    let begun = Download::new(body, underway, alarm, time.idle).begin().await;
    let body = match begun.map_err(|error| Failure::of(&error))? {
        Prefetched::Whole(bytes) => Body::full(bytes),
        Prefetched::Part(download) if summary.is_endless => Body::live(*download),
        Prefetched::Part(download) => Body::stream(*download),
    };
    Ok(Response::from_parts(parts, body))
}
