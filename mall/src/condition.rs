//! Conditional requests: what is shown of a row has a strong entity tag, and a request that names
//! tags is carried out only where they agree (RFC 9110, section 13).
//!
//! A tag is the row's version and a digest of the representation: the version tells two states apart
//! that look alike, the digest two rows that a restored backup gave the same version. Conditions are
//! read when a request comes in and evaluated in the transaction that would change the row, so that
//! nothing comes in between.
//!
//! A collection that something is added to is there but has no tag of its own.

use std::fmt::Write;

use chassis::http::etag::{self, Malformed, Member, Tag};
use chassis::http::{Body, Problem, Response, empty};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// Bytes of the digest in a tag.
const DIGEST_BYTES: usize = 8;

/// A row as it is shown, with its tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Representation {
    pub(crate) body: String,
    /// Strong, quotes included.
    pub(crate) etag: String,
}

/// What a request wants to be true before it is carried out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
}

/// Who may keep an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Keep {
    /// Anybody, who asks again each time.
    Everybody,
    /// The client alone, which asks again each time.
    Oneself,
}

/// One header's members.
#[derive(Clone, Debug, Default)]
struct Tags {
    any: bool,
    named: Vec<Named>,
}

#[derive(Clone, Debug)]
struct Named {
    weak: bool,
    opaque: Vec<u8>,
}

impl Representation {
    /// `value`, the row's `version`-th state.
    pub(crate) fn of(value: &impl Serialize, version: u64) -> Representation {
        let body = serde_json::to_string(value).expect("our own types serialise");
        let mut etag = format!("\"{version}-");
        for byte in &Sha256::digest(&body)[..DIGEST_BYTES] {
            write!(etag, "{byte:02x}").expect("a string takes any text");
        }
        etag.push('"');
        Representation { body, etag }
    }

    /// The answer to a GET with these headers: whole, or 304 where the client has it.
    ///
    /// # Errors
    /// 400 for what is no list of tags, 412 where it should be another state.
    pub(crate) fn answer(self, headers: &HeaderMap, keep: Keep) -> Result<Response, Problem> {
        let conditions = Conditions::read(headers)?;
        // `If-Match` before `If-None-Match` (RFC 9110, 13.2.2).
        if !conditions.matches(Some(&self.etag)) {
            return Err(Problem::precondition_failed());
        }
        let mut response = if conditions.names(Some(&self.etag)) {
            empty(http::StatusCode::NOT_MODIFIED)
        } else {
            json(self.body)
        };
        let headers = response.headers_mut();
        headers.insert(ETAG, tag(&self.etag));
        headers.insert(CACHE_CONTROL, keep.value());
        Ok(response)
    }

    /// The answer to what changed the row: 200 as it is now.
    pub(crate) fn changed(self) -> Response {
        let etag = tag(&self.etag);
        let mut response = json(self.body);
        response.headers_mut().insert(ETAG, etag);
        response
    }
}

/// A tag of ours as a header.
pub(crate) fn tag(etag: &str) -> HeaderValue {
    HeaderValue::try_from(etag).expect("a tag is digits and letters")
}

/// 200 with what is JSON already.
fn json(body: String) -> Response {
    let mut response = Response::new(Body::full(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

impl Conditions {
    /// What the headers want.
    ///
    /// # Errors
    /// 400 with the header that holds no list of tags.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Conditions, Problem> {
        let tags = |name: &http::HeaderName, field: &'static str| {
            let read = headers.contains_key(name).then(|| Tags::read(headers, name)).transpose();
            read.map_err(|Malformed| {
                let reason = "must be * or a list of entity tags in quotes";
                Problem::bad_field(field, reason)
            })
        };
        Ok(Conditions {
            if_match: tags(&IF_MATCH, "If-Match")?,
            if_none_match: tags(&IF_NONE_MATCH, "If-None-Match")?,
        })
    }

    /// Lets a write of the row that is `shown` so through; it is only shown where that is asked for.
    ///
    /// # Errors
    /// 412 where a condition is false.
    pub(crate) fn check(&self, shown: impl FnOnce() -> Representation) -> Result<(), Problem> {
        if self.if_match.is_none() && self.if_none_match.is_none() {
            return Ok(());
        }
        self.check_tag(Some(&shown().etag))
    }

    /// Lets something be added to a collection.
    ///
    /// # Errors
    /// 412 where a condition is false.
    pub(crate) fn check_collection(&self) -> Result<(), Problem> {
        self.check_tag(None)
    }

    fn check_tag(&self, etag: Option<&str>) -> Result<(), Problem> {
        let passes = self.matches(etag) && !self.names(etag);
        if passes { Ok(()) } else { Err(Problem::precondition_failed()) }
    }

    /// Whether `If-Match` is true of something with this tag, or is not there.
    fn matches(&self, etag: Option<&str>) -> bool {
        let Some(tags) = &self.if_match else { return true };
        tags.any || etag.is_some_and(|etag| tags.named.iter().any(|it| it.tag().is_strongly(etag)))
    }

    /// Whether `If-None-Match` names something with this tag.
    fn names(&self, etag: Option<&str>) -> bool {
        let Some(tags) = &self.if_none_match else { return false };
        tags.any || etag.is_some_and(|etag| tags.named.iter().any(|it| it.tag().is_weakly(etag)))
    }
}

impl Named {
    fn tag(&self) -> Tag<'_> {
        Tag { weak: self.weak, opaque: &self.opaque }
    }
}

