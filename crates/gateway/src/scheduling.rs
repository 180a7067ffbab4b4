//! Schedules over HTTP: an event that is published at a time to come, put, shown and taken back by its key.
//!
//! Nothing is decided here but what a body says ([`said`]); what is kept, and when it comes, [`events::schedules`] knows. The
//! event goes the road of `POST /events/TOPIC`, so a topic takes one here that takes one there.

pub(crate) mod said;

use std::collections::BTreeMap;

use chassis::chance;
use chassis::http::{Body, Inbound, Problem, Response, json, whole};
use chassis::identity::Role;
use events::schedules::{KEY_BYTES_MAX, Put, Refusal, Said, Schedules};
use events::{Broker, Error, Event};
use http::header::{CACHE_CONTROL, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode};
use jiff::Timestamp;
use privacy::Sealing;
use serde_json::value::RawValue;

use crate::over_limit::over_limit;
use crate::publishing::{Publishing, personal, promised};

/// When it is worth coming back where as many wait as may.
const RETRY_SECONDS: u64 = 10;

/// A request of somebody who may.
pub(crate) struct Ask<'a> {
    pub(crate) schedules: Option<&'a Schedules>,
    pub(crate) broker: &'a dyn Broker,
    /// Topics that take events from outside.
    pub(crate) takers: &'a BTreeMap<String, Role>,
    /// What topics promise.
    pub(crate) publishing: &'a Publishing,
    pub(crate) key: &'a str,
    pub(crate) parts: &'a Parts,
}

impl Ask<'_> {
    /// Puts, shows or takes back.
    ///
    /// # Errors
    /// 404 for a key that has none, 415, 413 and 400 for the body, with every field that is wrong; 403 for a topic that takes no
    /// events from outside; 503 where as many wait as may, or the disk refuses.
    pub(crate) async fn answer(self, body: Inbound) -> Result<Response, Problem> {
        let schedules = self.schedules.ok_or_else(Problem::not_found)?;
        if self.key.len() > KEY_BYTES_MAX {
            let reason = format!("must have at most {KEY_BYTES_MAX} bytes");
            let refused = Problem::bad_request(format!("the key {reason}"));
            return Err(refused.field("key", reason, Some(KEY_BYTES_MAX.into())));
        }
        match self.parts.method {
            Method::PUT => self.put(schedules, body).await,
            Method::DELETE => match schedules.cancel(self.key).await {
                Ok(true) => Ok(no_store(empty())),
                Ok(false) => Err(Problem::not_found()),
                Err(error) => Err(trouble(&error)),
            },
            _ => {
                let found = schedules.find(self.key).await.map_err(|error| trouble(&error))?;
                let found = found.ok_or_else(Problem::not_found)?;
                Ok(no_store(json(StatusCode::OK, &said::shown(self.key, &found))))
            }
        }
    }

    async fn put(&self, schedules: &Schedules, body: Inbound) -> Result<Response, Problem> {
        let headers = &self.parts.headers;
        let bytes = whole::read(headers, body, whole::BODY_BYTES_MAX).await?;
        let known = |topic: &events::Topic| self.broker.partitions(topic).is_ok();
        let said = said::read(headers, &bytes, self.key, &known)?;
        if !self.takers.contains_key(said.topic.as_str()) {
            return Err(Problem::forbidden("only its own service publishes to this topic"));
        }
        if let Some(contract) = self.publishing.contract(&said.topic)
            && let Some(refused) =
                promised::refused(contract, &said.kind, said.data.as_deref().map(RawValue::get))
        {
            return Err(refused);
        }
        let mut said = said;
        if let Some(sealing) = self.publishing.sealing() {
            self.seal(sealing, schedules, &mut said).await?;
        }
        let field = said::field(&said.moment);
        let put = schedules.put(self.key, &said).await.map_err(|refusal| problem(field, &refusal));
        let Put { schedule, is_new } = put?;
        let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
        Ok(no_store(json(status, &said::shown(self.key, &schedule))))
    }

    /// Seals what is personal in the data. Said again it is what is there already: sealed anew it would be another.
    async fn seal(
        &self,
        sealing: &Sealing,
        schedules: &Schedules,
        said: &mut Said,
    ) -> Result<(), Problem> {
        let event = said.event(self.key, said::TRIED, Timestamp::UNIX_EPOCH);
        let mut events = [event.map_err(said::refused)?];
        personal::seal(sealing, &said.topic, &mut events, |_| String::new()).await?;
        let [sealed] = events;
        let Some(data) = said.data.as_ref().filter(|it| it.get() != sealed.data.get()) else {
            return Ok(());
        };
        let there = schedules.find(self.key).await.map_err(|error| trouble(&error))?;
        let kept =
            there.map(|it| it.said).filter(|it| it.topic == said.topic && it.kind == said.kind);
        let kept = kept.and_then(|it| it.data).map(|data| Event { data, ..sealed.clone() });
        let told = match &kept {
            None => None,
            Some(kept) => {
                sealing.opened(&said.topic, kept).await.map_err(|error| personal::keys(&error))?
            }
        };
        let is_said_again = told.is_some_and(|told| told.data.get() == data.get());
        said.data = kept.filter(|_| is_said_again).map(|kept| kept.data).or(Some(sealed.data));
        // Sealed, it has more bytes than it had.
        said.event(self.key, said::TRIED, Timestamp::UNIX_EPOCH).map(drop).map_err(said::refused)
    }
}

fn empty() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn problem(field: &str, refusal: &Refusal) -> Problem {
    match refusal {
        Refusal::Ahead { limit } => {
            let seconds = limit.as_secs();
            let reason = format!("comes more than {seconds} seconds from now (`max_ahead`)");
            let refused = Problem::bad_request(format!("`{field}` {reason}"));
            refused.field(field, reason, Some(seconds.into()))
        }
        Refusal::Never => Problem::bad_field(field, "never comes"),
        Refusal::Full { limit } => {
            let says = format!("{limit} schedules wait already (`max_pending`)");
            let seconds = chance::seconds(RETRY_SECONDS);
            Problem::unavailable("connection_limit_reached", seconds).detail(says)
        }
        Refusal::Store(error) => trouble(error),
    }
}

fn trouble(refusal: &Error) -> Problem {
    match refusal {
        Error::Unknown { .. } => Problem::storage_unavailable().detail(
            "it is not known whether it was done; ask again: the same again changes nothing",
        ),
        Error::Limit { field, value, limit } => over_limit(field, *value, *limit),
        Error::Closed => Problem::unavailable("destination_unavailable", chance::seconds(1)),
        environment if environment.is_environment() => Problem::storage_unavailable(),
        other => {
            tracing::error!(error = %other, "a schedule cannot be kept");
            Problem::internal()
        }
    }
}
