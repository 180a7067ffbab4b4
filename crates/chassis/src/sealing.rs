//! Secrets that are kept where others may read: sealed by a key that is kept elsewhere.
//!
//! ChaCha20-Poly1305 (RFC 8439) under a nonce that is drawn for each: a key seals a handful of secrets in its life, or what
//! is said of one person, and twelve random bytes tell billions apart. What a secret is for is sealed with it, so that none can be put in the
//! place of another.

use std::fmt;
use std::str::FromStr;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use thiserror::Error;

use crate::{chance, hex};

/// Bytes of a key; it is written in twice as many hexadecimal digits.
pub const KEY_BYTES: usize = 32;

/// Why a text is no key: ask for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a key is {} hexadecimal digits", 2 * KEY_BYTES)]
pub struct NoKey;

/// Why a secret is not told: this key did not seal it for that purpose, or it was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("it was sealed with another key, or changed since")]
pub struct Sealed;

/// What seals; a clone is the same key.
#[derive(Clone)]
pub struct SealingKey {
    bytes: [u8; KEY_BYTES],
}

impl SealingKey {
    /// One that nobody has had before.
    pub fn drawn() -> SealingKey {
        let mut bytes = [0; KEY_BYTES];
        chance::fill(&mut bytes);
        SealingKey { bytes }
    }

    /// The key of these bytes.
    pub fn of(bytes: [u8; KEY_BYTES]) -> SealingKey {
        SealingKey { bytes }
    }

    /// Its bytes, for the one place where it is kept.
    pub fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.bytes
    }

    /// The secret, for this purpose alone.
    pub fn seal(&self, purpose: &str, secret: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        chance::fill(&mut nonce);
        let mut text = secret.to_vec();
        let (of, says) = (Nonce::assume_unique_for_key(nonce), Aad::from(purpose));
        self.cipher().seal_in_place_append_tag(of, says, &mut text).expect("no secret is so long");
        [&nonce[..], &text].concat()
    }

    /// What was sealed for this purpose.
    ///
    /// # Errors
    /// [`Sealed`].
    pub fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Vec<u8>, Sealed> {
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN).ok_or(Sealed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Sealed)?;
        let mut text = text.to_vec();
        let opened = self.cipher().open_in_place(nonce, Aad::from(purpose), &mut text);
        opened.map(|secret| secret.to_vec()).map_err(|_| Sealed)
    }

    fn cipher(&self) -> LessSafeKey {
        let key = UnboundKey::new(&CHACHA20_POLY1305, &self.bytes).expect("a key of its length");
        LessSafeKey::new(key)
    }
}

impl FromStr for SealingKey {
    type Err = NoKey;

    fn from_str(text: &str) -> Result<SealingKey, NoKey> {
        let digits = text.as_bytes();
        if digits.len() != 2 * KEY_BYTES {
            return Err(NoKey);
        }
        let mut bytes = [0; KEY_BYTES];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = hex::byte(pair[0], pair[1]).ok_or(NoKey)?;
        }
        Ok(SealingKey { bytes })
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealingKey").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(digit: &str) -> SealingKey {
        digit.repeat(2 * KEY_BYTES).parse().expect("a key")
    }

    #[test]
    fn what_was_sealed_is_told_to_the_same_key_for_the_same_purpose_alone() {
        for secret in [&b""[..], b"s", &[7; 64]] {
            let sealed = key("a").seal("account signing", secret);
            assert_eq!(key("A").open("account signing", &sealed).as_deref(), Ok(secret));
            assert_eq!(key("b").open("account signing", &sealed), Err(Sealed));
            assert_eq!(key("a").open("account refresh", &sealed), Err(Sealed));
            assert_ne!(key("a").seal("account signing", secret), sealed, "a nonce of its own");
            assert!(secret.len() < 4 || !sealed.windows(4).any(|part| part == &secret[..4]));
        }
    }

    #[test]
    fn no_byte_of_it_can_be_changed_or_left_out() {
        let sealed = key("1").seal("purpose", b"secret");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(key("1").open("purpose", &changed), Err(Sealed), "byte {at}");
            assert_eq!(key("1").open("purpose", &sealed[..at]), Err(Sealed), "{at} bytes");
        }
    }

    #[test]
    fn a_key_is_64_hexadecimal_digits_and_nothing_else() {
        let good = "0123456789abcdefABCDEF".repeat(3)[..64].to_owned();
        assert!(good.parse::<SealingKey>().is_ok());
        assert_eq!(format!("{:?}", good.parse::<SealingKey>()), "Ok(SealingKey { .. })");
        let wrong = [
            String::new(),
            good[1..].to_owned(),
            format!("{good}0"),
            format!("g{}", &good[1..]),
            format!("+{}", &good[1..]),
            format!(" {}", &good[1..]),
            "é".repeat(32),
        ];
        for text in wrong {
            assert_eq!(text.parse::<SealingKey>().err(), Some(NoKey), "{text}");
        }
    }
}
