//! How far the relay got: noted in memory, saved now and then, with it rows that nobody will ask for again go.

use std::sync::atomic::Ordering;

use sqlx::AssertSqlSafe;

use super::follow::numbered;
use super::open::OpenSchema;
use super::outbox;
use super::rows::Rows;
use crate::error::Error;
use crate::partition::{Numbered, Partition};
use crate::store::bounds::{OUTBOX_KEPT, Reconciled};
use crate::store::epoch;
use crate::store::options::{LeaseOutcome, Publishes};
use crate::store::packed;
use crate::store::postgres::timeouts::{self, within};
use crate::store::postgres::trouble;

/// How far the relay may be ahead of what is saved about it.
const SAVED_EVERY: u64 = 256;

/// Rows removed in one statement at most, so that a long outage is not paid for by one moment.
const PRUNED_MAX: i64 = 1_000;

/// Rows that get other numbers, by their keys: those after one up to another.
#[derive(Clone, Copy)]
struct MovedRows {
    after: i64,
    end: i64,
    /// Their numbers are above this one.
    above: i64,
}

impl OpenSchema {
    /// Reads how far relays of other instances got.
    pub(super) async fn load_relayed(&self) -> Result<(), Error> {
        let held = self.leases.held();
        self.load_where(|partition| !held.contains(&partition)).await
    }

    async fn load_where(&self, is_wanted: impl Fn(Partition) -> bool) -> Result<(), Error> {
        let Some(publishes) = &self.kept.publishes else { return Ok(()) };
        let asked = sqlx::query_as("SELECT partition, relayed FROM outbox_relayed");
        let all = within(timeouts::STATEMENT, asked.fetch_all(&self.relaying)).await;
        let all: Vec<(i32, i64)> = all.map_err(trouble::from)?;
        for at in all.into_iter().filter_map(|(partition, number)| numbered(partition, number)) {
            if publishes.partitions.has(at.partition) && is_wanted(at.partition) {
                // Where this process notes, too, what was read may be old by now.
                self.kept.raise_relayed(at);
                self.saved[place(at.partition)].fetch_max(at.number, Ordering::AcqRel);
            }
        }
        Ok(())
    }

    /// Asks for the lease of a partition's relay; where it is this process's from now on, it goes on where the one
    /// before it got.
    pub(in crate::store) async fn take_lease(
        &self,
        partition: Partition,
    ) -> Result<LeaseOutcome, Error> {
        let lease = self.leases.take(partition).await?;
        if lease == LeaseOutcome::New {
            self.load_where(|it| it == partition).await?;
        }
        Ok(lease)
    }

    /// Finds out whether it has what it had.
    pub(in crate::store) async fn check_leases(&self) -> Result<(), Error> {
        self.leases.check().await
    }

    /// Gives back what it has.
    pub(in crate::store) async fn release_leases(&self) {
        self.leases.release_all().await;
    }

    /// Saves how far the relay of a partition got, once that is worth a statement.
    pub(in crate::store) async fn save_if_due(&self, partition: Partition) -> Result<(), Error> {
        let saved = self.saved[place(partition)].load(Ordering::Acquire);
        if self.kept.relayed(partition) < saved + SAVED_EVERY {
            return Ok(());
        }
        self.save(partition).await
    }

    /// Saves how far every relay of this process got.
    pub(in crate::store) async fn save_relayed(&self) -> Result<(), Error> {
        let publishes = self.kept.publishes.as_ref();
        for partition in publishes.into_iter().flat_map(|it| it.partitions.each()) {
            let saved = self.saved[place(partition)].load(Ordering::Acquire);
            if self.kept.relayed(partition) > saved {
                self.save(partition).await?;
            }
        }
        Ok(())
    }

    async fn save(&self, partition: Partition) -> Result<(), Error> {
        let at = Numbered { partition, number: self.kept.relayed(partition) };
        within(timeouts::STATEMENT, self.save_at(at)).await.map_err(trouble::from)
    }

