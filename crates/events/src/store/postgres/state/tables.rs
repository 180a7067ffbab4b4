//! The tables of the crate's own beside a service's, on this engine; what is in them is said where they are
//! written, in words that every engine speaks: [`inbox`](crate::store::inbox), [`parked`](crate::store::parked),
//! [`stepped`](crate::store::stepped), [`notes`](crate::store::notes).

use sqlx::{AssertSqlSafe, PgPool};

use super::outbox::{self, PLACE};
use crate::error::Error;
use crate::event::KEY_BYTES_MAX;
use crate::store::options::Publishes;
use crate::store::postgres::schema::{must_not_be_newer, outbox_schema, outbox_schema_with};
use crate::store::postgres::statements::quoted;
use crate::store::postgres::trouble;
use crate::store::versions::TableSet;
use crate::topic::{Declared, Topic};

/// How often statements that make tables run at most where other transactions are in their way.
const RUNS_MAX: u32 = 5;

/// Of who has events delivered elsewhere: see [`ahead`](crate::store::ahead).
pub(crate) const SETTLED_AHEAD: &str = "CREATE TABLE settled_ahead (
    subscription TEXT NOT NULL, partition INTEGER NOT NULL, \"offset\" BIGINT NOT NULL,
    source TEXT NOT NULL, event TEXT NOT NULL,
    PRIMARY KEY (subscription, partition, \"offset\"))";

/// Of the same: see [`delivery_runs`](crate::store::delivery_runs).
pub(crate) const DELIVERY_RUNS: &str = "CREATE TABLE delivery_run (
    subscription TEXT NOT NULL, partition INTEGER NOT NULL, run BIGINT NOT NULL,
    PRIMARY KEY (subscription, partition))";

/// Of who has events fetched: see [`leases`](crate::store::leases).
pub(crate) const LEASES: &str = "CREATE TABLE lease (
    subscription TEXT NOT NULL, token TEXT NOT NULL, until BIGINT NOT NULL, entries BYTEA NOT NULL,
    PRIMARY KEY (subscription, token));
    CREATE TABLE lease_revision (subscription TEXT PRIMARY KEY, revision BIGINT NOT NULL);";

/// Of who takes events from outside: see [`remembered`](crate::store::remembered). A row has its place once its event is
/// numbered, by the statement that commits: [`remember`].
pub(crate) const REMEMBERED: &str = "CREATE TABLE remembered (
    place BIGINT UNIQUE, source TEXT NOT NULL, id TEXT NOT NULL, key TEXT NOT NULL,
    kind TEXT NOT NULL, taken BIGINT NOT NULL, event BYTEA PRIMARY KEY, UNIQUE (source, id));
    CREATE INDEX remembered_key ON remembered (key, place);
    CREATE TABLE forgotten (partition INTEGER PRIMARY KEY, up_to BIGINT NOT NULL);";

/// Of who publishes at a time to come: see [`schedules`](crate::store::schedules).
pub(crate) const SCHEDULES: &str = "CREATE TABLE schedule (
    key TEXT PRIMARY KEY, token TEXT NOT NULL, moment TEXT NOT NULL, topic TEXT NOT NULL,
    kind TEXT NOT NULL, subject TEXT, data TEXT, due BIGINT, look BIGINT, fired BIGINT,
    published BIGINT, occurrences BIGINT NOT NULL);
    CREATE INDEX schedule_look ON schedule (look, key) WHERE look IS NOT NULL;
    CREATE INDEX schedule_postponed ON schedule (due) WHERE look > due;
    CREATE INDEX schedule_again ON schedule (published) WHERE due IS NOT NULL AND published IS NOT NULL;
    CREATE INDEX schedule_over ON schedule (fired, key) WHERE due IS NULL;
    CREATE TABLE schedule_count (shard INTEGER PRIMARY KEY, pending BIGINT NOT NULL);
    INSERT INTO schedule_count SELECT shard, 0 FROM generate_series(0, 63) shard;
    CREATE TABLE schedule_lease (one INTEGER PRIMARY KEY CHECK (one = 1), fence BIGINT NOT NULL,
        beat BIGINT NOT NULL, held BIGINT NOT NULL);
    INSERT INTO schedule_lease VALUES (1, 0, 0, 0);";

