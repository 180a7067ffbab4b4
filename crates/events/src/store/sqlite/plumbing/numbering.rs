//! How far restores have moved on what a file counts, and the columns that count.
//!
//! Rows count what outsiders see of them: an aggregate's events, a row's versions and the tags made of
//! them. A service names such columns in its schema ([`COUNTED`]); a restore only notes how many numbers
//! are left out, and whoever opens the file next raises each column by as many. So a file of an older
//! program, which names its columns only once it is migrated, is raised all the same.

use rusqlite::{Connection, OptionalExtension, params};

use crate::error::Error;

/// The table of columns that count, for a service's schema; a row each follows:
/// `INSERT INTO counted VALUES ('orders', 'sequence', 0)`.
///
/// Copies of what another file counts are not among them: they follow their origin.
pub const COUNTED: &str = "
    CREATE TABLE IF NOT EXISTS counted (
        of TEXT NOT NULL, column TEXT NOT NULL, base INTEGER NOT NULL,
        PRIMARY KEY (of, column)) STRICT, WITHOUT ROWID;";

/// How many numbers restores have left out of every count of this file, together.
pub(crate) const NUMBERING: &str = "
    CREATE TABLE IF NOT EXISTS numbering (
        one INTEGER PRIMARY KEY CHECK (one = 1), base INTEGER NOT NULL) STRICT;";

/// A column that counts, and up to which base it was raised.
struct Counted {
    table: String,
    column: String,
    base: u64,
}

/// After which number a count begins that is new in this file; 0 where nothing was ever restored.
///
/// # Errors
/// [`Error::Environment`]: read again later.
pub(crate) fn base(sql: &Connection) -> Result<u64, Error> {
    let base = sql.query_row("SELECT base FROM numbering", [], |row| row.get(0));
    Ok(base.optional()?.unwrap_or(0))
}

/// Leaves out the next `by` numbers of every count of this file.
pub(crate) fn leave_out(sql: &Connection, by: u64) -> Result<(), Error> {
    sql.execute_batch(NUMBERING)?;
    let upsert = "INSERT INTO numbering VALUES (1, ?1)
        ON CONFLICT (one) DO UPDATE SET base = base + excluded.base";
    sql.execute(upsert, [by])?;
    Ok(())
}

/// Raises what was counted before numbers were left out; the base of what is counted from here on.
pub(crate) fn raise(sql: &mut Connection) -> Result<u64, Error> {
    let raising = sql.transaction()?;
    raising.execute_batch(NUMBERING)?;
    raising.execute_batch(COUNTED)?;
    let base = base(&raising)?;
    for Counted { table, column, base: before } in behind(&raising, base)? {
        let raise = format!(
            "UPDATE {} SET {column} = {column} + ?1",
            quoted(&table),
            column = quoted(&column)
        );
        raising.execute(&raise, [base - before])?;
        let note = "UPDATE counted SET base = ?3 WHERE of = ?1 AND column = ?2";
        raising.execute(note, params![table, column, base])?;
    }
    raising.commit()?;
    Ok(base)
}

fn behind(sql: &Connection, base: u64) -> Result<Vec<Counted>, Error> {
    let mut select = sql.prepare("SELECT of, column, base FROM counted WHERE base < ?1")?;
    let rows = select.query_map([base], |row| {
        Ok(Counted { table: row.get(0)?, column: row.get(1)?, base: row.get(2)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(sql: &Connection) -> Vec<u64> {
        let mut select = sql.prepare("SELECT version FROM item ORDER BY id").expect("sound");
        let rows = select.query_map([], |row| row.get(0)).expect("sound");
        rows.collect::<Result<_, _>>().expect("sound")
    }

    #[test]
    fn what_is_counted_is_raised_once_for_every_time_numbers_are_left_out() {
        let mut sql = Connection::open_in_memory().expect("memory");
        assert_eq!(raise(&mut sql).expect("raised"), 0);
        let items = "CREATE TABLE item (id INTEGER PRIMARY KEY, version INTEGER NOT NULL) STRICT;
            INSERT INTO item (version) VALUES (1), (7);";
        sql.execute_batch(items).expect("made");
        leave_out(&sql, 100).expect("noted");
        assert_eq!(raise(&mut sql).expect("raised"), 100);
        assert_eq!(counts(&sql), [1, 7], "nobody said yet that it counts");
        sql.execute("INSERT INTO counted VALUES ('item', 'version', 0)", []).expect("said");
        for _ in 0..2 {
            assert_eq!(raise(&mut sql).expect("raised"), 100);
            assert_eq!(counts(&sql), [101, 107]);
        }
        leave_out(&sql, 100).expect("noted");
        leave_out(&sql, 100).expect("noted");
        assert_eq!((raise(&mut sql).expect("raised"), counts(&sql)), (300, vec![301, 307]));
    }
}
