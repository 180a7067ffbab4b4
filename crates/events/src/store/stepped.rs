//! Rows of the outbox that the relay steps over: dead letters of the outbox, and what became of them.
//!
//! An event that no broker takes must not hold up those behind it for ever. Its row stays in the
//! outbox and is noted here; the relay goes on, and an operator redrives it (as a new row, because a
//! broker takes a lower number for a second copy) or drops it. A note outlives its letter until the row
//! is pruned: what was never published must not be missed in the broker either.
//!
//! So a number of the outbox is in one of three states: it has a row and no note (published, or still
//! to be), a note that is dead (a letter, whose row is never pruned), or a note that is not (passed).

use jiff::Timestamp;

use crate::error::Error;
use crate::event::Event;
use crate::parking::{self, DeadLetter};
use crate::partition::Numbered;
use crate::store::origin::Origin;
use crate::store::outbox;
use crate::store::packed;
use crate::store::rows::{Row, Rows};
use crate::store::value::Bind;
use crate::topic::Topic;

/// Dead letters one outbox has at most; at the limit its relay stops, and its status shows why.
pub(crate) const OUTBOX_DEAD_MAX: u64 = 1_000;

/// Numbers that one piece of work passes at most, each with a note of its own: of a longer stretch the rest is passed by
/// the next.
pub(crate) const PASSED_MAX: u64 = 10_000;

/// Makes the row a dead letter.
pub(crate) async fn bury(
    rows: &mut Rows<'_>,
    at: Numbered,
    reason: &str,
    now: Timestamp,
) -> Result<(), Error> {
    let count = "SELECT count(*) FROM outbox_stepped WHERE dead = 1";
    let dead = rows.one(count, &[], |row| row.get::<u64>(0)).await?;
    if dead >= OUTBOX_DEAD_MAX {
        let what = format!("{dead} dead letters of the outbox already: redrive or drop some");
        return Err(Error::environment(what));
    }
    note(rows, at, SteppedOver { reason, dead: true }, now).await
}

/// Has the relay pass the rows of these numbers, which are no letters: an operator skipped them.
pub(crate) async fn pass(
    rows: &mut Rows<'_>,
    first: Numbered,
    last: u64,
    reason: &str,
    now: Timestamp,
) -> Result<(), Error> {
    let passed = (last + 1).saturating_sub(first.number);
    Error::check("rows passed at once", passed as usize, PASSED_MAX as usize)?;
    for number in first.number..=last {
        note(rows, Numbered { number, ..first }, SteppedOver { reason, dead: false }, now).await?;
    }
    Ok(())
}

/// Why the relay steps over a number.
#[derive(Clone, Copy)]
struct SteppedOver<'r> {
    reason: &'r str,
    /// It is a letter, and waits for an operator.
    dead: bool,
}

/// Writes down why the relay steps over a number, in place of what was noted there before.
async fn note(
    rows: &mut Rows<'_>,
    at: Numbered,
    note: SteppedOver<'_>,
    now: Timestamp,
) -> Result<(), Error> {
    let upsert = "INSERT INTO outbox_stepped (sequence, reason, since, dead)
        VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (sequence) DO UPDATE SET reason = excluded.reason, since = excluded.since,
            dead = excluded.dead";
    let SteppedOver { reason, dead } = note;
    let row: [&dyn Bind; 4] =
        [&packed::pack(at), &parking::shortened(reason), &now.as_microsecond(), &dead];
    rows.execute(upsert, &row).await?;
    Ok(())
}

/// Ends a letter: it was redriven or dropped. Whether there was one.
pub(crate) async fn end(rows: &mut Rows<'_>, at: Numbered) -> Result<bool, Error> {
    let update = "UPDATE outbox_stepped SET dead = 0 WHERE sequence = ?1 AND dead = 1";
    Ok(rows.execute(update, &[&packed::pack(at)]).await? > 0)
}

/// Whose letters they are: what their ids begin with, and where they would have gone.
#[derive(Clone, Copy)]
pub(crate) struct Addressed<'a> {
    pub(crate) relay: &'a str,
    pub(crate) topic: &'a Topic,
}

/// Up to `limit` dead letters of the outbox, oldest first.
pub(crate) async fn dead(
    rows: &mut Rows<'_>,
    addressed: Addressed<'_>,
    limit: usize,
) -> Result<Vec<DeadLetter>, Error> {
    let key = rows.outbox_key();
    let select = format!(
        "SELECT stepped.sequence, reason, since, kind, {key} FROM outbox_stepped stepped
        LEFT JOIN outbox USING (sequence) WHERE dead = 1 ORDER BY stepped.sequence LIMIT ?1"
    );
    rows.all(&select, &[&limit], |row| letter(row, addressed)).await
}

/// The event of the dead letter of this number; `None` if there is none, or the row is none any more.
pub(crate) async fn dead_event(
    rows: &mut Rows<'_>,
    origin: Origin<'_>,
    at: Numbered,
) -> Result<Option<Event>, Error> {
    let select = "SELECT 1 FROM outbox_stepped WHERE sequence = ?1 AND dead = 1";
    let known = rows.find(select, &[&packed::pack(at)], |_| Ok::<_, Error>(())).await?;
    if known.is_none() {
        return Ok(None);
    }
    Ok(outbox::find(rows, origin, at).await.ok().flatten())
}

/// A note that is dead as the letter that is shown.
fn letter(row: &Row<'_>, Addressed { relay, topic }: Addressed<'_>) -> Result<DeadLetter, Error> {
    let at = packed::unpack(row.get(0)?);
    Ok(DeadLetter {
        id: parking::id(relay, at),
        subscription: relay.to_owned(),
        topic: topic.clone(),
        key: row.get::<Option<String>>(4)?.unwrap_or_default(),
        kind: row.get::<Option<String>>(3)?.unwrap_or_default(),
        attempts: 1,
        reason: row.get(1)?,
        since: Timestamp::from_microsecond(row.get(2)?).unwrap_or(Timestamp::UNIX_EPOCH),
        waiting: 0,
    })
}
