//! Users as rows; families of tokens and known networks beside them.

pub(super) mod families;
pub(super) mod known;
mod postgres;
mod sqlite;

use events::Error;
use events::store::{Bind, Row, Rows, Tables};

use crate::account::user::User;
use crate::role::Role;

use postgres::SCHEMA as SERVED;
use sqlite::SCHEMA as EMBEDDED;

/// What account keeps.
pub(super) const TABLES: Tables = Tables { embedded: EMBEDDED, served: SERVED };

/// The user of that name.
pub(super) async fn find(rows: &mut Rows<'_>, username: &str) -> Result<Option<User>, Error> {
    let select = "SELECT username, phc, nickname, address, role, sequence FROM \"user\"
        WHERE username = ?1";
    rows.find(select, &[&username], user).await
}

fn user(row: &Row<'_>) -> Result<User, Error> {
    Ok(User {
        username: row.get(0)?,
        phc: row.get(1)?,
        nickname: row.get(2)?,
        address: row.get(3)?,
        role: row.parse(4, Role::parse)?,
        sequence: row.get(5)?,
    })
}

/// Stores a new user; `false` where the name is taken.
pub(super) async fn insert(rows: &mut Rows<'_>, user: &User) -> Result<bool, Error> {
    let insert =
        "INSERT INTO \"user\" VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (username) DO NOTHING";
    let User { username, phc, nickname, address, role, sequence } = user;
    let row: [&dyn Bind; 6] = [username, phc, nickname, address, &role.as_str(), sequence];
    Ok(rows.execute(insert, &row).await? == 1)
}

/// Claims the writing of the seeds: `true` once in the life of the file.
pub(super) async fn claim_seeding(rows: &mut Rows<'_>) -> Result<bool, Error> {
    let claim = "INSERT INTO seeded VALUES (1) ON CONFLICT DO NOTHING";
    Ok(rows.execute(claim, &[]).await? == 1)
}
