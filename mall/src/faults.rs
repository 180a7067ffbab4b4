//! Faults on purpose: a service made slow, failing, deaf or silent, so that the strategies can be
//! seen to answer.
//!
//! Off unless the process was started with `--faults`: then nothing can be put and nothing is asked
//! on the way of a request but one flag. A service has at most one fault of each kind; putting
//! another replaces it.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use chassis::chance;
use chassis::http::{Path, Pattern, Problem};
use events::Event;
use events::subscription::Fault as EventCheck;
use http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::pause::Pause;
use crate::settings::Name;

/// The longest delay that can be asked for.
pub const DELAY_MAX: Duration = Duration::from_secs(60);

/// Every service's faults, and its pauses; clones are handles of the same.
#[derive(Clone, Debug)]
pub struct Faults(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    enabled: bool,
    services: BTreeMap<Name, Faulty>,
}

#[derive(Debug, Default)]
struct Faulty {
    pause: Pause,
    present: Arc<RwLock<Present>>,
}

#[derive(Clone, Debug, Default)]
struct Present {
    http: Option<HttpFault>,
    event: Option<EventFault>,
}

/// What a request meets before its handler.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// How long it waits.
    pub delay: Duration,
    /// Whether it then fails with 500.
    pub fails: bool,
}

#[derive(Clone, Debug)]
struct HttpFault {
    path: Pattern,
    delay: Delay,
    fail_rate: f64,
}

