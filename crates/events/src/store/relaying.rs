//! What a relay asks of a database: what waits in its outbox, how far it got, whether it is its own to relay.
//!
//! An embedded engine has one process and one writer; a server may have other instances, whose commits have to be
//! asked for and whose relays take turns.

use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::broker::NumberedId;
use crate::error::Error;
use crate::event::Event;
use crate::marks::Publisher;
use crate::partition::{Numbered, Partition};
use crate::relay_progress::Progress;
use crate::standing::{Own, Seen};
use crate::store::bounds::{OUTBOX_KEPT, Reconciled};
use crate::store::database::{Database, Engine};
use crate::store::options::{LeaseOutcome, Reading};
use crate::store::origin::Origin;
use crate::store::rows::Rows;
use crate::store::tx::Working;
use crate::store::{epoch, outbox, packed};

/// How late at most a relay hears of what other processes committed.
const FOLLOWED_EVERY: Duration = Duration::from_millis(250);

impl Database {
    /// Learns what other processes have committed, where there may be some.
    pub(crate) async fn follow(&self) -> Result<(), Error> {
        match &self.engine {
            Engine::Embedded(_) => Ok(()),
            Engine::Served(server) => Box::pin(server.follow()).await,
        }
    }

    /// Finds out whether what it has to relay is its own still.
    pub(crate) async fn check_leases(&self) -> Result<(), Error> {
        match &self.engine {
            Engine::Embedded(_) => Ok(()),
            Engine::Served(server) => Box::pin(server.check_leases()).await,
        }
    }

    /// Whether other processes may have it open beside this one.
    pub(crate) fn has_instances(&self) -> bool {
        self.followed_every().is_some()
    }

    /// How often it has to be [followed](Self::follow) to see what others commit; never, where nobody else does.
    pub(crate) fn followed_every(&self) -> Option<Duration> {
        match &self.engine {
            Engine::Embedded(_) => None,
            Engine::Served(_) => Some(FOLLOWED_EVERY),
        }
    }

    /// Asks for the lease of a partition's relay.
    pub(crate) async fn take_lease(&self, partition: Partition) -> Result<LeaseOutcome, Error> {
        match &self.engine {
            Engine::Embedded(_) => Ok(LeaseOutcome::Had),
            Engine::Served(server) => Box::pin(server.take_lease(partition)).await,
        }
    }

    /// Gives back what this process alone may relay: another one takes over.
    pub(crate) async fn release_leases(&self) {
        match &self.engine {
            Engine::Embedded(_) => {}
            Engine::Served(server) => Box::pin(server.release_leases()).await,
        }
    }

    /// The same from where nobody can wait for it.
    pub(crate) fn drop_leases(&self) {
        match &self.engine {
            Engine::Embedded(_) => {}
            Engine::Served(server) => server.drop_leases(),
        }
    }

    /// Saves how far the relay of a partition got, where nobody else does that by the way.
    pub(crate) async fn save_if_due(&self, partition: Partition) -> Result<(), Error> {
        match &self.engine {
            Engine::Embedded(_) => Ok(()),
            Engine::Served(server) => Box::pin(server.save_if_due(partition)).await,
        }
    }

    /// Up to `limit` events of a partition of the outbox after `after`, and no more than [`WAITING_BYTES_MAX`] of
    /// data unless it is one; committed ones only, and none that the relay steps over.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the very next row is hurt (sound ones before it are returned first);
    /// [`Error::Environment`]: read again later.
    pub(crate) async fn waiting(&self, after: Numbered, limit: usize) -> Result<Vec<Event>, Error> {
        let Some(origin) = self.origin() else { return Ok(Vec::new()) };
        let given = |until| UnrelayedRange { origin, after, until, limit };
        match &self.engine {
            Engine::Embedded(file) => file.read(&given(packed::end(after.partition)), waiting),
            // What is newer can be seen, and may not be on disk.
            Engine::Served(server) => {
                let number = self.kept().newest(after.partition);
                let until = packed::pack(Numbered { number, ..after });
                Box::pin(server.read(Reading::ToRelay, &given(until), waiting)).await
            }
        }
    }

