//! Events over HTTP for those who fetch them: lent for a while, acknowledged or rejected by the token of their lease.
//!
//! Nothing is decided here but what a body says: who is lent what, the subscription knows
//! ([`events::deliveries::pull`]). Whoever waits for events when the process stops is told that there are none; whoever goes
//! away while he waits, or before all of the answer is on its way ([`handed`]), is lent none.

mod handed;
pub(crate) mod said;

use std::collections::BTreeMap;
use std::sync::Arc;

use chassis::http::{Body, Inbound, Problem, Response, Stop, json, whole};
use chassis::{chance, clock};
use events::deliveries::pull::{Answered, Desk, Lent, Refusal};
use events::{Error, Event, Opener};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::json;

use handed::Handed;

use crate::over_limit::over_limit;
use crate::paths::Verb;
use crate::publishing::personal::keys;
use crate::topics::BATCH_TYPE;

/// The attribute of a lent event that says which attempt it is.
pub(crate) const ATTEMPT: &str = "yeoulattempt";

const YEOUL_LEASE: HeaderName = HeaderName::from_static("yeoul-lease");
const BATCH: HeaderValue = HeaderValue::from_static(BATCH_TYPE);
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// What is kept of why events were rejected by who was told what is sealed: the words may repeat it.
const UNSAID: &str =
    "it was rejected, and why is not kept, because the subscriber is told what is sealed";

/// When it is worth coming back where too many ask.
const RETRY_SECONDS: u64 = 1;

/// When it is worth coming back where an operator has to do something first.
const STUCK_RETRY_SECONDS: u64 = 10;

/// When it is worth coming back at the latest while it is paused: it may be resumed before its time.
const PAUSED_RETRY_SECONDS_MAX: u64 = 30;

/// Where events of each subscription are asked for, by its name in the settings.
pub type Desks = BTreeMap<String, Lender>;

/// Who lends events of one subscription.
#[derive(Clone)]
pub struct Lender {
    /// Where he is asked.
    pub desk: Desk,
    /// What tells whoever asks what is sealed, if he may know.
    pub opener: Option<Arc<dyn Opener>>,
}

/// A request of somebody who may fetch.
pub(crate) struct Ask<'a> {
    pub(crate) desks: &'a Desks,
    pub(crate) stop: &'a Stop,
    pub(crate) verb: Verb,
    pub(crate) subscription: &'a str,
    pub(crate) headers: &'a HeaderMap,
}

impl Ask<'_> {
    /// Lends events, or takes what is said of some.
    ///
    /// # Errors
    /// 404 for a subscription that there is not, 415, 413 and 400 for the body, with every field that is wrong; 409 for a lease
    /// that has ended; 503 where too many ask, or the disk refuses.
    pub(crate) async fn answer(self, body: Inbound) -> Result<Response, Problem> {
        let lender = self.desks.get(self.subscription).ok_or_else(Problem::not_found)?;
        let desk = &lender.desk;
        let bytes = whole::read(self.headers, body, whole::BODY_BYTES_MAX).await?;
        let answered = match self.verb {
            Verb::Pull => {
                let pull = said::pull(self.headers, &bytes)?;
                // What is answered is given out: nobody may be there any more to take it back.
                let lent = tokio::select! {
                    biased;
                    lent = desk.pull(pull) => lent.map_err(problem)?,
                    () = self.stop.stopped() => None,
                };
                return batch(lender, lent).await;
            }
            Verb::Acknowledge => {
                let said::Settled { token, named, .. } = said::settled(self.headers, &bytes)?;
                desk.acknowledge(&token, named).await
            }
            Verb::Reject => {
                let said::Settled { token, named, mut rejection } =
                    said::unsettled(self.headers, &bytes)?;
                if lender.opener.is_some() {
                    UNSAID.clone_into(&mut rejection.reason);
                }
                desk.reject(&token, named, rejection).await
            }
        };
        let Answered { count, unknown } = answered.map_err(problem)?;
        Ok(no_store(json(StatusCode::OK, &json!({ self.verb.done(): count, "unknown": unknown }))))
    }
}

