//! Connections as this crate wants them: bounded, in the service's own schema, and none that acknowledges before it
//! has written.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, PgPool};

use super::address::SCHEMES;
use super::statements::quoted;
use super::timeouts::{self, within};
use super::trouble;
use crate::error::Error;

/// How long one waits for a free connection before it is environment trouble.
pub(super) const ACQUIRED_WITHIN: Duration = Duration::from_secs(5);

/// How long an instance that stands still may hold what others wait for, and how long they wait: in milliseconds.
pub(super) const HELD_MILLISECONDS_MAX: u32 = 5_000;

/// How long a server hears nothing of a connection before it asks whether anybody is there, and how often it asks then,
/// in seconds: a machine that is gone is known to be within half a minute, and its locks are others'.
const SILENT_SECONDS: u32 = 10;
const ASKED_EVERY_SECONDS: u32 = 2;

/// Prepared statements a connection remembers.
const STATEMENTS_MAX: usize = 256;

/// A pool of connections to this schema, which is made where it is missing. Nothing is tried twice here: a server
/// that refuses is reported as it says it.
pub(super) async fn pool(address: &str, schema: &str, connections: u32) -> Result<PgPool, Error> {
    let options = options(address, schema)?;
    let mut first = connected(&options).await?;
    let make = format!("CREATE SCHEMA IF NOT EXISTS {}", quoted(schema));
    let made = first.execute(AssertSqlSafe(make)).await;
    // Two that make it at once: one of them hears that it is there.
    if let Err(error) = made
        && !is_there(&error)
    {
        return Err(trouble::from(error));
    }
    pool_behind(first, options, connections).await
}

/// A pool of connections to read in a schema that others make, whether it is there yet or not.
pub(super) async fn pool_to_read(
    address: &str,
    schema: &str,
    connections: u32,
) -> Result<PgPool, Error> {
    let options = options(address, schema)?;
    pool_behind(connected(&options).await?, options, connections).await
}

/// The pool, once a connection by hand and alone is sound: a pool would ask for its patience's whole length before it
/// says why.
async fn pool_behind(
    mut first: PgConnection,
    options: PgConnectOptions,
    connections: u32,
) -> Result<PgPool, Error> {
    check(&mut first).await.map_err(trouble::from)?;
    first.close().await.map_err(trouble::from)?;
    bounded(connections).connect_with(options).await.map_err(trouble::from)
}

/// A few connections more to the same schema, made when they are needed: for work that does not queue with the other's.
pub(super) fn beside(pool: &PgPool, connections: u32) -> PgPool {
    bounded(connections).connect_lazy_with((*pool.connect_options()).clone())
}

fn bounded(connections: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRED_WITHIN)
        // Whoever begins on it finds out by that, and takes another one.
        .test_before_acquire(false)
        .after_connect(|connection, _| Box::pin(check(connection)))
}

/// One connection, to a schema that is there already.
pub(super) async fn one(address: &str, schema: &str) -> Result<PgConnection, Error> {
    connected(&options(address, schema)?).await
}

async fn connected(options: &PgConnectOptions) -> Result<PgConnection, Error> {
    let connecting = PgConnection::connect_with(options);
    within(timeouts::CONNECT, connecting).await.map_err(trouble::from)
}

fn options(address: &str, schema: &str) -> Result<PgConnectOptions, Error> {
    // What reads them does not look.
    if !SCHEMES.iter().any(|scheme| address.starts_with(scheme)) {
        return Err(Error::decode("an address of this engine begins with `postgres://`"));
    }
    let options = PgConnectOptions::from_str(address).map_err(Error::decode)?;
    // A statement may have a customer's data in it, and the library's log of those that are slow has the statement.
    let options = options.disable_statement_logging();
    Ok(options.statement_cache_capacity(STATEMENTS_MAX).options([
        ("search_path", quoted(schema)),
        ("idle_in_transaction_session_timeout", HELD_MILLISECONDS_MAX.to_string()),
        ("tcp_keepalives_idle", SILENT_SECONDS.to_string()),
        ("tcp_keepalives_interval", ASKED_EVERY_SECONDS.to_string()),
        ("lock_timeout", HELD_MILLISECONDS_MAX.to_string()),
        ("client_min_messages", "warning".to_owned()),
    ]))
}

/// A connection of one's own, beside the pool.
pub(super) async fn apart(pool: &PgPool) -> Result<PgConnection, Error> {
    connected(&pool.connect_options()).await
}

/// Another one, whose commits are on disk when they are answered.
pub(super) async fn to_flush(pool: &PgPool) -> Result<PgConnection, Error> {
    let mut connection = apart(pool).await?;
    check(&mut connection).await.map_err(trouble::from)?;
    Ok(connection)
}

/// The setting of a connection that says when its server was started, and when that began to remember anew: where one of
/// its processes is killed, it ends all others and goes on from its disk, and does not call that a start. It then counts
/// from zero, which is what tells it apart; every connection is lost by it, so one of before never says what is after.
pub(super) const LIFE: &str = "yeoul.life";

/// Refuses a server that acknowledges what is not on disk, and has one that does go on so for this connection, whatever
/// is set there later. Notes its [`LIFE`].
async fn check(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let hold = format!(
        "SELECT set_config('synchronous_commit', current_setting('synchronous_commit'), false),
            set_config('{LIFE}', format('%s %s', extract(epoch FROM pg_postmaster_start_time()),
                extract(epoch FROM pg_stat_get_bgwriter_stat_reset_time())), false)"
    );
    let asked = sqlx::query_scalar(AssertSqlSafe(hold)).fetch_one(connection);
    let setting: String = within(timeouts::ANSWER, asked).await?;
    if ["on", "remote_apply"].contains(&setting.as_str()) {
        return Ok(());
    }
    let what = format!(
        "synchronous_commit is `{setting}`: what is acknowledged must be on disk, set it to `on`"
    );
    Err(sqlx::Error::Configuration(what.into()))
}

fn is_there(error: &sqlx::Error) -> bool {
    // 23505: the catalog's own index, 42P06: the check before it.
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| code == "23505" || code == "42P06")
}
