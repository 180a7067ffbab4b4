//! Who asks: the token of a request, from its `Authorization` or from a browser's cookie.
//!
//! `Authorization` wins where there is one, whatever its scheme: a client that speaks for itself is
//! not taken for a browser, and a token it presents must be good, even where none is needed. A cookie
//! is what a browser adds by itself: one that is no good is nobody's, and is taken back.
//!
//! A browser may bring several of one name, and their order says nothing (RFC 6265, 5.4): a page of another
//! host of the same site can set one that comes before ours. One that is no good is passed over. Where good
//! ones name two people nobody can say which of them sits there, so it is neither: to act for whoever has
//! planted his own cookie would be worse than to ask for a sign-in.

use std::sync::Arc;

use chassis::identity::{Principal, TokenRefusal, Verifier};
use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;

use crate::access::{self, Access};
use crate::cookies::Cookies;

/// The sender of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Who {
    /// Nobody in particular without one.
    pub(crate) principal: Option<Arc<Principal>>,
    /// The token as it goes on to a service, where a cookie brought it.
    bearer: Option<HeaderValue>,
    /// Whether a cookie brought what is no token, or not any more.
    stale: bool,
}

impl Who {
    /// Whether a browser added the token by itself.
    pub(crate) fn is_by_cookie(&self) -> bool {
        self.bearer.is_some()
    }

    /// Whether it brings a cookie that should be taken back.
    pub(crate) fn is_stale(&self) -> bool {
        self.stale
    }

    /// The principal's name.
    pub(crate) fn subject(&self) -> Option<&str> {
        self.principal.as_ref().map(|principal| principal.subject.as_str())
    }

    /// The `Authorization` to add for a service.
    pub(crate) fn into_bearer(self) -> Option<HeaderValue> {
        self.bearer
    }

    /// Reads and verifies what a request presents.
    ///
    /// # Errors
    /// 401: its `Authorization` presents a token that is none.
    pub(crate) fn of(
        headers: &HeaderMap,
        verifier: &Verifier,
        cookies: &Cookies,
        now: Timestamp,
    ) -> Result<Who, TokenRefusal> {
        match presented(headers)? {
            Presented::Nothing => Ok(Who::default()),
            Presented::Bearer(token) => {
                let principal = Some(verifier.verify(token, now)?);
                Ok(Who { principal, ..Who::default() })
            }
            Presented::Cookies => Ok(Who::by_cookies(headers, verifier, cookies, now)),
        }
    }

    fn by_cookies(
        headers: &HeaderMap,
        verifier: &Verifier,
        cookies: &Cookies,
        now: Timestamp,
    ) -> Who {
        let mut good: Option<Access<'_>> = None;
        for access in access::ours(cookies.sessions(headers), verifier) {
            if verifier.allows(&access.principal, now).is_err() {
                continue;
            }
            match &good {
                // None of them is taken back either: what is left could be the planted one.
                Some(first) if first.principal.subject != access.principal.subject => {
                    return Who::default();
                }
                Some(_) => {}
                None => good = Some(access),
            }
        }
        match good.and_then(Who::by_cookie) {
            Some(who) => who,
            None => Who { stale: cookies.has_session(headers), ..Who::default() },
        }
    }

