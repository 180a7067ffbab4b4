//! A route's guards at work: rate limits, then the circuit, in the order of what a refusal costs.
//!
//! They are shared by all cores, and so is what they count. What they decide is the guard crate's;
//! here it becomes a refusal that says when to come back, in the headers of RFC 9209 and in the fields
//! of a rate limit.
//!
//! A circuit is one route's: what is slow or broken of a service there need not be so where another route leads to it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chassis::http::Problem;
use chassis::http::limited::Exceeded;
use chassis::http::networks::network;
use chassis::{chance, clock};
use guard::breaker::{Breaker, Outcome, Permit, State};
use guard::rate::{Keyed, Limiter, NotUntil, Quota};
use guard::refusal::retry_after_seconds;
use serde_json::{Value, json};

use crate::plan::{self, Timeouts};
use crate::settings::Per;

/// Keys that one limit keeps apart; past it the one that owes least is forgotten.
pub const KEYS_MAX: usize = 65_536;

/// The guards of one route.
pub(crate) struct Guards {
    limits: Vec<Limit>,
    breaker: Option<Arc<Breaker>>,
    timeouts: Timeouts,
}

/// A permit of a circuit to make one call; dropped without an outcome, the call was given up then.
///
/// A permit knows no clock: dropped as it is, a probe that nobody waited for any more would be one
/// cancelled in time, however long it had been under way.
pub(crate) struct CallPermit(Option<Permit>);

/// One rate limit.
enum Limit {
    Route(Limiter),
    Principal { subjects: Keyed<String>, addresses: Keyed<IpAddr> },
    Client(Keyed<IpAddr>),
}

impl Guards {
    /// The guards of `route`, nothing counted yet.
    pub(crate) fn new(route: &plan::Route, now: Instant) -> Guards {
        let breaker = route.breaker.map(|settings| {
            Arc::new(Breaker::new(settings).expect("the plan's breakers were checked"))
        });
        let limits = route.limits.iter().map(|limit| Limit::new(*limit, now)).collect();
        Guards { limits, breaker, timeouts: route.timeouts }
    }

    /// Lets a call of this principal and address pass the limits.
    ///
    /// # Errors
    /// 429.
    pub(crate) fn check(
        &self,
        subject: Option<&str>,
        address: IpAddr,
        now: Instant,
    ) -> Result<(), Problem> {
        // The first that is over refuses: what a later one would have counted stays uncounted.
        for limit in &self.limits {
            limit.check(subject, address, now).map_err(|until| limit.refuse(until))?;
        }
        Ok(())
    }

    /// A permit to call the upstream; nothing where there is no breaker.
    ///
    /// # Errors
    /// 503: the circuit is open.
    pub(crate) fn admit(&self, now: Instant) -> Result<Option<CallPermit>, Problem> {
        let Some(breaker) = &self.breaker else { return Ok(None) };
        let admitted = breaker.admit(now).map(|permit| Some(CallPermit(Some(permit))));
        admitted.map_err(|open| circuit_open(open.retry_at.saturating_duration_since(now)))
    }

    /// The refusal of a call that may not be the one that probes.
    pub(crate) fn refuse(&self, now: Instant) -> Problem {
        // Asked without a permit: whoever is refused here must not become the probe.
        let at = self.breaker.as_ref().and_then(|breaker| breaker.snapshot(now).retry_at);
        circuit_open(at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now)))
    }

    /// Of its circuit; nothing where there is no breaker.
    pub(crate) fn state(&self, now: Instant) -> Option<State> {
        self.breaker.as_ref().map(|breaker| breaker.state(now))
    }

    /// What the operator sees.
    pub(crate) fn show(&self, now: Instant) -> Value {
        json!({
            "timeoutMs": millis(self.timeouts.answer),
            "connectTimeoutMs": millis(self.timeouts.connect),
            "idleTimeoutMs": millis(self.timeouts.idle),
            "uploadTimeoutMs": millis(self.timeouts.upload),
            "breaker": self.breaker.as_ref().map(|breaker| show(breaker, now)),
            "rateLimit": self.limits.iter().map(Limit::show).collect::<Vec<_>>(),
        })
    }
}

