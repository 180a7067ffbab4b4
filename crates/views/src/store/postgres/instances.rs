//! What instances on one schema tell each other: who folds, how many batches were committed, and whose pages each
//! changed.
//!
//! The lease is a row with a fencing number that goes up with every holder. Each batch of the fold changes that row
//! first, under its own number, so that it is refused where another has taken over, nobody takes over before it is
//! committed, and batches of several topics come one after the other: a row's events may come by any of them.

use std::time::Duration;

use events::store::{Row, Rows, Tx};
use serde_json::Value as Json;

use crate::owner::{Owner, OwnersPage, OwnersPageRef};
use crate::value::Key;

/// Pages of one batch that are named one by one; past it, it may have been anybody's.
pub const TOUCHED_MAX: usize = 1000;

/// Batches whose pages are kept; who is further behind takes it that all have changed.
pub const TOUCHED_KEPT: u64 = 1000;

pub(super) const TABLES: &str = "CREATE TABLE fold (
        one INTEGER PRIMARY KEY CHECK (one = 1), epoch TEXT NOT NULL, fence BIGINT NOT NULL,
        batch BIGINT NOT NULL, beat TIMESTAMPTZ NOT NULL);
    CREATE TABLE touched (batch BIGINT NOT NULL, pages TEXT NOT NULL);
    CREATE INDEX touched_by_batch ON touched (batch);";

/// What the fold has come to, as its instances have it in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoldState {
    /// The feed's name: under other definitions it is another.
    pub(crate) feed_id: String,
    /// Batches that were committed, whoever folded them.
    pub(crate) batch: u64,
    /// Whether anybody who may fold was heard of lately.
    pub(crate) is_held: bool,
}

/// Whose pages were changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ChangedPages {
    Those(Vec<OwnersPage>),
    /// Too many, or too long ago, to be named.
    Anybodys,
}

/// Begins a lease under definitions that are new: one of others' is nobody's any more.
pub(super) async fn begin_anew(tx: &mut Tx<'_>, feed_id: &str) -> Result<(), events::Error> {
    let insert = "INSERT INTO fold VALUES (1, ?1, 0, 0, '-infinity') ON CONFLICT (one) DO UPDATE
        SET epoch = excluded.epoch, fence = fold.fence + 1, batch = fold.batch + 1, beat = excluded.beat";
    tx.execute(insert, &[&feed_id]).await?;
    Ok(())
}

/// Sees to it that there is a lease, also in a schema from before there were any.
pub(super) async fn ensure(tx: &mut Tx<'_>, feed_id: &str) -> Result<(), events::Error> {
    let insert = "INSERT INTO fold VALUES (1, ?1, 0, 0, '-infinity') ON CONFLICT (one) DO NOTHING";
    tx.execute(insert, &[&feed_id]).await?;
    Ok(())
}

/// Takes the lease over from whoever was not heard of for so long; its number, if that worked.
pub(crate) async fn take(
    tx: &mut Tx<'_>,
    feed_id: &str,
    silent: Duration,
) -> Result<Option<u64>, events::Error> {
    let update = "UPDATE fold SET fence = fence + 1, beat = clock_timestamp() WHERE one = 1
        AND epoch = ?1 AND beat < clock_timestamp() - ?2 * INTERVAL '1 millisecond' RETURNING fence";
    tx.find(update, &[&feed_id, &millis(silent)], |row| row.get(0)).await
}

/// Says that the holder of this number is there; whether it still holds the lease.
pub(crate) async fn keep(tx: &mut Tx<'_>, fence: u64) -> Result<bool, events::Error> {
    let update = "UPDATE fold SET beat = clock_timestamp() WHERE one = 1 AND fence = ?1";
    Ok(tx.execute(update, &[&fence]).await? == 1)
}

/// Gives the lease back: another one may have it at once.
pub(crate) async fn release(tx: &mut Tx<'_>, fence: u64) -> Result<(), events::Error> {
    let update = "UPDATE fold SET beat = '-infinity' WHERE one = 1 AND fence = ?1";
    tx.execute(update, &[&fence]).await?;
    Ok(())
}

