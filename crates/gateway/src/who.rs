//! Who asks: the token of a request, from its `Authorization` or from a browser's cookie.
//!
//! `Authorization` wins where there is one, whatever its scheme: a client that speaks for itself is
//! not taken for a browser, and a token it presents must be good, even where none is needed. A cookie
//! is what a browser adds by itself: one that is no good is nobody's, and is taken back.

use std::sync::Arc;

use chassis::identity::{Principal, TokenRefusal, Verifier};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;

use crate::cookies::{Brought, Cookies};

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
        match presented(headers, cookies)? {
            Presented::Nothing => Ok(Who::default()),
            Presented::Bearer(token) => {
                let principal = Some(verifier.verify(token, now)?);
                Ok(Who { principal, ..Who::default() })
            }
            Presented::Cookie(token) => {
                let stale = Who { stale: true, ..Who::default() };
                Ok(Who::by_cookie(token, verifier, now).unwrap_or(stale))
            }
            Presented::StaleCookie => Ok(Who { stale: true, ..Who::default() }),
        }
    }

    fn by_cookie(token: &str, verifier: &Verifier, now: Timestamp) -> Option<Who> {
        let principal = verifier.verify(token, now).ok()?;
        let bearer = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
        Some(Who { principal: Some(principal), bearer: Some(bearer), stale: false })
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Presented<'h> {
    Nothing,
    Bearer(&'h str),
    Cookie(&'h str),
    /// One that is no good as it stands.
    StaleCookie,
}

fn presented<'h>(headers: &'h HeaderMap, cookies: &Cookies) -> Result<Presented<'h>, TokenRefusal> {
    // There is one at most: two are refused with their head.
    let Some(value) = headers.get(AUTHORIZATION) else {
        return Ok(match cookies.brought(headers) {
            Brought::Nothing => Presented::Nothing,
            Brought::Token(token) => Presented::Cookie(token),
            Brought::Stale => Presented::StaleCookie,
        });
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

    use chassis::identity::{Role, Signer};
    use http::header::COOKIE;

    use super::*;
    use crate::cookies::Jar;

    #[test]
    fn what_is_presented_is_found_in_its_order() {
        let jar = Jar::new("x", false, "/session");
        let cases: [(&[&str], &str, Result<Presented<'_>, TokenRefusal>); 12] = [
            (&[], "", Ok(Presented::Nothing)),
            (&["Bearer t"], "", Ok(Presented::Bearer("t"))),
            (&["bearer  t "], "", Ok(Presented::Bearer("t"))),
            (&["Bearer"], "", Err(TokenRefusal::Invalid)),
            (&["Bearer "], "", Err(TokenRefusal::Invalid)),
            (&["Basic x"], "", Ok(Presented::Nothing)),
            (&[], "yeoul_session_x=c", Ok(Presented::Cookie("c"))),
            (&["Bearer t"], "yeoul_session_x=c", Ok(Presented::Bearer("t"))),
            (&["Basic x"], "yeoul_session_x=c", Ok(Presented::Nothing)),
            (&[], "yeoul_session_x=", Ok(Presented::StaleCookie)),
            (&[], "yeoul_session=c", Ok(Presented::StaleCookie)),
            (&[], "yeoul_session_y=c", Ok(Presented::Nothing)),
        ];
        for (authorization, cookie, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, cookie.parse().expect("a value"));
            for value in authorization {
                headers.append(AUTHORIZATION, value.parse().expect("a value"));
            }
            assert_eq!(presented(&headers, jar.of(false)), expected, "{authorization:?} {cookie}");
        }
    }

    #[test]
    fn a_good_token_names_its_principal_until_its_sign_in_ends() {
        let (signer, jar) = (Signer::ephemeral(), Jar::new("x", false, "/session"));
        let verifier = Verifier::new(&signer.public_keys());
        let now = Timestamp::from_second(1_000).expect("a second");
        let role = Role::parse("CUSTOMER").expect("a role");
        let token = signer.mint("a@b", &role, now, Duration::from_secs(60));
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
