//! Random failures, restarts, rewinds and redrives: whatever happens, every event has its effect
//! once and in the order of its key.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Publish(Vec<u8>),
    Break(u8, bool),
    Repair(u8),
    Pass,
    Redrive,
    Rewind,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..4u8;
    prop_oneof![
        4 => proptest::collection::vec(key.clone(), 1..8).prop_map(Step::Publish),
        2 => (key.clone(), any::<bool>()).prop_map(|(key, panics)| Step::Break(key, panics)),
        2 => key.prop_map(Step::Repair),
        3 => Just(Step::Pass),
        1 => Just(Step::Redrive),
        1 => Just(Step::Rewind),
        1 => Just(Step::Restart),
    ]
}

async fn redrive_all(control: &Control) {
    for letter in control.dead(100).await.unwrap() {
        assert!(control.redrive(&letter.id).await.unwrap());
    }
}

async fn play(steps: Vec<Step>) {
    let bench = bench().await;
    let mut running = bench.start();
    let mut sent: Vec<(String, u64)> = Vec::new();
    for step in steps {
        match step {
            Step::Publish(keys) => {
                let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
                let first = sent.len() as u64 + 1;
                bench.publish(first, &keys.iter().map(String::as_str).collect::<Vec<_>>()).await;
                sent.extend(keys.into_iter().zip(first..));
            }
            Step::Break(key, panics) => {
                let wrong = if panics { Wrong::Panics } else { Wrong::Fails };
                bench.orders.break_key(&key.to_string(), wrong);
            }
            Step::Repair(key) => bench.orders.repair(&key.to_string()),
            Step::Pass => {
                bench.clock.advance(RETRY.backoff);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Step::Redrive => redrive_all(&running.control).await,
            Step::Rewind => running.control.rewind().await.unwrap(),
            Step::Restart => {
                running.abort();
                running = bench.start();
            }
        }
    }
    (0..4u8).for_each(|key| bench.orders.repair(&key.to_string()));
    until(async || {
        bench.clock.advance(RETRY.backoff);
        redrive_all(&running.control).await;
        let (there, all) = (bench.effects().await.len(), sent.len());
        if there == all { Ok(()) } else { Err(format!("{there} of {all}")) }
    })
    .await;
    running.control.rewind().await.unwrap();
    if !sent.is_empty() {
        bench.caught_up(&running.control).await;
    }
    for key in sent.iter().map(|it| it.0.as_str()).collect::<HashSet<_>>() {
        let expected: Vec<u64> = sent.iter().filter(|it| it.0 == key).map(|it| it.1).collect();
        assert_eq!(bench.of_key(key).await, expected, "key {key}");
    }
    assert_eq!(running.control.parked().await.unwrap(), 0);
    assert_eq!(
        bench.database.waiting(crate::fixture::first(0), 10_000).await.unwrap().len(),
        sent.len()
    );
    running.stop().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn every_effect_happens_once_and_in_the_order_of_its_key(
        steps in proptest::collection::vec(step(), 1..40),
    ) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(play(steps));
    }
}
