//! What ended the process: a loop that begins where the one before it began goes on with care, and finds the event.
//!
//! An event that fails is its handler's to say. One that ends the process (a stack that overflows, memory that runs out, a
//! library that aborts) says nothing: the next start takes the same batch, and ends the same way. So a start counts itself at
//! its place. The second at the same place takes its events one by one, and commits that it is about to try one before it
//! does; whoever is found tried when a start begins was being tried when the process ended. After the subscription's attempts
//! it is parked in words that say so, as any failing event.
//!
//! What must stay true:
//!
//! * Who does well pays nothing: a start that finds something to do writes one row, and no event costs a commit more.
//! * Only a death counts. Whoever was answered is forgotten with the answer, in one transaction, or keeps the deaths that it had where it is tried
//!   again; where the environment took the work back, the note is withdrawn, now or when the loop begins again or ends.
//! * A partition that moves is no death. A note is its run's, and who takes over where somebody was being tried waits
//!   [`MOVED_WITHIN`] before it asks whether that one died: whoever let go has said so by then.
//! * One at a time in the whole process ([`ONE_BY_ONE`]), whatever subscription it is of: of two that were being tried nobody
//!   could say which one ended it, and an innocent one would be given up. So the turn is held from before the note until
//!   its end is written, be that an answer or that nobody died.
//!
//! It ends where it may: past what there was to do at the start, or past [`CAREFUL_EVENTS_MAX`] events, since no batch is
//! longer.

use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};

use super::BATCH_MAX;
use super::context::Lane;
use crate::broker::Offset;
use crate::error::Error;
use crate::store::inbox::Place;
use crate::store::trials::{self, CountedStart, StartFound, Trial};

/// Events that a start takes one by one at most.
pub(crate) const CAREFUL_EVENTS_MAX: usize = BATCH_MAX;

/// From how many starts at one place on.
const CAREFUL_FROM: u64 = 2;

/// How long a loop that ends waits until that is written.
const ENDED_WITHIN: Duration = Duration::from_secs(2);

/// How long after it lost a partition somebody who lives has said at the latest that nobody died there: longer than he waits for what is
/// under way and then for the store.
const MOVED_WITHIN: Duration = Duration::from_secs(5);

/// Who has it tries an event: the process ends as a whole.
static ONE_BY_ONE: Mutex<()> = Mutex::const_new(());

/// That nobody else is trying one.
#[derive(Debug)]
pub(crate) struct Alone {
    _guard: MutexGuard<'static, ()>,
}

impl Alone {
    pub(crate) async fn wait() -> Alone {
        Alone { _guard: ONE_BY_ONE.lock().await }
    }
}

/// How a careful loop goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Care {
    /// Which run it is of.
    pub(crate) run: u64,
    /// What the topic had at the start.
    until: Offset,
    /// Events that are still taken one by one.
    left: usize,
}

impl Care {
    /// Whether a start that found this is careful. Pure.
    fn after(found: StartFound, until: Offset) -> Option<Care> {
        let is_needed = found.starts >= CAREFUL_FROM || found.is_any_tried;
        is_needed.then_some(Care { run: found.run, until, left: CAREFUL_EVENTS_MAX })
    }

    /// One more was taken by itself.
    pub(crate) fn count(&mut self) {
        self.left = self.left.saturating_sub(1);
    }

    /// Whether it goes on with care from here, where what is parked may be due.
    pub(crate) fn goes_on(&self, place: Offset, is_any_due: bool) -> bool {
        self.left > 0 && (place < self.until || is_any_due)
    }
}

/// What the loop of a partition remembers of it, from one run to the next: what begins again after trouble is no start.
#[derive(Default)]
pub(crate) struct Trials {
    /// Its start was looked at, and counted where there was something to do.
    is_begun: bool,
    counted: Option<CountedStart>,
    pub(crate) care: Option<Care>,
    /// Noted, and its answer does not stand.
    pub(crate) noted: Option<Trial>,
    /// Its turn, for as long as something is noted.
    pub(crate) alone: Option<Alone>,
}

