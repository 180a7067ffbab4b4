//! The open schema, as every handle on it has it: how a piece of work and a read run.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, watch};

use super::commit::{Committed, DiskWait, commit};
use super::open::OpenSchema;
use super::rows::Rows;
use super::transaction::{Transaction, begin_read};
use super::{table, tables, versions};
use crate::Clock;
use crate::error::Error;
use crate::partition::numbers::Numbers;
use crate::store::bounds::WRITE_QUEUE_MAX;
use crate::store::kept::Kept;
use crate::store::options::{self, Host, Reading};
use crate::store::panicked;
use crate::store::postgres::connection::{self, ACQUIRED_WITHIN};
use crate::store::postgres::timeouts;
use crate::store::postgres::trouble;
use crate::store::rows as common;
use crate::store::tx::{Tx, Working};

/// How often a piece of work runs at most where other transactions are in its way.
pub(super) const RUNS_MAX: u32 = 5;

/// How long a piece of work may take: it waits for nothing but its database, which answers or gives up sooner.
const WORK_MAX: Duration = Duration::from_secs(60);

/// A handle on the open schema; clones share it, and its works end with the runtime that it was opened in.
#[derive(Clone)]
pub(in crate::store) struct Server(Arc<Inner>);

struct Inner {
    open: OpenSchema,
    /// Places of works that are under way.
    works: Arc<Semaphore>,
    closed: AtomicBool,
    tasks: Handle,
}

impl std::ops::Deref for Server {
    type Target = OpenSchema;

    fn deref(&self) -> &OpenSchema {
        &self.0.open
    }
}

/// What one run of a piece of work came to.
enum Ran<T, E> {
    Done(Result<T, E>),
    /// Another transaction was in the way, and nothing of it stands.
    Again(Error),
}

impl Server {
    /// Opens the schema, makes it and brings its tables up to date, and reads where the outbox stands.
    pub(in crate::store) async fn open(options: options::Served) -> Result<Server, Error> {
        let options::Served { address, name, schema, publishes, connections, clock } = options;
        let pool = connection::pool(&address, &name, connections).await?;
        versions::upgrade(&pool, tables::SETS, schema).await?;
        if let Some(publishes) = &publishes {
            tables::outbox(&pool, &name, publishes).await?;
        }
        Server::of(pool, &name, publishes, clock).await
    }

    /// Opens the schema to read in it, whatever its tables are.
    pub(in crate::store) async fn open_as_it_is(
        host: &Host,
        name: &str,
        clock: Clock,
    ) -> Result<Server, Error> {
        let pool = connection::pool_to_read(&host.whole_address(), name, host.connections).await?;
        Server::of(pool, name, None, clock).await
    }

    /// Has what came from outside remembered with its place.
    pub(in crate::store) async fn remember(&self) -> Result<(), Error> {
        tables::remember(&self.pool, &self.place).await
    }

    /// Opens a table that others insert into, to be relayed.
    pub(in crate::store) async fn relaying(options: options::Inserted) -> Result<Server, Error> {
        let pool = table::open(&options).await?;
        Server::of(pool, &options.name, Some(options.publishes), options.clock).await
    }

    async fn of(
        pool: PgPool,
        schema: &str,
        publishes: Option<options::Publishes>,
        clock: Clock,
    ) -> Result<Server, Error> {
        let (newest, follow) = watch::channel(Numbers::default());
        let (relayed, saved) = (Kept::places(publishes.as_ref()), Kept::places(publishes.as_ref()));
        let kept = Kept::new(publishes, String::new(), follow, relayed, clock);
        let open = OpenSchema::new(pool, schema, kept, newest, saved);
        open.follow().await?;
        let works = Arc::new(Semaphore::new(WRITE_QUEUE_MAX));
        let (closed, tasks) = (AtomicBool::new(false), Handle::current());
        Ok(Server(Arc::new(Inner { open, works, closed, tasks })))
    }

    /// Where its tasks run, and its connections live.
    pub(super) fn tasks(&self) -> &Handle {
        &self.0.tasks
    }

