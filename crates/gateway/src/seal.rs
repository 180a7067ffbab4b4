//! A refresh token as a browser keeps it: with the sign-in that it belongs to, under a seal of ours.
//!
//! A refresh token is its giver's secret and says nothing to us. Signing out by it alone has to end the
//! sign-in here, also while its giver is away, so the gateway writes beside the token whose it is:
//!
//! ```text
//! TOKEN . base64url(SECONDS:SIGN-IN) . base64url(HMAC-SHA256(key, TOKEN . base64url(…)))
//! ```
//!
//! The seal is made with a key of the data folder and covers all of it: whoever writes another's sign-in
//! beside a token of his own, or guesses one, has a text whose seal does not fit. That is then taken for
//! a refresh token as a whole, as cookies from before the seal are, and its giver alone says what it is
//! good for. It does not hide anything: what it says, an access token says too.
//!
//! A token may be any visible characters and blanks (RFC 6749, A.17), a cookie not. One that a cookie cannot
//! hold as it is stands there in base64url, and `~` before the seconds says so.

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::cookies;

/// Bytes of the key.
pub const SEAL_KEY_BYTES: usize = 32;
/// How long a seal of 32 bytes is in base64url.
const SEAL_LETTERS: usize = 43;
/// What stands before the seconds where the token is in base64url.
const ENCODED: &str = "~";

/// Letters of what the names of cookies end in.
const IDENTITY_LETTERS: usize = 10;

/// What the names of cookies end in at every gateway that seals with this key, and at no other. It tells nothing of it.
pub fn identity_of(key: &[u8; SEAL_KEY_BYTES]) -> String {
    let digest = Seal::new(*key).mac("names of cookies").finalize().into_bytes();
    digest.iter().take(IDENTITY_LETTERS).map(|byte| char::from(b'a' + byte % 26)).collect()
}

/// A sign-in: every token that it was given, from the first to the last renewal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Family {
    /// The `sid` of its access tokens; where those say nothing to us, one that we drew.
    pub(crate) id: String,
    /// How long each of its access tokens lives.
    pub(crate) life: Duration,
}

/// What a refresh cookie holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refresh<'c> {
    /// What its giver knows.
    pub(crate) token: Cow<'c, str>,
    /// What we know: nothing of a cookie without our seal.
    pub(crate) family: Option<Family>,
}

impl Refresh<'_> {
    /// Whether both are known to be of the same sign-in.
    pub(crate) fn is_of_one_sign_in_with(&self, other: &Refresh<'_>) -> bool {
        let id = |family: &Option<Family>| family.as_ref().map(|family| family.id.clone());
        id(&self.family).is_some_and(|own| id(&other.family) == Some(own))
    }
}

/// Seals refresh tokens, and knows its own seals again.
pub(crate) struct Seal {
    key: [u8; SEAL_KEY_BYTES],
}

impl Seal {
    pub(crate) fn new(key: [u8; SEAL_KEY_BYTES]) -> Seal {
        Seal { key }
    }

