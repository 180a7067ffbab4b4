//! People's keys: drawn when something of a person is sealed first, read while it is told, thrown away on a word.
//!
//! A key is on disk before anything is sealed with it. It is kept in a store of its own, beside all others and in none of
//! their copies: who has a backup of events and not of this has what nobody can read. On a server it is sealed once more,
//! with the key of the environment ([`chassis::sealing`]), so that a dump of the server alone tells nothing either.
//!
//! Thrown away, it is gone from its file at once ([`erase`]); where several processes share a server, each tells it for
//! [`REMEMBERED_FOR`] at most. What is sealed by who still remembers it is forgotten with the rest. A person who comes again
//! is given a new key: what was sealed before stays forgotten.

mod remembered;

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chassis::clock;
use chassis::sealing::{KEY_BYTES, SealingKey};
use events::store::{Location, Rows, Tx, erase};
use events::{Clock, Database, Error};
use tokio::task::spawn_blocking;

use crate::fields::PERSON_BYTES_MAX;
use crate::store::{self, Kept};
use remembered::Remembered;

pub use remembered::{REMEMBERED_FOR, REMEMBERED_MAX};

/// Keys that are ever made in one store, at most.
pub const PEOPLE_MAX: u64 = 50_000_000;

/// A handle on the keys; clones share it.
#[derive(Clone)]
pub struct Keyring {
    shared: Arc<Shared>,
}

struct Shared {
    database: Database,
    /// Where it is, if that is a file.
    file: Option<PathBuf>,
    /// What keys are sealed with where they are kept.
    outer: Option<SealingKey>,
    remembered: Mutex<Remembered>,
}

/// What became of a wish to be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgotten {
    /// There was a key, and nobody has it any more.
    Now,
    /// There was none: it was thrown away before, or nothing of the person was ever sealed.
    NothingKnown,
}

impl Keyring {
    /// Opens the keys at this location; on a server `outer` seals them there.
    ///
    /// # Errors
    /// As [`Database::at`].
    pub async fn open(
        location: Location,
        outer: Option<SealingKey>,
        clock: Clock,
    ) -> Result<Keyring, Error> {
        let file = match &location {
            Location::File(path) => Some(path.clone()),
            Location::Schema { .. } => None,
        };
        let database = Box::pin(Database::at(location, store::TABLES, None, clock)).await?;
        if file.is_some() {
            let work = database.write((), |(), tx| Box::pin(store::overwrite_what_is_freed(tx)));
            work.await?;
        }
        let remembered = Mutex::default();
        Ok(Keyring { shared: Arc::new(Shared { database, file, outer, remembered }) })
    }

    /// Its database, to be closed.
    pub fn database(&self) -> Database {
        self.shared.database.clone()
    }

    /// A person's key; `None` where there is none, or none any more.
    ///
    /// # Errors
    /// [`Error::Environment`]: it is not known whether there is one; ask again later.
    pub async fn find(&self, person: &str) -> Result<Option<SealingKey>, Error> {
        let asked = clock::now();
        if let Some(key) = self.remembered().find(person, asked) {
            return Ok(Some(key));
        }
        if person.len() > PERSON_BYTES_MAX {
            return Ok(None);
        }
        let read = self
            .shared
            .database
            .read(person, |person, rows: &mut Rows<'_>| Box::pin(store::find(rows, person)));
        let Some(kept) = read.await? else { return Ok(None) };
        let key = self.told(person, &kept)?;
        self.remembered().remember(person, key.clone(), asked);
        Ok(Some(key))
    }

    /// The keys of these people, made where there are none, and then on disk.
    ///
    /// # Errors
    /// [`Error::Environment`]: the disk refuses; ask again later. [`Error::Limit`]: [`PEOPLE_MAX`] were made.
    pub async fn keys(
        &self,
        people: &BTreeSet<&str>,
    ) -> Result<HashMap<String, SealingKey>, Error> {
        let (mut keys, mut drawn) = (HashMap::with_capacity(people.len()), Vec::new());
        for person in people {
            match self.find(person).await? {
                Some(key) => drop(keys.insert((*person).to_owned(), key)),
                None => drawn.push(self.drawn(person)),
            }
        }
        if drawn.is_empty() {
            return Ok(keys);
        }
        let asked = clock::now();
        let work = self
            .shared
            .database
            .write(drawn, |drawn, tx: &mut Tx<'_>| Box::pin(store::keep(tx, drawn, PEOPLE_MAX)));
        for Kept { person, key } in work.await? {
            let key = self.told(&person, &key)?;
            self.remembered().remember(&person, key.clone(), asked);
            keys.insert(person, key);
        }
        Ok(keys)
    }

    /// Throws a person's key away; resolves once nothing of it is on disk. Said again, it changes nothing.
    ///
    /// # Errors
    /// [`Error::Environment`]: it may be there still, or its bytes may; say it again.
    pub async fn forget(&self, person: &str) -> Result<Forgotten, Error> {
        // Nobody is told it while it goes, and who read it just before has it in memory for no longer.
        self.remembered().forget(person);
        let removed = self.remove(person.to_owned()).await;
        self.remembered().forget(person);
        Ok(if removed? { Forgotten::Now } else { Forgotten::NothingKnown })
    }

    /// Whether there was one.
    async fn remove(&self, person: String) -> Result<bool, Error> {
        let Some(file) = self.shared.file.clone() else {
            let remove = self
                .shared
                .database
                .write(person, |person, tx: &mut Tx<'_>| Box::pin(store::remove(tx, person)));
            return remove.await;
        };
        // It waits for locks and for the disk, which a core that answers others does not.
        let erased = spawn_blocking(move || erase(&file, store::DELETE, &person)).await;
        let ended = |_| Error::environment("it is not known whether the key was erased: ask again");
        Ok(erased.map_err(ended)?? > 0)
    }

    fn drawn(&self, person: &str) -> Kept {
        let key = SealingKey::drawn();
        let bytes = key.bytes();
        let kept = self.shared.outer.as_ref().map(|outer| outer.seal(&purpose(person), bytes));
        Kept { person: person.to_owned(), key: kept.unwrap_or_else(|| bytes.to_vec()) }
    }

    /// A key from what is kept of it. One that is not told is no key that was thrown away: nobody may take it for that.
    fn told(&self, person: &str, kept: &[u8]) -> Result<SealingKey, Error> {
        let bytes = match &self.shared.outer {
            None => kept.to_vec(),
            Some(outer) => outer.open(&purpose(person), kept).map_err(|why| {
                Error::environment(format!("the keys of people are not told: {why}"))
            })?,
        };
        let bytes: [u8; KEY_BYTES] = bytes
            .try_into()
            .map_err(|_| Error::environment("the key of a person is none any more"))?;
        Ok(SealingKey::of(bytes))
    }

    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.shared.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a person's key is sealed for, where it is.
fn purpose(person: &str) -> String {
    format!("person {person}")
}
