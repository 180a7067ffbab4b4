//! `Idempotency-Key`: the same command twice is carried out once and answered alike.
//!
//! 1. **Claimed.** While a command runs its key is in memory ([`Running`]), and a second call with it
//!    is 409. That is only to say so early: a restart forgets it, and a caller that goes away frees it
//!    while its write may still be on its way.
//! 2. **Looked up** in the transaction that carries the command out: an answer that is there is given
//!    again, one to another body makes the key spent (422).
//! 3. **Remembered** with the row that the command made, in that same transaction: there is no moment
//!    in which one exists without the other. Only what succeeded is; a refusal rolls all of it back. A key has
//!    one answer: where another instance has remembered one since the look, this command is 409 as well, and
//!    nothing of it stands.
//!
//! It does not know the commands: it keeps a finished answer's parts as they were sent.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use chassis::chance;
use chassis::http::{Body, Problem, Response};
use events::store::Tx;
use events::{Database, Error};
use http::header::{CONTENT_TYPE, ETAG, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use sha2::{Digest, Sha256};

use crate::answers::{self, POSITION, Wrote};
use crate::condition::Representation;
use crate::edge::Refusal;
use crate::settings::Name;

pub(crate) mod store;

/// Bytes a key may have.
pub(crate) const KEY_BYTES_MAX: usize = 255;

/// Answers a service remembers; older ones are forgotten first.
pub(crate) const REMEMBERED_MAX: u64 = 100_000;

/// Commands with a key that may run at once; one more is 503.
const RUNNING_MAX: usize = 10_000;

const HEADER: &str = "idempotency-key";

/// Whose key for what: the same text of another principal or for another route is another key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ScopedKey {
    pub(crate) principal: String,
    pub(crate) route: &'static str,
    pub(crate) key: String,
}

/// A command that is to be carried out once.
#[derive(Clone, Debug)]
pub(crate) struct Once {
    pub(crate) identity: ScopedKey,
    pub(crate) fingerprint: [u8; 32],
}

/// An answer to give again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remembered {
    pub(crate) fingerprint: [u8; 32],
    /// Empty for a command that creates nothing.
    pub(crate) location: String,
    /// What finds its position again, which is not known before the commit: see [`Wrote::remembered`].
    pub(crate) position: String,
    /// The tag of what is shown.
    pub(crate) etag: String,
    pub(crate) body: String,
}

/// An answer on its way: of this command, or the one that its key had before.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) answer: Remembered,
    /// Where this command got; `None` where it was carried out before.
    pub(crate) wrote: Option<Wrote>,
}

/// What is known of a key.
#[derive(Debug)]
pub(crate) enum Lookup {
    /// Nothing: the command may be carried out.
    Nothing,
    /// The command was answered so.
    Answered(Remembered),
    /// Another command was answered: 422, unless this one is refused for something else.
    Spent,
}

/// What runs now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Running(Arc<Mutex<HashSet<ScopedKey>>>);

/// Keeps one key claimed while its command runs.
#[derive(Debug)]
pub(crate) struct Claim {
    running: Running,
    identity: ScopedKey,
}

impl Once {
    /// The command of `body` under the key in the headers; `None` without a key.
    pub(crate) fn of(
        headers: &HeaderMap,
        principal: &str,
        route: &'static str,
        body: &[u8],
    ) -> Result<Option<Once>, Problem> {
        let mut keys = headers.get_all(HEADER).iter();
        let Some(key) = keys.next() else { return Ok(None) };
        // Two values are no key: which of them would be the one is anybody's guess.
        let text = key.to_str().ok().filter(|_| keys.next().is_none());
        let Some(key) = text.filter(|key| !key.is_empty() && key.len() <= KEY_BYTES_MAX) else {
            let reason = format!("must be one value of 1 to {KEY_BYTES_MAX} printable characters");
            return Err(Problem::bad_request(format!("Idempotency-Key {reason}")).field(
                "Idempotency-Key",
                reason,
                Some(KEY_BYTES_MAX.into()),
            ));
        };
        let identity = ScopedKey { principal: principal.to_owned(), route, key: key.to_owned() };
        Ok(Some(Once { identity, fingerprint: fingerprint(body) }))
    }

    /// What `remembered` under this key means for this command.
    pub(crate) fn look_up(&self, remembered: Option<Remembered>) -> Lookup {
        match remembered {
            None => Lookup::Nothing,
            Some(it) if it.fingerprint == self.fingerprint => Lookup::Answered(it),
            Some(_) => Lookup::Spent,
        }
    }
}

/// 409: a command under this key is on its way.
pub(crate) fn under_way() -> Problem {
    Problem::conflict("a command with this Idempotency-Key is running")
}

/// 422: the key belongs to another command.
pub(crate) fn spent() -> Problem {
    Problem::unprocessable("this Idempotency-Key was used for another body")
}

