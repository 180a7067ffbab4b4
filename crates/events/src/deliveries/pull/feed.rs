//! What the broker is asked of one partition: where it ends, whether the place fits the log, and page after page.
//!
//! Each is asked in a task of its own, beside the loop that wants to know. The loop waits for it for a moment ([`Patience`]),
//! which it has for all partitions together, and once for each question: what is answered later is taken when it is there. So
//! a partition that does not answer keeps nobody waiting but for what is in it.
//!
//! | a partition | is asked | in the meantime |
//! |---|---|---|
//! | begins | where it ends, and whether its place fits | nothing is read of it |
//! | has begun | for pages, as somebody wants events | |
//! | has trouble | once more, after pauses that grow | the trouble is told, and no loop waits for it |
//!
//! What it does not do: it knows no leases, and nothing of what was read.

use std::future::{Future, pending};
use std::pin::Pin;
use std::time::Duration;

use futures_util::future::select_all;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Sleep;

use crate::broker::{Offset, Stored};
use crate::error::Error;
use crate::subscription::context::Lane;
use crate::subscription::{BATCH_MAX, beginning};
use crate::wait::{BACKOFF_MAX, Backoff};

/// How long a loop waits for its partitions before it goes on without those that have not answered.
const PATIENCE: Duration = Duration::from_millis(250);

/// How long who takes none for an answer, or answers for what is there, waits for a partition that has not answered.
const EXPECTED_FOR: Duration = Duration::from_secs(1);

/// What is left of the time that a loop waits.
pub(super) struct Patience(Option<Pin<Box<Sleep>>>);

/// A question that was put to the broker.
struct Question<T> {
    task: JoinHandle<Result<T, Error>>,
    answer: Option<Result<T, Error>>,
    /// For so long it is expected to be answered.
    expected: Option<Pin<Box<Sleep>>>,
    /// The loop waits for it no more.
    is_late: bool,
}

/// Events after a place.
struct Page {
    after: Offset,
    asked: Question<Vec<Stored>>,
}

/// How it is with a partition.
enum State {
    Begins(Question<watch::Receiver<Offset>>),
    Begun(watch::Receiver<Offset>),
    Shut,
}

/// See the module.
pub(super) struct Feed {
    lane: Lane,
    state: State,
    page: Option<Page>,
    /// What the broker said last, if that was trouble.
    trouble: Option<Error>,
    /// Of which page, where it was of one.
    failed_after: Option<Offset>,
    /// It is asked nothing before.
    again_at: Option<Timestamp>,
    backoff: Backoff,
}

impl Patience {
    pub(super) fn begin() -> Patience {
        Patience(Some(Box::pin(tokio::time::sleep(PATIENCE))))
    }

    /// Resolves when it is at its end.
    async fn over(&mut self) {
        if let Some(left) = &mut self.0 {
            left.await;
            self.0 = None;
        }
    }
}

impl<T: Send + 'static> Question<T> {
    fn put(asks: impl Future<Output = Result<T, Error>> + Send + 'static, is_late: bool) -> Self {
        let expected = Some(Box::pin(tokio::time::sleep(EXPECTED_FOR)));
        Question { task: tokio::spawn(asks), answer: None, expected, is_late }
    }

    /// The answer, where it comes while there is patience.
    async fn within(&mut self, patience: &mut Patience) -> Option<Result<T, Error>> {
        if self.answer.is_none() {
            let Question { task, answer, is_late, .. } = self;
            tokio::select! {
                biased;
                answered = task => *answer = Some(answered.unwrap_or(Err(Error::Closed))),
                () = std::future::ready(()), if *is_late => {}
                () = patience.over(), if !*is_late => {}
            }
        }
        self.is_late = true;
        self.answer.take()
    }

    /// Resolves when it is answered, or expected no more.
    async fn news(&mut self) {
        if self.answer.is_some() {
            return pending().await;
        }
        let Question { task, answer, expected, .. } = self;
        let over = async {
            match expected {
                Some(left) => left.await,
                None => pending().await,
            }
        };
        let is_answered = tokio::select! {
            biased;
            answered = task => {
                *answer = Some(answered.unwrap_or(Err(Error::Closed)));
                true
            }
            () = over => false,
        };
        if !is_answered {
            self.expected = None;
        }
    }

    fn is_expected(&self) -> bool {
        self.expected.is_some()
    }
}

impl<T> Drop for Question<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Feed {
    pub(super) fn new(lane: Lane) -> Feed {
        let state = State::Begins(Question::put(end_of(lane.clone()), false));
        Feed {
            lane,
            state,
            page: None,
            trouble: None,
            failed_after: None,
            again_at: None,
            backoff: Backoff::new(),
        }
    }

    /// Begins it, where that is to be done; whether it is other than it was: what was read of it counts no more.
    pub(super) async fn begin(&mut self, patience: &mut Patience) -> bool {
        if matches!(self.state, State::Shut) && !self.is_left_alone() {
            self.state = State::Begins(Question::put(end_of(self.lane.clone()), true));
        }
        let State::Begins(asked) = &mut self.state else { return false };
        let Some(answer) = asked.within(patience).await else { return false };
        match answer {
            Ok(end) => {
                self.state = State::Begun(end);
                self.is_well();
                true
            }
            Err(why) => {
                self.state = State::Shut;
                self.fails(why, None)
            }
        }
    }

