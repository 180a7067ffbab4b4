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

/// Works in so many savepoints of its own as the event's key says, and gathers in `B`.
struct InParts<B>(std::marker::PhantomData<fn() -> B>);

impl<B: Default + Extend<u64> + Send + 'static> Handler for InParts<B> {
    type Batch = B;

    async fn handle(&self, batch: &mut B, tx: &mut Tx<'_>, event: &Event) -> Result<(), Failure> {
        batch.extend([event.sequence]);
        for _ in 0..event.key.parse::<usize>().unwrap() {
            let part = tx.savepoint().await?;
            tx.execute("SELECT 1", &[]).await?;
            tx.settle(part, true).await?;
        }
        Ok(effect(tx, &event.key, event.sequence).await?)
    }
}

async fn all_in_parts<B: Default + Extend<u64> + Send + 'static>() {
    let bench = bench().await;
    // More than a transaction has, by events that need few and one that needs nearly all.
    let keys: Vec<&str> = (1..=90).map(|number| if number == 40 { "58" } else { "3" }).collect();
    bench.publish(1, &keys).await;
    let running = start(bench.subscription(InParts::<B>(std::marker::PhantomData)));
    bench.caught_up(&running.control).await;
    let effects: Vec<u64> = bench.effects().await.into_iter().map(|(_, number)| number).collect();
    assert_eq!(effects, (1..=90).collect::<Vec<u64>>());
    assert_eq!(running.control.parked().await.unwrap(), 0);
    // What no transaction has is its own failure, and the next one goes on.
    bench.publish(91, &["2", "60", "3"]).await;
    bench.dead(&running.control, 1).await;
    let letter = &running.control.dead(1).await.unwrap()[0];
    assert!(letter.reason.contains("savepoints of a transaction"), "{}", letter.reason);
    assert_eq!((letter.key.as_str(), bench.of_key("3").await.last()), ("60", Some(&93)));
    assert_eq!(running.control.status().await.unwrap().stuck, None);
    running.stop().await;
}

#[tokio::test]
async fn handlers_that_use_savepoints_make_batches_shorter_and_no_dead_letters() {
    all_in_parts::<Nothing>().await;
    all_in_parts::<Vec<u64>>().await;
}

/// Scratch of no size.
#[derive(Default)]
struct Nothing;

impl Extend<u64> for Nothing {
    fn extend<I: IntoIterator<Item = u64>>(&mut self, _: I) {}
}
