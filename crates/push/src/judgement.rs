//! What an attempt means: for the event, for the receiver's circuit, and for everybody who waits for him.
//!
//! | what came | the event | the circuit | others |
//! |---|---|---|---|
//! | 2xx | delivered | success | – |
//! | 429 with `Retry-After` | not now | success: he is there and says so | wait as long |
//! | 503 with `Retry-After` | not now | not counted | wait as long |
//! | 502, 503 or 504 by a probe | not now | failure | – |
//! | 5xx at the first attempt, or by a probe | failed | failure | – |
//! | 5xx at a later attempt | failed | not counted | – |
//! | anything else | failed | success: he is there | – |
//! | no connection | not now | failure | – |
//! | no answer: broken, too late | failed | failure | – |
//! | no answer, by a probe | not now | failure | – |
//!
//! A later attempt's 5xx is not counted, because one event that he cannot bear would open the circuit by being tried
//! again and again, and hold up every key.
//!
//! **What is no attempt.** Who is not there had nothing of the event, so a connection that cannot be made is never its fault. A probe
//! that meets nobody, or somebody in between who says so, is none either: he was known to be away. But what was sent and not
//! answered may be what killed him, and so may what a proxy before him answers with 502: that is an attempt, so that an event which
//! kills its receiver is parked, and a dead letter in the end. It is sent once for each attempt, whatever is refused while he
//! starts again; and it is not every probe, since what was not now lets others go first.
//! Pure.

use std::time::Duration;

use events::deliveries::Answer;
use guard::breaker::Outcome;
use http::StatusCode;
use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// The shortest pause, however little is asked for: it uses up no attempt, so it must not be nothing.
const RETRY_AFTER_MIN: Duration = Duration::from_secs(1);

/// The longest pause that a receiver gets.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(60 * 60);

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// An answer, with the pause that it asks for.
    Status { status: StatusCode, retry_after: Option<Duration> },
    /// None to what was sent, for this reason.
    Nothing(String),
    /// Nothing was sent: there is nobody, for this reason.
    Nobody(String),
}

impl Reply {
    /// The answer's number.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Reply::Status { status, .. } => Some(status.as_u16()),
            Reply::Nothing(_) | Reply::Nobody(_) => None,
        }
    }
}

/// What it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(crate) answer: Answer,
    /// Nothing where it is not counted.
    pub(crate) outcome: Option<Outcome>,
    /// How long nobody is to ask him.
    pub(crate) pause: Option<Duration>,
}

/// Judges an attempt, the `attempt`th at its event.
pub(crate) fn judge(reply: &Reply, attempt: u32, is_probe: bool) -> Judged {
    let judged = |answer, outcome| Judged { answer, outcome, pause: None };
    match reply {
        Reply::Status { status, .. } if status.is_success() => {
            judged(Answer::Acknowledged, Some(Outcome::Success))
        }
        Reply::Status { status, retry_after: Some(pause) } if is_pause(*status) => {
            let outcome = (*status == StatusCode::TOO_MANY_REQUESTS).then_some(Outcome::Success);
            let pause = Some((*pause).clamp(RETRY_AFTER_MIN, RETRY_AFTER_MAX));
            Judged { answer: Answer::NotNow, outcome, pause }
        }
        Reply::Status { status, .. } if is_probe && is_in_between(*status) => {
            judged(Answer::NotNow, Some(Outcome::Failure))
        }
        Reply::Status { status, .. } => {
            let outcome = match status.is_server_error() {
                true if attempt == 1 || is_probe => Some(Outcome::Failure),
                true => None,
                false => Some(Outcome::Success),
            };
            judged(Answer::Failed(format!("the receiver answered {}", status.as_u16())), outcome)
        }
        Reply::Nobody(_) => judged(Answer::NotNow, Some(Outcome::Failure)),
        Reply::Nothing(_) if is_probe => judged(Answer::NotNow, Some(Outcome::Failure)),
        Reply::Nothing(why) => judged(Answer::Failed(why.clone()), Some(Outcome::Failure)),
    }
}

fn is_pause(status: StatusCode) -> bool {
    matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
}

/// What is answered for somebody who is not there.
fn is_in_between(status: StatusCode) -> bool {
    let of_a_proxy =
        [StatusCode::BAD_GATEWAY, StatusCode::SERVICE_UNAVAILABLE, StatusCode::GATEWAY_TIMEOUT];
    of_a_proxy.contains(&status)
}

/// The pause that `Retry-After` asks for: seconds, or a date (RFC 9110, section 10.2.3).
pub(crate) fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = rfc2822::parse(text).ok()?.timestamp();
    Some(Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16, retry_after: Option<u64>) -> Reply {
        let status = StatusCode::from_u16(code).expect("a status");
        Reply::Status { status, retry_after: retry_after.map(Duration::from_secs) }
    }

    #[test]
    fn every_answer_is_judged_at_every_attempt() {
        use Outcome::{Failure, Success};
        let failed = |code: u16| Answer::Failed(format!("the receiver answered {code}"));
        let broken = || Reply::Nothing("broken".to_owned());
        let (done, later) = (Answer::Acknowledged, Answer::NotNow);
        let bad_gateway = |code| status(code, None);
        let proxied = |code| {
            let by_a_probe = (Answer::NotNow, Some(Failure), None);
            [(failed(code), Some(Failure), None), (failed(code), None, None), by_a_probe]
        };
        // The first attempt, a later one, and a later one that probes.
        let attempts = [(1, false), (2, false), (2, true)];
        for (reply, expected) in [
            (status(204, Some(9)), attempts.map(|_| (done.clone(), Some(Success), None))),
            (status(429, Some(9)), attempts.map(|_| (later.clone(), Some(Success), Some(9)))),
            (status(429, Some(0)), attempts.map(|_| (later.clone(), Some(Success), Some(1)))),
            (status(503, Some(9)), attempts.map(|_| (later.clone(), None, Some(9)))),
            (status(503, Some(9999)), attempts.map(|_| (later.clone(), None, Some(3600)))),
            (status(429, None), attempts.map(|_| (failed(429), Some(Success), None))),
            (status(302, Some(9)), attempts.map(|_| (failed(302), Some(Success), None))),
            (status(400, None), attempts.map(|_| (failed(400), Some(Success), None))),
            (
                status(500, Some(9)),
                [Some(Failure), None, Some(Failure)].map(|outcome| (failed(500), outcome, None)),
            ),
            (
                Reply::Nobody("refused".to_owned()),
                attempts.map(|_| (later.clone(), Some(Failure), None)),
            ),
            (bad_gateway(502), proxied(502)),
            (bad_gateway(503), proxied(503)),
            (bad_gateway(504), proxied(504)),
            (
                broken(),
                [Answer::Failed("broken".to_owned()), Answer::Failed("broken".to_owned()), later]
                    .map(|answer| (answer, Some(Failure), None)),
            ),
        ] {
            for ((attempt, is_probe), (answer, outcome, pause)) in
                attempts.into_iter().zip(expected)
            {
                let pause = pause.map(Duration::from_secs);
                let judged = judge(&reply, attempt, is_probe);
                assert_eq!(
                    judged,
                    Judged { answer, outcome, pause },
                    "{reply:?} {attempt} {is_probe}"
                );
            }
        }
    }

    #[test]
    fn a_pause_is_seconds_or_a_date() {
        let now = Timestamp::from_second(784_111_777).expect("in range");
        for (text, seconds) in [
            ("7", Some(7)),
            ("0", Some(0)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sun, 06 Nov 1994 08:49:07 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
        ] {
            assert_eq!(retry_after(text, now), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
