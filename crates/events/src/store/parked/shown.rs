//! Parked events as they are shown to whoever mends them: dead letters, and what is tried again by itself.
//!
//! Nothing is changed here, and an event is decoded one at a time: all of them together may be a gigabyte.

use std::collections::HashSet;

use super::{count_of, event, number_of, text, time};
use crate::error::Error;
use crate::event::Event;
use crate::parking::{self, DeadLetter, RetriedEvent, Wait};
use crate::partition::Numbered;
use crate::store::rows::{Row, Rows};
use crate::store::value::Bind;
use crate::topic::Topic;

/// The columns that [`letter`] reads, with a time of this column, of those that are meant, in their order.
fn select(time: &str, which: &str) -> String {
    format!(
        "SELECT \"offset\", attempts, reason, {time}, event,
            (SELECT count(*) FROM parked behind WHERE behind.subscription = parked.subscription
                AND behind.key = parked.key AND behind.place > parked.place), key,
            partition
        FROM parked WHERE subscription = ?1 AND {which} LIMIT ?2"
    )
}

/// Up to `limit` dead letters, longest parked first.
pub(crate) async fn dead(
    rows: &mut Rows<'_>,
    subscription: &str,
    topic: &Topic,
    limit: usize,
) -> Result<Vec<DeadLetter>, Error> {
    let select = select("since", "dead = 1 ORDER BY place");
    rows.all(&select, &[&subscription, &limit], |row| letter(row, subscription, topic)).await
}

/// Up to `limit` of those that are tried again by themselves, the next first.
pub(crate) async fn retried(
    rows: &mut Rows<'_>,
    subscription: &str,
    topic: &Topic,
    limit: usize,
) -> Result<Vec<RetriedEvent>, Error> {
    let which = "dead <> 1 AND next_at IS NOT NULL ORDER BY next_at, place";
    let select = select("next_at", which);
    let row = |row: &Row<'_>| {
        let DeadLetter { id, subscription, topic, key, kind, attempts, reason, since, waiting } =
            letter(row, subscription, topic)?;
        // The column that of a letter says since when it is one.
        let next_attempt = since;
        Ok(RetriedEvent {
            id,
            subscription,
            topic,
            key,
            kind,
            attempts,
            reason,
            next_attempt,
            waiting,
        })
    };
    rows.all(&select, &[&subscription, &limit], row).await
}

/// A parked event among those that were asked for.
pub(crate) struct ParkedMark {
    pub(crate) at: Numbered,
    pub(crate) wait: Wait,
    pub(crate) attempts: u32,
    pub(crate) reason: String,
}

/// Which of these places are parked. All rows of the subscription are looked at, which are limited, and no event is read.
pub(crate) async fn at(
    rows: &mut Rows<'_>,
    subscription: &str,
    wanted: &HashSet<Numbered>,
) -> Result<Vec<ParkedMark>, Error> {
    let select = "SELECT partition, \"offset\", dead, next_at, attempts, reason FROM parked
        WHERE subscription = ?1";
    let mut found = Vec::new();
    let add = |row: &Row<'_>| {
        let at = number_of(row, 0, 1)?;
        if wanted.contains(&at) {
            let next_at: Option<i64> = row.get(3)?;
            let wait = match (row.get::<i64>(2)?, next_at) {
                (1, _) => Wait::Operator,
                (_, Some(at)) => Wait::Until(time(at)),
                (_, None) => Wait::Turn,
            };
            let (attempts, reason) = (count_of(row, 4)?, text(row, 5)?);
            found.push(ParkedMark { at, wait, attempts, reason });
        }
        Ok::<_, Error>(())
    };
    rows.each(select, &[&subscription], add).await?;
    Ok(found)
}

/// The event that is first of its key with this number; `None` if there is none, or the row is none any more.
pub(crate) async fn dead_event(
    rows: &mut Rows<'_>,
    subscription: &str,
    at: Numbered,
) -> Result<Option<Event>, Error> {
    let select = "SELECT event FROM parked WHERE subscription = ?1
        AND partition = ?2 AND \"offset\" & 9223372036854775807 = ?3
        AND (dead = 1 OR next_at IS NOT NULL)";
    let whose: [&dyn Bind; 3] = [&subscription, &at.partition.index(), &at.number];
    let found = rows.find(select, &whose, |row| Ok::<_, Error>(event(row, 0).ok()));
    Ok(found.await?.flatten())
}

/// Shows the events of up to `limit` dead letters, longest parked first, one at a time.
pub(crate) async fn each_dead(
    rows: &mut Rows<'_>,
    subscription: &str,
    limit: usize,
    mut show: impl FnMut(Event) + Send,
) -> Result<(), Error> {
    let select = "SELECT event FROM parked WHERE subscription = ?1 AND dead = 1
        ORDER BY place LIMIT ?2";
    let show = |row: &Row<'_>| {
        event(row, 0).into_iter().for_each(&mut show);
        Ok(())
    };
    rows.each(select, &[&subscription, &limit], show).await
}

/// A row as the letter that is shown; one whose event is hurt is a letter without it.
fn letter(row: &Row<'_>, subscription: &str, topic: &Topic) -> Result<DeadLetter, Error> {
    // One at a time, and let go: it is looked at for its type alone.
    let kind = event(row, 4).map(|event| event.kind).unwrap_or_default();
    Ok(DeadLetter {
        id: parking::id(subscription, number_of(row, 7, 0)?),
        subscription: subscription.to_owned(),
        topic: topic.clone(),
        key: text(row, 6)?,
        kind,
        attempts: count_of(row, 1)?,
        reason: text(row, 2)?,
        since: time(row.get(3)?),
        waiting: row.get(5)?,
    })
}