impl Remembered {
    /// The answer that shows a row: to a new one where `location` is not empty.
    pub(crate) fn of(
        shown: Representation,
        location: String,
        wrote: &Wrote,
        once: Option<&Once>,
    ) -> Self {
        let fingerprint = once.map_or([0; 32], |once| once.fingerprint);
        let position = wrote.remembered();
        Remembered { fingerprint, location, position, etag: shown.etag, body: shown.body }
    }

    /// As it was sent the first time: 201 for what was created, 200 for what has no place of its own.
    pub(crate) fn into_response(self, position: String) -> Response {
        // The status is not kept: what was created has a place, and everything else was 200.
        let created = !self.location.is_empty();
        let mut response = Response::new(Body::full(self.body));
        *response.status_mut() = if created { StatusCode::CREATED } else { StatusCode::OK };
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let named = [(LOCATION, self.location), (POSITION, position), (ETAG, self.etag)];
        for (name, value) in named.into_iter().filter(|(_, value)| !value.is_empty()) {
            headers.insert(name, HeaderValue::try_from(value).expect("a path, a token and a tag"));
        }
        response
    }
}

impl Answered {
    /// One that was given before.
    pub(crate) fn before(answer: Remembered) -> Answered {
        Answered { answer, wrote: None }
    }

    /// As it is sent, once what it answers is committed.
    pub(crate) async fn into_response(
        self,
        source: Name,
        database: &Database,
    ) -> Result<Response, Error> {
        let Answered { answer, wrote } = self;
        let position = match wrote {
            Some(wrote) => wrote.position(source, database).await?,
            None => answers::recalled(&answer.position, source, database).await?,
        };
        Ok(answer.into_response(position))
    }
}

impl Running {
    /// Takes the key until the claim is dropped.
    pub(crate) fn claim(&self, identity: &ScopedKey) -> Result<Claim, Problem> {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if running.contains(identity) {
            return Err(under_way());
        }
        if running.len() >= RUNNING_MAX {
            return Err(Problem::unavailable("connection_limit_reached", chance::seconds(1)));
        }
        running.insert(identity.clone());
        Ok(Claim { running: self.clone(), identity: identity.clone() })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut running = self.running.0.lock().unwrap_or_else(PoisonError::into_inner);
        running.remove(&self.identity);
    }
}

/// Remembers an answer with what it answers.
pub(crate) async fn keep(tx: &mut Tx<'_>, once: &Once, answer: &Remembered) -> Result<(), Refusal> {
    match store::remember(tx, once, answer).await? {
        true => Ok(()),
        false => Err(under_way().into()),
    }
}

/// The same for bodies that say the same: member order and spacing are of no meaning in JSON.
fn fingerprint(body: &[u8]) -> [u8; 32] {
    // Members of an object are kept sorted, so that writing them again is canonical.
    let canonical = serde_json::from_slice::<serde_json::Value>(body);
    canonical
        .map_or_else(|_| Sha256::digest(body), |value| Sha256::digest(value.to_string()))
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(key: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_str(key).expect("a header"));
        headers
    }

    #[test]
    fn a_key_is_accepted_at_its_limit_and_refused_past_it() {
        let of = |headers: &HeaderMap| Once::of(headers, "c1", "/orders", b"{}");
        assert!(of(&HeaderMap::new()).expect("no key is fine").is_none());
        assert!(of(&headers(&"k".repeat(KEY_BYTES_MAX))).expect("at the limit").is_some());
        for wrong in ["", &"k".repeat(KEY_BYTES_MAX + 1)] {
            let refused = of(&headers(wrong)).expect_err("no key");
            assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
        }
        let mut two = headers("one");
        two.append(HEADER, HeaderValue::from_static("two"));
        assert!(of(&two).is_err());
    }

    #[test]
    fn a_running_key_is_refused_until_its_claim_is_dropped() {
        let running = Running::default();
        let mine = ScopedKey { principal: "c1".into(), route: "/orders", key: "k".into() };
        let other = ScopedKey { principal: "c2".into(), ..mine.clone() };
        let claim = running.claim(&mine).expect("free");
        assert_eq!(running.claim(&mine).expect_err("running").status(), StatusCode::CONFLICT);
        running.claim(&other).expect("another principal's key is another key");
        drop(claim);
        running.claim(&mine).expect("free again");
    }

    #[test]
    fn bodies_that_say_the_same_have_one_fingerprint() {
        let one = fingerprint(br#"{"productId":1,"quantity":2}"#);
        assert_eq!(one, fingerprint(br#"{ "quantity": 2, "productId": 1 }"#));
        assert_ne!(one, fingerprint(br#"{"productId":1,"quantity":3}"#));
    }
}
