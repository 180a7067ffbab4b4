//! The open schema: its connections, and what is known of it in memory.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use sqlx::PgPool;
use tokio::sync::watch;

use super::flushes::Flushes;
use super::ids::Ids;
use super::leases::Leases;
use crate::partition::Numbered;
use crate::partition::numbers::Numbers;
use crate::store::kept::Kept;
use crate::store::postgres::connection;
use crate::store::postgres::statements::{Statements, quoted};

/// Connections of all relays of an outbox together: each asks one short question at a time.
const RELAYING: u32 = 2;

/// What every piece of work on the schema shares: connections, statements it has translated, leases, and how far
/// the outbox was committed and relayed.
pub(in crate::store) struct OpenSchema {
    pub(super) pool: PgPool,
    /// Of what relays: it does not wait behind those whose writes it is to carry away.
    pub(super) relaying: PgPool,
    /// The schema that the outbox is in, as statements name it. Not on the path where others may make things in it.
    pub(super) place: String,
    pub(super) statements: Statements,
    pub(super) ids: Ids,
    pub(super) kept: Kept,
    pub(super) newest: watch::Sender<Numbers>,
    pub(super) leases: Leases,
    pub(super) flushes: Flushes,
    /// How far the relay's saved notes are, a place for each partition.
    pub(super) saved: Arc<[AtomicU64]>,
}

impl OpenSchema {
    pub(super) fn new(
        pool: PgPool,
        schema: &str,
        kept: Kept,
        newest: watch::Sender<Numbers>,
        saved: Arc<[AtomicU64]>,
    ) -> OpenSchema {
        let topic = kept.publishes.as_ref().map_or("", |it| it.topic.as_str());
        let place = quoted(schema);
        let leases = Leases::new(pool.clone(), &place, topic.to_owned());
        let (statements, ids) = (Statements::default(), Ids::default());
        let relaying = connection::beside(&pool, RELAYING);
        let flushes = Flushes::new(pool.clone());
        OpenSchema { pool, relaying, place, statements, ids, kept, newest, leases, flushes, saved }
    }

    /// Notes what this process has committed: whoever follows wakes.
    pub(super) fn raise(&self, numbers: &[Numbered]) {
        self.newest.send_if_modified(|newest| {
            let mut is_news = false;
            for number in numbers {
                is_news |= newest.raise(*number);
            }
            is_news
        });
    }
}
