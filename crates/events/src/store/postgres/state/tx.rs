//! A piece of work's events, and parts of it that are taken back alone.
//!
//! Each part that stands stays a transaction within the transaction for the server, and past sixty-four of them
//! everybody's look at what is visible gets slow. So there are at most [`PARTS_MAX`].

use std::collections::{BTreeSet, HashSet};

use jiff::Timestamp;
use sqlx::AssertSqlSafe;

use super::ids::DRAW;
use super::outbox::{self, Unnumbered};
use super::rows::Rows;
use crate::error::Error;
use crate::event::id::EventId;
use crate::event::{Draft, Event};
use crate::offer::{Drafted, Offered};
use crate::partition::{Partition, Partitions};
use crate::store::bounds::{SAVEPOINTS_DEEP_MAX, check_room};
use crate::store::epoch;
use crate::store::postgres::timeouts::{self, within};
use crate::store::published::Published;
use crate::store::savepoints::STATEMENTS;
use crate::store::value::Bind;

const REMEMBER: &str = "INSERT INTO remembered (source, id, key, kind, event, taken)
    SELECT source, id, key, kind, event, $6
    FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::TEXT[], $5::BYTEA[]) AS it (source, id, key, kind, event)
    ORDER BY source COLLATE \"C\", id COLLATE \"C\" ON CONFLICT (source, id) DO NOTHING RETURNING event";

/// Savepoints of one transaction whose parts stand or are under way.
pub(in crate::store) const PARTS_MAX: usize = 60;

/// Where the transaction can go back to.
#[derive(Debug)]
pub(in crate::store) struct Savepoint {
    depth: usize,
    kept: usize,
    drafts: usize,
    failed: bool,
}

