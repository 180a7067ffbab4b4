//! Events that are published at a time to come: once, after a while, or again and again, by a key that cancels them.
//!
//! A schedule is a row, on disk before it is answered, on a file or on a server ([`store::schedules`](crate::store)). One loop
//! looks at what is due and publishes it by the road that events from outside take ([`Outlet`]); among instances that share a
//! server the one that holds the lease, and another once that was silent for three seconds.
//!
//! | promise | by |
//! |---|---|
//! | an occurrence is published once, whoever dies where | its source and id are made of key, definition and count, and the publisher's side stores each source and id once |
//! | nothing is published that was cancelled before, by this process | one lock around looking, publishing and noting |
//! | what is late comes at once, and of what would have come several times in between one | the next moment is after now |
//! | a clock that steps does no harm | what is due is a moment and no duration, and looked at every [`LOOK_EVERY`]; see [`moment`] |
//! | a million of them cost no memory | what is due is found by an index, [`AT_ONCE`] at a time |
//!
//! Events that are refused together are offered one by one: the one that is refused for what it is is put aside, told ([`Report::aside`])
//! and offered again every [`AGAIN_AFTER`]; the others go out. Where nothing can be stored for now, all of them wait so long. Whose fault
//! it was an error says ([`fault`]).
//!
//! It does not say who may, nor speak HTTP.

mod board;
pub mod cron;
pub mod moment;

mod fault;
mod lease;
mod runner;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::value::RawValue;
use tokio::sync::{Notify, RwLock};

use crate::Clock;
use crate::error::Error;
use crate::event::Event;
use crate::event::incoming::{Wrong, incoming};
use crate::store::database::Database;
use crate::store::location::{Location, Tables};
use crate::store::schedules::{self as rows, SaidRow, ScheduleRow};
use crate::store::tx::Tx;
use crate::store::{SCHEDULES, SERVED_SCHEDULES};
use crate::topic::Topic;
use moment::Moment;

pub use board::{Aside, Report};
pub use runner::{Outlet, Published, Publishing};

/// Bytes a key may have.
pub const KEY_BYTES_MAX: usize = 255;

/// Bytes the data of one may have: it waits in a store, and what is due together is published together.
pub const DATA_BYTES_MAX: usize = 64 * 1024;

/// Events that are published together at most.
pub const AT_ONCE: usize = 100;

/// Schedules that are over and still shown, the newest of them.
pub const OVER_KEPT: usize = 10_000;

/// How often one looks what is due, beside when something is: where a file has them, by whose clock that may have stepped.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The same where other instances put schedules, too.
pub const LOOK_EVERY_SHARED: Duration = Duration::from_millis(100);

/// When one whose event was refused is looked at again.
pub const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// Those that are put aside and shown by name, at most; each is in the log.
pub const ASIDE_SHOWN: usize = 10;

/// What the source of all of its events begins with; the key follows.
const SOURCE: &str = "/schedules/";

/// The migration that a service has in its own schema whose schedules are among its tables, in a file.
pub const MIGRATION: &str = SCHEDULES;

/// The same on a server.
pub const SERVED_MIGRATION: &str = SERVED_SCHEDULES;

const TABLES: Tables = Tables { embedded: &[MIGRATION], served: &[SERVED_MIGRATION] };

/// What may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How far ahead.
    pub max_ahead: Duration,
    /// How many wait at most.
    pub max_pending: u64,
}

/// What is to be published, and when.
#[derive(Clone, Debug)]
pub struct Said {
    /// When.
    pub moment: Moment,
    /// To which topic.
    pub topic: Topic,
    /// The event's type.
    pub kind: String,
    /// Its subject, which is its key, if it has one.
    pub subject: Option<String>,
    /// Its data, if it has any.
    pub data: Option<Box<RawValue>>,
}

/// One that is there.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// What was asked for.
    pub said: Said,
    /// When it comes next; nothing once it is over.
    pub next: Option<Timestamp>,
    /// The moment that it was published for last.
    pub fired: Option<Timestamp>,
    /// How often it was published.
    pub occurrences: u64,
}

/// What became of what was asked.
#[derive(Clone, Debug)]
pub struct Put {
    /// As it is now.
    pub schedule: Schedule,
    /// Whether the key had none that waited.
    pub is_new: bool,
}