    /// As [`waiting`](Self::waiting), up to the first number that is lost; the damage, if that is the
    /// very next.
    pub(crate) async fn waiting_whole(
        &self,
        after: Numbered,
        limit: usize,
    ) -> Result<Vec<Event>, Error> {
        let events = self.waiting(after, limit).await?;
        match &self.engine {
            Engine::Embedded(file) => file.whole(after, events),
            // What is missing there was taken by transactions that were taken back.
            Engine::Served(_) => Ok(events),
        }
    }

    /// Compares a partition of the outbox with the highest sequence the broker holds of it.
    pub(crate) fn reconcile(
        &self,
        published: Numbered,
    ) -> impl Future<Output = Result<Reconciled, Error>> + Send + 'static {
        let compared = self.write(published, |&published, tx| Box::pin(tx.reconcile(published)));
        let database = self.clone();
        async move {
            let found = compared.await?;
            // Only now: a comparison that was not committed has to find the same again.
            database.relayed(published);
            Ok(found)
        }
    }

    /// Gives the rows of a partition after a number, none of which was relayed, other ones: above what the broker has up to
    /// `published`, from which the relay goes on.
    pub(crate) async fn move_up(&self, after: Numbered, published: u64) -> Result<(), Error> {
        let moved = self.write((after, published), |(after, published), tx| {
            Box::pin(tx.move_up(*after, *published))
        });
        moved.await?;
        self.relayed(Numbered { number: published, ..after });
        Ok(())
    }

    /// Whether no row after a number has one up to `newest`, and none will be given.
    pub(crate) async fn is_above(&self, after: Numbered, newest: u64) -> Result<bool, Error> {
        let last = Numbered { number: newest, ..after };
        let given = (packed::pack(after), packed::pack(last));
        let within = self.read(&given, |(after, last), rows| {
            let select = "SELECT 1 FROM outbox WHERE sequence > ?1 AND sequence <= ?2 LIMIT 1";
            Box::pin(async move { rows.find(select, &[after, last], |_| Ok::<_, Error>(())).await })
        });
        Ok(within.await?.is_none() && self.numbered_up_to(after.partition) >= newest)
    }

    /// What is here under each of these numbers of a partition, as far as it is another event than the broker has there.
    pub(crate) async fn compared(
        &self,
        partition: Partition,
        found: Vec<NumberedId>,
    ) -> Result<Vec<Seen>, Error> {
        let Some(origin) = self.origin() else { return Ok(Vec::new()) };
        let given = (origin, partition, found);
        let compare = self.read(&given, |(origin, partition, found), rows| {
            Box::pin(compared_in(rows, *origin, *partition, found))
        });
        compare.await
    }

    /// Whose rows the outbox's are, and what their ids begin with.
    pub(crate) fn origin(&self) -> Option<Origin<'_>> {
        self.kept().origin()
    }

    /// The id that the event of a number has, or would have if its row were sound.
    pub(crate) async fn id_of(&self, at: Numbered) -> Result<String, Error> {
        let origin = self.origin().expect("a database that publishes");
        let given = (origin, at);
        self.read(&given, |(origin, at), rows| Box::pin(outbox::id_of(rows, *origin, *at))).await
    }

    /// Events of a partition of the outbox after `relayed`, by its numbers.
    pub(crate) fn lag(&self, relayed: Numbered) -> u64 {
        match &self.engine {
            Engine::Embedded(file) => file.lag(relayed),
            Engine::Served(server) => {
                epoch::between(relayed.number, server.kept().newest(relayed.partition))
            }
        }
    }

    /// Up to where numbers of a partition were given, or left out.
    pub(crate) fn numbered_up_to(&self, partition: Partition) -> u64 {
        let newest = self.kept().newest(partition);
        match &self.engine {
            Engine::Embedded(file) => newest.max(file.left_out_up_to(partition)),
            Engine::Served(_) => newest,
        }
    }

    /// How a partition of the outbox stands, for a comparison with a log that holds it up to `published`.
    pub(crate) async fn publisher(&self, published: Numbered) -> Result<Option<Publisher>, Error> {
        let Some(origin) = self.origin() else { return Ok(None) };
        let Numbered { partition, number: published } = published;
        let once = Numbered { partition, number: self.relayed_up_to(partition) };
        let read = self.read(&once, |once, rows| {
            Box::pin(async move {
                let oldest = outbox::oldest(rows, once.partition).await?;
                Ok::<_, Error>((oldest, outbox::newest_published(rows, *once).await?))
            })
        });
        let (oldest, relayed) = read.await?;
        let oldest = match &self.engine {
            Engine::Embedded(_) => oldest,
            // Gaps before it were taken by transactions that were taken back, unless rows there can be pruned.
            Engine::Served(_) => {
                let pruned = epoch::count(relayed).checked_sub(OUTBOX_KEPT);
                oldest.map(|it| it.min(pruned.map_or(1, |_| relayed - OUTBOX_KEPT + 1)))
            }
        };
        let newest = self.kept().newest(partition);
        let newest = match &self.engine {
            Engine::Embedded(_) => newest,
            // A server that went back to an earlier moment is no reason to stop: its relay numbers above.
            Engine::Served(_) => newest.max(published),
        };
        let source = origin.source.to_owned();
        Ok(Some(Publisher { source, partition, newest, oldest, relayed, published }))
    }

    /// The newest row of a partition up to `relayed` that a broker was given, and no letter.
    pub(crate) async fn newest_published(&self, relayed: Numbered) -> Result<u64, Error> {
        self.read(&relayed, |relayed, rows| Box::pin(outbox::newest_published(rows, *relayed)))
            .await
    }

    /// Where the relay of this partition of the outbox records how it is doing.
    pub(crate) fn relay_progress(&self, partition: Partition) -> &watch::Sender<Progress> {
        &self.kept().relay_progress[usize::from(partition.index())]
    }

    /// What time it is, by the clock it was opened with.
    pub(crate) fn now(&self) -> Timestamp {
        (self.kept().clock)()
    }

    /// Notes how far the relay got; saved with one of the next transactions.
    pub(crate) fn relayed(&self, up_to: Numbered) {
        self.kept().note_relayed(up_to);
    }

    /// How far the relay got, as it was noted last; at the start, as it was saved.
    pub(crate) fn relayed_up_to(&self, partition: Partition) -> u64 {
        self.kept().relayed(partition)
    }

    /// Saves how far the relay got, now.
    pub(crate) async fn save_relayed(&self) -> Result<(), Error> {
        match &self.engine {
            Engine::Embedded(_) => self.write((), |(), tx| Box::pin(tx.save_relayed())).await,
            Engine::Served(server) => Box::pin(server.save_relayed()).await,
        }
    }
}