impl Trials {
    /// A run begins at this place.
    pub(crate) async fn begin(&mut self, lane: &Lane, place: Offset) -> Result<(), Error> {
        self.withdraw(lane).await?;
        if self.is_begun {
            return Ok(());
        }
        let until = lane.context.broker.end(&lane.at).await?;
        if self.counted.is_none() && (place < until || is_any_due(lane).await?) {
            self.counted = Some(count_start(lane, place).await?);
        }
        if let Some(CountedStart { run, .. }) = self.counted {
            self.care = look_back(lane, run, until).await?;
        }
        self.is_begun = true;
        if self.care.is_some() {
            let subscription = &*lane.context.name;
            tracing::warn!(subscription, %place, "it began here before: events are taken one by one");
        }
        Ok(())
    }

    /// Whatever is noted was not tried to an end.
    pub(crate) async fn withdraw(&mut self, lane: &Lane) -> Result<(), Error> {
        if let Some(trial) = self.noted {
            withdraw(lane, trial).await?;
        }
        self.answered();
        Ok(())
    }

    /// The loop ends well, or lets the partition go: whoever has it next begins where nobody died, and counts.
    ///
    /// Where the store is away what was counted stays: a start more, and an attempt at an event that has several.
    pub(crate) async fn end(&mut self, lane: &Lane) {
        if self.counted.is_some() || self.noted.is_some() {
            _ = tokio::time::timeout(ENDED_WITHIN, end(lane, self.counted, self.noted)).await;
        }
        *self = Trials::default();
    }

    pub(super) fn is_careful(&self) -> bool {
        self.care.is_some()
    }

    /// Resolves when it may go on: at once without care.
    pub(super) async fn turn(&mut self) {
        if self.care.is_some() && self.alone.is_none() {
            self.alone = Some(Alone::wait().await);
        }
    }

    /// Notes that the event there is about to be tried, unless it has ended as many starts as it may: how many that were.
    pub(super) async fn note(
        &mut self,
        lane: &Lane,
        trial: Trial,
        tried: Tried,
    ) -> Result<Option<Died>, Error> {
        // Before it is known whether that stands: a note that is not there is taken back as well.
        self.noted = Some(trial);
        let died = note(lane, trial, tried).await?;
        if died.is_some() {
            self.noted = None;
        }
        Ok(died)
    }

    /// Nothing is noted any more: it is others' turn.
    pub(super) fn answered(&mut self) {
        (self.noted, self.alone) = (None, None);
    }

    /// A round is over.
    pub(super) fn goes_on(&mut self, place: Offset, is_any_due: bool) {
        let Some(care) = &mut self.care else { return };
        care.count();
        if !care.goes_on(place, is_any_due) {
            self.care = None;
        }
    }
}

/// How a start goes on, by what it finds; where instances share the partitions, once whoever had it before has had time to say that
/// he lives.
async fn look_back(lane: &Lane, run: u64, until: Offset) -> Result<Option<Care>, Error> {
    let care = Care::after(found(lane, run).await?, until);
    if care.is_none() || !lane.context.shared {
        return Ok(care);
    }
    tokio::time::sleep(MOVED_WITHIN).await;
    Ok(Care::after(found(lane, run).await?, until))
}

async fn is_any_due(lane: &Lane) -> Result<bool, Error> {
    let now = (lane.context.clock)();
    Ok(lane.next_due().await?.is_some_and(|due| due <= now))
}

async fn count_start(lane: &Lane, place: Offset) -> Result<CountedStart, Error> {
    let work = lane.context.database.write((lane.clone(), place), |(lane, place), tx| {
        Box::pin(trials::count_start(tx, lane.assigned(), *place))
    });
    work.await
}

async fn found(lane: &Lane, run: u64) -> Result<StartFound, Error> {
    let given = (lane, run);
    let read = lane
        .context
        .database
        .read(&given, |(lane, run), rows| Box::pin(trials::found(rows, lane.assigned(), *run)));
    read.await
}

async fn end(
    lane: &Lane,
    counted: Option<CountedStart>,
    noted: Option<Trial>,
) -> Result<(), Error> {
    let given = (lane.clone(), counted, noted);
    let work = lane.context.database.write(given, |(lane, counted, noted), tx| {
        Box::pin(async move {
            if let Some(trial) = noted {
                trials::withdraw(tx, lane.assigned(), *trial).await?;
            }
            match counted {
                Some(start) => trials::forget_start(tx, lane.assigned(), *start).await,
                None => Ok(()),
            }
        })
    });
    work.await
}