/// Why nothing was kept.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It comes later than one may ask for.
    #[error("later than may be asked for. limit=`{limit:?}`")]
    Ahead {
        /// How far ahead one may ask.
        limit: Duration,
    },
    /// It never comes.
    #[error("never comes")]
    Never,
    /// As many wait as may.
    #[error("as many wait as may. limit=`{limit}`")]
    Full {
        /// How many.
        limit: u64,
    },
    /// The store's.
    #[error(transparent)]
    Store(#[from] Error),
}

/// Schedules of a process; clones are handles.
#[derive(Clone)]
pub struct Schedules {
    shared: Arc<Shared>,
}

struct Shared {
    database: Database,
    clock: Clock,
    draw: Arc<dyn Fn() -> String + Send + Sync>,
    limits: Limits,
    /// Held alone while something is published and noted, together while something is cancelled or put in another's place.
    turn: RwLock<()>,
    /// Something is due sooner than it was.
    sooner: Notify,
    /// Whether other instances may have the same.
    is_shared: bool,
    report: board::Board,
}

/// What they are made with.
pub struct Given {
    /// What time it is.
    pub clock: Clock,
    /// Gives letters that no other definition has.
    pub draw: Arc<dyn Fn() -> String + Send + Sync>,
    /// What may be asked.
    pub limits: Limits,
}

/// What a run of [`Schedules::put`] is given.
struct Asked {
    row: ScheduleRow,
    limit: u64,
    is_repeatable: bool,
}

/// What it made of it.
struct Kept {
    row: ScheduleRow,
    is_new: bool,
}

impl Schedules {
    /// Opens those at this location, or makes a place for them.
    ///
    /// # Errors
    /// As of [`Database::at`].
    pub async fn open(location: Location, given: Given) -> Result<Schedules, Error> {
        let is_shared = matches!(location, Location::Schema { .. });
        let clock = given.clock.clone();
        let database = Box::pin(Database::at(location, TABLES, None, clock)).await?;
        Ok(Schedules::among(database, is_shared, given))
    }

    /// Those among the tables of a service, whose schema has [`MIGRATION`] or [`SERVED_MIGRATION`]; `is_shared` where other
    /// instances may have the same.
    pub fn among(database: Database, is_shared: bool, given: Given) -> Schedules {
        let Given { clock, draw, limits } = given;
        let shared = Shared {
            database,
            clock,
            draw,
            limits,
            turn: RwLock::new(()),
            sooner: Notify::new(),
            is_shared,
            report: board::Board::default(),
        };
        Schedules { shared: Arc::new(shared) }
    }

    /// Where they are kept, for its end.
    pub fn database(&self) -> Database {
        self.shared.database.clone()
    }

    /// Keeps a schedule in the place of whatever its key has; resolves once it is on disk. The same again changes nothing:
    /// while it waits, and where it names its moment also once it is over.
    ///
    /// # Errors
    /// [`Refusal`]: nothing was changed.
    pub async fn put(&self, key: &str, said: &Said) -> Result<Put, Refusal> {
        let shared = &*self.shared;
        let asked = self.asked(key, said, (shared.clock)())?;
        let turn = shared.turn.read().await;
        let kept = shared.database.write(asked, |asked, tx| Box::pin(put(asked, tx))).await?;
        drop(turn);
        shared.sooner.notify_one();
        let Kept { row, is_new } = kept;
        Ok(Put { schedule: Schedule::of(&row)?, is_new })
    }

    /// Keeps one with whatever else a transaction of their database writes. It is seen at the next look.
    ///
    /// # Errors
    /// As of [`put`](Self::put).
    pub async fn put_with(&self, tx: &mut Tx<'_>, key: &str, said: &Said) -> Result<(), Refusal> {
        let asked = self.asked(key, said, tx.now())?;
        put(&asked, tx).await.map(drop)
    }

    fn asked(&self, key: &str, said: &Said, now: Timestamp) -> Result<Asked, Refusal> {
        Error::check("key", key.len(), KEY_BYTES_MAX)?;
        let shared = &*self.shared;
        let due = said.moment.first(now).ok_or(Refusal::Never)?;
        let limit = shared.limits.max_ahead;
        if due.duration_since(now).unsigned_abs() > limit && due > now {
            return Err(Refusal::Ahead { limit });
        }
        let row = ScheduleRow {
            key: key.to_owned(),
            token: (shared.draw)(),
            said: said.row(),
            due: Some(due.as_microsecond()),
            fired: None,
            published: None,
            occurrences: 0,
            was_refused: false,
        };
        let (limit, is_repeatable) = (shared.limits.max_pending, said.moment.is_after_a_while());
        Ok(Asked { row, limit, is_repeatable })
    }

