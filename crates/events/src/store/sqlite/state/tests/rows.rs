//! What a statement is given arrives as it is, and a column is read as what it is or refused by its name.

use std::fmt::Debug;

use super::*;
use crate::store::{Bind, Column};

/// An answer that has a column of every kind.
const KINDS: &str = "SELECT 7 AS whole, -1 AS negative, 70000 AS large, 1.5 AS real, 'tv' AS word,
    x'0102' AS bytes, NULL AS empty, CAST(x'ff' AS TEXT) AS hurt";

/// Reads that one row.
async fn kinds<T: Send + 'static>(
    database: &Database,
    read: impl FnOnce(&Row<'_>) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    database.read(&(), |(), rows| Box::pin(rows.one(KINDS, &[], read))).await
}

async fn kind<T: Column + Send + 'static>(
    database: &Database,
    at: &'static str,
) -> Result<T, Error> {
    kinds(database, move |row| row.get(at)).await
}

/// It is the statement's mistake, and names the column.
fn check_refused(column: &str, outcome: &Result<impl Debug, Error>) {
    let named = |what: &str| what.ends_with(&format!("in column {column}"));
    assert!(
        matches!(outcome, Err(Error::Statement { what }) if named(what)),
        "{column}: {outcome:?}"
    );
}

#[tokio::test]
async fn a_column_is_read_as_what_it_is_by_its_number_or_its_name() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder);
    let read = kinds(&database, |row| {
        Ok((row.get::<u64>(0)?, row.get::<i64>("negative")?, row.get::<u32>("large")?))
    });
    assert_eq!(read.await.unwrap(), (7, -1, 70_000));
    let read = kinds(&database, |row| {
        Ok((row.get::<bool>("whole")?, row.get::<f64>("real")?, row.get::<String>(4)?))
    });
    assert_eq!(read.await.unwrap(), (true, 1.5, "tv".to_owned()));
    let read = kinds(&database, |row| Ok((row.get::<[u8; 2]>(5)?, row.get::<Vec<u8>>("bytes")?)));
    assert_eq!(read.await.unwrap(), ([1, 2], vec![1, 2]));
    let read = kinds(&database, |row| {
        Ok((row.get::<Option<u64>>("empty")?, row.get::<Option<String>>("word")?))
    });
    assert_eq!(read.await.unwrap(), (None, Some("tv".to_owned())));
}

#[tokio::test]
async fn columns_are_found_by_their_names_in_whatever_order_and_letters_they_are_asked_for() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder);
    let read = kinds(&database, |row| {
        let word = row.get::<String>("word")?;
        assert_eq!(row.get::<String>("WORD")?, word, "once more");
        Ok((word, row.get::<u64>("whole")?, row.get::<i64>("negative")?, row.get::<u32>("large")?))
    });
    assert_eq!(read.await.unwrap(), ("tv".to_owned(), 7, -1, 70_000));
    let missing = kind::<u64>(&database, "wholes").await;
    assert!(matches!(missing, Err(Error::Statement { .. })), "{missing:?}");
}

#[tokio::test]
async fn an_inserted_row_has_the_id_that_is_given_back_and_one_that_is_not_inserted_has_none() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("kept.db");
    let schema = &["CREATE TABLE kept (id INTEGER PRIMARY KEY, word TEXT UNIQUE) STRICT"];
    let options = Options { path, schema, publishes: None, clock: clock() };
    crate::store::tests::ids_of_what_is_inserted(&Database::open(options).unwrap()).await;
}