pub(super) const SETS: &[TableSet] = &[
    TableSet {
        name: "inbox",
        steps: &["CREATE TABLE inbox (
                subscription TEXT NOT NULL, partition INTEGER NOT NULL, position BIGINT NOT NULL,
                source TEXT NOT NULL, event TEXT NOT NULL, PRIMARY KEY (subscription, partition));
            CREATE TABLE inbox_mark (
                subscription TEXT NOT NULL, partition INTEGER NOT NULL, source TEXT NOT NULL,
                sequence BIGINT NOT NULL, PRIMARY KEY (subscription, partition, source));"],
    },
    // An index for each question, as on any engine.
    TableSet {
        name: "parked",
        steps: &["CREATE TABLE parked (
                place BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY, subscription TEXT NOT NULL,
                \"offset\" BIGINT NOT NULL, key TEXT NOT NULL, source TEXT NOT NULL, sequence BIGINT,
                event BYTEA NOT NULL, attempts BIGINT NOT NULL, next_at BIGINT, dead BIGINT NOT NULL,
                reason TEXT NOT NULL, since BIGINT NOT NULL, partition INTEGER NOT NULL);
            CREATE INDEX parked_key ON parked (subscription, key, place);
            CREATE INDEX parked_source ON parked (subscription, source, partition, sequence);
            CREATE INDEX parked_due ON parked (subscription, partition, next_at, place)
                WHERE next_at IS NOT NULL;
            CREATE INDEX parked_dead ON parked (subscription, place) WHERE dead = 1;",
            "ALTER TABLE parked ADD COLUMN share TEXT;"],
    },
    TableSet {
        name: "paused",
        steps: &["CREATE TABLE paused (
                subscription TEXT PRIMARY KEY, since BIGINT NOT NULL, until BIGINT);"],
    },
    TableSet {
        name: "edits",
        steps: &["CREATE TABLE edit (
                place BIGINT PRIMARY KEY, original BYTEA NOT NULL, at BIGINT NOT NULL, by TEXT NOT NULL);"],
    },
    TableSet {
        name: "expired",
        steps: &["CREATE TABLE expired (
                subscription TEXT NOT NULL, slot BIGINT NOT NULL, partition INTEGER NOT NULL,
                \"offset\" BIGINT NOT NULL, event TEXT NOT NULL, at BIGINT NOT NULL,
                PRIMARY KEY (subscription, slot));
            CREATE TABLE expired_count (subscription TEXT PRIMARY KEY, count BIGINT NOT NULL);"],
    },
    TableSet {
        name: "trials",
        steps: &["CREATE TABLE start (
                subscription TEXT NOT NULL, partition INTEGER NOT NULL, position BIGINT NOT NULL,
                starts BIGINT NOT NULL, PRIMARY KEY (subscription, partition));
            CREATE TABLE trial (
                subscription TEXT NOT NULL, partition INTEGER NOT NULL, \"offset\" BIGINT NOT NULL,
                attempts BIGINT NOT NULL, PRIMARY KEY (subscription, partition, \"offset\"));",
            "ALTER TABLE start ADD COLUMN run BIGINT NOT NULL DEFAULT 0;
            ALTER TABLE trial ADD COLUMN run BIGINT NOT NULL DEFAULT 0;
            ALTER TABLE trial DROP CONSTRAINT trial_pkey;
            ALTER TABLE trial ADD PRIMARY KEY (subscription, partition, \"offset\", run);"],
    },
    TableSet {
        name: "skipped",
        steps: &["CREATE TABLE skipped (
                number BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY, name TEXT NOT NULL, kind TEXT NOT NULL,
                first BIGINT NOT NULL, last BIGINT NOT NULL, event TEXT, key TEXT, reason TEXT NOT NULL,
                at BIGINT NOT NULL, by TEXT NOT NULL, partition INTEGER NOT NULL);"],
    },
    TableSet {
        name: "numbering",
        steps: &["CREATE TABLE numbering (one BIGINT PRIMARY KEY CHECK (one = 1), base BIGINT NOT NULL);"],
    },
    TableSet {
        name: "outbox_stepped",
        steps: &["CREATE TABLE outbox_stepped (
                sequence BIGINT PRIMARY KEY, reason TEXT NOT NULL, since BIGINT NOT NULL,
                dead BIGINT NOT NULL);
            CREATE TABLE outbox_relayed (partition INTEGER PRIMARY KEY, relayed BIGINT NOT NULL);"],
    },
];

/// Makes the outbox, the same that writers in other languages insert into, with this topic known to it; and the
/// view by which it is read, in words that every engine speaks.
///
/// # Errors
/// [`Error::Partitions`]: it was numbered for another count. [`Error::Newer`]: it is of a newer program.
pub(super) async fn outbox(
    pool: &PgPool,
    schema: &str,
    publishes: &Publishes,
) -> Result<(), Error> {
    Error::check("source", publishes.source.len(), KEY_BYTES_MAX)?;
    let Publishes { topic, partitions, .. } = publishes;
    let noted =
        sqlx::query_scalar("SELECT version FROM yeoul_version WHERE tables = 'yeoul_outbox'");
    must_not_be_newer(noted.fetch_optional(pool).await.map_err(trouble::from)?)?;
    let bare = outbox_schema(&[]);
    executed(pool, &bare).await?;
    let known = sqlx::query_scalar("SELECT partitions FROM yeoul_outbox_topic WHERE topic = $1");
    let known: Option<i32> =
        known.bind(topic.as_str()).fetch_optional(pool).await.map_err(trouble::from)?;
    if let Some(has) = known.and_then(|has| u16::try_from(has).ok())
        && has != partitions.count()
    {
        let (topic, asked) = (topic.to_string(), partitions.count());
        return Err(Error::Partitions { topic, has, asked });
    }
    let declared = Declared { topic: topic.clone(), partitions: *partitions };
    let whole = outbox_schema_with(&[declared], &view(&quoted(schema), topic));
    executed(pool, &whole).await
}

/// Has every row of the outbox whose event came from outside note there where it is: numbers are given by the statement that
/// commits, whose client is not waited for any more.
///
/// # Errors
/// The server refuses or is away.
pub(super) async fn remember(pool: &PgPool, schema: &str) -> Result<(), Error> {
    let text = schema.replace('\'', "''");
    // Two of these at once would make the same things, and what is there is not locked: others are at work with it.
    let statements = format!(
        "BEGIN; SELECT pg_advisory_xact_lock(hashtext('yeoul_outbox'));
        CREATE OR REPLACE FUNCTION yeoul_remember() RETURNS TRIGGER LANGUAGE plpgsql AS $remember$
        BEGIN
            UPDATE {schema}.remembered SET place = (NEW.partition::BIGINT << 48) | NEW.number
                WHERE event = uuid_send(NEW.id);
            RETURN NULL;
        END $remember$;
        DO $trigger$
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = '{text}.yeoul_outbox'::REGCLASS
                AND tgname = 'yeoul_remember') THEN
                CREATE TRIGGER yeoul_remember AFTER INSERT ON {schema}.yeoul_outbox
                    FOR EACH ROW EXECUTE FUNCTION yeoul_remember();
            END IF;
        END $trigger$; COMMIT"
    );
    executed(pool, &statements).await
}