/// Begins a batch of this holder's, which is announced should it be committed; whether it still holds the lease,
/// which then stays its own until the transaction is over.
pub(crate) async fn begin(tx: &mut Tx<'_>, fence: u64) -> Result<bool, events::Error> {
    let update =
        "UPDATE fold SET batch = batch + 1, beat = clock_timestamp() WHERE one = 1 AND fence = ?1";
    if tx.execute(update, &[&fence]).await? == 0 {
        return Ok(false);
    }
    tx.announce().await?;
    Ok(true)
}

/// Notes whose pages the batch changes.
pub(crate) async fn touch(
    rows: &mut Rows<'_>,
    pages: impl ExactSizeIterator<Item = OwnersPageRef<'_>>,
) -> Result<(), events::Error> {
    let text = if pages.len() > TOUCHED_MAX { String::new() } else { written(pages) };
    let insert = "INSERT INTO touched SELECT batch, CAST(?1 AS TEXT) FROM fold";
    rows.execute(insert, &[&text]).await?;
    let forget = "DELETE FROM touched WHERE batch <= (SELECT batch FROM fold) - ?1";
    rows.execute(forget, &[&TOUCHED_KEPT]).await?;
    Ok(())
}

/// What stands now; whoever was silent for longer than that holds the lease no more.
pub(crate) async fn standing(
    rows: &mut Rows<'_>,
    silent: Duration,
) -> Result<FoldState, events::Error> {
    let select =
        "SELECT epoch, batch, beat >= clock_timestamp() - ?1 * INTERVAL '1 millisecond' FROM fold";
    let state = |row: &Row<'_>| {
        Ok(FoldState { feed_id: row.get(0)?, batch: row.get(1)?, is_held: row.get(2)? })
    };
    rows.one(select, &[&millis(silent)], state).await
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Whose pages were changed after a batch, up to the one that stands now.
pub(crate) async fn touched(
    rows: &mut Rows<'_>,
    after: u64,
    now: u64,
) -> Result<ChangedPages, events::Error> {
    // Fewer batches than were seen: the store was put back, and what was shown since is of rows that are gone.
    let since = now.checked_sub(after);
    if since.is_none_or(|since| since >= TOUCHED_KEPT) {
        return Ok(ChangedPages::Anybodys);
    }
    let select = "SELECT pages FROM touched WHERE batch > ?1";
    let read = |row: &Row<'_>| row.get::<String>(0);
    let texts: Vec<String> = rows.all::<_, events::Error>(select, &[&after], read).await?;
    let pages: Option<Vec<Vec<OwnersPage>>> = texts.iter().map(|text| read_back(text)).collect();
    Ok(pages.map_or(ChangedPages::Anybodys, |pages| ChangedPages::Those(pages.concat())))
}

/// A number and the text of its digits stay two owners.
fn written<'p>(pages: impl Iterator<Item = OwnersPageRef<'p>>) -> String {
    let owner = |owner: Owner<'_>| match owner {
        Owner::Number(number) => Json::from(number),
        Owner::Text(text) => Json::from(text),
    };
    let pages: Vec<_> =
        pages.map(|whose| Json::from(vec![whose.page.into(), owner(whose.owner)])).collect();
    Json::from(pages).to_string()
}

/// `None` where they are not named.
fn read_back(text: &str) -> Option<Vec<OwnersPage>> {
    let pages: Vec<(usize, Json)> = serde_json::from_str(text).ok()?;
    let page = |page: usize, owner: Json| {
        let owner = match owner {
            Json::String(text) => Key::Text(text.into()),
            number => Key::Int(number.as_i64()?),
        };
        Some(OwnersPage { page, owner })
    };
    pages.into_iter().map(|(at, owner)| page(at, owner)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_pages_they_are_comes_back_as_it_was() {
        let pages = [
            OwnersPage { page: 0, owner: Key::Text("a\"b".into()) },
            OwnersPage { page: 7, owner: Key::Text("7".into()) },
            OwnersPage { page: 7, owner: Key::Int(-7) },
        ];
        let text = written(pages.iter().map(OwnersPage::as_borrowed));
        assert_eq!(read_back(&text).expect("named"), pages);
        for unnamed in ["", "null", "[[0]]", "[[0,null]]", "[[-1,\"a\"]]"] {
            assert_eq!(read_back(unnamed), None, "{unnamed}");
        }
    }
}
