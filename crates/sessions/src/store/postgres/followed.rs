//! What ended, in the order of its commits.

use chassis::identity::Ended;
use events::Error;
use events::store::{Row, Rows};
use jiff::Timestamp;

/// Ended sign-ins that are read in one go.
const READ_MAX: u64 = 1_000;

/// How far a look came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reached {
    /// Which count that is: a server that was started again, or tables that were made anew, may have been put back to an
    /// earlier moment, and have counted on from there.
    of: String,
    /// Everything up to this number was read.
    up_to: u64,
}

/// What one look found.
pub(crate) struct Read {
    pub(crate) reached: Reached,
    /// There may be more.
    pub(crate) more: bool,
}

/// Where the count stands.
async fn counted(rows: &mut Rows<'_>) -> Result<Reached, Error> {
    let select = "SELECT number, CAST(extract(epoch FROM pg_postmaster_start_time()) AS TEXT) || '/' || CAST(tableoid AS TEXT)
        FROM ended_count";
    rows.one(select, &[], |row| Ok(Reached { up_to: row.get(0)?, of: row.get(1)? })).await
}

/// Ends what ended after a place. A count that is another one, or below it, is of another time, and all is read again.
pub(crate) async fn ended_after(
    rows: &mut Rows<'_>,
    after: &Reached,
    ended: &Ended,
    now: Timestamp,
) -> Result<Read, Error> {
    let counted = counted(rows).await?;
    if counted == *after {
        return Ok(Read { reached: counted, more: false });
    }
    let goes_on = counted.of == after.of && counted.up_to >= after.up_to;
    let after = if goes_on { after.up_to } else { 0 };
    let select = "SELECT number, sid, until FROM ended_session WHERE number > ?1
        ORDER BY number LIMIT ?2";
    let (mut read, mut last) = (0, after);
    let end = |row: &Row<'_>| {
        let (session, until): (String, i64) = (row.get(1)?, row.get(2)?);
        (read, last) = (read + 1, row.get(0)?);
        if let Ok(until) = Timestamp::from_second(until) {
            ended.end(&session, until, now);
        }
        Ok::<_, Error>(())
    };
    rows.each(select, &[&after, &READ_MAX], end).await?;
    let more = read == READ_MAX;
    // Numbers above the last row's are of ends that said nothing new.
    let up_to = if more { last } else { counted.up_to };
    Ok(Read { reached: Reached { up_to, ..counted }, more })
}