    /// What is kept in memory beside the rows.
    pub(in crate::store) fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Starts a piece of work, by the call itself, in a task of its own.
    pub(in crate::store) fn write<C, T, E, F>(
        &self,
        given: C,
        work: F,
    ) -> impl Future<Output = Result<T, E>> + Send + use<C, T, E, F>
    where
        F: for<'a> Fn(&'a C, &'a mut Tx<'_>) -> Working<'a, T, E> + Send + 'static,
        C: Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let started = self.place().map(|place| {
            let server = self.clone();
            // A task of its own, begun by the call: a caller who leaves takes nothing back, and half a transaction is
            // never left on a connection.
            self.0.tasks.spawn(async move {
                let answer = server.work(given, work).await;
                drop(place);
                answer
            })
        });
        async move {
            // A runtime that ends drops its tasks: nobody knows how far this one was.
            started.map_err(E::from)?.await.unwrap_or_else(|_| Err(E::from(Error::Closed)))
        }
    }

    fn place(&self) -> Result<OwnedSemaphorePermit, Error> {
        if self.0.closed.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        Arc::clone(&self.0.works).try_acquire_owned().map_err(|refused| match refused {
            TryAcquireError::NoPermits => {
                Error::environment(format!("{WRITE_QUEUE_MAX} writes wait already"))
            }
            TryAcquireError::Closed => Error::Closed,
        })
    }

    /// How many pieces of work are under way.
    fn works(&self) -> usize {
        WRITE_QUEUE_MAX.saturating_sub(self.0.works.available_permits())
    }

    /// Runs it, and again where another transaction was in its way.
    async fn work<C, T, E, F>(&self, given: C, work: F) -> Result<T, E>
    where
        F: for<'a> Fn(&'a C, &'a mut Tx<'_>) -> Working<'a, T, E> + Send,
        C: Send,
        T: Send,
        E: From<Error> + Send,
    {
        let mut runs = 1;
        let (given, work) = (&mut { given }, &mut { work });
        loop {
            // Each run begins a transaction of its own and drafts its events anew, so that nothing of the one
            // before is left but what the work did outside of it.
            match self.run(given, work).await {
                Ran::Done(answer) => return answer,
                Ran::Again(error) if runs == RUNS_MAX => return Err(E::from(error)),
                Ran::Again(error) => {
                    tracing::debug!(%error, runs, "a piece of work runs again");
                    runs += 1;
                }
            }
        }
    }

    /// Runs it once. What it is given is borrowed for itself alone: `&mut` needs what is `Send`, `&` would need `Sync`.
    async fn run<C, T, E, F>(&self, given: &mut C, work: &mut F) -> Ran<T, E>
    where
        F: for<'a> Fn(&'a C, &'a mut Tx<'_>) -> Working<'a, T, E> + Send,
        C: Send,
        T: Send,
        E: From<Error> + Send,
    {
        let mut transaction = match Transaction::begin(&self.pool).await {
            Ok(transaction) => transaction,
            Err(error) => return Ran::Done(Err(E::from(trouble::from(error)))),
        };
        let now = (self.kept.clock)();
        let mut tx = Tx::served(Rows::new(&mut transaction, self), now);
        let answer = ready_or_late(work(given, &mut tx)).await;
        let rows = tx.into_served();
        let (failed, in_the_way, is_lost) = (rows.failed, rows.in_the_way, rows.is_lost);
        let (drafts, failure) = (rows.drafts, rows.failure);
        // What it answers may be what somebody else committed a moment ago, and is not on disk: as its own would be.
        let may_be_of_others = !rows.has_changed && self.kept.publishes.is_some();
        if is_lost {
            // With its connection: a server that is silent hears of nothing else.
            drop(transaction);
            return Ran::Done(Err(answer.err().unwrap_or_else(|| E::from(went_on(failure)))));
        }
        // First, whatever the work made of it: it may have taken the error for an answer, and what it decided
        // then was decided on half of its rows.
        if in_the_way {
            transaction.roll_back().await;
            let error = "another transaction was in the way each time it ran";
            return Ran::Again(Error::environment(error));
        }
        let answer = match answer {
            Ok(answer) => answer,
            Err(refused) => {
                transaction.roll_back().await;
                return Ran::Done(Err(refused));
            }
        };
        // The server has given this transaction up. Its COMMIT would be a rollback that looks like a success.
        if failed {
            transaction.roll_back().await;
            return Ran::Done(Err(E::from(went_on(failure))));
        }
        let wait = if may_be_of_others || !drafts.is_empty() {
            DiskWait::beside(self, self.works())
        } else {
            DiskWait::AsEver
        };
        match commit(self, transaction, drafts, wait).await {
            Committed::Stands => Ran::Done(Ok(answer)),
            Committed::InTheWay(error) => Ran::Again(error),
            Committed::Failed(error) | Committed::Unknown(error) => Ran::Done(Err(E::from(error))),
        }
    }

    /// A read of one moment, by a connection of the kind that it asks for.
    pub(in crate::store) async fn read<C, T, E>(
        &self,
        reading: Reading,
        given: &C,
        work: impl for<'a> FnOnce(&'a C, &'a mut common::Rows<'_>) -> Working<'a, T, E> + Send,
    ) -> Result<T, E>
    where
        C: Sync + ?Sized,
        T: Send,
        E: From<Error> + Send,
    {
        let (mut transaction, mut alone);
        let connection: &mut PgConnection = match reading {
            Reading::Snapshot => {
                transaction = self.begin_read().await?;
                &mut transaction
            }
            Reading::Statement => {
                alone = acquired(&self.pool).await?;
                &mut alone
            }
            Reading::ToRelay => {
                alone = acquired(&self.relaying).await?;
                &mut alone
            }
        };
        let mut rows = common::Rows::served(Rows::new(connection, self));
        // Nothing was changed: that a transaction is taken back is sent when its connection goes back, and waited for
        // by nobody.
        ready_or_late(work(given, &mut rows)).await
    }

    /// Begins a transaction that reads, within the patience for a connection and an answer.
    async fn begin_read(&self) -> Result<sqlx::Transaction<'static, Postgres>, Error> {
        // In a task of its own, which ends even where nobody waits for this any more: the pool takes back what it knows
        // to have begun, and a beginning that was given up half-way would be open below whoever gets the connection
        // next.
        let pool = self.pool.clone();
        let begun = self.0.tasks.spawn(async move { begin_read(&pool).await });
        // Had from the pool, which has a limit of its own, and begun.
        let begun = tokio::time::timeout(ACQUIRED_WITHIN + timeouts::ANSWER, begun).await;
        let Ok(begun) = begun else {
            return Err(trouble::from(timeouts::silent(timeouts::ANSWER)));
        };
        begun.map_err(|_| Error::Closed)?.map_err(trouble::from)
    }

    /// Gives back what it has to relay, in a task of its own.
    pub(in crate::store) fn drop_leases(&self) {
        let server = self.clone();
        self.0.tasks.spawn(async move { server.leases.release_all().await });
    }

    /// Takes no more works, and waits for those under way. What a silent server holds up goes on by itself, unless the
    /// process ends: nobody was told that it stands.
    pub(in crate::store) async fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
        // Every place taken is every piece of work over.
        let all = self.0.works.acquire_many(WRITE_QUEUE_MAX as u32);
        // An error inside means that somebody else has closed it and waited.
        if tokio::time::timeout(timeouts::CLOSE, all).await.is_err() {
            let left = WRITE_QUEUE_MAX - self.0.works.available_permits();
            tracing::warn!(left, limit = ?timeouts::CLOSE, "works under way were not waited for");
        }
        self.0.works.close();
        self.leases.release_all().await;
    }
}

