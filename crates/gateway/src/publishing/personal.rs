//! What is personal in events from outside, sealed before anything of them is stored.
//!
//! It comes behind what a topic promises, since that is said of the data as it is written, and before everything that keeps
//! an event, for however short a time.

use chassis::chance;
use chassis::http::Problem;
use events::{Error, Event, Topic};
use privacy::sealing::Already;
use privacy::{Refused, Sealing};

/// When it is worth coming back where as many people are known as may be.
const RETRY_SECONDS: u64 = 60;

/// Seals what is personal in them; `place` says what the event at an index is called, nothing where it is the only one.
///
/// # Errors
/// 400 for an event of which it is not known whose a field is, 503 where the keys cannot be had.
pub(crate) async fn seal(
    sealing: &Sealing,
    topic: &Topic,
    events: &mut [Event],
    place: impl Fn(usize) -> String,
) -> Result<(), Problem> {
    let sealed = sealing.seal(topic, events, Already::Refused).await;
    sealed.map_err(|refused| problem(refused, place))
}

fn problem(refused: Refused, place: impl Fn(usize) -> String) -> Problem {
    match refused {
        Refused::Event { at, field, says } => {
            let place = place(at);
            let field = if place.is_empty() { field } else { format!("{place}.{field}") };
            let what = "nothing was stored: what is personal in it cannot be sealed, see `errors`";
            Problem::bad_request(what).field(field, says, None)
        }
        Refused::Keys(error) => keys(&error),
    }
}

/// What the store of people's keys says.
pub(crate) fn keys(error: &Error) -> Problem {
    match error {
        Error::Limit { limit, .. } => {
            let says = format!("the keys of {limit} people were made, and no more are");
            let seconds = chance::seconds(RETRY_SECONDS);
            Problem::unavailable("connection_limit_reached", seconds).detail(says)
        }
        Error::Closed => Problem::unavailable("destination_unavailable", chance::seconds(1)),
        environment if environment.is_environment() => Problem::storage_unavailable(),
        other => {
            tracing::error!(error = %other, "people's keys cannot be had");
            Problem::internal()
        }
    }
}
