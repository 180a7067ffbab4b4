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
    let insert = "INSERT INTO person_key (person, key, since) VALUES (?1, ?2, ?3)
        ON CONFLICT (person) DO NOTHING";
    let now = tx.now().as_second();
    let mut all = Vec::with_capacity(drawn.len());
    for Kept { person, key } in drawn {
        let row: [&dyn Bind; 3] = [person, &key.as_slice(), &now];
        tx.execute(insert, &row).await?;
        // Whoever else inserted it at once was waited for, and what that one committed is read.
        if let Some(key) = find(tx, person).await? {
            all.push(Kept { person: person.clone(), key });
        }
    }
    Ok(all)
}

/// Removes a person's key; whether there was one.
pub(crate) async fn remove(tx: &mut Tx<'_>, person: &str) -> Result<bool, Error> {
    Ok(tx.execute(DELETE, &[&person]).await? > 0)
}
