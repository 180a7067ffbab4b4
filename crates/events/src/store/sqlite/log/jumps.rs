//! Offsets of a topic that are never given: a restore left them out, so that no reader from outside who
//! kept a place after the restored moment passes over what is new.
//!
//! A jump is written beside the rows, a link in the chain of checksums like a record: it hangs on the row
//! before it, and the row behind it hangs on it. Rows that are missing anywhere else, and a link that
//! changed, moved or stands where another was, stay damage.

use rusqlite::{Connection, OptionalExtension, params};

use super::chain::{Chain, Newest};
use crate::error::Error;
use crate::store::sqlite::plumbing::jump::Jump;

/// Jumps one topic has; past it nothing more is restored from this log.
const JUMPS_MAX: u64 = 1_000;

pub(super) const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS jump (
        topic INTEGER NOT NULL, base INTEGER NOT NULL, floor INTEGER NOT NULL,
        crc INTEGER NOT NULL, PRIMARY KEY (topic, base)) STRICT, WITHOUT ROWID;";

/// A jump with the chain as it stands behind it.
#[derive(Clone, Copy)]
struct Linked {
    jump: Jump,
    crc: u32,
}

/// The jumps of one topic, in order; nearly always there is none.
#[derive(Default)]
pub(super) struct Jumps(Box<[Linked]>);

impl Jumps {
    /// Links that are none any more are left out: rows are missing there then, and that is damage.
    pub(super) fn load(sql: &Connection, topic: i64) -> Result<Jumps, Error> {
        let select = "SELECT base, floor, crc FROM jump WHERE topic = ?1 ORDER BY base";
        let mut select = sql.prepare(select)?;
        let rows =
            select.query_map([topic], |row| Ok(linked([row.get(0)?, row.get(1)?, row.get(2)?])))?;
        let linked: Vec<Option<Linked>> = rows.collect::<Result<_, _>>()?;
        Ok(Jumps(linked.into_iter().flatten().collect()))
    }

    /// The offset that is given after `offset`.
    pub(super) fn after(&self, offset: u64) -> u64 {
        self.over(offset).map_or(offset + 1, |linked| linked.jump.after(offset))
    }

    /// The newest offset up to `offset` that can have been given.
    pub(super) fn given(&self, offset: u64) -> u64 {
        self.0.iter().fold(offset, |offset, linked| linked.jump.given(offset))
    }

    /// How many offsets were given after `before` up to `last`.
    pub(super) fn between(&self, before: u64, last: u64) -> u64 {
        let (before, last) = (self.given(before), self.given(last));
        let over = |jump: &Jump| before <= jump.base && jump.floor < last;
        let jumps = self.0.iter().map(|linked| linked.jump).filter(over);
        last.saturating_sub(before).saturating_sub(jumps.map(Jump::width).sum())
    }

    /// The offset that was given `count` offsets before `offset`; 0 where there were not so many.
    pub(super) fn back(&self, offset: u64, count: u64) -> u64 {
        let (mut offset, mut count) = (offset, count);
        for Linked { jump, .. } in self.0.iter().rev() {
            if jump.floor >= offset {
                continue;
            }
            let behind = offset - jump.floor;
            if count < behind {
                break;
            }
            (offset, count) = (jump.base, count - behind);
        }
        offset.saturating_sub(count)
    }

    /// Takes the chain, as it stands after `offset`, over the jump that begins there, if one does.
    /// Whether its link fits.
    pub(super) fn leap(&self, offset: u64, chain: &mut Chain) -> bool {
        let Some(Linked { jump, crc }) = self.at(offset) else { return true };
        chain.leap(jump.base, jump.floor) == crc
    }

    /// The chain behind the jump that begins at `offset`, by its own link: for where the row there is
    /// lost.
    pub(super) fn resumed(&self, offset: u64) -> Option<Chain> {
        self.at(offset).map(|linked| Chain::resumed(linked.crc))
    }

    /// The newest jump that begins at `offset` or behind it.
    pub(super) fn last_from(&self, offset: u64) -> Option<Jump> {
        self.0.last().map(|linked| linked.jump).filter(|jump| jump.base >= offset)
    }

    /// The jump that begins right behind this offset.
    fn at(&self, offset: u64) -> Option<Linked> {
        self.0.iter().find(|linked| linked.jump.base == offset).copied()
    }

    /// The jump that this offset is in, or right before.
    fn over(&self, offset: u64) -> Option<&Linked> {
        self.0.iter().find(|it| (it.jump.base..it.jump.floor).contains(&offset))
    }
}

/// A link as it was read; `None` if it is none any more: then rows are missing where it was.
fn linked([base, floor, crc]: [i64; 3]) -> Option<Linked> {
    let jump = Jump { base: base.try_into().ok()?, floor: floor.try_into().ok()? };
    (jump.base < jump.floor).then_some(Linked { jump, crc: crc.try_into().ok()? })
}

/// Writes down that the next `by` offsets after the newest are left out; more of them if that was written before
/// and nothing has come since.
pub(super) fn leave_out(
    sql: &Connection,
    topic: i64,
    newest: Newest,
    by: u64,
) -> Result<(), Error> {
    let Newest { offset: newest, mut chain } = newest;
    let select = "SELECT floor FROM jump WHERE topic = ?1 AND base = ?2";
    let before = sql.query_row(select, params![topic, newest], |row| row.get(0)).optional()?;
    let floor = before.unwrap_or(newest) + by;
    let count = "SELECT count(*) FROM jump WHERE topic = ?1";
    let jumps: u64 = sql.query_row(count, [topic], |row| row.get(0))?;
    if before.is_none() && jumps >= JUMPS_MAX {
        return Err(Error::Limit { field: "jumps", value: jumps + 1, limit: JUMPS_MAX });
    }
    let replace = "INSERT OR REPLACE INTO jump VALUES (?1, ?2, ?3, ?4)";
    sql.execute(replace, params![topic, newest, floor, chain.leap(newest, floor)])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: [u64; 9] = [1, 2, 3, 14, 15, 16, 27, 28, 29];

    fn two() -> Jumps {
        let linked = |base, floor| Linked { jump: Jump { base, floor }, crc: 0 };
        Jumps(Box::new([linked(3, 13), linked(16, 26)]))
    }

    #[test]
    fn offsets_are_counted_over_every_jump() {
        let jumps = two();
        for (at, &number) in GIVEN.iter().enumerate() {
            assert_eq!(jumps.given(number), number);
            if let Some(next) = GIVEN.get(at + 1) {
                assert_eq!(jumps.after(number), *next, "{number}");
            }
            for (to, &last) in GIVEN.iter().enumerate().skip(at) {
                assert_eq!(jumps.between(number, last), (to - at) as u64, "{number} {last}");
                assert_eq!(jumps.back(last, (to - at) as u64), number, "{number} {last}");
            }
            assert_eq!(jumps.back(number, 1_000), 0);
        }
    }

    #[test]
    fn a_place_that_was_left_out_stands_for_the_one_before() {
        let jumps = two();
        for (place, given, next) in [(4, 3, 14), (13, 3, 14), (17, 16, 27), (26, 16, 27)] {
            assert_eq!((jumps.given(place), jumps.after(place)), (given, next), "{place}");
        }
        assert_eq!(jumps.between(8, 20), 3);
    }
}