/// How often an event was tried, and may be.
#[derive(Clone, Copy)]
pub(crate) struct Tried {
    /// Attempts that came to an answer.
    pub(crate) answered: u32,
    /// In all; 0 counts as 1.
    pub(crate) attempts_max: u32,
}

/// An event that ended the process as often as it may be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Died {
    /// Starts that ended with it.
    pub(crate) deaths: u32,
    /// With those that came to an answer.
    pub(crate) attempts: u32,
}

impl Tried {
    /// Whether it may not be tried any more after so many deaths. Pure; one that was never seen to end anything may.
    fn after(self, deaths: u32) -> Option<Died> {
        let attempts = self.answered.saturating_add(deaths);
        (deaths > 0 && attempts >= self.attempts_max.max(1)).then_some(Died { deaths, attempts })
    }
}

/// How the words begin that a dead letter has for having ended the process.
const DEADLY: &str = "the process died while it was handled";

impl Died {
    /// In words, for the dead letter.
    pub(crate) fn reason(self) -> String {
        let Died { deaths, .. } = self;
        format!("{DEADLY}: {deaths} start(s) ended with it")
    }

    /// Whether a dead letter is one for that: its words are all that is kept of it.
    pub(crate) fn is_reason(words: &str) -> bool {
        words.starts_with(DEADLY)
    }
}

/// See [`Trials::note`].
pub(crate) async fn note(lane: &Lane, trial: Trial, tried: Tried) -> Result<Option<Died>, Error> {
    let given = (lane.clone(), trial, tried);
    let work = lane.context.database.write(given, |(lane, trial, tried), tx| {
        Box::pin(async move {
            let of = lane.assigned();
            Place::lock(tx, of).await?;
            let died = tried.after(trials::deaths(tx, of, *trial).await?);
            if died.is_none() {
                trials::note(tx, of, *trial).await?;
            }
            Ok::<_, Error>(died)
        })
    });
    work.await
}

/// See [`trials::withdraw`].
async fn withdraw(lane: &Lane, trial: Trial) -> Result<(), Error> {
    let work = lane.context.database.write((lane.clone(), trial), |(lane, trial), tx| {
        Box::pin(trials::withdraw(tx, lane.assigned(), *trial))
    });
    work.await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_start_at_a_place_is_careful_and_so_is_one_that_finds_an_event_tried() {
        for (starts, is_any_tried, expected) in
            [(1, false, false), (1, true, true), (2, false, true), (9, true, true)]
        {
            let care = Care::after(StartFound { run: 1, starts, is_any_tried }, Offset(9));
            assert_eq!(care.is_some(), expected, "{starts} {is_any_tried}");
        }
    }

    #[test]
    fn care_ends_past_what_there_was_and_after_a_batch() {
        let mut care = Care { run: 1, until: Offset(3), left: CAREFUL_EVENTS_MAX };
        assert_eq!([1, 2, 3].map(|at| care.goes_on(Offset(at), false)), [true, true, false]);
        assert!(care.goes_on(Offset(3), true), "what is parked may have been it");
        for _ in 1..CAREFUL_EVENTS_MAX {
            care.count();
        }
        assert!(care.goes_on(Offset(1), false));
        care.count();
        assert!(!care.goes_on(Offset(1), true), "no batch is longer");
    }

    #[test]
    fn an_event_has_its_attempts_and_only_one_that_ended_something_is_given_up() {
        for (answered, deaths, attempts_max, attempts) in [
            (0, 2, 3, None),
            (0, 3, 3, Some(3)),
            (2, 1, 3, Some(3)),
            (1, 1, 3, None),
            (5, 0, 3, None),
            (0, 1, 0, Some(1)),
        ] {
            let died = Tried { answered, attempts_max }.after(deaths);
            assert_eq!(
                died,
                attempts.map(|attempts| Died { deaths, attempts }),
                "{answered} {deaths}"
            );
        }
    }
}
