//! The versions of our tables in a schema, and the steps that it takes; see [`versions`](crate::store::versions).
//!
//! The service's own migrations are counted beside ours, as one more set. Instances that open at once take turns.

use sqlx::{AssertSqlSafe, PgConnection, PgPool};

use crate::error::Error;
use crate::store::postgres::trouble;
use crate::store::versions::TableSet;

/// The same table that the outbox for other languages has.
const VERSIONS: &str = "CREATE TABLE IF NOT EXISTS yeoul_version (
    tables TEXT PRIMARY KEY, version INTEGER NOT NULL)";

/// Whoever brings a schema up to date has it to itself.
const ALONE: &str = "SELECT pg_advisory_xact_lock(hashtext('yeoul_version ' || current_schema()))";

/// Brings ours and the service's own tables to their present shape, all in one transaction.
///
/// # Errors
/// [`Error::Newer`]: the schema is of a newer program. [`Error::Statement`]: a migration is wrong. Nothing was changed.
pub(super) async fn upgrade(
    pool: &PgPool,
    ours: &[TableSet],
    own: &'static [&'static str],
) -> Result<(), Error> {
    let mut transaction = pool.begin().await.map_err(trouble::from)?;
    for statement in [ALONE, VERSIONS] {
        sqlx::query(statement).execute(&mut *transaction).await.map_err(trouble::from)?;
    }
    for tables in ours {
        step_up(&mut transaction, tables).await?;
    }
    step_up(&mut transaction, &TableSet { name: "schema", steps: own }).await?;
    transaction.commit().await.map_err(trouble::from)
}

/// Takes the steps that a set lacks, in order, and notes its version.
async fn step_up(connection: &mut PgConnection, tables: &TableSet) -> Result<(), Error> {
    let TableSet { name, steps } = tables;
    let noted = sqlx::query_scalar("SELECT version FROM yeoul_version WHERE tables = $1");
    let noted: Option<i32> =
        noted.bind(*name).fetch_optional(&mut *connection).await.map_err(trouble::from)?;
    let version = usize::try_from(noted.unwrap_or(0)).unwrap_or(usize::MAX);
    for step in tables.lacking(version)? {
        let taken = sqlx::raw_sql(AssertSqlSafe(*step)).execute(&mut *connection).await;
        taken.map_err(trouble::from)?;
    }
    let note = "INSERT INTO yeoul_version VALUES ($1, $2)
        ON CONFLICT (tables) DO UPDATE SET version = excluded.version";
    let noted = sqlx::query(note).bind(*name).bind(steps.len() as i32);
    noted.execute(connection).await.map(drop).map_err(trouble::from)
}