    /// Events after this place, or none; `None` where it has not answered yet.
    ///
    /// # Errors
    /// The broker's, and the last of these while it is left alone.
    pub(super) async fn read(
        &mut self,
        after: Offset,
        patience: &mut Patience,
    ) -> Result<Option<Vec<Stored>>, Error> {
        // Of another page it says nothing: an operator may have stepped over what was hurt.
        let trouble = self.trouble.clone().filter(|_| self.failed_after == Some(after));
        if let Some(trouble) = trouble.clone().filter(|_| self.is_left_alone()) {
            return Err(trouble);
        }
        let mut page = match self.page.take().filter(|page| page.after == after) {
            Some(page) => page,
            None => Page { after, asked: self.page_after(after, trouble.is_some()) },
        };
        match page.asked.within(patience).await {
            None => {
                self.page = Some(page);
                // What is asked once more after trouble is no news before it is answered.
                trouble.map_or(Ok(None), Err)
            }
            Some(Ok(events)) => {
                self.is_well();
                Ok(Some(events))
            }
            Some(Err(why)) => {
                self.fails(why.clone(), Some(after));
                Err(why)
            }
        }
    }

    fn page_after(&self, after: Offset, is_late: bool) -> Question<Vec<Stored>> {
        let lane = self.lane.clone();
        let read = async move { lane.context.broker.read(&lane.at, after, BATCH_MAX).await };
        Question::put(read, is_late)
    }

    /// Where it ends, once it has begun.
    pub(super) fn end(&self) -> Option<Offset> {
        match &self.state {
            State::Begun(end) => Some(*end.borrow()),
            State::Begins(_) | State::Shut => None,
        }
    }

    /// Where it ends is known to whoever asks: only what comes is news.
    pub(super) fn look(&mut self) {
        if let State::Begun(end) = &mut self.state {
            end.mark_unchanged();
        }
    }

    /// What is wrong with it, if something is.
    pub(super) fn trouble(&self) -> Option<&Error> {
        self.trouble.as_ref()
    }

    /// When it is asked again, where it is left alone.
    pub(super) fn again_at(&self) -> Option<Timestamp> {
        self.again_at.filter(|_| self.is_left_alone())
    }

    /// Whether an answer may be there in a moment.
    pub(super) fn is_expected(&self) -> bool {
        let begins = matches!(&self.state, State::Begins(asked) if asked.is_expected());
        begins || self.page.as_ref().is_some_and(|page| page.asked.is_expected())
    }

    /// Resolves when it goes on, where somebody waits for that, or when something is answered.
    async fn news(&mut self, is_waited_for: bool) {
        let Feed { state, page, .. } = self;
        let begun = async {
            match state {
                State::Begins(asked) => asked.news().await,
                State::Begun(end) if is_waited_for => {
                    if end.changed().await.is_err() {
                        // Nobody follows it any more: the process ends.
                        pending::<()>().await;
                    }
                }
                State::Begun(_) | State::Shut => pending().await,
            }
        };
        let read = async {
            match page {
                Some(page) => page.asked.news().await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = begun => {}
            () = read => {}
        }
    }

    fn is_left_alone(&self) -> bool {
        let now = (self.lane.context.clock)();
        // No pause reaches further: a clock that was set back leaves nobody alone for longer.
        let longest = now.checked_add(BACKOFF_MAX).unwrap_or(Timestamp::MAX);
        self.again_at.is_some_and(|at| now < at && at <= longest)
    }

    fn is_well(&mut self) {
        (self.trouble, self.failed_after, self.again_at) = (None, None, None);
        self.backoff.reset();
    }

    /// Leaves it alone for a while; whether that is other trouble than before.
    fn fails(&mut self, why: Error, failed_after: Option<Offset>) -> bool {
        let (was, is) = (self.trouble.as_ref().map(Error::to_string), why.to_string());
        let is_news = was.is_none_or(|was| was != is);
        if is_news {
            let (subscription, topic) = (&*self.lane.context.name, self.lane.at.to_string());
            tracing::warn!(subscription, topic, error = is, "what comes next is not read");
        }
        let now = (self.lane.context.clock)();
        self.again_at = Some(now.checked_add(self.backoff.next()).unwrap_or(Timestamp::MAX));
        (self.trouble, self.failed_after) = (Some(why), failed_after);
        is_news
    }
}

/// Resolves when one of them has news.
pub(super) async fn news(feeds: &mut [Feed], is_waited_for: bool) {
    let all: Vec<_> = feeds.iter_mut().map(|feed| Box::pin(feed.news(is_waited_for))).collect();
    match all.is_empty() {
        true => pending().await,
        false => _ = select_all(all).await,
    }
}

/// Where a partition ends, once its place fits its log.
async fn end_of(lane: Lane) -> Result<watch::Receiver<Offset>, Error> {
    let end = lane.context.broker.watch(&lane.at).await?;
    beginning::recover(&lane).await?;
    Ok(end)
}
