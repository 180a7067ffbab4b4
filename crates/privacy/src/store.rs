//! People's keys as rows, in statements that every engine speaks; their table stands with each engine.

mod postgres;
mod sqlite;

use events::Error;
use events::store::{Bind, Row, Rows, Tables, Tx};

use postgres::TABLE as SERVED_TABLE;
use sqlite::TABLE;

/// What a keyring keeps.
pub(crate) const TABLES: Tables = Tables { embedded: &[TABLE], served: &[SERVED_TABLE] };

/// The statement that removes a person's key, of whatever engine.
pub(crate) const DELETE: &str = "DELETE FROM person_key WHERE person = ?1";

/// A person's key, as it is kept.
pub(crate) struct Kept {
    pub(crate) person: String,
    pub(crate) key: Vec<u8>,
}

/// The key of a person.
pub(crate) async fn find(rows: &mut Rows<'_>, person: &str) -> Result<Option<Vec<u8>>, Error> {
    let select = "SELECT key FROM person_key WHERE person = ?1";
    rows.find(select, &[&person], |row: &Row<'_>| row.get(0)).await
}

/// These keys, where there are none; those that there are then. Past `limit` keys that were ever made, none is.
pub(crate) async fn keep(tx: &mut Tx<'_>, drawn: &[Kept], limit: u64) -> Result<Vec<Kept>, Error> {
    let newest = "SELECT coalesce(max(number), 0) FROM person_key";
    let made: u64 = tx.one(newest, &[], |row| row.get(0)).await?;
    if made + drawn.len() as u64 > limit {
        return Err(Error::Limit { field: "people", value: made + drawn.len() as u64, limit });
    }
    // Whoever else inserted it at once is waited for, and what that one committed is returned; who deletes it waits for this.
    let insert = "INSERT INTO person_key (person, key, since) VALUES (?1, ?2, ?3)
        ON CONFLICT (person) DO UPDATE SET person = excluded.person RETURNING key";
    let now = tx.now().as_second();
    let mut all = Vec::with_capacity(drawn.len());
    for Kept { person, key } in drawn {
        let row: [&dyn Bind; 3] = [person, &key.as_slice(), &now];
        let key = tx.one(insert, &row, |row: &Row<'_>| row.get(0)).await?;
        all.push(Kept { person: person.clone(), key });
    }
    Ok(all)
}

/// Has whatever this file's writer moves or frees be overwritten from here on.
///
/// A table's pages are copied as it grows, and a copy that is left behind would keep the bytes of a key that is erased later.
pub(crate) async fn overwrite_what_is_freed(tx: &mut Tx<'_>) -> Result<(), Error> {
    let is_on: i64 = tx.one("PRAGMA secure_delete = ON", &[], |row| row.get(0)).await?;
    if is_on == 1 { Ok(()) } else { Err(Error::environment("what is freed is not overwritten")) }
}

/// Removes a person's key; whether there was one.
pub(crate) async fn remove(tx: &mut Tx<'_>, person: &str) -> Result<bool, Error> {
    Ok(tx.execute(DELETE, &[&person]).await? > 0)
}
