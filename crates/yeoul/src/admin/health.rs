//! Whether the process can do its work, and what keeps it: `/readyz`, and the log.
//!
//! | what does not go on | counts as | so |
//! |---|---|---|
//! | what waits for a broker that is away, its own store being there | degraded | 200: taken out of rotation all who take events would be at once |
//! | one scheduled event that is refused while others go out | degraded | 200 |
//! | anything else | missing | 503 |
//! | what an operator paused | paused | 200 |
//!
//! Asked for at each report and kept nowhere: what is stuck now may go on by itself. All are asked side by side, loops and stores, and no
//! longer than [`REPORTED_WITHIN`](super::REPORTED_WITHIN) together: who asks has a limit of his own, and a process is not to be taken for dead because many of its
//! stores are silent. One that has not answered by then is named.

use std::collections::BTreeSet;
use std::time::Duration;

use chassis::health::Health;
use chassis::http::{Response, json};
use events::relay;
use events::subscription::{Control, Pause, Status};
use http::StatusCode;
use serde_json::json;
use tracing::{error, warn};

use super::dead::Controls;
use super::{Admin, at_once, pausing, statuses};

/// How often is looked whether something is stuck: more often than no progress counts as that.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// What does not go on.
struct Troubles<'a> {
    stuck: Vec<Stuck<'a>>,
    paused: Vec<Paused<'a>>,
}

/// A subscription that an operator has take nothing.
struct Paused<'a> {
    name: &'a str,
    pause: Pause,
}

/// What does not go on.
struct Stuck<'a> {
    name: &'a str,
    reason: String,
    /// The process does its work all the same.
    is_degraded: bool,
}

/// Which stores answer.
#[derive(Default)]
struct Stores<'a> {
    /// Of each subscription, whether it does.
    subscriptions: Vec<bool>,
    /// Relays whose stores do not.
    silent: Vec<Stuck<'a>>,
}

/// The answer to `/readyz`.
pub(super) async fn ready(admin: &Admin) -> Response {
    let Health { ready, shown } = admin.report().await;
    json(if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &shown)
}

impl Admin {
    /// Whether the process can do its work, and the report: nothing of the start is missing, and nothing is stuck but what waits
    /// for a broker that is away.
    pub(crate) async fn report(&self) -> Health {
        let Health { mut ready, mut shown } = self.readiness.report();
        let away = self.broker.away().filter(|_| self.goes_on_alone);
        let (subscriptions, stores) =
            tokio::join!(statuses(&self.controls.subscriptions), self.stores(away.is_some()));
        let waits_for = away.filter(|_| stores.silent.is_empty());
        let mut troubles = self.troubles(subscriptions, waits_for.as_ref().map(|_| &stores));
        troubles.stuck.extend(stores.silent);
        let Troubles { stuck, paused } = troubles;
        for Stuck { name, reason, is_degraded } in stuck {
            ready &= is_degraded;
            shown[if is_degraded { "degraded" } else { "missing" }][name] = reason.into();
        }
        if let Some(why) = waits_for {
            shown["degraded"]["broker"] = why.into();
        }
        shown["ready"] = ready.into();
        // A wish is no failure, and nobody is to forget it.
        for Paused { name, pause } in paused {
            shown["paused"][name] = pausing::shown(&pause);
        }
        // Nothing that keeps a process from its work: whoever reads a page is told the same, and other routes need none.
        let stale = (self.views)()["stale"].take();
        if stale.as_array().is_some_and(|all| !all.is_empty()) {
            shown["stale"] = stale;
        }
        shown["acknowledgement"] = self.broker.promise().into();
        shown["store"] = json!({ "onDisk": self.store.is_on_disk, "says": self.store.says });
        Health { ready, shown }
    }

    /// Whether stores answer, where that tells what waits for the broker alone; nobody is asked where the broker is there.
    async fn stores(&self, is_away: bool) -> Stores<'_> {
        if !is_away {
            return Stores::default();
        }
        let Controls { subscriptions, relays, .. } = &self.controls;
        let of_subscription = |control: &Control| {
            let control = control.clone();
            async move { control.store_answers().await }
        };
        let of_relay = |relay: &relay::Control| {
            let relay = relay.clone();
            async move { relay.store_answers().await }
        };
        let (of_subscriptions, of_relays) = tokio::join!(
            at_once(subscriptions.iter().map(of_subscription)),
            at_once(relays.iter().map(of_relay)),
        );
        // What a relay's store does not take is not stored: then nothing waits for the broker alone.
        let silent = relays.iter().zip(of_relays).filter_map(|(relay, answer)| {
            let reason = format!("its store does not answer: {}", answer.err()?);
            Some(Stuck { name: relay.name(), reason, is_degraded: false })
        });
        let subscriptions = of_subscriptions.iter().map(Result::is_ok).collect();
        Stores { subscriptions, silent: silent.collect() }
    }

    /// The loops that do not go on, subscriptions being so; what waits for the broker alone is degraded while that is away, and
    /// its store answers.
    fn troubles(
        &self,
        statuses: Vec<Result<Status, events::Error>>,
        stores: Option<&Stores<'_>>,
    ) -> Troubles<'_> {
        let (mut stuck, mut paused) = (Vec::new(), Vec::new());
        for (at, (control, status)) in self.controls.subscriptions.iter().zip(statuses).enumerate()
        {
            let name = control.name();
            let pause = status.as_ref().ok().and_then(|it| it.paused);
            paused.extend(pause.map(|pause| Paused { name, pause }));
            let (reason, passes) = match status {
                Ok(status) => (status.stuck, status.passes),
                // Whoever cannot say how he is does not do his work either.
                Err(error) => (Some(error.to_string()), error.is_environment()),
            };
            let Some(reason) = reason else { continue };
            let is_degraded = passes && stores.is_some_and(|stores| stores.subscriptions[at]);
            stuck.push(Stuck { name, reason, is_degraded });
        }
        for scheduling in &self.controls.schedules {
            let (name, is_degraded) = (scheduling.name, true);
            let aside = scheduling.aside().map(|reason| Stuck { name, reason, is_degraded });
            let whole = scheduling.stuck().map(|reason| Stuck { name, reason, is_degraded: false });
            stuck.extend(whole.or(aside));
        }
        for relay in &self.controls.relays {
            let (name, status) = (relay.name(), relay.status());
            let Some(reason) = status.stuck else { continue };
            // Of all of them the stores answer, or it is not said that the broker is away.
            let is_degraded = status.passes && stores.is_some();
            stuck.push(Stuck { name, reason, is_degraded });
        }
        Troubles { stuck, paused }
    }

    /// Looks at all loops for as long as the process runs, and says in the log which are stuck, once, and which are no
    /// more. No progress is noticed between two looks, so that whoever asks only once is told of it, too.
    pub(crate) async fn watch(&self) {
        let mut known = BTreeSet::new();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let statuses = statuses(&self.controls.subscriptions).await;
            let stuck = self.troubles(statuses, None).stuck;
            let names: BTreeSet<String> = stuck.iter().map(|it| it.name.to_owned()).collect();
            for Stuck { name, reason, .. } in
                stuck.into_iter().filter(|it| !known.contains(it.name))
            {
                error!(name, reason, "it is stuck");
            }
            for name in known.difference(&names) {
                warn!(name, "it is stuck no more");
            }
            known = names;
        }
    }
}
