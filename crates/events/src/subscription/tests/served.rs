//! The same on a server, word for word.

#![expect(clippy::duplicate_mod, reason = "one suite for every engine")]

use super::*;

mod parts;

#[path = "delivery.rs"]
mod delivery;
#[path = "dying.rs"]
mod dying;
#[path = "model.rs"]
mod model;
#[path = "opened.rs"]
mod opened;
#[path = "parking.rs"]
mod parking;

/// The same hurt in this engine's words.
const HURTS_OF_ITS_OWN: &[&str] =
    &["event = convert_to(replace(convert_from(event, 'UTF8'), '\"bad\"', '\"sad\"'), 'UTF8')"];

async fn bench() -> Bench {
    Bench::served().await
}

#[tokio::test]
async fn what_another_instance_is_told_pauses_this_one_too() {
    let bench = bench().await;
    let running = bench.start();
    // Of a process of its own: nobody here is woken by it.
    let elsewhere = bench.subscription(bench.orders.clone()).control();
    elsewhere.pause(None).await.unwrap();
    let hold = &running.control.context.hold;
    let is_paused = async |expected| {
        until(async || match hold.pause().is_some() == expected {
            true => Ok(()),
            false => Err(format!("{:?}", hold.pause())),
        })
        .await;
    };
    is_paused(true).await;
    bench.publish(1, &["a"]).await;
    elsewhere.resume().await.unwrap();
    is_paused(false).await;
    bench.effects_are("a", &[1]).await;
    running.stop().await;
}
