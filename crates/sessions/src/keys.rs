//! Keys that several instances have in common: in the store that they share, sealed by a key of the environment.
//!
//! Whoever comes first draws them, in one transaction; all others find them there. A file that an earlier program, or
//! one with its state in files, had its key in is taken over where the store has none, and removed when the store has
//! the same: sealed there, it should not lie about open here. Another file is left alone and named.

use std::fs;
use std::io;
use std::path::PathBuf;

use chassis::chance;
use chassis::identity::{self, SEED_BYTES};
use chassis::sealing::{Sealed, SealingKey};
use events::store::Tx;
use events::{Database, Error};
use tracing::{info, warn};

use crate::store;

/// A key, to sign with or to seal.
pub type Key = [u8; SEED_BYTES];

/// A key as it is asked for.
#[derive(Clone, Debug)]
pub struct KeyRequest {
    /// What it is called there, and sealed for.
    pub name: &'static str,
    /// Where it is without a server.
    pub file: PathBuf,
}

/// Why there are no keys. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoKeys {
    /// The store refused: try again later.
    #[error(transparent)]
    Store(#[from] Error),
    /// A key's file cannot be read or removed: the environment.
    #[error("a key's file cannot be used. cause=`{0}`")]
    File(#[from] io::Error),
    /// What is there was sealed with another key: give that one.
    #[error("the keys in the store are not told: {0}. name=`{1}`")]
    Sealed(Sealed, &'static str),
}

/// A key that the store is given where it has none.
struct Offered {
    name: &'static str,
    sealing: SealingKey,
    key: Key,
}

/// The keys of a database on a server whose schema has [`SERVED_KEYS`](crate::SERVED_KEYS), drawn where there are none.
///
/// # Errors
/// See [`NoKeys`].
pub async fn keys<const N: usize>(
    database: &Database,
    sealing: &SealingKey,
    requests: [KeyRequest; N],
) -> Result<[Key; N], NoKeys> {
    let mut offered = Vec::with_capacity(N);
    for KeyRequest { name, file } in &requests {
        let key = identity::kept(file)?.unwrap_or_else(drawn);
        offered.push(Offered { name, sealing: sealing.clone(), key });
    }
    let keys = database.write(offered, |offered, tx| Box::pin(all(tx, offered))).await?;
    for (request, key) in requests.iter().zip(&keys) {
        remove_copy(request, key)?;
    }
    Ok(keys.try_into().unwrap_or_else(|_| unreachable!("one for each request")))
}

fn drawn() -> Key {
    let mut key = [0; SEED_BYTES];
    chance::fill(&mut key);
    key
}

async fn all(tx: &mut Tx<'_>, offered: &[Offered]) -> Result<Vec<Key>, NoKeys> {
    let mut keys = Vec::with_capacity(offered.len());
    for Offered { name, sealing, key } in offered {
        // Whoever else inserts it at once is waited for, and what that one committed is read.
        let sealed = store::keep_key(tx, name, &sealing.seal(name, key)).await?;
        let opened = sealing.open(name, &sealed).and_then(|key| key.try_into().map_err(|_| Sealed));
        keys.push(opened.map_err(|why| NoKeys::Sealed(why, name))?);
    }
    Ok(keys)
}

fn remove_copy(KeyRequest { name, file }: &KeyRequest, key: &Key) -> io::Result<()> {
    match identity::kept(file)? {
        Some(own) if own == *key => {
            info!(name, "a key is in the store from here on, and no more in the folder");
            fs::remove_file(file)
        }
        Some(_) => {
            let file = file.display();
            warn!(name, %file, "the store has another key than this file, which is not used");
            Ok(())
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