#[tokio::test]
async fn a_column_of_another_type_is_refused_by_its_name() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder);
    check_refused("negative", &kind::<u64>(&database, "negative").await);
    check_refused("large", &kind::<u16>(&database, "large").await);
    check_refused("real", &kind::<u64>(&database, "real").await);
    check_refused("word", &kind::<u64>(&database, "word").await);
    check_refused("word", &kind::<Option<u64>>(&database, "word").await);
    check_refused("word", &kind::<bool>(&database, "word").await);
    check_refused("word", &kind::<Vec<u8>>(&database, "word").await);
    check_refused("whole", &kind::<f64>(&database, "whole").await);
    check_refused("whole", &kind::<String>(&database, "whole").await);
    check_refused("bytes", &kind::<String>(&database, "bytes").await);
    check_refused("bytes", &kind::<[u8; 3]>(&database, "bytes").await);
    check_refused("empty", &kind::<u64>(&database, "empty").await);
    check_refused("empty", &kind::<String>(&database, "empty").await);
    // By its number it is refused by its name, too.
    check_refused("word", &kinds(&database, |row| row.get::<u64>(4)).await);
    let hurt = kind::<String>(&database, "hurt").await;
    assert!(matches!(hurt, Err(Error::Decode { .. })), "{hurt:?}");
}

#[tokio::test]
async fn a_column_that_is_not_there_is_a_mistake_of_the_statement() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder);
    for (at, read) in [
        ("price", kind::<u64>(&database, "price").await.map(drop)),
        ("price", kinds(&database, |row| row.parse("price", |_| Some(()))).await),
        ("8", kinds(&database, |row| row.get::<u64>(8)).await.map(drop)),
        ("8", kinds(&database, |row| row.value(8).map(drop)).await),
        ("8", kinds(&database, |row| row.parse(8, |_| Some(()))).await),
    ] {
        let named = |what: &str| what.ends_with(&format!(": {at}"));
        assert!(matches!(&read, Err(Error::Statement { what }) if named(what)), "{at}: {read:?}");
    }
}

#[tokio::test]
async fn text_is_parsed_as_what_it_stands_for_and_anything_else_is_refused_by_its_name() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder);
    let chars = |text: &str| Some(text.chars().count());
    let by_name = kinds(&database, move |row| row.parse("word", chars));
    assert_eq!(by_name.await.unwrap(), 2);
    let by_number = kinds(&database, move |row| row.parse(4, chars));
    assert_eq!(by_number.await.unwrap(), 2);
    let none = |_: &str| None::<usize>;
    check_refused("word", &kinds(&database, move |row| row.parse("word", none)).await);
    check_refused("word", &kinds(&database, move |row| row.parse(4, none)).await);
    for other in ["whole", "real", "bytes", "empty"] {
        check_refused(other, &kinds(&database, move |row| row.parse(other, chars)).await);
    }
}

#[tokio::test]
async fn values_go_where_their_numbers_are_in_whatever_order_the_statement_has_them() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder);
    let inserted = database.write((), |(), tx| {
        Box::pin(async move {
            let insert = "INSERT INTO item (parent, name) VALUES (?2, ?1)";
            tx.execute(insert, &[&"parent", &None::<&str>]).await?;
            tx.execute(insert, &[&"child", &"parent"]).await?;
            // The second comes first, and the first comes twice.
            let update = "UPDATE item SET name = ?2 || ?1 WHERE name = ?1";
            tx.execute(update, &[&"child", &"grand"]).await
        })
    });
    assert_eq!(inserted.await.unwrap(), 1);
    let select = "SELECT name FROM item WHERE parent IS ?3 OR name = ?1 ORDER BY name = ?2";
    let read = database.read(&("grandchild", "parent"), |(name, parent), rows| {
        Box::pin(async move {
            let given: [&dyn Bind; 3] = [name, parent, parent];
            rows.all(select, &given, |row| row.get::<String>(0)).await
        })
    });
    assert_eq!(read.await.unwrap(), ["grandchild"]);
    let select = "SELECT ?3, ?1, ?2, ?1";
    let read = database.read(&(), |(), rows| {
        Box::pin(async move {
            let given: [&dyn Bind; 3] = [&1_u64, &"two", &[3_u8]];
            rows.one(select, &given, |row| {
                Ok::<_, Error>((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })
            .await
        })
    });
    assert_eq!(read.await.unwrap(), ([3_u8], 1_u64, "two".to_owned(), 1_u64));
}

#[tokio::test]
async fn a_statement_is_given_as_many_values_as_it_has_and_neither_more_nor_fewer() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder);
    let given: [(&[&dyn Bind], bool); 3] =
        [(&[&"one"], false), (&[&"one", &"two"], true), (&[&"one", &"two", &"three"], false)];
    for (values, is_taken) in given {
        let read = database.read(values, |values, rows| {
            Box::pin(rows.one("SELECT ?2 || ?1", values, |row| row.get::<String>(0)))
        });
        match read.await {
            Ok(both) => assert!(is_taken && both == "twoone", "{both}"),
            Err(error) => {
                assert!(matches!(error, Error::Statement { .. }) && !is_taken, "{error:?}");
            }
        }
    }
}

