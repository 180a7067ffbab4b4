//! What other instances fold, seen here: their batches invalidate this instance's pages, and their marks let its
//! readers go.
//!
//! Every batch announces itself; a look every [`POLL_EVERY`] is the net beneath. One look is one moment: the marks, and
//! whose pages were changed up to them. Pages are invalidated first, then readers are let go, so that nobody finds a
//! page from before the position he waited for.
//!
//! While the marks cannot be read nobody new is let go, and pages say since when they follow nothing. So they do where
//! nobody folds: whoever would has ended, rests, or was not heard of for longer than another one takes to go on.

use std::time::Duration;

use events::Control;
use events::store::{Announcements, Rows, marks};
use events::subscription::Received;
use jiff::Timestamp;

use crate::generation::Generation;
use crate::lease::SILENT_MAX;
use crate::progress;
use crate::read_side::ReadSide;
use crate::stamps::Stamps;
use crate::store::instances::{self, ChangedPages, FoldState};

/// How late a batch is seen at most whose announcement was not heard.
pub const POLL_EVERY: Duration = Duration::from_millis(50);

/// How long one look may take.
pub const LOOK_MAX: Duration = Duration::from_secs(2);

/// How long nobody may hold the lease before pages say so: one that gives it back is followed by another in less.
pub const HANDED_OVER_WITHIN: Duration = Duration::from_secs(1);

/// What was seen last.
#[derive(Clone, Copy, PartialEq, Eq)]
struct LastSeen {
    batch: u64,
    /// Subscriptions that were known: of one that came since, no mark was read.
    subscriptions: usize,
}

/// What a poll found.
struct Polled {
    /// Whether anybody folds.
    is_held: bool,
    news: Option<News>,
}

/// What was not seen before.
struct News {
    seen: LastSeen,
    touched: ChangedPages,
    received: Vec<Received>,
}

/// Looks again and again; drop it to end it.
pub(crate) async fn follow(side: &ReadSide, mut announced: Option<Announcements>) {
    let (mut seen, mut heard) = (None, side.progress.now());
    let mut held = heard;
    loop {
        let looked = tokio::time::timeout(LOOK_MAX, look(side, seen)).await;
        let looked =
            looked.unwrap_or_else(|_| Err(events::Error::environment("it takes too long")));
        match looked {
            Ok(Polled { is_held, news }) => {
                heard = side.progress.now();
                seen = news.map(|news| take(side, news)).or(seen);
                set_unreachable(side, None);
                held = if is_held { heard } else { held };
                set_unfolded(side, unfolded_since(held, heard));
            }
            Err(error) => {
                // Once, however long it lasts.
                if !side.progress.is_unreachable() {
                    tracing::warn!(%error, "what other instances fold cannot be seen");
                }
                set_unreachable(side, Some(heard));
            }
        }
        tokio::select! {
            () = next(&mut announced) => {}
            () = tokio::time::sleep(POLL_EVERY) => {}
        }
    }
}

async fn next(announced: &mut Option<Announcements>) {
    match announced {
        Some(announced) => announced.next().await,
        None => std::future::pending().await,
    }
}

/// Notes since when nothing was heard, or that all is.
fn set_unreachable(side: &ReadSide, unreachable_since: Option<Timestamp>) {
    side.progress.set_unreachable(unreachable_since.is_some());
    let Generation { stale, pages, .. } = &side.generation;
    stale.set_unreachable(unreachable_since, pages);
}

/// Since when nobody folds, if that is so at `now`. Who was heard of last may have been silent for a while by then.
fn unfolded_since(held: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let without = Duration::try_from(now.duration_since(held)).unwrap_or_default();
    (without > HANDED_OVER_WITHIN).then(|| held.checked_sub(SILENT_MAX).unwrap_or(held))
}

/// Notes since when nobody folds, or that somebody does.
fn set_unfolded(side: &ReadSide, since: Option<Timestamp>) {
    let Generation { stale, pages, .. } = &side.generation;
    if stale.set_unfolded(since, pages) {
        match since {
            Some(since) => tracing::warn!(%since, "nobody folds the views"),
            None => tracing::info!("the views are folded again"),
        }
    }
}

/// Pages first, then those who wait.
fn take(side: &ReadSide, news: News) -> LastSeen {
    match news.touched {
        ChangedPages::Anybodys => side.stamps.bump_and_wake_all(),
        ChangedPages::Those(pages) => pages.iter().for_each(|page| {
            let whose = page.as_borrowed();
            side.stamps.bump(Stamps::index(whose.page, whose.owner));
        }),
    }
    side.progress.advance(&news.received);
    news.seen
}

async fn look(side: &ReadSide, seen: Option<LastSeen>) -> Result<Polled, events::Error> {
    let given = (&side.generation, side.progress.controls(), seen);
    let read = side.apart.read(&given, |(generation, controls, seen), rows| {
        Box::pin(look_into(rows, generation, controls, *seen))
    });
    read.await
}

async fn look_into(
    rows: &mut Rows<'_>,
    generation: &Generation,
    controls: &[Control],
    seen: Option<LastSeen>,
) -> Result<Polled, events::Error> {
    let FoldState { feed_id, batch, is_held } = instances::standing(rows, SILENT_MAX).await?;
    if feed_id != generation.feed_id {
        return Err(events::Error::environment("the views were defined anew by another instance"));
    }
    let now = LastSeen { batch, subscriptions: controls.len() };
    if seen == Some(now) {
        return Ok(Polled { is_held, news: None });
    }
    let mut received = Vec::new();
    for control in controls {
        received.extend(progress::each(marks(rows, control.name(), control.topic()).await?));
    }
    let touched = match seen {
        Some(seen) => instances::touched(rows, seen.batch, batch).await?,
        None => ChangedPages::Anybodys,
    };
    Ok(Polled { is_held, news: Some(News { seen: now, touched, received }) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_folds_where_none_was_heard_of_for_longer_than_a_handing_over_takes() {
        let at = |millis| Timestamp::from_millisecond(millis).expect("a time");
        let silent = i64::try_from(SILENT_MAX.as_millis()).expect("a span");
        let limit = i64::try_from(HANDED_OVER_WITHIN.as_millis()).expect("a span");
        for (now, expected) in [
            (10_000, None),
            (10_000 + limit, None),
            (10_000 + limit + 1, Some(at(10_000 - silent))),
            // A clock that was set back tells nothing.
            (9_000, None),
        ] {
            assert_eq!(unfolded_since(at(10_000), at(now)), expected, "{now}");
        }
    }
}
