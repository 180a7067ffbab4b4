//! What a transaction of a server's has that a file's has not: statements that end it, and parts that are few.

use super::*;

/// Goes on after a statement that failed, as if nothing had been: where it handles, or where it flushes.
#[derive(Clone, Copy)]
struct Swallows {
    in_flush: bool,
}

impl Swallows {
    async fn swallow(tx: &mut Tx<'_>) {
        _ = tx.execute("INSERT INTO effect (key, number) VALUES (?1, 1 / 0)", &[&"none"]).await;
    }
}

impl Handler for Swallows {
    type Batch = Vec<String>;

    async fn handle(
        &self,
        batch: &mut Vec<String>,
        tx: &mut Tx<'_>,
        event: &Event,
    ) -> Result<(), Failure> {
        batch.push(event.key.clone());
        if event.key == "swallows" && !self.in_flush {
            Swallows::swallow(tx).await;
            return Ok(());
        }
        Ok(effect(tx, &event.key, event.sequence).await?)
    }

    async fn flush(&self, batch: &mut Vec<String>, tx: &mut Tx<'_>) -> Result<(), Error> {
        if self.in_flush && batch.iter().any(|key| key == "swallows") {
            Swallows::swallow(tx).await;
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_handler_that_goes_on_after_a_failed_statement_parks_its_key_alone() {
    for in_flush in [false, true] {
        let bench = bench().await;
        bench.publish(1, &["a", "swallows", "b"]).await;
        let running = start(bench.subscription(Swallows { in_flush }));
        bench.dead(&running.control, 1).await;
        let letter = &running.control.dead(1).await.unwrap()[0];
        assert_eq!(letter.key, "swallows");
        assert!(letter.reason.contains("a statement failed"), "{}", letter.reason);
        let effects = [("a".to_owned(), 1), ("b".to_owned(), 3)];
        assert_eq!(bench.effects().await, effects, "its own were taken back");
        running.stop().await;
    }
}
