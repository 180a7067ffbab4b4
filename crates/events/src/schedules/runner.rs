//! The loop that publishes what is due: looks, publishes, notes, waits for the next.
//!
//! ```text
//!  what is due ─▶ events, by topic ─▶ Outlet ─▶ on disk there ─▶ noted here: over, or due again
//!       ▲                                │ refused: looked at again later
//!       └── nothing: sleep till the next moment, a look, or a schedule that is sooner
//! ```
//!
//! A crash between publishing and noting publishes the same events again, under the same ids, and so nothing.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use tracing::{error, warn};

use super::lease::Lease;
use super::moment::limit_of_steps;
use super::{AGAIN_AFTER, AT_ONCE, LOOK_EVERY, LOOK_EVERY_SHARED, OVER_KEPT, Said, Schedules};
use crate::error::Error;
use crate::event::Event;
use crate::store::schedules::{self as rows, Becomes, Change, ScheduleRow};
use crate::topic::Topic;
use crate::wait::Backoff;

/// Looks after which what is over is forgotten.
const LOOKS_BEFORE_FORGETTING: u32 = 60;

/// Events on their way.
pub type Publishing<'a> = BoxFuture<'a, Result<(), Error>>;

/// Where events go that are due.
pub trait Outlet: Send + Sync + 'static {
    /// Stores events, each source and id once, all of them or none; resolves once they are on disk.
    fn publish<'a>(&'a self, topic: &'a Topic, events: Vec<Event>) -> Publishing<'a>;

    /// One was published so much after it was due.
    fn published(&self, published: Published);
}

/// An event that was published.
#[derive(Clone, Copy, Debug)]
pub struct Published {
    /// How much later than it was due.
    pub late: Duration,
}

/// How it goes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// How many wait, by the last look.
    pub pending: u64,
    /// How late the one is that is due and was not published; nothing where this instance does not look after them.
    pub late: Duration,
    /// Whether this instance looks after them.
    pub is_holder: bool,
    /// Why something that is due is not published.
    pub trouble: Option<String>,
}

/// Where the loop says how it goes.
#[derive(Default)]
pub(super) struct Board {
    pending: AtomicU64,
    /// Of what is to be looked at next, when it was due; the largest where nothing is.
    next: AtomicI64,
    is_holder: AtomicBool,
    trouble: Mutex<Option<String>>,
}

impl Board {
    pub(super) fn read(&self, now: Timestamp) -> Report {
        let next = self.next.load(Ordering::Relaxed);
        let is_holder = self.is_holder.load(Ordering::Relaxed);
        let late = now.as_microsecond().saturating_sub(next);
        let late = u64::try_from(late).ok().filter(|_| is_holder && next != 0).unwrap_or(0);
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Report {
            pending: self.pending.load(Ordering::Relaxed),
            late: Duration::from_micros(late),
            is_holder,
            trouble,
        }
    }

    fn note(&self, looked: &Looked) {
        let Looked { due, next, postponed, pending, .. } = looked;
        self.pending.store(*pending, Ordering::Relaxed);
        let first = due.first().and_then(|row| row.due).or(*next);
        let oldest = first.into_iter().chain(*postponed).min().unwrap_or(i64::MAX);
        self.next.store(oldest, Ordering::Relaxed);
        if postponed.is_none() && due.is_empty() {
            self.set_trouble(None);
        }
    }