#[tokio::test]
async fn an_integer_past_the_largest_is_refused_and_nothing_is_written() {
    const LARGEST: u64 = i64::MAX.unsigned_abs();
    const COUNTS: &[&str] = &["CREATE TABLE total (total INTEGER NOT NULL) STRICT"];
    let folder = TempDir::new().unwrap();
    let database = Database::open(Options { schema: COUNTS, ..options(&folder) }).unwrap();
    let insert = async |total: u64| {
        let work = database.write(total, |total, tx| {
            Box::pin(async move {
                // Whoever passes a refusal over writes nothing all the same.
                let inserted = tx.execute("INSERT INTO total VALUES (?1)", &[total]).await;
                Ok::<_, Error>(inserted)
            })
        });
        work.await.unwrap()
    };
    assert_eq!(insert(LARGEST).await.unwrap(), 1);
    for past in [LARGEST + 1, u64::MAX] {
        let refused = insert(past).await.unwrap_err();
        let named = |what: &str| what.contains(&past.to_string());
        assert!(matches!(&refused, Error::Statement { what } if named(what)), "{refused:?}");
    }
    let read = database.read(&(), |(), rows| {
        Box::pin(rows.all("SELECT total FROM total", &[], |row| row.get::<u64>(0)))
    });
    assert_eq!(read.await.unwrap(), [LARGEST]);
}

#[tokio::test]
async fn an_answer_is_its_first_row_its_one_row_all_of_them_or_each_until_one_is_refused() {
    #[derive(Debug, PartialEq)]
    enum Refusal {
        Enough,
        Engine(String),
    }
    impl From<Error> for Refusal {
        fn from(error: Error) -> Refusal {
            Refusal::Engine(error.to_string())
        }
    }
    const NUMBERS: &str = "SELECT column1 FROM (VALUES (3), (1), (2)) WHERE column1 > ?1
        ORDER BY column1";
    async fn look(rows: &mut Rows<'_>, above: i64) -> Result<(), Refusal> {
        let number = |row: &Row<'_>| Ok::<i64, Refusal>(row.get(0)?);
        let first = rows.find(NUMBERS, &[&above], number).await?;
        let one = rows.one(NUMBERS, &[&above], number).await;
        let all = rows.all(NUMBERS, &[&above], number).await?;
        assert_eq!(first, all.first().copied());
        match first {
            Some(first) => assert_eq!(one, Ok(first)),
            None => {
                let refused =
                    |it: &Refusal| matches!(it, Refusal::Engine(what) if what.contains("no row"));
                assert!(one.as_ref().is_err_and(refused), "{one:?}");
            }
        }
        let expected: Vec<i64> = (1..=3).filter(|number| *number > above).collect();
        assert_eq!(all, expected);
        let mut shown = Vec::new();
        let show = |row: &Row<'_>| {
            shown.push(row.get::<i64>(0)?);
            if shown.len() == 2 { Err(Refusal::Enough) } else { Ok(()) }
        };
        let each = rows.each(NUMBERS, &[&above], show).await;
        assert_eq!(shown, expected[..expected.len().min(2)]);
        assert_eq!(each, if expected.len() < 2 { Ok(()) } else { Err(Refusal::Enough) });
        Ok(())
    }
    let folder = TempDir::new().unwrap();
    let database = open(&folder);
    for above in 0..=3 {
        database.read(&above, |&above, rows| Box::pin(look(rows, above))).await.unwrap();
    }
}
