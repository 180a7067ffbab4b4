//! Signs tokens with an Ed25519 key, of a file of its own or given; such files are made here.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::jwk::{Jwk, JwkSet, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::Claims;
use super::role::Role;
use crate::chance;
use crate::schema::Schema;

/// PKCS #8 (RFC 8410) puts these bytes before the 32 of an Ed25519 key.
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
/// Bytes of a key, to sign with or to seal.
pub const SEED_BYTES: usize = 32;

/// A public key is an object (RFC 7517, 4).
impl Schema for Jwk {
    fn schema() -> Value {
        json!({ "type": "object" })
    }
}

/// Mints tokens.
pub struct Signer {
    issuer: String,
    key: EncodingKey,
    public: Jwk,
}

impl Signer {
    /// The public keys, as served at `/.well-known/jwks.json`.
    pub fn public_keys(&self) -> JwkSet {
        JwkSet { keys: vec![self.public.clone()] }
    }

    /// A token of the sign-in `session`, the first one or one more.
    pub fn mint_in(&self, session: &str, subject: &str, role: &Role, life: Life) -> Token {
        let lasts = SignedDuration::try_from(life.lasts).expect("a life of hours");
        let claims = Claims {
            iss: self.issuer.clone(),
            sub: subject.to_owned(),
            role: role.clone(),
            jti: new_session(),
            sid: Some(session.to_owned()),
            iat: life.from.as_second(),
            exp: (life.from + lasts).as_second(),
        };
        let mut header = Header::new(Algorithm::EdDSA);
        // Named by the key's own digest: a verifier that has several finds it without trying.
        header.kid.clone_from(&self.public.common.key_id);
        let text = encode(&header, &claims, &self.key).expect("a checked key signs");
        Token { text, session: session.to_owned() }
    }

    /// What signs as `issuer`, with a key that is kept elsewhere.
    pub fn from_seed(seed: &[u8; SEED_BYTES], issuer: &str) -> Signer {
        let key = EncodingKey::from_ed_der(&[&PKCS8_PREFIX[..], &seed[..]].concat());
        let mut public =
            Jwk::from_encoding_key(&key, Algorithm::EdDSA).expect("32 bytes are a key");
        public.common.key_id = public.thumbprint(ThumbprintHash::SHA256).ok();
        Signer { issuer: issuer.to_owned(), key, public }
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").finish_non_exhaustive()
    }
}

/// How long a token is good.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    /// When it is made.
    pub from: Timestamp,
    /// For how long from then on: hours.
    pub lasts: Duration,
}

/// A minted token.
#[derive(Clone, Debug)]
pub struct Token {
    /// What the client presents.
    pub text: String,
    /// The sign-in it belongs to (`sid`).
    pub session: String,
}

/// An id for a sign-in or a token: 128 random bits.
pub(super) fn new_session() -> String {
    chance::token(16)
}

/// The 32 secret bytes of `file` (mode 0600), drawn and synced there if absent.
///
/// # Errors
/// The file cannot be read or written, or holds something else: the environment.
pub fn secret(file: &Path) -> io::Result<[u8; SEED_BYTES]> {
    kept(file)?.map_or_else(|| create(file), Ok)
}

/// The 32 secret bytes of `file`, if it is there.
///
/// # Errors
/// The file cannot be read, or holds something else: the environment.
pub fn kept(file: &Path) -> io::Result<Option<[u8; SEED_BYTES]>> {
    match fs::read(file) {
        Ok(bytes) => bytes.try_into().map(Some).map_err(|_| {
            let says = format!("the key is damaged. file=`{}`", file.display());
            io::Error::new(io::ErrorKind::InvalidData, says)
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn create(file: &Path) -> io::Result<[u8; SEED_BYTES]> {
    let mut seed = [0; SEED_BYTES];
    chance::fill(&mut seed);
    let draft = file.with_extension("new");
    let mut out =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    out.write_all(&seed)?;
    out.sync_all()?;
    fs::rename(&draft, file)?;
    if let Some(folder) = file.parent() {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(seed)
}
