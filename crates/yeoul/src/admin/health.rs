//! Whether the process can do its work, and what keeps it: `/readyz`, and the log.
//!
//! | what does not go on | counts as | so |
//! |---|---|---|
//! | what waits for a broker that is away, its own store being there | degraded | 200: taken out of rotation all who take events would be at once |
//! | one scheduled event that is refused while others go out | degraded | 200 |
//! | anything else | missing | 503 |
//! | what an operator paused | paused | 200 |
//!
//! Asked for at each report and kept nowhere: what is stuck now may go on by itself.

use std::collections::BTreeSet;
use std::time::Duration;

use chassis::health::Health;
use chassis::http::{Response, json};
use events::subscription::Pause;
use http::StatusCode;
use serde_json::json;
use tracing::{error, warn};

use super::{Admin, REPORTED_WITHIN, pausing, statuses};

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
        let waits_for = self.waits_for().await;
        let Troubles { stuck, paused } = self.troubles(waits_for.is_some()).await;
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

    /// Why the broker is away, where the process does its work all the same: what it takes is stored, and waits.
    async fn waits_for(&self) -> Option<String> {
        let why = self.broker.away().filter(|_| self.goes_on_alone)?;
        let stored = async {
            for outbox in &self.taking {
                outbox.committed_by_now().await?;
            }
            Ok::<_, events::Error>(())
        };
        is_answered(stored).await.then_some(why)
    }

    /// The loops that do not go on; what waits for the broker alone is degraded while that `is_away`.
    async fn troubles(&self, is_away: bool) -> Troubles<'_> {
        let (mut stuck, mut paused) = (Vec::new(), Vec::new());
        let subscriptions = &self.controls.subscriptions;
        for (control, status) in subscriptions.iter().zip(statuses(subscriptions).await) {
            let name = control.name();
            let pause = status.as_ref().ok().and_then(|it| it.paused);
            paused.extend(pause.map(|pause| Paused { name, pause }));
            let (reason, passes) = match status {
                Ok(status) => (status.stuck, status.passes),
                // Whoever cannot say how he is does not do his work either.
                Err(error) => (Some(error.to_string()), error.is_environment()),
            };
            let Some(reason) = reason else { continue };
            let is_degraded = is_away && passes && is_answered(control.store_answers()).await;
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
            let is_degraded = is_away && status.passes && is_answered(relay.store_answers()).await;
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
            let stuck = self.troubles(false).await.stuck;
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

/// Whether a store answers in time.
async fn is_answered<T>(asked: impl Future<Output = Result<T, events::Error>>) -> bool {
    matches!(tokio::time::timeout(REPORTED_WITHIN, asked).await, Ok(Ok(_)))
}
