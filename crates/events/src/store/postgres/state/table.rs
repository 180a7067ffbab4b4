//! The table that others insert into, opened to be relayed: looked at before anything is made beside it.

use sqlx::{AssertSqlSafe, PgPool};

use super::{tables, versions};
use crate::error::Error;
use crate::store::options::Inserted;
use crate::store::postgres::schema::{OUTBOX_VERSION, must_not_be_newer};
use crate::store::postgres::statements::quoted;
use crate::store::postgres::{connection, trouble};

/// Connections to it; what is noted of its topic stands in their own schema, and that alone is on their path: in the
/// table's, others may have made functions that would be run with the rights of whoever relays.
///
/// # Errors
/// [`Error::Statement`]: there is no such table, or it is of an older version. [`Error::Newer`]: it is of a newer one.
/// [`Error::UnknownTopic`] and [`Error::Partitions`]: it knows no such topic, or one with another count.
pub(super) async fn open(options: &Inserted) -> Result<PgPool, Error> {
    let Inserted { host, name, publishes, .. } = options;
    let address = &host.whole_address();
    let beside = format!("yeoul_relay_{name}_{}", known(options).await?);
    let pool = connection::pool(address, &beside, host.connections).await?;
    versions::upgrade(&pool, tables::SETS, &[]).await?;
    // Two that replace a view at once are in each other's way.
    let alone = "SELECT pg_advisory_xact_lock(hashtext('yeoul_outbox'));";
    let view = format!("BEGIN; {alone} {} COMMIT;", tables::view(&quoted(name), &publishes.topic));
    sqlx::raw_sql(AssertSqlSafe(view)).execute(&pool).await.map_err(trouble::from)?;
    Ok(pool)
}

/// What its topic is called by in the names of sequences and locks.
async fn known(options: &Inserted) -> Result<i32, Error> {
    let Inserted { host, name, publishes, .. } = options;
    let address = &host.whole_address();
    let mut connection = connection::one(address, "pg_catalog").await?;
    let here = "SELECT count(*) = 2 FROM pg_tables WHERE schemaname = $1
        AND tablename IN ('yeoul_outbox', 'yeoul_version')";
    let is_here: bool = sqlx::query_scalar(here)
        .bind(name)
        .fetch_one(&mut connection)
        .await
        .map_err(trouble::from)?;
    if !is_here {
        let what = format!("there is no table `yeoul_outbox`. schema=`{name}`");
        return Err(Error::Statement { what });
    }
    let schema = quoted(name);
    let version =
        format!("SELECT version FROM {schema}.yeoul_version WHERE tables = 'yeoul_outbox'");
    let version = sqlx::query_scalar(AssertSqlSafe(version)).fetch_optional(&mut connection).await;
    let version: Option<i32> = version.map_err(trouble::from)?;
    must_not_be_newer(version)?;
    if version != Some(OUTBOX_VERSION) {
        let version = version.unwrap_or(0);
        let what = format!(
            "the outbox is of an older program. version=`{version}`, wanted=`{OUTBOX_VERSION}`"
        );
        return Err(Error::Statement { what });
    }
    let topic = format!("SELECT id, partitions FROM {schema}.yeoul_outbox_topic WHERE topic = $1");
    let asked = sqlx::query_as(AssertSqlSafe(topic)).bind(publishes.topic.as_str());
    let known: Option<(i32, i32)> =
        asked.fetch_optional(&mut connection).await.map_err(trouble::from)?;
    let (id, count) = known.ok_or(Error::UnknownTopic)?;
    let (asked, has) = (publishes.partitions.count(), u16::try_from(count).unwrap_or(0));
    if asked != has {
        return Err(Error::Partitions { topic: publishes.topic.to_string(), has, asked });
    }
    Ok(id)
}
