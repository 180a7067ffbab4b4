//! One relay for each partition of an outbox at a time, however many instances there are.
//!
//! A lease is a lock that one session of this process holds; when that ends, whatever ended it, the lock is free
//! for another instance. A relay whose session was lost and who does not know yet publishes what the other one
//! does, too: in the same order, so that inboxes take one of each for a second copy.

use std::collections::BTreeSet;

use sqlx::{Connection, PgConnection, PgPool};
use tokio::sync::Mutex;

use crate::error::Error;
use crate::partition::Partition;
use crate::store::postgres::{connection, trouble};

/// Locks of relays have negative numbers, those of writers, beside them, the same without a sign: a partition's of
/// each topic apart.
const TAKE: &str =
    "SELECT pg_try_advisory_lock('yeoul_outbox'::REGCLASS::INTEGER, -1 - (id * 128 + $1))
    FROM yeoul_outbox_topic WHERE topic = $2";

/// Whose a partition is to relay.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Lease {
    /// This process's, as before.
    Had,
    /// This process's from here on.
    New,
    Anothers,
}

/// What this process holds.
pub(super) struct Leases {
    pool: PgPool,
    /// Whose partitions they are.
    topic: String,
    session: Mutex<Option<Session>>,
}

struct Session {
    connection: PgConnection,
    held: BTreeSet<Partition>,
}

impl Leases {
    /// None yet.
    pub(super) fn new(pool: PgPool, topic: String) -> Leases {
        Leases { pool, topic, session: Mutex::new(None) }
    }

    /// Asks for the lease of a partition.
    pub(super) async fn take(&self, partition: Partition) -> Result<Lease, Error> {
        let mut session = self.session.lock().await;
        if session.is_none() {
            let connection = connection::apart(&self.pool).await?;
            *session = Some(Session { connection, held: BTreeSet::new() });
        }
        let open = session.as_mut().expect("just opened");
        let taken = open.take(partition, &self.topic).await;
        if taken.is_err() {
            // With it all that it held is free.
            *session = None;
        }
        taken.map_err(trouble::from)
    }

    /// Which partitions it has.
    pub(super) async fn held(&self) -> BTreeSet<Partition> {
        let session = self.session.lock().await;
        session.as_ref().map(|session| session.held.clone()).unwrap_or_default()
    }

    /// Gives all of them back.
    pub(super) async fn let_go(&self) {
        if let Some(Session { connection, .. }) = self.session.lock().await.take() {
            // The server frees them when it notices, if not now.
            let _ = connection.close().await;
        }
    }
}

impl Session {
    async fn take(&mut self, partition: Partition, topic: &str) -> Result<Lease, sqlx::Error> {
        if self.held.contains(&partition) {
            return self.connection.ping().await.map(|()| Lease::Had);
        }
        let index = i32::from(partition.index());
        let asked = sqlx::query_scalar(TAKE).bind(index).bind(topic);
        let taken: bool = asked.fetch_one(&mut self.connection).await?;
        if !taken {
            return Ok(Lease::Anothers);
        }
        self.held.insert(partition);
        Ok(Lease::New)
    }
}