/// The events as a JSON array, and the lease that they are out under, if there are any. Their own text is not parsed again.
async fn batch(lender: &Lender, lent: Option<Lent>) -> Result<Response, Problem> {
    // Dropped before all of it was handed over, it is taken back.
    let on_its_way = lent.as_ref().map(|Lent { token, .. }| lender.desk.on_its_way(token));
    let mut text = vec![b'['];
    let events = lent.iter().flat_map(|lent| &lent.events);
    for (at, given) in events.enumerate() {
        if at > 0 {
            text.push(b',');
        }
        let told = lender.told(given.event()).await?;
        let event = told.as_ref().unwrap_or(given.event()).to_json();
        text.extend_from_slice(event.strip_suffix(b"}").expect("an event is an object"));
        text.extend_from_slice(format!(",\"{ATTEMPT}\":{}", given.attempt).as_bytes());
        if let Some(first) = first_of_its_correlation(given.event()) {
            text.extend_from_slice(format!(",\"correlationid\":{first}").as_bytes());
        }
        text.push(b'}');
    }
    text.push(b']');
    let body = match on_its_way {
        Some(on_its_way) => Body::stream(Handed::new(text, on_its_way)),
        None => Body::full(text),
    };
    let mut response = no_store(Response::new(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, BATCH);
    // A token is URL-safe, so it is a header's value.
    let token = lent.and_then(|lent| HeaderValue::try_from(lent.token).ok());
    headers.extend(token.map(|token| (YEOUL_LEASE, token)));
    Ok(response)
}

impl Lender {
    /// The event as whoever asks may read it, where that is not as it is stored.
    async fn told(&self, event: &Event) -> Result<Option<Event>, Problem> {
        match &self.opener {
            None => Ok(None),
            Some(opener) => opener.open(event).await.map_err(|error| keys(&error)),
        }
    }
}

/// The correlation that begins with an event, as JSON: whoever publishes for it copies the attribute, as he copies any
/// other event's.
fn first_of_its_correlation(event: &Event) -> Option<String> {
    let begins = event.cause.correlation_id.is_none().then(|| event.correlation()).flatten()?;
    Some(serde_json::to_string(&begins).expect("a text is JSON"))
}

fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    response
}

fn problem(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Ended => Problem::conflict(
            "the lease has ended, or never was; what was not acknowledged is given out again: pull",
        )
        .field("lease", "has ended, or never was", None),
        Refusal::Full { what, limit } => {
            let says = format!("more than {limit} {what}");
            Problem::unavailable("connection_limit_reached", chance::seconds(RETRY_SECONDS))
                .detail(says)
        }
        Refusal::Stuck(why) => {
            Problem::unavailable("destination_unavailable", chance::seconds(STUCK_RETRY_SECONDS))
                .detail(format!(
                    "the subscription is stuck, and nothing else of it is there: {why}"
                ))
        }
        Refusal::Paused { until } => {
            let left =
                until.map(|until| until.duration_since(clock::wall()).as_secs().unsigned_abs());
            let seconds =
                left.unwrap_or(PAUSED_RETRY_SECONDS_MAX).clamp(1, PAUSED_RETRY_SECONDS_MAX);
            let until = until.map_or_else(|| "it is resumed".to_owned(), |until| until.to_string());
            Problem::unavailable("destination_unavailable", chance::seconds(seconds)).detail(
                format!(
                    "the subscription is paused until {until}; what is lent may be answered for"
                ),
            )
        }
        unread @ Refusal::Unread => {
            Problem::unavailable("destination_unavailable", chance::seconds(RETRY_SECONDS))
                .detail(unread.to_string())
        }
        Refusal::Stopped => {
            Problem::unavailable("destination_unavailable", chance::seconds(RETRY_SECONDS))
        }
        Refusal::Store(error) if error.is_environment() => Problem::storage_unavailable()
            .detail("nothing was lent, and it is not known whether an answer was taken; ask again"),
        Refusal::Store(Error::Limit { field, value, limit }) => over_limit(field, value, limit),
        other => {
            tracing::error!(error = %other, "events cannot be lent");
            Problem::internal()
        }
    }
}