async fn compared_in(
    rows: &mut Rows<'_>,
    origin: Origin<'_>,
    partition: Partition,
    found: &[NumberedId],
) -> Result<Vec<Seen>, Error> {
    let mut all = Vec::with_capacity(found.len());
    for NumberedId { number, source, id } in found {
        let own = match outbox::find(rows, origin, Numbered { partition, number: *number }).await {
            Ok(None) => Own::Nothing,
            Ok(Some(event)) if event.source == *source && event.id == *id => Own::Same,
            Ok(Some(_)) => Own::Another,
            // A row that is hurt says nothing of whose it was.
            Err(Error::Damaged { .. }) => Own::Same,
            Err(error) => return Err(error),
        };
        all.push(Seen { number: *number, own });
    }
    Ok(all)
}

/// Which events are read to be relayed.
struct UnrelayedRange<'o> {
    origin: Origin<'o>,
    after: Numbered,
    /// As the table has it ([`packed`]).
    until: u64,
    limit: usize,
}

fn waiting<'a>(
    &UnrelayedRange { origin, after, until, limit }: &'a UnrelayedRange<'_>,
    rows: &'a mut Rows<'_>,
) -> Working<'a, Vec<Event>, Error> {
    Box::pin(outbox::waiting(rows, origin, after, until, limit))
}
