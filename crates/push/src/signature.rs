//! Signatures of the Standard Webhooks scheme: HMAC-SHA256 over id, time and body, by one key or by two.
//!
//! Two at once are for rotation: the receiver changes from the old key to the new one at any moment, and every delivery
//! has a signature by each (<https://www.standardwebhooks.com>). The time is signed, so that a receiver can refuse what
//! somebody recorded and sends again. The `ce-` headers are not: a receiver who trusts `webhook-signature` trusts the
//! body, and of the headers `webhook-id` alone, which names source and id.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use jiff::Timestamp;
use sha2::Sha256;

/// Keys of one subscription at most: the one in use and the one before it.
pub const SECRETS_MAX: usize = 2;

/// Bytes that a key has at least and at most, as the scheme has them.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// What a key begins with where it is written, so that it is recognised as one.
const PREFIX: &str = "whsec_";

/// A key; it is never shown.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

/// What was given is no key of the scheme; the text itself is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSecret;

impl fmt::Display for NoSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) = (KEY_BYTES.start(), KEY_BYTES.end());
        write!(formatter, "`{PREFIX}` and {least} to {most} random bytes in base64")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}

impl Secret {
    /// Reads `whsec_…`.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Secret, NoSecret> {
        let text = text.strip_prefix(PREFIX).ok_or(NoSecret)?;
        let key = STANDARD.decode(text).map_err(|_| NoSecret)?;
        if KEY_BYTES.contains(&key.len()) { Ok(Secret(key)) } else { Err(NoSecret) }
    }
}

/// What `webhook-signature` says of this message: one signature for each key, apart by a space.
pub fn sign(secrets: &[Secret], id: &str, at: Timestamp, body: &[u8]) -> String {
    let signed = secrets.iter().map(|Secret(key)| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
        mac.update(id.as_bytes());
        mac.update(format!(".{}.", at.as_second()).as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    });
    signed.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the specification's own reference libraries (`standard-webhooks/libraries`, the test of each language).
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn a_message_is_signed_as_the_reference_libraries_sign_it() {
        let secret = Secret::parse(SECRET).expect("a key");
        let at = Timestamp::from_second(1_614_265_330).expect("in range");
        let body = br#"{"test": 2432232314}"#;
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(sign(std::slice::from_ref(&secret), id, at, body), expected);
        let other = Secret::parse("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").expect("a key");
        let both = sign(&[other, secret], id, at, body);
        assert!(both.ends_with(&format!(" {expected}")), "{both}");
        assert_eq!(both.split(' ').count(), 2, "{both}");
    }

    #[test]
    fn a_key_has_its_prefix_and_its_length() {
        let encoded = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
        for (bytes, is_one) in [(23, false), (24, true), (64, true), (65, false)] {
            assert_eq!(Secret::parse(&encoded(bytes)).is_ok(), is_one, "{bytes}");
        }
        for text in ["", "whsec_", "whsec_!!!!", &SECRET["whsec_".len()..]] {
            assert_eq!(Secret::parse(text).err(), Some(NoSecret), "{text}");
        }
        assert_eq!(format!("{:?}", Secret::parse(SECRET)), "Ok(Secret)");
    }
}
