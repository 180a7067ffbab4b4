//! What a statement is given arrives as it is, by the type of its place.

use super::*;
use crate::store::rows::Row;
use crate::store::value::Bind;

const KINDS: &[&str] =
    &["CREATE TABLE kind (small SMALLINT, middle INTEGER, large BIGINT, truth BOOLEAN,
    real DOUBLE PRECISION, word TEXT, bytes BYTEA)"];

#[tokio::test]
async fn an_inserted_row_has_the_id_that_is_given_back_and_one_that_is_not_inserted_has_none() {
    let place = TestSchema::fresh();
    let schema = &["CREATE TABLE kept (
        id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, word TEXT UNIQUE)"];
    let database = place.open(schema, None, clock()).await;
    crate::store::tests::ids_of_what_is_inserted(&database).await;
}

#[tokio::test]
async fn what_was_written_is_read_and_nothing_at_all_needs_no_type() {
    let place = TestSchema::fresh();
    let database = place.open(KINDS, None, clock()).await;
    let write = database.write((), |(), tx| {
        Box::pin(async move {
            let insert = "INSERT INTO kind VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
            let row: [&dyn Bind; 7] =
                [&-7, &70_000, &(1_u64 << 40), &true, &1.5, &"여울", &[1_u8, 2]];
            tx.execute(insert, &row).await?;
            let none: Option<u32> = None;
            let row: [&dyn Bind; 7] = [&none; 7];
            tx.execute(insert, &row).await
        })
    });
    assert_eq!(write.await.unwrap(), 1);
    let whole = |row: &Row<'_>| {
        let numbers = (row.get::<i64>(0)?, row.get::<u32>("middle")?, row.get::<u64>(2)?);
        let others = (row.get::<bool>(3)?, row.get::<f64>("real")?, row.get::<String>(5)?);
        Ok::<_, Error>((numbers, others, row.get::<[u8; 2]>("bytes")?))
    };
    let select = "SELECT * FROM kind WHERE word = ?2 AND large > ?1";
    let found = database.read(&(), |(), rows| {
        Box::pin(async move { rows.find(select, &[&3, &"여울"], whole).await })
    });
    let expected = ((-7, 70_000, 1 << 40), (true, 1.5, "여울".to_owned()), [1, 2]);
    assert_eq!(found.await.unwrap(), Some(expected), "values go by their numbers");
    let empty = "SELECT middle, word FROM kind WHERE word IS NULL";
    let found = database.read(&(), |(), rows| {
        Box::pin(rows.one(empty, &[], |row| {
            Ok::<_, Error>((row.get::<Option<u32>>(0)?, row.get::<Option<String>>("word")?))
        }))
    });
    assert_eq!(found.await.unwrap(), (None, None));
    let counted = database.read(&(), |(), rows| {
        Box::pin(
            async move { Ok::<_, Error>((rows.count_base().await?, rows.columns_are_typed())) },
        )
    });
    assert_eq!(counted.await.unwrap(), (0, true));
}

#[tokio::test]
async fn what_does_not_fit_is_refused_before_the_server_is_asked() {
    let place = TestSchema::fresh();
    let database = place.open(KINDS, None, clock()).await;
    for (column, value) in
        [("small", i64::from(i16::MAX) + 1), ("middle", i64::from(i32::MAX) + 1), ("word", 7)]
    {
        let write = database.write((column, value), |(column, value), tx| {
            let insert = format!("INSERT INTO kind ({column}) VALUES (?1)");
            Box::pin(async move { tx.execute(&insert, &[value]).await })
        });
        assert!(matches!(write.await, Err(Error::Statement { .. })), "{column}");
    }
    let numeric = database.read(&(), |(), rows| {
        Box::pin(rows.one("SELECT 1.5::NUMERIC AS exact", &[], |row| row.get::<f64>(0)))
    });
    let refused = numeric.await.unwrap_err().to_string();
    assert!(refused.contains("NUMERIC") && refused.contains("exact"), "{refused}");
    assert_eq!(place.execute("SELECT count(*) FROM kind"), "0");
}