/// How long a request waits: anything from one to the other.
#[derive(Clone, Copy, Debug)]
struct Delay {
    least: Duration,
    most: Duration,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventFault {
    on: String,
    #[serde(default)]
    r#match: Map<String, Value>,
    #[serde(default = "always")]
    fail_rate: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpText {
    path: String,
    #[serde(default)]
    delay_ms: [u64; 2],
    #[serde(default)]
    fail_rate: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RelayText {
    relay: Switch,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Switch {
    On,
    Off,
}

fn always() -> f64 {
    1.0
}

impl Faults {
    /// Faults that can be put if `enabled`.
    pub fn new(enabled: bool) -> Faults {
        let services = Name::ALL.into_iter().map(|name| (name, Faulty::default())).collect();
        Faults(Arc::new(Inner { enabled, services }))
    }

    /// Whether faults can be put at all.
    pub fn enabled(&self) -> bool {
        self.0.enabled
    }

    /// What pauses the service's handlers and relay.
    pub fn pause(&self, service: Name) -> Pause {
        self.of(service).pause.clone()
    }

    /// Puts one fault: of requests (`path`), of an event's handler (`on`) or of the relay (`relay`);
    /// it replaces the service's fault of the same kind.
    ///
    /// # Errors
    /// 404 where faults are off; 400 for a fault that is none.
    pub fn put(&self, service: Name, fault: &Value) -> Result<(), Problem> {
        if !self.enabled() {
            return Err(Problem::not_found());
        }
        // Of several kinds at once nothing is put: half of a wish would be a fault that nobody asked for.
        let kinds: Vec<&str> =
            ["path", "on", "relay"].into_iter().filter(|kind| fault.get(kind).is_some()).collect();
        match kinds[..] {
            ["path"] => {
                let http = HttpFault::parse(&read(fault)?)?;
                self.change(service, |present| present.http = Some(http));
            }
            ["on"] => {
                let event: EventFault = read(fault)?;
                check_rate(event.fail_rate)?;
                self.change(service, |present| present.event = Some(event));
            }
            ["relay"] => {
                let switch: RelayText = read(fault)?;
                self.of(service).pause.relay_off(matches!(switch.relay, Switch::Off));
            }
            _ => {
                return Err(Problem::bad_request("a fault names one of `path`, `on` and `relay`"));
            }
        }
        Ok(())
    }

    /// Ends every fault of the service.
    pub fn clear(&self, service: Name) {
        self.change(service, |present| *present = Present::default());
        self.of(service).pause.relay_off(false);
    }

    /// What a request for `path` meets now.
    pub fn hit(&self, service: Name, path: &Path<'_>) -> Option<Hit> {
        if !self.enabled() {
            return None;
        }
        let present = self.of(service).present.read().unwrap_or_else(PoisonError::into_inner);
        let fault = present.http.as_ref()?;
        fault.path.matches(path)?;
        // Drawn here and waited for by the edge, which holds no lock then.
        let Delay { least, most } = fault.delay;
        let delay = least + (most - least).mul_f64(chance::jitter());
        Some(Hit { delay, fails: chance::jitter() < fault.fail_rate })
    }

    /// What a subscription of the service asks before its handler.
    pub fn events(&self, service: Name) -> EventCheck {
        // Shared and not copied: a fault that is put later hits the subscriptions that run already.
        let present = self.of(service).present.clone();
        Arc::new(move |event| {
            let present = present.read().unwrap_or_else(PoisonError::into_inner);
            match &present.event {
                Some(fault) if fault.fails(event) => {
                    Err("a fault was switched on for this event".to_owned())
                }
                _ => Ok(()),
            }
        })
    }

    fn of(&self, service: Name) -> &Faulty {
        &self.0.services[&service]
    }

    fn change(&self, service: Name, change: impl FnOnce(&mut Present)) {
        change(&mut self.of(service).present.write().unwrap_or_else(PoisonError::into_inner));
    }
}

impl HttpFault {
    fn parse(text: &HttpText) -> Result<HttpFault, Problem> {
        let [least, most] = text.delay_ms.map(Duration::from_millis);
        if least > most || most > DELAY_MAX {
            let limit = DELAY_MAX.as_millis();
            let reason = format!("must be two times, the longer last, of at most {limit} ms");
            return Err(Problem::bad_field("delay_ms", reason));
        }
        check_rate(text.fail_rate)?;
        let path = pattern(&text.path).map_err(|reason| Problem::bad_field("path", reason))?;
        Ok(HttpFault { path, delay: Delay { least, most }, fail_rate: text.fail_rate })
    }
}

impl EventFault {
    fn fails(&self, event: &Event) -> bool {
        self.on == event.kind && self.matches(event) && chance::jitter() < self.fail_rate
    }

    fn matches(&self, event: &Event) -> bool {
        if self.r#match.is_empty() {
            return true;
        }
        // Data that is no object has no member to match.
        let Ok(data) = event.decode::<Map<String, Value>>() else { return false };
        self.r#match.iter().all(|(name, wanted)| data.get(name).is_some_and(|it| same(it, wanted)))
    }
}

/// `7` and `"7"` are the same to whoever types a fault.
fn same(one: &Value, other: &Value) -> bool {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    one == other || text(one) == text(other)
}

/// `*` stands for one segment here, as people write it in a shell.
fn pattern(text: &str) -> Result<Pattern, String> {
    let parts: Vec<&str> =
        text.split('/').map(|part| if part == "*" { "{any}" } else { part }).collect();
    Pattern::parse(&parts.join("/"))
}

fn check_rate(rate: f64) -> Result<(), Problem> {
    if (0.0..=1.0).contains(&rate) {
        return Ok(());
    }
    Err(Problem::bad_field("fail_rate", "must be from 0 to 1"))
}

fn read<T: DeserializeOwned>(fault: &Value) -> Result<T, Problem> {
    T::deserialize(fault).map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, "bad-fault", "Not a fault").detail(error.to_string())
    })
}

#[cfg(test)]
mod tests {
    use events::Cause;
    use serde_json::json;

    use super::*;

    fn event(kind: &str, data: &Value) -> Event {
        Event {
            id: "e-1".into(),
            source: "order".into(),
            kind: kind.into(),
            subject: "1".into(),
            time: jiff::Timestamp::UNIX_EPOCH,
            key: "1".into(),
            sequence: 1,
            outbox_sequence: Some(1),
            outbox_previous: None,
            outbox_source: None,
            foreign: None,
            cause: Cause::default(),
            data: serde_json::value::to_raw_value(data).expect("JSON"),
        }
    }

