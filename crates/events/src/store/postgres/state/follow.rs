//! How far the outbox was committed, by whomever: asked of the table, which alone knows.

use sqlx::AssertSqlSafe;

use super::open::OpenSchema;
use super::outbox;
use crate::error::Error;
use crate::partition::{Numbered, Partition};
use crate::store::postgres::timeouts::{self, within};
use crate::store::postgres::trouble;

impl OpenSchema {
    /// Asks for the newest number of every partition; whoever follows wakes where one was raised, once that is on disk.
    pub(in crate::store) async fn follow(&self) -> Result<(), Error> {
        let Some(publishes) = &self.kept.publishes else { return Ok(()) };
        let newest = outbox::newest_in(&self.place, "place");
        let select = format!(
            "SELECT place, coalesce(number, 0) FROM generate_series(0, $2 - 1) AS place
            LEFT JOIN LATERAL ({newest}) AS newest ON TRUE"
        );
        let asked = sqlx::query_as(AssertSqlSafe(select))
            .bind(publishes.topic.as_str())
            .bind(i32::from(publishes.partitions.count()));
        let newest = within(timeouts::STATEMENT, asked.fetch_all(&self.relaying)).await;
        let newest: Vec<(i32, i64)> = newest.map_err(trouble::from)?;
        let numbered: Vec<Numbered> = newest
            .into_iter()
            .filter_map(|(partition, number)| numbered(partition, number))
            .collect();
        // Whoever committed it may not have it on disk yet.
        if numbered.iter().any(|it| it.number > self.kept.newest(it.partition)) {
            let flushed = sqlx::query(outbox::FLUSH).execute(&self.relaying);
            within(timeouts::STATEMENT, flushed).await.map_err(trouble::from)?;
        }
        self.raise(&numbered);
        self.load_relayed().await
    }
}

/// A number of a partition as the engine has them.
pub(super) fn numbered(partition: i32, number: i64) -> Option<Numbered> {
    let partition = u16::try_from(partition).ok().and_then(Partition::new)?;
    Some(Numbered { partition, number: u64::try_from(number).ok()? })
}
