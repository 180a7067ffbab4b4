//! An answer's body on its way to the client: whole where it has come with its head, else piece by
//! piece, holding its connection and its permit until the end.
//!
//! 1. [`Download::begin`] takes what lies behind the head already, without waiting. Most bodies end there:
//!    they leave in one piece, and their connection is free before the answer is on its way.
//! 2. Of any other the first piece or two are kept and handed out first; then each frame is asked of the
//!    connection, which nobody else drives ([`link`](super::link)).
//! 3. The outcome is recorded once. A 5xx, an endless stream and a probe's answer are recorded at the head already, by
//!    [`beginning`](super::beginning): then only the connection is left to settle. Of all others it is the end that
//!    says: a body that ends is a success, and its connection can be used again; one that breaks off or stands still is a failure. One whose client went away is dropped
//!    where it stands: it is neither, and its connection is closed with what is still in it.
//!
//! The route's timeout is over with the head: a body may take as long as it likes, as long as something
//! comes within the idle limit. That limit runs only while the service is waited for.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use chassis::clock;
use chassis::http::BoxError;
use guard::breaker::Outcome;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::deadlines::Alarm;
use super::link::Link;
use super::pool::AddressPool;
use super::recorder::Recorder;
use super::upload::plus;

/// What a body holds while it is under way.
pub(crate) struct Underway {
    pub(crate) link: Box<Link>,
    pub(crate) address: Rc<AddressPool>,
    /// How long the connection may be kept afterwards.
    pub(crate) keep: Duration,
    /// What is still to be recorded of the call.
    pub(crate) recorder: Option<Recorder>,
}

/// An answer's body that is still coming.
pub(crate) struct Download {
    /// What came with the head.
    first: Option<Bytes>,
    /// What came right behind: looking for the end brought it up. Trailers stand here too.
    second: Option<Frame<Bytes>>,
    rest: Incoming,
    /// There until the outcome has been recorded; then nothing more is asked of the connection.
    underway: Option<Underway>,
    /// None where the body may stand still: a stream of events.
    alarm: Option<Alarm>,
    idle: Duration,
    /// Whether the service is waited for; while a slow client is, no time runs.
    waiting: bool,
}

/// A body as far as it has come.
pub(crate) enum Prefetched {
    /// All of it; the connection is free.
    Whole(Bytes),
    /// The beginning.
    Part(Box<Download>),
}

impl Underway {
    fn end(mut self, outcome: Outcome, context: &mut Context<'_>) {
        let now = clock::now();
        // A call that was decided at its head has nothing left to record.
        if let Some(recorder) = self.recorder.take() {
            recorder.record(outcome, now);
        }
        // After anything but an end, what is still to come would be taken for the next answer.
        if outcome == Outcome::Success && !self.keep.is_zero() {
            self.address.put(self.link, now + self.keep, context);
        }
    }
}

impl Download {
    /// A body of which nothing has been looked at; `idle` is how long it may stand still.
    pub(crate) fn new(
        rest: Incoming,
        underway: Underway,
        alarm: Option<Alarm>,
        idle: Duration,
    ) -> Download {
        Download {
            first: None,
            second: None,
            rest,
            underway: Some(underway),
            alarm,
            idle,
            waiting: false,
        }
    }

    /// Takes what has come of the body without waiting for more.
    ///
    /// # Errors
    /// The body broke off at once; this has been counted.
    pub(crate) async fn begin(mut self) -> Result<Prefetched, hyper::Error> {
        let ended = poll_fn(|context| Poll::Ready(self.look(context))).await?;
        Ok(if ended {
            Prefetched::Whole(self.first.take().unwrap_or_default())
        } else {
            Prefetched::Part(Box::new(self))
        })
    }

    /// Reads what is there already; whether that was all.
    fn look(&mut self, context: &mut Context<'_>) -> Result<bool, hyper::Error> {
        // No body at all, as its head says: there is nothing to ask for.
        if self.rest.is_end_stream() {
            self.end(Outcome::Success, context);
            return Ok(true);
        }
        let Poll::Ready(frame) = self.pull(context) else { return Ok(false) };
        // A chunked body may be empty.
        let Some(frame) = frame else { return Ok(true) };
        match frame?.into_data() {
            Ok(bytes) => self.first = Some(bytes),
            Err(trailers) => self.second = Some(trailers),
        }
        // The first piece was the last one, as a length said; behind trailers nothing follows either, but
        // they have to be passed on as they are.
        if self.underway.is_none() {
            return Ok(self.second.is_none());
        }
        // A short body without a length shows its end only when it is asked for.
        match self.pull(context) {
            Poll::Ready(None) => Ok(self.second.is_none()),
            Poll::Ready(Some(frame)) => {
                self.second = Some(frame?);
                Ok(false)
            }
            Poll::Pending => Ok(false),
        }
    }

    /// The next frame from the service.
    fn pull(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if self.underway.is_none() {
            return Poll::Ready(None);
        }
        let mut polled = Pin::new(&mut self.rest).poll_frame(context);
        // Nothing comes up by itself: the connection reads when it is driven, and may have brought it now.
        if let (Poll::Pending, Some(underway)) = (&polled, &mut self.underway) {
            underway.link.drive(context);
            polled = Pin::new(&mut self.rest).poll_frame(context);
        }
        match ready!(polled) {
            Some(Ok(frame)) => {
                // Recorded with the last piece and not behind it: nobody may ask any more.
                if self.rest.is_end_stream() {
                    self.end(Outcome::Success, context);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                self.end(Outcome::Failure, context);
                Poll::Ready(Some(Err(error)))
            }
            None => {
                self.end(Outcome::Success, context);
                Poll::Ready(None)
            }
        }
    }

    fn end(&mut self, outcome: Outcome, context: &mut Context<'_>) {
        if let Some(underway) = self.underway.take() {
            underway.end(outcome, context);
        }
    }

    /// Whether the service has sent nothing for too long.
    fn stands_still(&mut self, context: &mut Context<'_>) -> bool {
        let Some(alarm) = &mut self.alarm else { return false };
        // From here on the service is waited for; the alarm still stands where the last wait left it.
        if !self.waiting {
            self.waiting = true;
            alarm.reset(clock::now() + self.idle);
        }
        let still = alarm.poll(context).is_ready();
        if still {
            self.end(Outcome::Failure, context);
        }
        still
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(bytes) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        if let Some(frame) = self.second.take() {
            return Poll::Ready(Some(Ok(frame)));
        }
        match self.pull(context) {
            Poll::Ready(frame) => {
                // While the client takes this, no time of the service runs.
                self.waiting = false;
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending if self.stands_still(context) => {
                Poll::Ready(Some(Err("the service stopped in the middle of its answer".into())))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none()
            && self.second.is_none()
            && (self.underway.is_none() || self.rest.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let second = self.second.as_ref().and_then(Frame::data_ref);
        plus(plus(self.rest.size_hint(), self.first.as_ref()), second)
    }
}