    async fn save_at(&self, at: Numbered) -> Result<(), sqlx::Error> {
        let Some(publishes) = &self.kept.publishes else { return Ok(()) };
        let partition = at.partition;
        let mut connection = self.relaying.acquire().await?;
        let upsert = "INSERT INTO outbox_relayed (partition, relayed) VALUES ($1, $2)
            ON CONFLICT (partition) DO UPDATE SET relayed = excluded.relayed
            WHERE outbox_relayed.relayed < excluded.relayed";
        let saved = sqlx::query(upsert).bind(index(partition)).bind(at.number as i64);
        saved.execute(&mut *connection).await?;
        self.saved[place(partition)].store(at.number, Ordering::Release);
        prune(&mut connection, &self.place, publishes, at).await
    }
}

impl Rows<'_> {
    /// How far the relay once got in a partition; `None` without an outbox.
    pub(in crate::store) fn once_relayed(&self, partition: Partition) -> Option<Numbered> {
        let kept = &self.open.kept;
        kept.publishes.as_ref()?;
        Some(Numbered { partition, number: kept.relayed(partition) })
    }

    /// Compares a partition with what the broker holds of it, which was given `relayed` once, and makes both fit
    /// again.
    ///
    /// A broker that has more than was ever numbered here means rows that are gone: numbering goes on in a new epoch,
    /// because what is below would be taken for a second copy. Numbers that aborted transactions took are gaps, and no
    /// loss.
    pub(in crate::store) async fn reconcile(
        &mut self,
        published: Numbered,
        relayed: u64,
        oldest: Option<u64>,
    ) -> Result<Reconciled, Error> {
        let mut found = Reconciled::default();
        let numbered = self.number_above(published).await?;
        if numbered < published.number {
            found.outbox_lost = Some(numbered + 1..=published.number);
        }
        if published.number < relayed {
            found.log_lost = Some(published.number + 1..=relayed);
            // What is missing before the oldest row was kept no more only where it could have been pruned; else it
            // is a gap.
            let kept = oldest.unwrap_or(relayed + 1);
            let gone = published.number + 1..=relayed.saturating_sub(OUTBOX_KEPT).min(kept - 1);
            found.unmendable = (!gone.is_empty()).then_some(gone);
        }
        Ok(found)
    }

    /// Gives the rows after a number, none of which was relayed, numbers of an epoch above `published`, in their order;
    /// what is remembered of them knows them by those. Whoever numbers is locked out.
    pub(in crate::store) async fn move_up(
        &mut self,
        after: Numbered,
        published: u64,
    ) -> Result<(), Error> {
        let Some(publishes) = &self.open.kept.publishes else { return Ok(()) };
        let sequence = self.sequence_of(publishes, after.partition).await?;
        let above = epoch::after(published.max(self.newest_of(&sequence).await?))?;
        let schema = &self.open.place;
        let place = outbox::PLACE;
        let renumber = format!(
            "UPDATE {schema}.yeoul_outbox AS it SET number = moved.number FROM (
                SELECT id, $4::BIGINT + row_number() OVER (ORDER BY {place}) AS number
                FROM {schema}.yeoul_outbox WHERE topic = $1 AND {place} > $2 AND {place} <= $3) AS moved
            WHERE it.id = moved.id"
        );
        let end = packed::end(after.partition) as i64;
        let given = MovedRows { after: packed::pack(after) as i64, end, above: above as i64 };
        let moved = self.move_rows(&renumber, publishes, given).await?;
        if self.open.kept.takes_whole() {
            let remember = format!(
                "UPDATE {schema}.remembered SET place = {place} FROM {schema}.yeoul_outbox AS it
                WHERE event = uuid_send(it.id) AND topic = $1 AND {place} > $2 AND {place} <= $3 AND number > $4"
            );
            self.move_rows(&remember, publishes, given).await?;
        }
        self.raise(&sequence, above + moved).await?;
        self.note_epoch(publishes, above >> 32).await
    }

    /// Has the next number of a partition be of an epoch above this one, if it would not be above it; how far it was
    /// numbered before.
    async fn number_above(&mut self, at: Numbered) -> Result<u64, Error> {
        let Some(publishes) = &self.open.kept.publishes else { return Ok(at.number) };
        let sequence = self.sequence_of(publishes, at.partition).await?;
        let newest = self.newest_of(&sequence).await?;
        if newest < at.number {
            let above = epoch::after(at.number)?;
            self.raise(&sequence, above).await?;
            self.note_epoch(publishes, above >> 32).await?;
        }
        Ok(newest)
    }

    /// Changes the rows of a stretch; how many. As many as may wait are changed at once: the server's own limit is the only one.
    async fn move_rows(
        &mut self,
        statement: &str,
        publishes: &Publishes,
        MovedRows { after, end, above }: MovedRows,
    ) -> Result<u64, Error> {
        let query = sqlx::query(AssertSqlSafe(statement.to_owned()));
        let query = query.bind(publishes.topic.as_str()).bind(after).bind(end).bind(above);
        let moved = query.execute(&mut *self.connection).await;
        moved.map(|done| done.rows_affected()).map_err(|error| self.note(error))
    }

    /// What the sequence is called that numbers a partition.
    async fn sequence_of(
        &mut self,
        publishes: &Publishes,
        partition: Partition,
    ) -> Result<String, Error> {
        let schema = &self.open.place;
        let select = format!("SELECT id FROM {schema}.yeoul_outbox_topic WHERE topic = $1");
        let topic = sqlx::query_scalar(AssertSqlSafe(select)).bind(publishes.topic.as_str());
        let found = within(timeouts::STATEMENT, topic.fetch_one(&mut *self.connection)).await;
        let topic: i32 = found.map_err(|error| self.note(error))?;
        Ok(format!("{schema}.yeoul_outbox_{topic}_{}", partition.index()))
    }

    /// The newest number that a sequence gave, 0 before the first.
    async fn newest_of(&mut self, sequence: &str) -> Result<u64, Error> {
        let select =
            format!("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sequence}");
        let newest = sqlx::query_scalar(AssertSqlSafe(select)).fetch_one(&mut *self.connection);
        let found = within(timeouts::STATEMENT, newest).await;
        found.map(i64::unsigned_abs).map_err(|error| self.note(error))
    }

    /// Has a sequence give the number after this one next.
    async fn raise(&mut self, sequence: &str, above: u64) -> Result<(), Error> {
        let raise = sqlx::query("SELECT setval($1::REGCLASS, $2)").bind(sequence);
        let raised = raise.bind(above as i64).execute(&mut *self.connection);
        let raised = within(timeouts::STATEMENT, raised).await;
        raised.map(drop).map_err(|error| self.note(error))
    }

    /// Notes that numbers of this epoch may be given from the commit on: the next one to begin is above it.
    async fn note_epoch(&mut self, publishes: &Publishes, begun: u64) -> Result<(), Error> {
        let schema = &self.open.place;
        let note = format!(
            "UPDATE {schema}.yeoul_outbox_topic SET epoch = $2 WHERE topic = $1 AND epoch < $2"
        );
        let note = sqlx::query(AssertSqlSafe(note)).bind(publishes.topic.as_str());
        let noted = note.bind(begun as i64).execute(&mut *self.connection);
        let noted = within(timeouts::STATEMENT, noted).await;
        noted.map(drop).map_err(|error| self.note(error))
    }
}

/// Removes relayed rows that are not kept any more, and notes on them; none whose letter is open.
async fn prune(
    connection: &mut sqlx::PgConnection,
    schema: &str,
    publishes: &Publishes,
    relayed: Numbered,
) -> Result<(), sqlx::Error> {
    // What is left of the epoch before goes once this one has as many.
    if epoch::count(relayed.number) < OUTBOX_KEPT {
        return Ok(());
    }
    let until = Numbered { number: relayed.number - OUTBOX_KEPT, ..relayed };
    let (first, last) = (packed::base(until.partition), packed::pack(until));
    let rows = sqlx::query(AssertSqlSafe(outbox::prune(schema)))
        .bind(publishes.topic.as_str())
        .bind(first as i64)
        .bind(last as i64)
        .bind(PRUNED_MAX);
    rows.execute(&mut *connection).await?;
    let forget = "DELETE FROM outbox_stepped WHERE sequence BETWEEN $1 AND $2 AND dead = 0";
    let notes = sqlx::query(forget).bind(first as i64).bind(last as i64);
    notes.execute(connection).await.map(drop)
}

fn place(partition: Partition) -> usize {
    usize::from(partition.index())
}

fn index(partition: Partition) -> i32 {
    partition.index().into()
}