    fn path(text: &str) -> Path<'_> {
        Path::parse(text).expect("a path")
    }

    #[test]
    fn a_fault_of_requests_hits_its_path_alone_until_it_is_replaced_or_cleared() {
        let faults = Faults::new(true);
        let slow = json!({"path": "/product/*", "delay_ms": [400, 620], "fail_rate": 0});
        faults.put(Name::Product, &slow).expect("a fault");
        for _ in 0..100 {
            let hit = faults.hit(Name::Product, &path("/product/1")).expect("it hits");
            assert!((400..=620).contains(&hit.delay.as_millis()) && !hit.fails);
        }
        assert_eq!(faults.hit(Name::Product, &path("/products")), None);
        assert_eq!(faults.hit(Name::Product, &path("/product/1/2")), None);
        assert_eq!(faults.hit(Name::Order, &path("/product/1")), None);

        faults.put(Name::Product, &json!({"path": "/**", "fail_rate": 1})).expect("a fault");
        let hit = faults.hit(Name::Product, &path("/products")).expect("it hits");
        assert_eq!(hit, Hit { delay: Duration::ZERO, fails: true });

        faults.clear(Name::Product);
        assert_eq!(faults.hit(Name::Product, &path("/products")), None);
    }

    #[test]
    fn a_fault_of_a_handler_fails_the_matching_events_alone() {
        let faults = Faults::new(true);
        let fault = json!({"on": "OrderPlaced", "match": {"customerId": "c9", "productId": "1"}, "fail_rate": 1});
        faults.put(Name::Product, &fault).expect("a fault");
        let check = faults.events(Name::Product);
        let cases = [
            ("OrderPlaced", json!({"customerId": "c9", "productId": 1}), false),
            ("OrderPlaced", json!({"customerId": "c8", "productId": 1}), true),
            ("OrderPlaced", json!({"productId": 1}), true),
            ("OrderCancelled", json!({"customerId": "c9", "productId": 1}), true),
        ];
        for (kind, data, passes) in cases {
            assert_eq!(check(&event(kind, &data)).is_ok(), passes, "{kind} {data}");
        }
        faults.clear(Name::Product);
        check(&event("OrderPlaced", &cases_data())).expect("no fault any more");
    }

    fn cases_data() -> Value {
        json!({"customerId": "c9", "productId": 1})
    }

    #[test]
    fn the_relay_is_switched_off_and_back() {
        let faults = Faults::new(true);
        let relay = faults.pause(Name::Order).relay();
        faults.put(Name::Order, &json!({"relay": "off"})).expect("a fault");
        assert!(*relay.borrow());
        faults.put(Name::Order, &json!({"relay": "on"})).expect("its end");
        assert!(!*relay.borrow());
        faults.put(Name::Order, &json!({"relay": "off"})).expect("a fault");
        faults.clear(Name::Order);
        assert!(!*relay.borrow());
    }

    #[test]
    fn what_is_no_fault_is_refused_and_nothing_is_put_where_faults_are_off() {
        let faults = Faults::new(true);
        for wrong in [
            json!({}),
            json!([]),
            json!({"path": "/x", "relay": "off"}),
            json!({"path": "x"}),
            json!({"path": "/x", "fail_rate": 1.1}),
            json!({"path": "/x", "delay_ms": [2, 1]}),
            json!({"path": "/x", "delay_ms": [0, 60_001]}),
            json!({"path": "/x", "delay_ms": 5}),
            json!({"path": "/x", "speed": 5}),
            json!({"on": 5}),
            json!({"on": "X", "fail_rate": -0.1}),
            json!({"relay": "perhaps"}),
        ] {
            let refused = faults.put(Name::Order, &wrong).expect_err("no fault");
            assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{wrong}");
        }
        faults
            .put(Name::Order, &json!({"path": "/x", "delay_ms": [0, 60_000]}))
            .expect("at the limit");

        let off = Faults::new(false);
        let refused = off.put(Name::Order, &json!({"relay": "off"})).expect_err("off");
        assert_eq!(refused.status(), StatusCode::NOT_FOUND);
    }
}