/// A connection of this pool, for a statement that is a transaction by itself.
async fn acquired(pool: &PgPool) -> Result<PoolConnection<Postgres>, Error> {
    pool.acquire().await.map_err(trouble::from)
}

/// What work comes to that took no notice of a statement that failed: its own mistake, unless that was the
/// environment's.
fn went_on(failure: Option<Error>) -> Error {
    let what = "a statement failed, and the work went on without taking it back".to_owned();
    failure.filter(Error::is_environment).unwrap_or(Error::Statement { what })
}

/// The answer of work that waits for its database alone: a panic is an error, and so is patience without an end.
async fn ready_or_late<T, E: From<Error>>(
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let mut work = pin!(work);
    let polled =
        poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
            Ok(polled) => polled.map(Ok),
            Err(panic) => Poll::Ready(Err(panicked::message(panic.as_ref()))),
        });
    let what = match tokio::time::timeout(WORK_MAX, polled).await {
        Ok(Ok(answer)) => return answer,
        Ok(Err(panic)) => panic,
        Err(_) => format!(
            "it was not done within {} s: it waited for something else than its database, or its statements took so long",
            WORK_MAX.as_secs()
        ),
    };
    tracing::error!(
        what,
        "a piece of work panicked or was too long under way, and was rolled back"
    );
    Err(E::from(Error::Panicked { what }))
}
