//! Guards in their working types, checked by the guards themselves.

use std::time::Duration;

use chassis::settings::text::Span;
use guard::breaker::{self, Breaker, PROBE_DEADLINE_MAX, SettingsError};
use guard::rate::{Quota, QuotaError};
use guard::share::Share;
use mistakes::Mistakes;

use super::{Limit, Timeouts};
use crate::settings;

/// How much longer than its timeout a probe is waited for.
const PROBE_GRACE: Duration = Duration::from_secs(1);
/// How many rate limits one route may have.
const LIMITS_MAX: usize = 8;

/// A route's guards.
pub(super) struct Guards {
    pub(super) timeouts: Timeouts,
    pub(super) breaker: Option<breaker::Settings>,
    pub(super) limits: Vec<Limit>,
}

/// Checks the guards at `path`; `idle` is how long a body may stand still where they do not say.
pub(super) fn compile(
    settings: &settings::Guard,
    idle: Option<Duration>,
    path: &[&str],
    mistakes: &mut Mistakes,
) -> Guards {
    let mut timeout = |name: &'static str, given: Option<Span>, usual: Duration| {
        let span = given.map_or(usual, |span| span.0);
        if span.is_zero() {
            mistakes.at(&[path, &[name]].concat()).note("a timeout is at least `1ms`");
        }
        span
    };
    let usual = Timeouts::default();
    let timeouts = Timeouts {
        answer: timeout("timeout", settings.timeout, usual.answer),
        connect: timeout("connect_timeout", settings.connect_timeout, usual.connect),
        idle: timeout("idle_timeout", settings.idle_timeout, idle.unwrap_or(usual.idle)),
        upload: timeout("upload_timeout", settings.upload_timeout, usual.upload),
    };
    let under = [path, &["breaker"]].concat();
    let breaker =
        settings.breaker.as_ref().and_then(|it| breaker(it, timeouts.answer, &under, mistakes));
    let under = [path, &["rate_limit"]].concat();
    if settings.rate_limit.len() > LIMITS_MAX {
        let count = settings.rate_limit.len();
        mistakes.at(&under).note(format!("at most {LIMITS_MAX} limits. limits=`{count}`"));
    }
    let limit = |it: &settings::RateLimit| limit(it, &under, mistakes);
    let mut limits: Vec<Limit> = settings.rate_limit.iter().filter_map(limit).collect();
    // Whoever is over a limit of his own must not use up the one that everybody shares.
    limits.sort_by_key(|limit| limit.per == crate::settings::Per::Route);
    Guards { timeouts, breaker, limits }
}

fn breaker(
    settings: &settings::Breaker,
    timeout: Duration,
    path: &[&str],
    mistakes: &mut Mistakes,
) -> Option<breaker::Settings> {
    let compiled = breaker::Settings {
        failure_rate: Share::of_billionths(settings.failure_rate.billionths())
            .expect("the settings hold the same range"),
        window_calls: settings.calls,
        open_for: settings.open_for.0,
        probes: settings.probes,
        probe_deadline: timeout.saturating_add(PROBE_GRACE).min(PROBE_DEADLINE_MAX),
        enforce: !settings.observe,
    };
    match Breaker::new(compiled) {
        Ok(_) => Some(compiled),
        Err(error) => {
            mistakes.at(&[path, &[field(error)]].concat()).note(error.to_string());
            None
        }
    }
}

fn field(error: SettingsError) -> &'static str {
    match error {
        SettingsError::WindowCalls { .. } => "calls",
        SettingsError::OpenFor { .. } => "open_for",
        _ => "probes",
    }
}

fn limit(settings: &settings::RateLimit, path: &[&str], mistakes: &mut Mistakes) -> Option<Limit> {
    let quota = Quota::per_second(settings.rate.0, settings.burst);
    let quota = mistakes.at(path).take(quota.map_err(|error: QuotaError| error.to_string()))?;
    Some(Limit { per: settings.per, quota })
}