/// Executes statements that are one transaction of their own, again where another one was in its way: an instance that
/// is at work uses the tables that are locked here, in an order of its own.
async fn executed(pool: &PgPool, statements: &str) -> Result<(), Error> {
    let mut connection = pool.acquire().await.map_err(trouble::from)?;
    let mut runs = 1;
    loop {
        let text = AssertSqlSafe(statements.to_owned());
        let Err(error) = sqlx::raw_sql(text).execute(&mut *connection).await else { return Ok(()) };
        // What failed is still begun there.
        sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await.map_err(trouble::from)?;
        if !trouble::is_in_the_way(&error) || runs == RUNS_MAX {
            return Err(trouble::from(error));
        }
        tracing::debug!(%error, runs, "the outbox's statements run again");
        runs += 1;
    }
}

/// The view by which a topic's rows are read, in words that every engine speaks, and the function that adds to them.
pub(super) fn view(schema: &str, topic: &Topic) -> String {
    let publish = outbox::function(schema, topic);
    // A topic's name has no quotes.
    format!(
        "CREATE OR REPLACE VIEW outbox AS SELECT {PLACE} AS sequence,
            type AS kind, subject, sequence AS number,
            (extract(epoch FROM time) * 1000000)::BIGINT AS time, correlation, causation, traceparent,
            data, uuid_send(id) AS id, key FROM {schema}.yeoul_outbox WHERE topic = '{topic}'; {publish}"
    )
}
