//! One relay for each partition of an outbox at a time, however many instances there are.
//!
//! A lease is a lock that one session of this process holds; when that ends, whatever ended it, the lock is free
//! for another instance. A relay whose session was lost and who does not know yet publishes what the other one
//! does, too: in the same order, so that inboxes take one of each for a second copy.
//!
//! A session that is silent is lost, too. Here that is an answer which does not come in time; for the server it is the
//! other end's machine, of which it hears nothing ([`connection`] has it look). Who holds what is known apart
//! from the session, so that nobody who asks for that waits for it.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use tokio::sync::{Mutex, watch};

use crate::error::Error;
use crate::partition::Partition;
use crate::store::options::LeaseOutcome;
use crate::store::postgres::{connection, trouble};

/// Locks of relays have negative numbers, those of writers, beside them, the same without a sign: a partition's of
/// each topic apart.
fn statement(schema: &str) -> String {
    let table = schema.replace('\'', "''");
    format!(
        "SELECT pg_try_advisory_lock('{table}.yeoul_outbox'::REGCLASS::INTEGER, -1 - (id * 128 + $1))
        FROM {schema}.yeoul_outbox_topic WHERE topic = $2"
    )
}

/// How long the session may take to answer, or to be free for a question; past that it is lost.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

/// What this process holds.
pub(super) struct Leases {
    pool: PgPool,
    /// What asks for one.
    take: String,
    /// Whose partitions they are.
    topic: String,
    session: Mutex<Option<PgConnection>>,
    held: watch::Sender<BTreeSet<Partition>>,
}

/// A session that was asked for a lease, and what it said.
struct LeaseAnswer {
    connection: PgConnection,
    outcome: LeaseOutcome,
}

impl Leases {
    /// None yet.
    pub(super) fn new(pool: PgPool, schema: &str, topic: String) -> Leases {
        let (session, held) = (Mutex::new(None), watch::Sender::default());
        Leases { pool, take: statement(schema), topic, session, held }
    }

    /// Asks for the lease of a partition. One that it has it is not asked for again: [`check`](Self::check) finds out
    /// when it is lost, and what is published until then others recognise.
    pub(super) async fn take(&self, partition: Partition) -> Result<LeaseOutcome, Error> {
        if self.held.borrow().contains(&partition) {
            return Ok(LeaseOutcome::Had);
        }
        let mut session = answered(async { Ok(self.session.lock().await) }).await?;
        // Out of its place while it is asked: where this ends before its time, so does the session.
        let taken = answered(self.ask(session.take(), partition)).await;
        if taken.is_err() {
            // With it all that it held is free.
            self.held.send_replace(BTreeSet::new());
        }
        let LeaseAnswer { connection, outcome } = taken?;
        *session = Some(connection);
        Ok(outcome)
    }

    async fn ask(
        &self,
        session: Option<PgConnection>,
        partition: Partition,
    ) -> Result<LeaseAnswer, Error> {
        let mut connection = match session {
            Some(connection) => connection,
            None => {
                self.held.send_replace(BTreeSet::new());
                connection::apart(&self.pool).await?
            }
        };
        let index = i32::from(partition.index());
        let asked =
            sqlx::query_scalar(AssertSqlSafe(self.take.clone())).bind(index).bind(&self.topic);
        if !asked.fetch_one(&mut connection).await.map_err(trouble::from)? {
            return Ok(LeaseAnswer { connection, outcome: LeaseOutcome::Anothers });
        }
        self.held.send_modify(|held| _ = held.insert(partition));
        Ok(LeaseAnswer { connection, outcome: LeaseOutcome::New })
    }

    /// Whether the session is there that all of them hang on; none is had any more where it is not.
    pub(super) async fn check(&self) -> Result<(), Error> {
        if self.held.borrow().is_empty() {
            return Ok(());
        }
        let mut session = answered(async { Ok(self.session.lock().await) }).await?;
        // Out of its place meanwhile, as above.
        let Some(mut connection) = session.take() else { return Ok(()) };
        let checked = answered(async { connection.ping().await.map_err(trouble::from) }).await;
        match &checked {
            Ok(()) => *session = Some(connection),
            Err(_) => _ = self.held.send_replace(BTreeSet::new()),
        }
        checked
    }

    /// Which partitions it has.
    pub(super) fn held(&self) -> BTreeSet<Partition> {
        self.held.borrow().clone()
    }

    /// Gives all of them back.
    pub(super) async fn release_all(&self) {
        let closed = answered(async {
            let session = self.session.lock().await.take();
            self.held.send_replace(BTreeSet::new());
            match session {
                Some(connection) => connection.close().await.map_err(trouble::from),
                None => Ok(()),
            }
        });
        // The server frees them when it notices, if not now.
        let _ = closed.await;
    }
}

/// The answer, unless it does not come.
async fn answered<T>(asked: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let late = || Error::environment("the server does not say whose a partition is to relay");
    tokio::time::timeout(ANSWERED_WITHIN, asked).await.unwrap_or_else(|_| Err(late()))
}
