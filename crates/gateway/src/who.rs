//! Who asks: the token of a request, from its `Authorization` or from a browser's cookie.
//!
//! `Authorization` wins where there is one, whatever its scheme: a client that speaks for itself is
//! not taken for a browser. A token that is presented must be good, even where none is needed.

use std::sync::Arc;

use chassis::identity::{Principal, Refused, Verifier};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;

use crate::cookies;
use crate::sessions::Revoked;

/// The sender of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Who {
    /// Nobody in particular without one.
    pub(crate) principal: Option<Arc<Principal>>,
    /// The token as it goes on to a service, where a cookie brought it.
    bearer: Option<HeaderValue>,
}

impl Who {
    /// Whether a browser added the token by itself.
    pub(crate) fn is_by_cookie(&self) -> bool {
        self.bearer.is_some()
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
    /// 401: it presents a token that is none.
    pub(crate) fn of(
        headers: &HeaderMap,
        verifier: &Verifier,
        revoked: &Revoked,
        now: Timestamp,
    ) -> Result<Who, Refused> {
        let (token, by_cookie) = match presented(headers)? {
            Presented::Nothing => return Ok(Who::default()),
            Presented::Bearer(token) => (token, false),
            Presented::Cookie(token) => (token, true),
        };
        let principal = verifier.verify(token, now)?;
        if revoked.is_revoked(&principal.session) {
            return Err(Refused::Expired);
        }
        let bearer = by_cookie.then(|| HeaderValue::try_from(format!("Bearer {token}")));
        let bearer = bearer.transpose().map_err(|_| Refused::Invalid)?;
        Ok(Who { principal: Some(principal), bearer })
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Presented<'h> {
    Nothing,
    Bearer(&'h str),
    Cookie(&'h str),
}

fn presented(headers: &HeaderMap) -> Result<Presented<'_>, Refused> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        let cookie = cookies::get(headers, cookies::SESSION);
        return Ok(cookie.map_or(Presented::Nothing, Presented::Cookie));
    };
    if values.next().is_some() {
        return Err(Refused::Invalid);
    }
    let text = value.to_str().map_err(|_| Refused::Invalid)?;
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Ok(Presented::Nothing);
    }
    match token.trim() {
        "" => Err(Refused::Invalid),
        token => Ok(Presented::Bearer(token)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chassis::identity::{Role, Signer};
    use http::header::COOKIE;

    use super::*;

    #[test]
    fn what_is_presented_is_found_in_its_order() {
        let cases: [(&[&str], &str, Result<Presented<'_>, Refused>); 11] = [
            (&[], "", Ok(Presented::Nothing)),
            (&["Bearer t"], "", Ok(Presented::Bearer("t"))),
            (&["bearer  t "], "", Ok(Presented::Bearer("t"))),
            (&["Bearer"], "", Err(Refused::Invalid)),
            (&["Bearer "], "", Err(Refused::Invalid)),
            (&["Basic x"], "", Ok(Presented::Nothing)),
            (&["Bearer t", "Bearer u"], "", Err(Refused::Invalid)),
            (&[], "yeoul_session=c", Ok(Presented::Cookie("c"))),
            (&["Bearer t"], "yeoul_session=c", Ok(Presented::Bearer("t"))),
            (&["Basic x"], "yeoul_session=c", Ok(Presented::Nothing)),
            (&[], "yeoul_session=", Ok(Presented::Nothing)),
        ];
        for (authorization, cookie, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, cookie.parse().expect("a value"));
            for value in authorization {
                headers.append(AUTHORIZATION, value.parse().expect("a value"));
            }
            assert_eq!(presented(&headers), expected, "{authorization:?} {cookie}");
        }
    }

    #[test]
    fn a_good_token_names_its_principal_until_it_is_taken_back() {
        let (signer, revoked) = (Signer::ephemeral(), Revoked::default());
        let verifier = Verifier::new(&signer.public_keys());
        let now = Timestamp::from_second(1_000).expect("a second");
        let token = signer.mint("a@b", Role::OrderCustomer, now, Duration::from_secs(60)).text;
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, format!("yeoul_session={token}").parse().expect("a value"));
        let who = Who::of(&headers, &verifier, &revoked, now).expect("a good token");
        assert_eq!(who.subject(), Some("a@b"));
        assert!(who.is_by_cookie());
        let late = now + Duration::from_secs(60);
        assert!(Who::of(&headers, &verifier, &revoked, late).is_err());
        revoked.revoke(who.principal.as_ref().expect("a principal"), now);
        assert!(Who::of(&headers, &verifier, &revoked, now).is_err());
        assert_eq!(who.into_bearer().expect("a token"), format!("Bearer {token}").as_str());
    }
}
