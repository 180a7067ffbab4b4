//! From which networks somebody has signed in to an account: guesses from elsewhere cannot lock those
//! out.

use events::Error;
use events::store::Rows;

/// Networks an account is known to be used from; past it the one longest unused is forgotten.
pub(in crate::account) const NETWORKS_PER_USER_MAX: u64 = 32;

/// Whether somebody has signed in to this account from there.
pub(in crate::account) async fn is_known(
    rows: &mut Rows<'_>,
    username: &str,
    network: &[u8],
) -> Result<bool, Error> {
    let select = "SELECT 1 FROM known WHERE username = ?1 AND network = ?2";
    Ok(rows.find(select, &[&username, &network], |_| Ok::<_, Error>(())).await?.is_some())
}

/// Notes that somebody has.
pub(in crate::account) async fn note(
    rows: &mut Rows<'_>,
    username: &str,
    network: &[u8],
    second: i64,
) -> Result<(), Error> {
    let upsert = "INSERT INTO known VALUES (?1, ?2, ?3)
        ON CONFLICT (username, network) DO UPDATE SET used = excluded.used";
    rows.execute(upsert, &[&username, &network, &second]).await?;
    let bound = "DELETE FROM known WHERE username = ?1 AND network NOT IN
        (SELECT network FROM known WHERE username = ?1 ORDER BY used DESC, network LIMIT ?2)";
    rows.execute(bound, &[&username, &NETWORKS_PER_USER_MAX]).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use events::Database;

    use super::*;
    use crate::account::store::TABLES;
    use crate::fixture;

    #[tokio::test]
    async fn an_account_has_a_bounded_number_of_known_networks_those_used_last() {
        for (_folder, database) in fixture::each(TABLES, None).await {
            has_a_bounded_number(&database).await;
        }
    }

    async fn has_a_bounded_number(database: &Database) {
        let all = u8::try_from(NETWORKS_PER_USER_MAX).expect("a small number") + 1;
        for network in 0..all {
            let noted = database.write([network], |network, tx| {
                Box::pin(note(tx, "a@b", network, i64::from(network[0])))
            });
            noted.await.expect("noted");
        }
        let cases =
            [("a@b", 0, false), ("a@b", 1, true), ("a@b", all - 1, true), ("other@b", 1, false)];
        for (name, network, known) in cases {
            let given = (name, [network]);
            let read = database
                .read(&given, |(name, network), rows| Box::pin(is_known(rows, name, network)));
            assert_eq!(read.await.expect("read"), known, "{name} {network}");
        }
    }
}
