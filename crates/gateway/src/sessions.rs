//! Sign-ins that were ended, and the live streams that end with them.
//!
//! A token is good until it expires, whoever holds it; signing out takes it back here, by its id
//! and until that time. Its streams are told at once. The memory is this process': after a restart
//! a token that was signed out opens again until it expires, which is why tokens live shortly.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use chassis::identity::Principal;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

/// Ended sign-ins that are remembered; past it those go first that expire first.
pub const REVOKED_MAX: usize = 100_000;
/// Live streams open at once, all owners together.
pub const STREAMS_MAX: usize = 20_000;

/// Ended sign-ins.
#[derive(Debug, Default)]
pub(crate) struct Revoked {
    /// Nearly always 0: then nobody has to look.
    count: AtomicUsize,
    until: RwLock<HashMap<Box<str>, Timestamp>>,
}

/// Open streams; clones are handles.
#[derive(Clone, Debug, Default)]
pub(crate) struct Streams {
    all: CancellationToken,
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    count: usize,
    sessions: HashMap<Box<str>, (usize, CancellationToken)>,
}

/// A stream's place, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    streams: Streams,
    session: Option<Box<str>>,
    ended: CancellationToken,
}

impl Revoked {
    /// Takes a sign-in back.
    pub(crate) fn revoke(&self, principal: &Principal, now: Timestamp) {
        let mut until = self.until.write().unwrap_or_else(PoisonError::into_inner);
        if until.len() >= REVOKED_MAX {
            make_room(&mut until, now);
        }
        until.insert(principal.session.as_str().into(), principal.expires);
        self.count.store(until.len(), Ordering::Release);
    }

    /// Whether a sign-in was taken back.
    pub(crate) fn is_revoked(&self, session: &str) -> bool {
        self.count.load(Ordering::Acquire) > 0
            && self.until.read().unwrap_or_else(PoisonError::into_inner).contains_key(session)
    }
}

fn make_room(until: &mut HashMap<Box<str>, Timestamp>, now: Timestamp) {
    until.retain(|_, expires| *expires > now);
    if until.len() >= REVOKED_MAX {
        let soonest = until.iter().min_by_key(|(_, expires)| **expires);
        if let Some(session) = soonest.map(|(session, _)| session.clone()) {
            until.remove(&session);
        }
    }
}

impl Streams {
    /// A place for one more stream of a sign-in; `None` past [`STREAMS_MAX`].
    pub(crate) fn sit(&self, session: Option<&str>) -> Option<Seat> {
        let mut open = self.open();
        if open.count >= STREAMS_MAX {
            return None;
        }
        open.count += 1;
        let ended = session.map_or_else(
            || self.all.child_token(),
            |session| {
                let make = || (0, self.all.child_token());
                let (count, token) = open.sessions.entry(session.into()).or_insert_with(make);
                *count += 1;
                token.clone()
            },
        );
        Some(Seat { streams: self.clone(), session: session.map(Into::into), ended })
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.open().count
    }

    /// Ends the streams of one sign-in.
    pub(crate) fn end(&self, session: &str) {
        if let Some((_, token)) = self.open().sessions.get(session) {
            token.cancel();
        }
    }

    /// Ends them all, and those to come.
    pub(crate) fn end_all(&self) {
        self.all.cancel();
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Resolves once the stream has to end.
    pub(crate) async fn ended(&self) {
        self.ended.cancelled().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.streams.open();
        open.count -= 1;
        let Some(session) = &self.session else { return };
        if let Some((count, _)) = open.sessions.get_mut(session) {
            *count -= 1;
            if *count == 0 {
                open.sessions.remove(session);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chassis::identity::Role;

    use super::*;

    fn principal(session: &str, expires: i64) -> Principal {
        Principal {
            subject: "a".to_owned(),
            role: Role::User,
            session: session.to_owned(),
            expires: at(expires),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a second")
    }

    #[test]
    fn a_sign_in_that_was_taken_back_stays_so() {
        let revoked = Revoked::default();
        assert!(!revoked.is_revoked("a"));
        revoked.revoke(&principal("a", 10), at(0));
        assert!(revoked.is_revoked("a"));
        assert!(!revoked.is_revoked("b"));
    }

    #[test]
    fn the_memory_is_bounded_and_forgets_the_expired_then_the_soonest() {
        let revoked = Revoked::default();
        for number in 0..REVOKED_MAX {
            revoked.revoke(&principal(&number.to_string(), 100 + number as i64), at(0));
        }
        revoked.revoke(&principal("late", 1), at(0));
        assert!(!revoked.is_revoked("0") && revoked.is_revoked("1") && revoked.is_revoked("late"));
        revoked.revoke(&principal("last", i64::from(u32::MAX)), at(102));
        assert!(
            !revoked.is_revoked("late") && !revoked.is_revoked("1") && !revoked.is_revoked("2")
        );
        assert!(revoked.is_revoked("3") && revoked.is_revoked("last"));
    }

    #[test]
    fn streams_end_by_sign_in_and_all_together_and_give_their_places_back() {
        let streams = Streams::default();
        let (a, b) = (streams.sit(Some("a")).expect("room"), streams.sit(Some("b")).expect("room"));
        let nobody = streams.sit(None).expect("room");
        streams.end("a");
        streams.end("unknown");
        assert!(a.ended.is_cancelled() && !b.ended.is_cancelled());
        drop(a);
        let again = streams.sit(Some("a")).expect("room");
        assert!(!again.ended.is_cancelled(), "another stream of the same name is a fresh one");
        streams.end_all();
        assert!(b.ended.is_cancelled() && nobody.ended.is_cancelled());
        drop((b, nobody, again));
        assert_eq!(streams.count(), 0);
        assert!(streams.open().sessions.is_empty());
        assert!(streams.sit(None).expect("room").ended.is_cancelled(), "those to come end too");
    }

    #[test]
    fn one_stream_past_the_limit_finds_no_place() {
        let streams = Streams::default();
        let seats: Vec<Seat> = (0..STREAMS_MAX).filter_map(|_| streams.sit(None)).collect();
        assert_eq!(seats.len(), STREAMS_MAX);
        assert!(streams.sit(None).is_none());
        drop(seats);
        assert!(streams.sit(None).is_some());
    }
}