    /// The one of this key, also one that is over for as long as it is known.
    ///
    /// # Errors
    /// The store's.
    pub async fn find(&self, key: &str) -> Result<Option<Schedule>, Error> {
        let found = self.shared.database.read(key, |key, rows| Box::pin(rows::find(rows, key)));
        found.await?.map(|row| Schedule::of(&row)).transpose()
    }

    /// Takes the one of this key back, on disk when it resolves; whether one waited.
    ///
    /// # Errors
    /// The store's: nothing was changed.
    pub async fn cancel(&self, key: &str) -> Result<bool, Error> {
        let _turn = self.shared.turn.read().await;
        let key = key.to_owned();
        self.shared.report.forget(&key);
        self.shared.database.write(key, |key, tx| Box::pin(rows::remove(tx, key))).await
    }

    /// How it goes.
    pub fn report(&self) -> Report {
        self.shared.report.read((self.shared.clock)())
    }
}

async fn put(asked: &Asked, tx: &mut Tx<'_>) -> Result<Kept, Refusal> {
    let Asked { row, limit, is_repeatable } = asked;
    rows::hold(tx, rows::shard(&row.key)).await?;
    let there = rows::find(tx, &row.key).await?;
    let had_waited = there.as_ref().is_some_and(|it| it.due.is_some());
    if let Some(there) = there.filter(|it| it.said == row.said)
        && (had_waited || !is_repeatable)
    {
        return Ok(Kept { row: there, is_new: false });
    }
    if !had_waited && rows::pending(tx).await? >= *limit {
        return Err(Refusal::Full { limit: *limit });
    }
    rows::put(tx, row, had_waited).await?;
    Ok(Kept { row: row.clone(), is_new: !had_waited })
}

impl Said {
    fn row(&self) -> SaidRow {
        let Said { moment, topic, kind, subject, data } = self;
        SaidRow {
            moment: moment.to_string(),
            topic: topic.to_string(),
            kind: kind.clone(),
            subject: subject.clone(),
            data: data.as_ref().map(|it| it.get().to_owned()),
        }
    }

    fn of(row: &SaidRow) -> Result<Said, Error> {
        let SaidRow { moment, topic, kind, subject, data } = row;
        let data = data.clone().map(RawValue::from_string).transpose().map_err(Error::decode)?;
        let moment = moment.parse().map_err(|what: String| Error::Decode { what })?;
        let (kind, subject) = (kind.clone(), subject.clone());
        Ok(Said { moment, topic: Topic::parse(topic)?, kind, subject, data })
    }

    /// The event that is published for a moment, by the name that nothing else has.
    ///
    /// # Errors
    /// Everything that is wrong with what was said.
    pub fn event(&self, key: &str, id: &str, due: Timestamp) -> Result<Event, Vec<Wrong>> {
        let quoted = |text: &str| serde_json::to_string(text).expect("a text is JSON");
        let source = format!("{SOURCE}{}", utf8_percent_encode(key, NON_ALPHANUMERIC));
        let mut text = format!(
            r#"{{"specversion":"1.0","id":{},"source":{},"type":{},"time":"{due}""#,
            quoted(id),
            quoted(&source),
            quoted(&self.kind),
        );
        if let Some(subject) = &self.subject {
            text.push_str(r#","subject":"#);
            text.push_str(&quoted(subject));
        }
        if let Some(data) = &self.data {
            text.push_str(r#","datacontenttype":"application/json","data":"#);
            text.push_str(data.get());
        }
        text.push('}');
        let mut event = incoming(text.as_bytes(), due)?;
        if let Some(data) = self.data.as_ref().filter(|it| it.get().len() > DATA_BYTES_MAX) {
            let reason = format!("has {} bytes; at most {DATA_BYTES_MAX}", data.get().len());
            let limit = Some(DATA_BYTES_MAX);
            return Err(vec![Wrong { field: "data".to_owned(), reason, limit }]);
        }
        event.time = due;
        Ok(event)
    }
}

impl Schedule {
    fn of(row: &ScheduleRow) -> Result<Schedule, Error> {
        let at = |micros: i64| Timestamp::from_microsecond(micros).map_err(Error::decode);
        Ok(Schedule {
            said: Said::of(&row.said)?,
            next: row.due.map(at).transpose()?,
            fired: row.fired.map(at).transpose()?,
            occurrences: row.occurrences,
        })
    }
}