fn circuit_open(wait: Duration) -> Problem {
    let seconds = retry_after_seconds(wait, chance::jitter());
    Problem::unavailable("destination_unavailable", seconds).detail("the circuit is open")
}

/// Whole milliseconds, for people.
pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl CallPermit {
    /// Whether the call is one by which a half-open circuit decides.
    pub(crate) fn is_probe(&self) -> bool {
        self.0.as_ref().is_some_and(Permit::is_probe)
    }

    /// Says how the call went.
    pub(crate) fn record(mut self, outcome: Outcome, now: Instant) {
        if let Some(permit) = self.0.take() {
            permit.record(outcome, now);
        }
    }
}

impl Drop for CallPermit {
    fn drop(&mut self) {
        // The time is looked at for a probe alone: any other call that was given up counts nothing.
        if let Some(permit) = self.0.take_if(|permit| permit.is_probe()) {
            permit.cancel(clock::now());
        }
    }
}

/// A state's name, the same everywhere.
pub(crate) fn state_name(state: State) -> &'static str {
    match state {
        State::Closed => "closed",
        State::Open => "open",
        State::HalfOpen => "half-open",
    }
}

fn show(breaker: &Arc<Breaker>, now: Instant) -> Value {
    let seen = breaker.snapshot(now);
    let wait = seen.retry_at.map(|at| millis(at.saturating_duration_since(now)));
    json!({
        "state": state_name(seen.state),
        "calls": seen.calls,
        "failures": seen.failures,
        "probesInFlight": seen.probes_in_flight,
        "probesInMs": wait,
        "refused": seen.refused,
        "wouldRefuse": seen.would_refuse,
        "opened": seen.opened,
    })
}

impl Limit {
    fn new(limit: plan::Limit, now: Instant) -> Limit {
        let quota = limit.quota;
        match limit.per {
            Per::Route => Limit::Route(Limiter::new(quota, now)),
            Per::Principal => Limit::Principal {
                subjects: Keyed::new(quota, now, KEYS_MAX),
                addresses: Keyed::new(quota, now, KEYS_MAX),
            },
            Per::Client => Limit::Client(Keyed::new(quota, now, KEYS_MAX)),
        }
    }

    fn check(&self, subject: Option<&str>, address: IpAddr, now: Instant) -> Result<(), NotUntil> {
        let allowed = match self {
            Limit::Route(limiter) => limiter.check(now),
            // Without a token there is no name to count by, only where he comes from.
            Limit::Principal { subjects, addresses } => match subject {
                Some(subject) => subjects.check(subject, now),
                None => addresses.check(&network(address), now),
            },
            Limit::Client(addresses) => addresses.check(&network(address), now),
        };
        allowed.map(drop)
    }

    fn quota(&self) -> Quota {
        match self {
            Limit::Route(limiter) => limiter.quota(),
            Limit::Principal { addresses, .. } | Limit::Client(addresses) => addresses.quota(),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Limit::Route(_) => "route",
            Limit::Principal { .. } => "principal",
            Limit::Client(_) => "client",
        }
    }

    fn refuse(&self, until: NotUntil) -> Problem {
        let (quota, retry_after) = (self.quota(), until.retry_after);
        let (name, window) = (self.name(), quota.window());
        let exceeded = Exceeded { name, quota: quota.burst(), window, retry_after };
        exceeded.refuse(retry_after_seconds(retry_after, chance::jitter()))
    }

