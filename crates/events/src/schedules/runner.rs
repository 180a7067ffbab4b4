//! The loop that publishes what is due: looks, publishes, notes, waits for the next.
//!
//! ```text
//!  what is due ─▶ events, by topic ─▶ Outlet ─▶ on disk there ─▶ noted here: over, or due again
//!       ▲                                │ refused for what one is: one by one; who is refused alone is put aside and looked at again later
//!       └── nothing: sleep till the next moment, a look, or a schedule that is sooner
//! ```
//!
//! A crash between publishing and noting publishes the same events again, under the same ids, and so nothing.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use tracing::{error, warn};

use super::board::Due;
use super::fault::Fault;
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

/// What one look saw.
struct Looked {
    due: Vec<ScheduleRow>,
    /// Published in a time that has not been.
    ahead: Vec<ScheduleRow>,
    next: Option<i64>,
    /// Whether any is due, was refused since and is looked at later.
    has_postponed: bool,
    pending: u64,
}

/// A row and the event that it is about.
struct Firing {
    row: ScheduleRow,
    said: Said,
    due: Timestamp,
    event: Event,
}

impl Looked {
    /// What is told of it.
    fn told(&self) -> Due {
        let first = self.due.iter().find(|row| !row.was_refused).and_then(|row| row.due);
        Due {
            pending: self.pending,
            first: first.or(self.next),
            has_refused: self.has_postponed || self.due.iter().any(|row| row.was_refused),
        }
    }
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
            shared.report.set_holder(is_holder);
            let pause = if is_holder { self.turn(outlet, looks).await } else { Ok(look_every) };
            looks = (looks + 1) % LOOKS_BEFORE_FORGETTING;
            let pause = match pause {
                Ok(pause) => {
                    backoff.reset();
                    shared.report.set_store(None);
                    pause.min(look_every)
                }
                Err(error) => {
                    warn!(%error, "what is due is not published, for now");
                    shared.report.set_store(Some(error.to_string()));
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
        let mut changes: Vec<Change> = ahead.iter().map(|row| anew(row, now)).collect();
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
                    has_postponed: rows::has_postponed(it).await?,
                    pending: rows::pending(it).await?,
                })
            })
        });
        let looked: Looked = looked.await?;
        self.shared.report.note(&looked.told(), now);
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
        let mut changes = Vec::with_capacity(due.len());
        for row in due {
            match Firing::of(&row) {
                Ok(firing) => {
                    by_topic.entry(firing.said.topic.to_string()).or_default().push(firing);
                }
                Err(what) => {
                    self.put_aside(&row.key, &what, now);
                    changes.push(later(&row, now));
                }
            }
        }
        for firings in by_topic.into_values() {
            let answer = offer(&firings, outlet).await;
            let is_of_one = answer.as_ref().is_err_and(|error| Fault::of(error) == Fault::Event);
            if is_of_one && firings.len() > 1 {
                changes.extend(self.fire_each(&firings, now, outlet).await);
            } else {
                changes.extend(firings.iter().map(|it| self.became(it, &answer, now, outlet)));
            }
        }
        changes
    }

    /// Publishes these one by one: who is refused is put aside. Where the topic takes none any more, none of the rest is tried.
    async fn fire_each(
        &self,
        firings: &[Firing],
        now: Timestamp,
        outlet: &dyn Outlet,
    ) -> Vec<Change> {
        let (mut changes, mut answer) = (Vec::with_capacity(firings.len()), Ok(()));
        for firing in firings {
            if answer.as_ref().err().is_none_or(|error| Fault::of(error) == Fault::Event) {
                answer = offer(std::slice::from_ref(firing), outlet).await;
            }
            changes.push(self.became(firing, &answer, now, outlet));
        }
        changes
    }

    /// What becomes of one that was answered so.
    fn became(
        &self,
        firing: &Firing,
        answer: &Result<(), Error>,
        now: Timestamp,
        outlet: &dyn Outlet,
    ) -> Change {
        let (key, topic, report) = (&firing.row.key, &firing.said.topic, &self.shared.report);
        let fault = answer.as_ref().err().map(|error| (Fault::of(error), error));
        match fault {
            None => {
                report.forget(key);
                report.answered(topic);
                return firing.over((self.shared.clock)(), outlet);
            }
            Some((Fault::Event | Fault::Topic, error)) => {
                report.answered(topic);
                self.put_aside(key, &error.to_string(), now);
            }
            Some((Fault::Nobody, error)) => {
                warn!(key, %error, "what is due is not published, for now");
                let says = format!("`{key}` is due and is not published: {error}");
                report.hold(topic, firing.due, says, now);
            }
        }
        later(&firing.row, now)
    }

    fn put_aside(&self, key: &str, what: &str, now: Timestamp) {
        error!(key, what, "what is due is put aside, and tried again");
        self.shared.report.put_aside(key, what.to_owned(), now);
    }
}

async fn offer(firings: &[Firing], outlet: &dyn Outlet) -> Result<(), Error> {
    let Some(first) = firings.first() else { return Ok(()) };
    let events: Vec<Event> = firings.iter().map(|it| it.event.clone()).collect();
    outlet.publish(&first.said.topic, events).await
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

/// Due then, by a clock that is right again; as it is, where its row does not say. Either way it is not looked at again for that.
fn anew(row: &ScheduleRow, now: Timestamp) -> Change {
    let published = row.published.and_then(|it| Timestamp::from_microsecond(it).ok());
    let said = Said::of(&row.said).ok();
    let due = said.zip(published).and_then(|(said, published)| said.moment.anew(published, now));
    let due = due.map(Timestamp::as_microsecond).or(row.due).unwrap_or(now.as_microsecond());
    change(row, Becomes::Anew { due })
}