impl Keep {
    fn value(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Keep::Everybody => "no-cache",
            Keep::Oneself => "private, no-cache",
        })
    }
}

impl Tags {
    fn read(headers: &HeaderMap, name: &http::HeaderName) -> Result<Tags, Malformed> {
        let mut tags = Tags::default();
        let mut count = 0;
        for member in etag::members(headers, name) {
            count += 1;
            match member? {
                Member::Any => tags.any = true,
                Member::Tag(tag) => {
                    tags.named.push(Named { weak: tag.weak, opaque: tag.opaque.to_vec() });
                }
            }
        }
        // A star stands alone.
        if tags.any && count > 1 { Err(Malformed) } else { Ok(tags) }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, StatusCode};

    use super::*;

    type Pairs<'p> = &'p [(HeaderName, &'p str)];

    fn headers(pairs: Pairs<'_>) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| (name.clone(), value.parse().expect("text")));
        pairs.collect()
    }

    fn write(pairs: Pairs<'_>, etag: Option<&str>) -> u16 {
        let checked = Conditions::read(&headers(pairs)).and_then(|it| it.check_tag(etag));
        checked.map_or_else(|problem| problem.status().as_u16(), |()| 200)
    }

    #[test]
    fn a_write_is_carried_out_where_its_conditions_hold() {
        let (yes, no) = (IF_MATCH, IF_NONE_MATCH);
        let cases: [(Pairs<'_>, u16, u16); 20] = [
            (&[], 200, 200),
            (&[(yes.clone(), "*")], 200, 200),
            (&[(yes.clone(), "\"1\"")], 200, 412),
            (&[(yes.clone(), "\"2\"")], 412, 412),
            (&[(yes.clone(), "\"2\", \"1\"")], 200, 412),
            (&[(yes.clone(), "\"2\""), (yes.clone(), "\"1\"")], 200, 412),
            (&[(yes.clone(), "W/\"1\"")], 412, 412),
            (&[(yes.clone(), "")], 412, 412),
            (&[(yes.clone(), "1")], 400, 400),
            (&[(yes.clone(), "*, \"1\"")], 400, 400),
            (&[(yes.clone(), "*"), (yes.clone(), "*")], 400, 400),
            (&[(yes.clone(), "\"1\", nope")], 400, 400),
            (&[(no.clone(), "*")], 412, 412),
            (&[(no.clone(), "\"1\"")], 412, 200),
            (&[(no.clone(), "W/\"1\"")], 412, 200),
            (&[(no.clone(), "\"2\"")], 200, 200),
            (&[(no.clone(), "\"2\", W/\"1\"")], 412, 200),
            (&[(no.clone(), "nope")], 400, 400),
            (&[(yes.clone(), "\"1\""), (no.clone(), "\"2\"")], 200, 412),
            (&[(yes.clone(), "\"1\""), (no.clone(), "\"1\"")], 412, 412),
        ];
        for (pairs, tagged, present) in cases {
            assert_eq!(write(pairs, Some("\"1\"")), tagged, "{pairs:?}");
            assert_eq!(write(pairs, None), present, "{pairs:?} of a collection");
        }
    }

    #[test]
    fn what_the_client_has_is_not_sent_again() {
        let shown = Representation::of(&"x", 3);
        let get = |pairs: Pairs<'_>| {
            shown.clone().answer(&headers(pairs), Keep::Oneself).map_err(|it| it.status())
        };
        let whole = get(&[]).expect("200");
        assert_eq!(whole.headers()[ETAG], shown.etag.as_str());
        assert_eq!(whole.headers()[CACHE_CONTROL], "private, no-cache");
        let weak = format!("W/{}", shown.etag);
        for known in ["*", shown.etag.as_str(), &weak, &format!("\"x\", {weak}")] {
            let again = get(&[(IF_NONE_MATCH, known)]).expect("304");
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{known}");
            assert_eq!(again.headers()[ETAG], shown.etag.as_str());
            assert!(!again.headers().contains_key(CONTENT_TYPE));
        }
        assert_eq!(get(&[(IF_NONE_MATCH, "\"x\"")]).expect("200").status(), StatusCode::OK);
        for (tags, status) in [("\"x\"", 412), (weak.as_str(), 412), ("x", 400)] {
            assert_eq!(get(&[(IF_MATCH, tags)]).expect_err(tags).as_u16(), status);
        }
        // If-Match is looked at first.
        let both = [(IF_MATCH, "\"x\""), (IF_NONE_MATCH, "*")];
        assert_eq!(get(&both).expect_err("412"), StatusCode::PRECONDITION_FAILED);
    }

    #[test]
    fn a_tag_differs_by_version_and_by_content() {
        let tag = |text: &str, version| Representation::of(&text, version).etag;
        assert_eq!(tag("x", 1), tag("x", 1));
        assert_ne!(tag("x", 1), tag("x", 2));
        assert_ne!(tag("x", 1), tag("y", 1));
        assert!(tag("x", 1).starts_with("\"1-") && tag("x", 1).len() == 2 + 2 + 2 * DIGEST_BYTES);
    }
}
