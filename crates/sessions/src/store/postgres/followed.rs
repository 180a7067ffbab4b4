//! What ended, in the order of its commits.

use chassis::identity::Ended;
use events::Error;
use events::store::{Row, Rows};
use jiff::Timestamp;

/// Ended sign-ins that are read in one go.
const READ_MAX: u64 = 1_000;

/// How far a look came.
pub(crate) struct Read {
    /// Everything up to this number was read.
    pub(crate) up_to: u64,
    /// There may be more.
    pub(crate) more: bool,
}

/// Ends what ended after a number. A count that is below it is of another time: the store was put back to an
/// earlier moment, and all is read again.
pub(crate) async fn ended_after(
    rows: &mut Rows<'_>,
    after: u64,
    ended: &Ended,
    now: Timestamp,
) -> Result<Read, Error> {
    let number = |row: &Row<'_>| row.get(0);
    let count: Result<u64, Error> = rows.one("SELECT number FROM ended_count", &[], number).await;
    let count = count?;
    if count == after {
        return Ok(Read { up_to: after, more: false });
    }
    let after = if count < after { 0 } else { after };
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
    Ok(Read { up_to: if more { last } else { count }, more })
}
