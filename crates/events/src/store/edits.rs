//! The table of parked events whose data an operator has replaced: what they were, on whose word, when.
//!
//! The row of `parked` has the event as it is handled; the one that came is kept here until that row goes, which takes this one with it. The topic has it as well,
//! for as long as it keeps it, and every other reader handles that.

use jiff::Timestamp;

use crate::error::Error;
use crate::event::Event;
use crate::parking::EditedLetter;
use crate::partition::Numbered;
use crate::skipped::BY_CHARS_MAX;
use crate::store::parked;
use crate::store::rows::{Row, Rows};
use crate::store::tx::Tx;
use crate::store::value::Bind;

/// A dead letter's row.
pub(crate) struct LetterRow {
    turn: i64,
    pub(crate) event: Event,
    /// Why it is one.
    pub(crate) reason: String,
}

/// The dead letter from there whose row still is an event.
pub(crate) async fn letter(
    rows: &mut Rows<'_>,
    subscription: &str,
    at: Numbered,
) -> Result<Option<LetterRow>, Error> {
    let select = "SELECT place, event, reason FROM parked WHERE subscription = ?1
        AND partition = ?2 AND \"offset\" & 9223372036854775807 = ?3 AND dead = 1";
    let whose: [&dyn Bind; 3] = [&subscription, &at.partition.index(), &at.number];
    let row = |row: &Row<'_>| {
        let (turn, reason) = (row.get(0)?, row.get(2)?);
        Ok::<_, Error>(parked::event(row, 1).ok().map(|event| LetterRow { turn, event, reason }))
    };
    Ok(rows.find(select, &whose, row).await?.flatten())
}

/// Has a letter's row be this event from now on; the one that came is kept, whatever it was edited to before.
pub(crate) async fn edit(
    tx: &mut Tx<'_>,
    letter: &LetterRow,
    edited: &Event,
    by: &str,
) -> Result<(), Error> {
    let by: String = by.chars().take(BY_CHARS_MAX).collect();
    let upsert = "INSERT INTO edit (place, original, at, by) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (place) DO UPDATE SET at = excluded.at, by = excluded.by";
    let at = tx.now().as_microsecond();
    tx.execute(upsert, &[&letter.turn, &letter.event.to_json(), &at, &by]).await?;
    let update = "UPDATE parked SET event = ?2 WHERE place = ?1";
    tx.execute(update, &[&letter.turn, &edited.to_json()]).await?;
    Ok(())
}

/// What was replaced in the parked event from there.
pub(crate) async fn of(
    rows: &mut Rows<'_>,
    subscription: &str,
    at: Numbered,
) -> Result<Option<EditedLetter>, Error> {
    let select = "SELECT original, at, by FROM edit WHERE place IN (SELECT place FROM parked
        WHERE subscription = ?1 AND partition = ?2 AND \"offset\" & 9223372036854775807 = ?3)";
    let whose: [&dyn Bind; 3] = [&subscription, &at.partition.index(), &at.number];
    let row = |row: &Row<'_>| {
        let at = Timestamp::from_microsecond(row.get(1)?).unwrap_or(Timestamp::UNIX_EPOCH);
        Ok::<_, Error>(EditedLetter { original: parked::event(row, 0).ok(), at, by: row.get(2)? })
    };
    rows.find(select, &whose, row).await
}
