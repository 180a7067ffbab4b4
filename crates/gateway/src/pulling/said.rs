//! What the bodies of those say who fetch; every mistake is named. The same readers say what they look for, for the
//! description.

use std::ops::RangeInclusive;
use std::time::Duration;

use chassis::http::Problem;
use chassis::http::asked::Asked;
use chassis::http::fields::Fields;
use events::deliveries::PAUSE_MAX;
use events::deliveries::pull::{
    Again, LEASE_MAX, LEASE_MIN, LIMIT_MAX, Named, Pull, Rejection, WAIT_MAX,
};
use events::event::ID_BYTES_MAX;
use events::parking::REASON_CHARS_MAX;
use http::HeaderMap;
use serde_json::Value;

/// Events of an answer where nobody says how many.
const LIMIT_DEFAULT: u64 = 100;
/// How long one waits where he does not say.
const WAIT_DEFAULT: u64 = 20;
/// How long a lease lasts where nobody says.
const LEASE_DEFAULT: u64 = 30;
/// Characters of a token at most: none that was given has more.
const TOKEN_CHARS_MAX: usize = 64;

/// What is said of events of a lease.
pub(super) struct Settled {
    pub(super) token: String,
    pub(super) named: Named,
    /// Why, and when again, where they were not handled.
    pub(super) rejection: Rejection,
}

/// How events are asked for.
pub(super) fn pull(headers: &HeaderMap, body: &[u8]) -> Result<Pull, Problem> {
    let mut fields = Fields::parse(headers, body)?;
    let pull = read_pull(&mut fields);
    fields.finish()?;
    Ok(pull)
}

/// Which events were handled.
pub(super) fn settled(headers: &HeaderMap, body: &[u8]) -> Result<Settled, Problem> {
    let mut fields = Fields::parse(headers, body)?;
    let (token, named) = (token(&mut fields), named(&mut fields));
    fields.only(&acknowledged());
    fields.finish()?;
    let rejection = Rejection { reason: String::new(), again: Again::Backoff };
    Ok(Settled { token, named, rejection })
}

/// Which events were not, and what is to become of them.
pub(super) fn unsettled(headers: &HeaderMap, body: &[u8]) -> Result<Settled, Problem> {
    let mut fields = Fields::parse(headers, body)?;
    let (token, named) = (token(&mut fields), named(&mut fields));
    let rejection = read_rejection(&mut fields);
    fields.only(&rejected());
    fields.finish()?;
    Ok(Settled { token, named, rejection })
}

/// The members of the body that asks for events.
pub(crate) fn pulled() -> Vec<Asked> {
    Fields::asked(|mut fields| read_pull(&mut fields))
}

/// Those of the body that acknowledges.
pub(crate) fn acknowledged() -> Vec<Asked> {
    Fields::asked(|mut fields| drop((token(&mut fields), named(&mut fields))))
}

/// Those of the body that rejects.
pub(crate) fn rejected() -> Vec<Asked> {
    Fields::asked(|mut fields| {
        drop((token(&mut fields), named(&mut fields), read_rejection(&mut fields)));
    })
}

fn read_pull(fields: &mut Fields) -> Pull {
    let limit = fields.whole("limit", 1..=LIMIT_MAX as u64).unwrap_or(LIMIT_DEFAULT);
    let wait = seconds(fields, "wait_s", &(Duration::ZERO..=WAIT_MAX)).unwrap_or(WAIT_DEFAULT);
    let lease = seconds(fields, "lease_s", &(LEASE_MIN..=LEASE_MAX)).unwrap_or(LEASE_DEFAULT);
    Pull {
        limit: usize::try_from(limit).unwrap_or(LIMIT_MAX),
        wait: Duration::from_secs(wait),
        lease: Duration::from_secs(lease),
    }
}

fn seconds(fields: &mut Fields, name: &str, range: &RangeInclusive<Duration>) -> Option<u64> {
    fields.whole(name, range.start().as_secs()..=range.end().as_secs())
}

fn token(fields: &mut Fields) -> String {
    fields.require("lease");
    fields.text("lease", TOKEN_CHARS_MAX).unwrap_or_default()
}

/// The ids that are there; all of a lease where there are none.
fn named(fields: &mut Fields) -> Named {
    let given = fields.raw("ids").cloned();
    // Null is no way to say nothing: by that all of a lease would be meant.
    if given.is_none() && !fields.is_null("ids") {
        return Named::All;
    }
    let Some(Value::Array(list)) = given else {
        fields.note("ids", "must be a list of ids", None);
        return Named::All;
    };
    if list.len() > LIMIT_MAX {
        let reason = format!("must be at most {LIMIT_MAX}");
        fields.note("ids", reason, Some(LIMIT_MAX.into()));
        return Named::All;
    }
    let mut ids = Vec::with_capacity(list.len());
    for (at, id) in list.into_iter().enumerate() {
        match id {
            Value::String(id) if id.len() <= ID_BYTES_MAX => ids.push(id),
            _ => fields.note(&format!("ids[{at}]"), "must be the id of an event", None),
        }
    }
    Named::Ids(ids)
}

fn read_rejection(fields: &mut Fields) -> Rejection {
    let reason = reason(fields);
    let delay = seconds(fields, "delay_s", &(Duration::ZERO..=PAUSE_MAX));
    let mode = fields.typed("mode");
    let counted = || delay.map_or(Again::Backoff, |it| Again::After(Duration::from_secs(it)));
    let again = match mode.as_deref() {
        None | Some("fail") => counted(),
        Some("silent") => Again::Uncounted,
        Some("fatal") => Again::Never,
        Some(_) => {
            fields.note("mode", "must be `fail`, `silent` or `fatal`", None);
            counted()
        }
    };
    if delay.is_some() && matches!(again, Again::Uncounted | Again::Never) {
        fields.note("delay_s", "goes with the mode `fail` alone", None);
    }
    Rejection { reason, again }
}

/// A program's own words, cut where they are longer than is kept; what no text may hold is left out.
fn reason(fields: &mut Fields) -> String {
    let given = fields.typed("reason").unwrap_or_default();
    let kept =
        given.chars().take(REASON_CHARS_MAX).map(|it| if it.is_control() { ' ' } else { it });
    let reason: String = kept.collect();
    if reason.trim().is_empty() { "the subscriber gave no reason".to_owned() } else { reason }
}

#[cfg(test)]
mod tests;