    fn show(&self) -> Value {
        let keys = match self {
            Limit::Route(_) => None,
            Limit::Principal { subjects, addresses } => Some(subjects.len() + addresses.len()),
            Limit::Client(addresses) => Some(addresses.len()),
        };
        let quota = self.quota();
        json!({ "per": self.name(), "rate": quota.rate(), "burst": quota.burst(), "keys": keys })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(per: Per, rate: u32, burst: u32) -> Guards {
        let quota = Quota::per_second(rate, burst).expect("a quota");
        let route = plan::Route {
            name: "r".to_owned(),
            upstream: 0,
            host: crate::settings::Host::Own,
            open: plan::Anonymous::Everything,
            signed_in: Vec::new(),
            role: None,
            proof: None,
            timeouts: Timeouts::default(),
            breaker: None,
            limits: vec![plan::Limit { per, quota }],
        };
        Guards::new(&route, start())
    }

    fn start() -> Instant {
        clock::now()
    }

    fn header(problem: &Problem, name: &str) -> String {
        let response = problem.clone().into_response(&chassis::http::Trace::start());
        response.headers().get(name).expect(name).to_str().expect("text").to_owned()
    }

    #[test]
    fn a_limit_counts_those_together_that_it_names() {
        let (one, other): (IpAddr, IpAddr) =
            ("192.0.2.1".parse().expect("ip"), "192.0.2.2".parse().expect("ip"));
        let now = start();
        let passes =
            |guards: &Guards, subject, address| guards.check(subject, address, now).is_ok();

        let route = limited(Per::Route, 1, 1);
        assert!(passes(&route, Some("a"), one) && !passes(&route, Some("b"), other));

        let principal = limited(Per::Principal, 1, 1);
        assert!(passes(&principal, Some("a"), one) && !passes(&principal, Some("a"), other));
        assert!(passes(&principal, Some("b"), one), "another subject");
        assert!(passes(&principal, None, one) && !passes(&principal, None, one));
        assert!(passes(&principal, Some("192.0.2.2"), one), "a subject is no address");
        assert!(passes(&principal, None, other));

        let client = limited(Per::Client, 1, 1);
        assert!(passes(&client, Some("a"), one) && !passes(&client, Some("b"), one));
        assert!(passes(&client, Some("a"), other));
    }

    #[test]
    fn a_refusal_says_what_the_limit_is_and_when_to_come_back() {
        let guards = limited(Per::Route, 5_000, 10_000);
        let (address, now) = ("192.0.2.1".parse().expect("an ip"), start());
        let refused =
            (0..20_000).find_map(|_| guards.check(None, address, now).err()).expect("429");
        assert_eq!(refused.status(), 429);
        assert_eq!(header(&refused, "ratelimit-policy"), "\"route\";q=10000;w=2");
        assert_eq!(header(&refused, "ratelimit"), "\"route\";r=0;t=1");
        assert_eq!(header(&refused, "proxy-status"), "yeoul; error=http_request_denied");
        assert!(["1", "2"].contains(&header(&refused, "retry-after").as_str()));
    }

    #[test]
    fn a_probe_given_up_past_its_deadline_has_failed_and_one_in_time_has_not() {
        use guard::share::Share;

        for (deadline, state) in
            [(Duration::from_nanos(1), State::Open), (Duration::from_secs(600), State::HalfOpen)]
        {
            let settings = guard::breaker::Settings {
                failure_rate: Share::of_percent(100).expect("a share"),
                window_calls: 1,
                open_for: Duration::from_secs(600),
                probes: 1,
                probe_deadline: deadline,
                enforce: true,
            };
            let breaker = Some(Arc::new(Breaker::new(settings).expect("settings")));
            let guards = Guards { breaker, ..limited(Per::Route, 1, 1) };
            let long_ago = start().checked_sub(settings.open_for).expect("the machine runs");
            let permit = guards.admit(long_ago).expect("closed").expect("a circuit");
            permit.record(Outcome::Failure, long_ago);
            let probe = guards.admit(start()).expect("half-open").expect("a circuit");
            assert!(probe.is_probe());
            while start() == long_ago {}
            drop(probe);
            assert_eq!(guards.state(start()), Some(state), "{deadline:?}");
        }
    }
}
