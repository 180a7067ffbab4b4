//! The same on a server, word for word.

#![expect(clippy::duplicate_mod, reason = "one suite for every engine")]

use super::*;

mod parts;

#[path = "delivery.rs"]
mod delivery;
#[path = "model.rs"]
mod model;
#[path = "parking.rs"]
mod parking;

/// The same hurt in this engine's words.
const HURTS_OF_ITS_OWN: &[&str] =
    &["event = convert_to(replace(convert_from(event, 'UTF8'), '\"bad\"', '\"sad\"'), 'UTF8')"];

async fn bench() -> Bench {
    Bench::served().await
}