    /// The token with its family, sealed.
    pub(crate) fn close(&self, token: &str, family: &Family) -> String {
        let (mark, carried) = match token {
            plain if cookies::is_plain(plain) => ("", Cow::Borrowed(plain)),
            odd => (ENCODED, URL_SAFE_NO_PAD.encode(odd).into()),
        };
        let says = format!("{mark}{}:{}", family.life.as_secs(), family.id);
        let text = format!("{carried}.{}", URL_SAFE_NO_PAD.encode(says));
        let seal = self.mac(&text).finalize().into_bytes();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(seal))
    }

    /// Takes apart what a cookie holds.
    pub(crate) fn open<'c>(&self, cookie: &'c str) -> Refresh<'c> {
        self.sealed(cookie).unwrap_or(Refresh { token: cookie.into(), family: None })
    }

    fn sealed<'c>(&self, cookie: &'c str) -> Option<Refresh<'c>> {
        let (text, seal) = cookie.rsplit_once('.')?;
        let (token, says) = text.rsplit_once('.')?;
        // Most of what is no seal has not its length, and is not worth a digest.
        let seal = Some(seal).filter(|seal| seal.len() == SEAL_LETTERS)?;
        let seal = URL_SAFE_NO_PAD.decode(seal).ok()?;
        // In a time that does not tell how much of it was right.
        self.mac(text).verify_slice(&seal).ok()?;
        let says = String::from_utf8(URL_SAFE_NO_PAD.decode(says).ok()?).ok()?;
        let (token, says) = match says.strip_prefix(ENCODED) {
            Some(says) => {
                (String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?.into(), says)
            }
            None => (token.into(), says.as_str()),
        };
        let (seconds, id) = says.split_once(':')?;
        let life = Duration::from_secs(seconds.parse().ok()?);
        Some(Refresh { token, family: Some(Family { id: id.to_owned(), life }) })
    }

    fn mac(&self, text: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("any length is a key");
        mac.update(text.as_bytes());
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gateways_of_one_key_call_their_cookies_the_same_and_those_of_others_otherwise() {
        let name = |byte| identity_of(&[byte; SEAL_KEY_BYTES]);
        assert_eq!(name(1), name(1));
        assert_ne!(name(1), name(2));
        assert!(name(1).len() == 10 && name(1).bytes().all(|it| it.is_ascii_lowercase()));
    }

    fn family(id: &str) -> Family {
        Family { id: id.to_owned(), life: Duration::from_secs(3600) }
    }

    #[test]
    fn what_was_sealed_is_known_again_whatever_token_and_family_look_like() {
        let seal = Seal::new([7; SEAL_KEY_BYTES]);
        let plain = ["r", "a.b.c", "r.", ".", "~._-+/=", ""];
        let odd = ["a b", "a;b", "a,b", "\"a\"", "~\\", " ", "유엔진"];
        for token in plain.into_iter().chain(odd) {
            for id in ["s", "", "a:b.c:1", "~", "유엔진"] {
                let text = seal.close(token, &family(id));
                assert!(cookies::is_plain(&text), "a cookie holds it: {text}");
                assert_eq!(
                    text.starts_with(&format!("{token}.")),
                    plain.contains(&token),
                    "{text}"
                );
                assert_eq!(text, seal.close(token, &family(id)), "the same each time");
                let opened = seal.open(&text);
                let expected = Refresh { token: token.into(), family: Some(family(id)) };
                assert_eq!(opened, expected, "{text}");
            }
        }
    }

    #[test]
    fn a_text_without_our_seal_is_a_token_and_says_nothing_of_a_family() {
        let seal = Seal::new([7; SEAL_KEY_BYTES]);
        let good = seal.close("r", &family("victim"));
        let [_, says, mac] = good.split('.').collect::<Vec<_>>()[..] else { panic!("{good}") };
        let own = seal.close("mine", &family("mine"));
        let [_, _, own_mac] = own.split('.').collect::<Vec<_>>()[..] else { panic!("{own}") };
        let mut flipped = good.clone().into_bytes();
        *flipped.last_mut().expect("a seal") ^= 1;
        let cases = [
            "r".to_owned(),
            "a.b.c".to_owned(),
            format!("r.{says}"),
            format!("r.{says}."),
            format!("r.{says}.{own_mac}"),
            format!("mine.{says}.{mac}"),
            format!("mine.{says}.{own_mac}"),
            format!("r.{says}.{}", &mac[..mac.len() - 2]),
            format!("{good}.{mac}"),
            String::from_utf8(flipped).expect("text"),
            Seal::new([8; SEAL_KEY_BYTES]).close("r", &family("victim")),
        ];
        for text in cases {
            let whole = Refresh { token: text.as_str().into(), family: None };
            assert_eq!(seal.open(&text), whole, "{text}");
        }
    }
}
