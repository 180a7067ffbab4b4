//! The live streams of sign-ins, which end with them.
//!
//! A stream has a place, counted and given back, under the sign-in whose token opened it: whichever
//! token of it that was, ending the sign-in ends the stream at once. Where nobody can tell any more which sign-ins have
//! ended, all of them end that a sign-in opened: who comes back is asked again who it is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// Live streams open at once, all owners together.
pub const STREAMS_MAX: usize = 20_000;

/// Open streams; clones are handles.
#[derive(Clone, Debug, Default)]
pub(crate) struct Streams {
    all: CancellationToken,
    open: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    count: usize,
    sessions: HashMap<Box<str>, SignInStreams>,
}

/// The streams of one sign-in.
#[derive(Debug)]
struct SignInStreams {
    count: usize,
    ended: CancellationToken,
}

/// A stream's place, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct StreamPermit {
    streams: Streams,
    session: Option<Box<str>>,
    ended: CancellationToken,
}

impl Streams {
    /// A place for one more stream of a sign-in; `None` past [`STREAMS_MAX`].
    pub(crate) fn admit(&self, session: Option<&str>) -> Option<StreamPermit> {
        let mut open = self.open();
        if open.count >= STREAMS_MAX {
            return None;
        }
        open.count += 1;
        let ended = session.map_or_else(
            || self.all.child_token(),
            |session| {
                let make = || SignInStreams { count: 0, ended: self.all.child_token() };
                let session = open.sessions.entry(session.into()).or_insert_with(make);
                // One that comes before the last of those that ended has gone is no part of their end.
                if session.ended.is_cancelled() {
                    session.ended = self.all.child_token();
                }
                session.count += 1;
                session.ended.clone()
            },
        );
        Some(StreamPermit { streams: self.clone(), session: session.map(Into::into), ended })
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.open().count
    }

    /// Ends the streams of one sign-in.
    pub(crate) fn end(&self, session: &str) {
        if let Some(session) = self.open().sessions.get(session) {
            session.ended.cancel();
        }
    }

    /// Ends the streams of every sign-in; those to come are other ones.
    pub(crate) fn end_signed_in(&self) {
        for session in self.open().sessions.values() {
            session.ended.cancel();
        }
    }

    /// Ends them all, and those to come.
    pub(crate) fn end_all(&self) {
        self.all.cancel();
    }

    fn open(&self) -> MutexGuard<'_, Counts> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StreamPermit {
    /// Resolves once the stream has to end.
    pub(crate) async fn ended(&self) {
        self.ended.cancelled().await;
    }
}

impl Drop for StreamPermit {
    fn drop(&mut self) {
        let mut open = self.streams.open();
        open.count -= 1;
        let Some(id) = &self.session else { return };
        if let Some(session) = open.sessions.get_mut(id) {
            session.count -= 1;
            if session.count == 0 {
                open.sessions.remove(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_end_by_sign_in_and_all_together_and_give_their_places_back() {
        let streams = Streams::default();
        let (a, b) =
            (streams.admit(Some("a")).expect("room"), streams.admit(Some("b")).expect("room"));
        let nobody = streams.admit(None).expect("room");
        streams.end("a");
        streams.end("unknown");
        assert!(a.ended.is_cancelled() && !b.ended.is_cancelled());
        drop(a);
        let again = streams.admit(Some("a")).expect("room");
        assert!(!again.ended.is_cancelled(), "another stream of the same name is a fresh one");
        streams.end_all();
        assert!(b.ended.is_cancelled() && nobody.ended.is_cancelled());
        drop((b, nobody, again));
        assert_eq!(streams.count(), 0);
        assert!(streams.open().sessions.is_empty());
        assert!(streams.admit(None).expect("room").ended.is_cancelled(), "those to come end too");
    }

    #[test]
    fn streams_of_all_sign_ins_end_together_and_who_comes_back_is_not_ended_with_them() {
        let streams = Streams::default();
        let permits = ["a", "b"].map(|session| streams.admit(Some(session)).expect("room"));
        let nobody = streams.admit(None).expect("room");
        streams.end_signed_in();
        assert!(
            permits.iter().all(|permit| permit.ended.is_cancelled())
                && !nobody.ended.is_cancelled()
        );
        let again = streams.admit(Some("a")).expect("room");
        assert!(!again.ended.is_cancelled());
        drop(permits);
        streams.end("a");
        assert!(again.ended.is_cancelled(), "it is known by its sign-in still");
        drop((nobody, again));
        assert_eq!(streams.count(), 0);
        streams.admit(Some("a")).expect("room");
        streams.end_all();
        assert!(streams.admit(Some("a")).expect("room").ended.is_cancelled());
    }

    #[test]
    fn one_stream_past_the_limit_finds_no_place() {
        let streams = Streams::default();
        let permits: Vec<StreamPermit> =
            (0..STREAMS_MAX).filter_map(|_| streams.admit(None)).collect();
        assert_eq!(permits.len(), STREAMS_MAX);
        assert!(streams.admit(None).is_none());
        drop(permits);
        assert!(streams.admit(None).is_some());
    }
}
