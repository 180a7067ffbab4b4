//! What other instances fold, seen here: their batches invalidate this instance's pages, and their marks let its
//! readers go.
//!
//! Every batch announces itself; a look every [`POLL_EVERY`] is the net beneath. One look is one moment: the marks, and
//! whose pages were changed up to them. Pages are invalidated first, then readers are let go, so that nobody finds a page
//! from before the position he waited for.
//!
//! While the marks cannot be read nobody new is let go, and pages say since when they follow nothing.

use std::time::Duration;

use events::Control;
use events::store::{Announcements, Rows, marks};
use events::subscription::Received;
use jiff::Timestamp;

use crate::generation::Generation;
use crate::progress;
use crate::read_side::ReadSide;
use crate::stamps::Stamps;
use crate::store::instances::{self, ChangedPages, FoldState};

/// How late a batch is seen at most whose announcement was not heard.
pub const POLL_EVERY: Duration = Duration::from_millis(50);

/// How long one look may take.
pub const LOOK_MAX: Duration = Duration::from_secs(2);

/// What was seen last.
#[derive(Clone, Copy, PartialEq, Eq)]
struct LastSeen {
    batch: u64,
    /// Subscriptions that were known: of one that came since, no mark was read.
    subscriptions: usize,
}

/// What a look found that was not seen before.
struct News {
    seen: LastSeen,
    touched: ChangedPages,
    received: Vec<Received>,
}

/// Looks again and again; drop it to end it.
pub(crate) async fn follow(side: &ReadSide, mut announced: Option<Announcements>) {
    let (mut seen, mut heard) = (None, side.progress.now());
    loop {
        let looked = tokio::time::timeout(LOOK_MAX, look(side, seen)).await;
        let looked =
            looked.unwrap_or_else(|_| Err(events::Error::environment("it takes too long")));
        match looked {
            Ok(news) => {
                heard = side.progress.now();
                seen = news.map(|news| take(side, news)).or(seen);
                hear(side, None);
            }
            Err(error) => {
                // Once, however long it lasts.
                if !side.progress.is_unreachable() {
                    tracing::warn!(%error, "what other instances fold cannot be seen");
                }
                hear(side, Some(heard));
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
fn hear(side: &ReadSide, unreachable_since: Option<Timestamp>) {
    side.progress.set_unreachable(unreachable_since.is_some());
    let Generation { stale, pages, .. } = &side.generation;
    stale.set_unreachable(unreachable_since, pages);
}

/// Pages first, then those who wait.
fn take(side: &ReadSide, news: News) -> LastSeen {
    match news.touched {
        ChangedPages::Anybodys => side.stamps.bump_and_wake_all(),
        ChangedPages::Those(pages) => pages.iter().for_each(|page| {
            let whose = page.as_whose();
            side.stamps.bump(Stamps::index(whose.page, whose.owner));
        }),
    }
    side.progress.advance(&news.received);
    news.seen
}

async fn look(side: &ReadSide, seen: Option<LastSeen>) -> Result<Option<News>, events::Error> {
    let given = (&side.generation, side.progress.controls(), seen);
    let read = side.database.read(&given, |(generation, controls, seen), rows| {
        Box::pin(news(rows, generation, controls, *seen))
    });
    read.await
}

async fn news(
    rows: &mut Rows<'_>,
    generation: &Generation,
    controls: &[Control],
    seen: Option<LastSeen>,
) -> Result<Option<News>, events::Error> {
    let FoldState { epoch, batch } = instances::standing(rows).await?;
    if epoch != generation.epoch {
        return Err(events::Error::environment("the views were defined anew by another instance"));
    }
    let now = LastSeen { batch, subscriptions: controls.len() };
    if seen == Some(now) {
        return Ok(None);
    }
    let mut received = Vec::new();
    for control in controls {
        received.extend(progress::each(marks(rows, control.name()).await?));
    }
    let touched = match seen {
        Some(seen) => instances::touched(rows, seen.batch, batch).await?,
        None => ChangedPages::Anybodys,
    };
    Ok(Some(News { seen: now, touched, received }))
}
