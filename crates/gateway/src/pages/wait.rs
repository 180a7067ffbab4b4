//! Reads that must include a write: `Yeoul-Position` names it, `Prefer: wait=` how long to wait.
//!
//! Never older data: who cannot be given what was asked for gets 504.

use std::time::Duration;

use chassis::chance;
use chassis::http::Problem;
use events::WritePosition;
use guard::refusal::retry_after_seconds;
use http::{HeaderMap, HeaderName, StatusCode};
use views::{Page, Views, Waited};

/// `Yeoul-Position`: the write that the answer must include.
pub(crate) const POSITION: HeaderName = HeaderName::from_static("yeoul-position");
const PREFER: HeaderName = HeaderName::from_static("prefer");

/// How long a read waits for a position where it does not say.
pub const WAIT_DEFAULT: Duration = Duration::from_secs(2);
/// How long it waits at most.
pub const WAIT_MAX: Duration = Duration::from_secs(30);
/// How soon it is worth asking again.
const RETRY: Duration = Duration::from_secs(1);

/// Waits until the page, or all that is folded, includes what the request names; at once where it
/// names nothing.
///
/// # Errors
/// 400 for a malformed position or one of another kind, 504 where it was not reached in time.
pub(crate) async fn for_position(
    views: &Views,
    page: Option<&Page>,
    headers: &HeaderMap,
) -> Result<(), Problem> {
    let Some(position) = position(headers)? else { return Ok(()) };
    let at_most = at_most(headers);
    let waited = match page {
        Some(page) => views.wait_page(page, &position, at_most).await,
        None => views.wait(&position, at_most).await,
    };
    waited.map_err(problem)
}

fn position(headers: &HeaderMap) -> Result<Option<WritePosition>, Problem> {
    let mut values = headers.get_all(&POSITION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let token = value.to_str().ok().filter(|_| values.next().is_none());
    let position = token.and_then(|token| token.parse().ok());
    position.map(Some).ok_or_else(|| {
        Problem::bad_field("Yeoul-Position", "must be the position that a write returned")
    })
}

fn at_most(headers: &HeaderMap) -> Duration {
    let lists = headers.get_all(&PREFER).iter().filter_map(|value| value.to_str().ok());
    let mut preferences = lists.flat_map(|list| list.split([',', ';']));
    let wished = preferences.find_map(|preference| {
        let (name, seconds) = preference.split_once('=')?;
        let seconds = seconds.trim().trim_matches('"').parse().ok()?;
        name.trim().eq_ignore_ascii_case("wait").then(|| Duration::from_secs(seconds))
    });
    wished.map_or(WAIT_DEFAULT, |wished| wished.min(WAIT_MAX))
}

/// 504: the write cannot be seen yet.
pub(crate) fn too_late() -> Problem {
    Problem::new(StatusCode::GATEWAY_TIMEOUT, "not-yet", "The write cannot be seen yet")
        .retry_after(seconds())
        .proxy_status("http_response_timeout")
}

fn problem(waited: Waited) -> Problem {
    match waited {
        Waited::Crowded => Problem::unavailable("connection_limit_reached", seconds())
            .detail("too many readers wait already"),
        parked_or_late => too_late().detail(parked_or_late.to_string()),
    }
}

fn seconds() -> u64 {
    retry_after_seconds(RETRY, chance::jitter())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_what_is_preferred_and_at_most_its_limit() {
        let cases: [(&[&str], u64); 9] = [
            (&[], 2),
            (&["wait=3"], 3),
            (&["wait=0"], 0),
            (&["wait=30"], 30),
            (&["wait=31"], 30),
            (&["respond-async, Wait=\"5\""], 5),
            (&["respond-async", "wait=5"], 5),
            (&["wait=x"], 2),
            (&["wait=-1"], 2),
        ];
        for (given, seconds) in cases {
            let pairs = given.iter().map(|value| (PREFER, value.parse().expect("a value")));
            assert_eq!(at_most(&pairs.collect()), Duration::from_secs(seconds), "{given:?}");
        }
    }

    #[test]
    fn a_position_is_one_good_token_or_none() {
        let read = |given: &[&str]| {
            let pairs = given.iter().map(|value| (POSITION, value.parse().expect("a value")));
            position(&pairs.collect())
                .map(|found| found.map(|it| it.sequences.to_string()))
                .map_err(|it| it.status())
        };
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&["w7.order"]), Ok(Some("7".to_owned())));
        for bad in
            [&["nonsense"][..], &[""], &["f7.order"], &["t7.order"], &["w7.order", "w8.order"]]
        {
            assert_eq!(read(bad), Err(StatusCode::BAD_REQUEST), "{bad:?}");
        }
    }
}