    fn by_cookie(access: Access<'_>) -> Option<Who> {
        let bearer = HeaderValue::try_from(format!("Bearer {}", access.token)).ok()?;
        Some(Who { principal: Some(access.principal), bearer: Some(bearer), stale: false })
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Presented<'h> {
    Nothing,
    Bearer(&'h str),
    /// Whatever they are: nothing else speaks for it.
    Cookies,
}

fn presented(headers: &HeaderMap) -> Result<Presented<'_>, TokenRefusal> {
    // There is one at most: two are refused with their head.
    let Some(value) = headers.get(AUTHORIZATION) else {
        let any = headers.contains_key(COOKIE);
        return Ok(if any { Presented::Cookies } else { Presented::Nothing });
    };
    let text = value.to_str().map_err(|_| TokenRefusal::Invalid)?;
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Ok(Presented::Nothing);
    }
    match token.trim() {
        "" => Err(TokenRefusal::Invalid),
        token => Ok(Presented::Bearer(token)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chassis::identity::{Role, fixture};

    use super::*;
    use crate::cookies::Jar;

    #[test]
    fn what_is_presented_is_found_in_its_order() {
        let cases: [(&[&str], &str, Result<Presented<'_>, TokenRefusal>); 9] = [
            (&[], "", Ok(Presented::Nothing)),
            (&["Bearer t"], "", Ok(Presented::Bearer("t"))),
            (&["bearer  t "], "", Ok(Presented::Bearer("t"))),
            (&["Bearer"], "", Err(TokenRefusal::Invalid)),
            (&["Bearer "], "", Err(TokenRefusal::Invalid)),
            (&["Basic x"], "", Ok(Presented::Nothing)),
            (&[], "yeoul_session_x=c", Ok(Presented::Cookies)),
            (&["Bearer t"], "yeoul_session_x=c", Ok(Presented::Bearer("t"))),
            (&["Basic x"], "yeoul_session_x=c", Ok(Presented::Nothing)),
        ];
        for (authorization, cookie, expected) in cases {
            let headers = request(authorization, cookie);
            assert_eq!(presented(&headers), expected, "{authorization:?} {cookie}");
        }
    }

    fn request(authorization: &[&str], cookie: &str) -> HeaderMap {
        let value = |text: &str| text.parse::<HeaderValue>().expect("a value");
        let cookie = (!cookie.is_empty()).then(|| (COOKIE, value(cookie)));
        let bearer = authorization.iter().map(|text| (AUTHORIZATION, value(text)));
        bearer.chain(cookie).collect()
    }

    #[test]
    fn of_several_cookies_the_first_good_one_counts_and_none_where_they_name_two_people() {
        let (signer, jar) = (fixture::signer(), Jar::new("x", false, "/session"));
        let verifier = fixture::verifier(&signer.public_keys());
        let now = Timestamp::from_second(1_000).expect("a second");
        let role = Role::parse("CUSTOMER").expect("a role");
        let mint = |subject: &str, life| {
            fixture::token(&signer, subject, &role, now, Duration::from_secs(life)).text
        };
        let [own, again, other, late] =
            [mint("a@b", 60), mint("a@b", 90), mint("x@y", 60), mint("x@y", 0)];
        // Which of them counts, and whether all of them are taken back.
        let junk = |many: usize| [vec!["junk"; many], vec![own.as_str()]].concat();
        let (eight, twenty, hundred) = (junk(8), junk(20), junk(100));
        let cases: [(&[&str], Option<usize>, bool); 15] = [
            (&eight, Some(8), false),
            (&twenty, Some(20), false),
            (&hundred, Some(100), false),
            (&[&own], Some(0), false),
            (&["junk", &own], Some(1), false),
            (&["", &own], Some(1), false),
            (&[&late, &own], Some(1), false),
            (&[&own, "junk"], Some(0), false),
            (&[&again, &own], Some(0), false),
            (&[&other, &own], None, false),
            (&[&own, "junk", &other], None, false),
            (&["junk"], None, true),
            (&["junk", &late], None, true),
            (&[""], None, true),
            (&[], None, false),
        ];
        for (tokens, counts, stale) in cases {
            let pairs: Vec<_> =
                tokens.iter().map(|token| format!("yeoul_session_x={token}")).collect();
            let headers = request(&[], &pairs.join("; "));
            let who = Who::of(&headers, &verifier, jar.of(false), now).expect("no Authorization");
            let subject = counts.map(|_| "a@b");
            assert_eq!((who.subject(), who.is_stale()), (subject, stale), "{pairs:?}");
            let bearer = counts.map(|at| format!("Bearer {}", tokens[at]));
            let sent = who.into_bearer().map(|it| it.to_str().expect("text").to_owned());
            assert_eq!(sent, bearer, "{pairs:?}");
        }
        // What a program from before names had an ending has left is nobody's, and another's is not ours.
        for (cookie, stale) in [("yeoul_session=c", true), ("yeoul_session_y=c", false)] {
            let who = Who::of(&request(&[], cookie), &verifier, jar.of(false), now).expect(cookie);
            assert_eq!((who.subject(), who.is_stale()), (None, stale), "{cookie}");
        }
    }

    #[test]
    fn a_good_token_names_its_principal_until_its_sign_in_ends() {
        let (signer, jar) = (fixture::signer(), Jar::new("x", false, "/session"));
        let verifier = fixture::verifier(&signer.public_keys());
        let now = Timestamp::from_second(1_000).expect("a second");
        let role = Role::parse("CUSTOMER").expect("a role");
        let token = fixture::token(&signer, "a@b", &role, now, Duration::from_secs(60));
        let who_at = |headers: &HeaderMap, now| Who::of(headers, &verifier, jar.of(false), now);
        let (mut cookie, mut bearer) = (HeaderMap::new(), HeaderMap::new());
        let pair = format!("yeoul_session_x={}", token.text);
        cookie.insert(COOKIE, pair.parse().expect("a value"));
        let text = format!("Bearer {}", token.text);
        bearer.insert(AUTHORIZATION, text.parse().expect("a value"));
        let who = who_at(&cookie, now).expect("a good token");
        assert_eq!(who.subject(), Some("a@b"));
        assert!(who.is_by_cookie() && !who.is_stale());
        assert_eq!(who.into_bearer().expect("a token"), text.as_str());
        assert!(!who_at(&bearer, now).expect("a good token").is_by_cookie());

        let late = now + Duration::from_secs(60);
        let no_good_at = |now| {
            let who = who_at(&cookie, now).expect("nobody");
            assert!(who.principal.is_none() && who.is_stale() && !who.is_by_cookie());
            assert!(who_at(&bearer, now).is_err(), "who speaks for itself is told");
        };
        no_good_at(late);
        verifier.ended().end(&token.session, late, now);
        no_good_at(now);
    }
}