    fn set_trouble(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}

/// What one look saw.
struct Looked {
    due: Vec<ScheduleRow>,
    /// Published in a time that has not been.
    ahead: Vec<ScheduleRow>,
    next: Option<i64>,
    /// When the oldest was due that was refused since.
    postponed: Option<i64>,
    pending: u64,
}

/// A row and the event that it is about.
struct Firing {
    row: ScheduleRow,
    said: Said,
    due: Timestamp,
    event: Event,
}

impl Schedules {
    /// Publishes what is due until `stop` resolves.
    pub async fn run(self, outlet: &dyn Outlet, stop: impl Future<Output = ()> + Send) {
        let (lease, database) = (Lease::default(), self.database());
        let holding = async {
            if self.shared.is_shared {
                lease.hold(&database).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = holding => {}
            () = self.publish(&lease, outlet) => {}
            () = stop => {}
        }
        lease.let_go(&database).await;
    }

    async fn publish(&self, lease: &Lease, outlet: &dyn Outlet) {
        let shared = &*self.shared;
        let (mut backoff, mut looks) = (Backoff::new(), 0);
        let look_every = if shared.is_shared { LOOK_EVERY_SHARED } else { LOOK_EVERY };
        loop {
            let is_holder = !shared.is_shared || lease.is_held();
            shared.report.is_holder.store(is_holder, Ordering::Relaxed);
            let pause = if is_holder { self.turn(outlet, looks).await } else { Ok(look_every) };
            looks = (looks + 1) % LOOKS_BEFORE_FORGETTING;
            let pause = match pause {
                Ok(pause) => {
                    backoff.reset();
                    pause.min(look_every)
                }
                Err(error) => {
                    warn!(%error, "what is due is not published, for now");
                    shared.report.set_trouble(Some(error.to_string()));
                    backoff.next()
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shared.sooner.notified() => {}
            }
        }
    }

    /// Looks once, and publishes what is due; how long there is nothing to do.
    async fn turn(&self, outlet: &dyn Outlet, looks: u32) -> Result<Duration, Error> {
        let shared = &*self.shared;
        if looks == 0 {
            self.forget().await?;
        }
        let now = (shared.clock)();
        let Looked { due, ahead, next, .. } = self.look(now).await?;
        if due.is_empty() && ahead.is_empty() {
            let wait = next.map_or(i64::MAX, |next| next.saturating_sub(now.as_microsecond()));
            return Ok(Duration::from_micros(u64::try_from(wait).unwrap_or(0)));
        }
        // Nothing is cancelled from here until what is published is noted.
        let _turn = shared.turn.write().await;
        let now = (shared.clock)();
        let Looked { due, ahead, .. } = self.look(now).await?;
        let mut changes: Vec<Change> = ahead.iter().filter_map(|row| anew(row, now)).collect();
        changes.extend(self.fire(due, now, outlet).await);
        self.note(changes).await?;
        Ok(Duration::ZERO)
    }

    async fn look(&self, now: Timestamp) -> Result<Looked, Error> {
        let looked = self.shared.database.read(&now, |now, it| {
            Box::pin(async move {
                Ok::<_, Error>(Looked {
                    due: rows::due(it, now.as_microsecond(), AT_ONCE).await?,
                    ahead: rows::published_after(
                        it,
                        limit_of_steps(*now).as_microsecond(),
                        AT_ONCE,
                    )
                    .await?,
                    next: rows::next_look(it).await?,
                    postponed: rows::postponed(it).await?,
                    pending: rows::pending(it).await?,
                })
            })
        });
        let looked: Looked = looked.await?;
        self.shared.report.note(&looked);
        Ok(looked)
    }

    async fn note(&self, changes: Vec<Change>) -> Result<(), Error> {
        if changes.is_empty() {
            return Ok(());
        }
        let noted =
            self.shared.database.write(changes, |changes, tx| Box::pin(rows::change(tx, changes)));
        noted.await
    }

    async fn forget(&self) -> Result<(), Error> {
        let forget = self
            .shared
            .database
            .write((), |(), tx| Box::pin(rows::forget(tx, OVER_KEPT, OVER_KEPT)));
        forget.await.map(drop)
    }

    /// Publishes these, topic by topic; what becomes of each.
    async fn fire(
        &self,
        due: Vec<ScheduleRow>,
        now: Timestamp,
        outlet: &dyn Outlet,
    ) -> Vec<Change> {
        let mut by_topic: BTreeMap<String, Vec<Firing>> = BTreeMap::new();
        let (mut changes, mut trouble) = (Vec::with_capacity(due.len()), None);
        for row in due {
            match Firing::of(&row) {
                Ok(firing) => {
                    by_topic.entry(firing.said.topic.to_string()).or_default().push(firing);
                }
                Err(what) => {
                    trouble = Some(refused(&row.key, &what));
                    changes.push(later(&row, now));
                }
            }
        }
        for firings in by_topic.into_values() {
            match self.offer(&firings, outlet).await {
                Ok(()) => {
                    let published = (self.shared.clock)();
                    changes.extend(firings.iter().map(|it| it.over(published, outlet)));
                }
                Err(what) => {
                    trouble = firings.first().map(|it| refused(&it.row.key, &what));
                    changes.extend(firings.iter().map(|it| later(&it.row, now)));
                }
            }
        }
        if trouble.is_some() {
            self.shared.report.set_trouble(trouble);
        }
        changes
    }

    async fn offer(&self, firings: &[Firing], outlet: &dyn Outlet) -> Result<(), String> {
        let Some(first) = firings.first() else { return Ok(()) };
        let events: Vec<Event> = firings.iter().map(|it| it.event.clone()).collect();
        let published = outlet.publish(&first.said.topic, events).await;
        published.map_err(|error| error.to_string())
    }
}

impl Firing {
    fn of(row: &ScheduleRow) -> Result<Firing, String> {
        let said = Said::of(&row.said).map_err(|error| error.to_string())?;
        let due = row.due.ok_or("nothing is due")?;
        let due = Timestamp::from_microsecond(due).map_err(|error| error.to_string())?;
        let id = format!("{}-{}", row.token, row.occurrences + 1);
        let event = said.event(&row.key, &id, due).map_err(|wrong| {
            let wrong = wrong.into_iter().map(|it| format!("{} {}", it.field, it.reason));
            wrong.collect::<Vec<_>>().join("; ")
        })?;
        Ok(Firing { row: row.clone(), said, due, event })
    }

    /// What becomes of it, published by now.
    fn over(&self, now: Timestamp, outlet: &dyn Outlet) -> Change {
        let late = Duration::try_from(now.duration_since(self.due)).unwrap_or(Duration::ZERO);
        outlet.published(Published { late });
        let next = self.said.moment.next(self.due, now).map(Timestamp::as_microsecond);
        let (fired, at) = (self.due.as_microsecond(), now.as_microsecond());
        change(&self.row, Becomes::Published { fired, at, next })
    }
}

fn change(row: &ScheduleRow, becomes: Becomes) -> Change {
    let ScheduleRow { key, token, occurrences, .. } = row;
    Change { key: key.clone(), token: token.clone(), occurrences: *occurrences, becomes }
}

fn later(row: &ScheduleRow, now: Timestamp) -> Change {
    let again = SignedDuration::try_from(AGAIN_AFTER).unwrap_or(SignedDuration::ZERO);
    let look = now.saturating_add(again).unwrap_or(now).as_microsecond();
    change(row, Becomes::Later { look })
}

fn anew(row: &ScheduleRow, now: Timestamp) -> Option<Change> {
    let published = Timestamp::from_microsecond(row.published?).ok()?;
    let due = Said::of(&row.said).ok()?.moment.anew(published, now)?.as_microsecond();
    Some(change(row, Becomes::Anew { due }))
}

fn refused(key: &str, what: &str) -> String {
    error!(key, what, "what is due is not published; it is tried again");
    format!("`{key}` is due and is not published: {what}")
}
