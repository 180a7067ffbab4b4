//! From which networks somebody has signed in to an account: guesses from elsewhere cannot lock those
//! out.

use events::Error;
use rusqlite::{Connection, params};

/// Networks an account is known to be used from; past it the one longest unused is forgotten.
pub(in crate::account) const NETWORKS_PER_USER_MAX: u64 = 32;

/// The migration. A network is kept as a keyed digest: no address is.
pub(super) const SCHEMA: &str = "CREATE TABLE known (
        username TEXT NOT NULL, network BLOB NOT NULL, used INTEGER NOT NULL,
        PRIMARY KEY (username, network)) STRICT, WITHOUT ROWID;";

/// Whether somebody has signed in to this account from there.
pub(in crate::account) fn is_known(
    connection: &Connection,
    username: &str,
    network: &[u8],
) -> Result<bool, Error> {
    let select = "SELECT 1 FROM known WHERE username = ?1 AND network = ?2";
    Ok(connection.prepare_cached(select)?.exists(params![username, network])?)
}

/// Notes that somebody has.
pub(in crate::account) fn note(
    connection: &Connection,
    username: &str,
    network: &[u8],
    second: i64,
) -> Result<(), Error> {
    let upsert = "INSERT INTO known VALUES (?1, ?2, ?3)
        ON CONFLICT (username, network) DO UPDATE SET used = excluded.used";
    connection.prepare_cached(upsert)?.execute(params![username, network, second])?;
    let bound = "DELETE FROM known WHERE username = ?1 AND network NOT IN
        (SELECT network FROM known WHERE username = ?1 ORDER BY used DESC, network LIMIT ?2)";
    connection.prepare_cached(bound)?.execute(params![username, NETWORKS_PER_USER_MAX])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_a_bounded_number_of_known_networks_those_used_last() {
        let connection = Connection::open_in_memory().expect("memory");
        connection.execute_batch(SCHEMA).expect("a schema");
        let known = |network: u8| is_known(&connection, "a@b", &[network]).expect("read");
        let all = u8::try_from(NETWORKS_PER_USER_MAX).expect("a small number") + 1;
        for network in 0..all {
            note(&connection, "a@b", &[network], i64::from(network)).expect("noted");
        }
        assert!(!known(0) && known(1) && known(all - 1));
        assert!(!is_known(&connection, "other@b", &[1]).expect("read"));
    }
}