impl Rows<'_> {
    /// The id of an event of `now`. One whose transaction is taken back is not given again.
    async fn next_id(&mut self, now: Timestamp) -> Result<EventId, Error> {
        loop {
            if let Some(random) = self.open.ids.take() {
                return Ok(EventId::new(now, random));
            }
            let asked = sqlx::query_scalar(DRAW).fetch_one(&mut *self.connection);
            let drawn = within(timeouts::STATEMENT, asked).await;
            let drawn: Vec<u8> = drawn.map_err(|error| self.note(error))?;
            self.open.ids.add(&drawn);
        }
    }

    /// Has an event published by this work's last statement.
    pub(in crate::store) async fn publish(
        &mut self,
        draft: Draft,
        now: Timestamp,
    ) -> Result<Published, Error> {
        let pending = self.unnumbered(draft, now).await?;
        self.draft(pending)
    }

    /// The same of one that may be remembered: whether it has room is asked by [`remember`](Self::remember), where it is not.
    pub(in crate::store) async fn publish_to_remember(
        &mut self,
        draft: Draft,
        now: Timestamp,
    ) -> Result<Published, Error> {
        let pending = self.unnumbered(draft, now).await?;
        Ok(self.push(pending))
    }

    async fn unnumbered(&mut self, draft: Draft, now: Timestamp) -> Result<Unnumbered, Error> {
        draft.sequence.bind()?;
        let publishes = self.open.kept.publishes.as_ref();
        let publishes = publishes.expect("a database that publishes has an outbox");
        let partition = publishes.partitions.of(&draft.subject);
        let id = self.next_id(now).await?;
        Ok(Unnumbered::of(draft, partition, now, id))
    }

    /// Remembers events whose drafts have these ids, in one order whoever sends them, so that two who send the same wait for one
    /// another and never for each other; drafts of those that somebody remembered before are taken back. The ids of the others.
    pub(in crate::store) async fn remember(
        &mut self,
        drafted: &[Drafted<'_>],
        now: Timestamp,
    ) -> Result<HashSet<EventId>, Error> {
        let of = |read: fn(&Offered) -> &String| -> Vec<&str> {
            drafted.iter().map(|one| read(one.offered).as_str()).collect()
        };
        let ids: Vec<Vec<u8>> = drafted.iter().map(|one| one.id.as_bytes().to_vec()).collect();
        let insert = sqlx::query_scalar(REMEMBER)
            .bind(of(|it| &it.source))
            .bind(of(|it| &it.id))
            .bind(of(|it| &it.key))
            .bind(of(|it| &it.kind))
            .bind(ids)
            .bind(now.as_microsecond());
        let new = within(timeouts::STATEMENT, insert.fetch_all(&mut *self.connection)).await;
        let new: Vec<Vec<u8>> = new.map_err(|error| self.note(error))?;
        let new = new.iter().filter_map(|id| id.as_slice().try_into().ok());
        let new: HashSet<EventId> = new.map(EventId::from_bytes).collect();
        self.drafts.retain(|id| new.contains(&id));
        let publishes = self.open.kept.publishes.as_ref();
        let partitions = publishes.map_or(Partitions::ONE, |it| it.partitions);
        let written = drafted.iter().map(|one| partitions.of(&one.offered.key));
        for partition in written.collect::<BTreeSet<_>>() {
            // The last of them found all others before it.
            if let Some(before) = self.drafts.count_in(partition).checked_sub(1) {
                self.check_room(partition, before)?;
            }
        }
        Ok(new)
    }

    /// Whether rows of its outbox may have whole events.
    pub(in crate::store) fn takes_whole(&self) -> bool {
        self.open.kept.takes_whole()
    }

    /// Has one published again, under an id of its own.
    pub(in crate::store) async fn publish_again(
        &mut self,
        event: Event,
        now: Timestamp,
    ) -> Result<(), Error> {
        let publishes = self.open.kept.publishes.as_ref();
        let publishes = publishes.expect("a database that publishes has an outbox");
        let partition = publishes.partitions.of(&event.key);
        let id = self.next_id(now).await?;
        self.draft(Unnumbered::again(event, partition, id)).map(drop)
    }

    /// Takes the lock under which a partition's events are numbered, until this transaction is over and visible.
    pub(in crate::store) async fn lock_partition(
        &mut self,
        partition: Partition,
    ) -> Result<(), Error> {
        let publishes = self.open.kept.publishes.as_ref();
        let topic = &publishes.expect("a database that publishes has an outbox").topic;
        let lock = outbox::lock(&self.open.place);
        let lock = sqlx::query(AssertSqlSafe(lock))
            .bind(topic.as_str())
            .bind(i32::from(partition.index()));
        let locked = within(timeouts::STATEMENT, lock.execute(&mut *self.connection)).await;
        locked.map(drop).map_err(|error| self.note(error))
    }

    fn draft(&mut self, pending: Unnumbered) -> Result<Published, Error> {
        self.check_room(pending.partition, self.drafts.count_in(pending.partition))?;
        Ok(self.push(pending))
    }

    /// What this very work has drafted waits as soon as it is committed.
    fn check_room(&self, partition: Partition, drafted: u64) -> Result<(), Error> {
        let kept = &self.open.kept;
        let waiting = epoch::between(kept.relayed(partition), kept.newest(partition));
        check_room(waiting + drafted)
    }

    fn push(&mut self, pending: Unnumbered) -> Published {
        let published = pending.published();
        self.drafts.push(pending);
        published
    }

    /// Sets a savepoint within those that are open.
    pub(in crate::store) async fn set_savepoint(&mut self) -> Result<Savepoint, Error> {
        Error::check("savepoints within savepoints", self.depth + 1, SAVEPOINTS_DEEP_MAX)?;
        let refused = Error::check("savepoints of a transaction", self.kept + 1, PARTS_MAX);
        self.out_of_parts |= refused.is_err();
        refused?;
        let failed = self.failed;
        self.run(STATEMENTS[self.depth].set).await?;
        let savepoint =
            Savepoint { depth: self.depth, kept: self.kept, drafts: self.drafts.len(), failed };
        self.depth += 1;
        self.kept += 1;
        Ok(savepoint)
    }

    /// Ends the part that began there.
    pub(in crate::store) async fn end_savepoint(
        &mut self,
        at: Savepoint,
        stands: bool,
    ) -> Result<(), Error> {
        let Savepoint { depth, kept, drafts, failed } = at;
        self.depth = depth;
        if stands && !self.failed {
            return self.run(STATEMENTS[depth].release).await;
        }
        self.run(STATEMENTS[depth].undo_and_release).await?;
        self.drafts.truncate(drafts);
        self.kept = kept;
        let ended = self.failed;
        self.failed = failed;
        if stands && ended {
            // What failed in it is taken back with the rest of it, and the work must not go on as if it stood.
            return Err(Error::environment("the engine ended this part of the transaction"));
        }
        Ok(())
    }
}
