//! A subscription whose events are fetched: its loop, where one asks it, and what it counts.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use chassis::chance;
use chassis::telemetry::Metrics;
use events::deliveries::Timing;
use events::deliveries::pull::{Counts, Leases};
use events::share::ShareBy;
use events::{Broker, Control, Database, Opener, Topic};
use gateway::Lender;

/// Bytes of a lease's token: nobody guesses one.
const TOKEN_BYTES: usize = 18;

/// One that is open and does not run yet.
pub(super) struct Fetched {
    name: String,
    leases: Leases,
    opener: Option<Arc<dyn Opener>>,
}

impl Fetched {
    pub(super) fn new(
        name: String,
        topic: Topic,
        database: Database,
        broker: Arc<dyn Broker>,
        timing: Timing,
        share: Option<ShareBy>,
    ) -> Fetched {
        let full_name = format!("{name}.{topic}");
        let draw = Arc::new(|| chance::token(TOKEN_BYTES));
        let leases = Leases::new(&full_name, topic, database, broker, timing, draw);
        let leases = match share {
            Some(by) => leases.by_share(by),
            None => leases,
        };
        Fetched { name, leases, opener: None }
    }

    /// The same, who is told what is sealed.
    pub(super) fn opened_by(self, opener: Option<Arc<dyn Opener>>) -> Fetched {
        Fetched { opener, ..self }
    }

    /// Where one asks it, by the name that the settings have.
    pub(super) fn desk(&self) -> (String, Lender) {
        let lender = Lender { desk: self.leases.desk(), opener: self.opener.clone() };
        (self.name.clone(), lender)
    }

    pub(super) fn control(&self) -> Control {
        self.leases.control()
    }

    /// Answers until the stop.
    pub(super) async fn run(self, stop: impl Future<Output = ()> + Send) {
        self.leases.run(stop).await;
    }

    /// Sets what it counts before each scrape. How far it is behind is every subscription's own gauge.
    pub(super) fn meter(&self, metrics: &Metrics) {
        let (desk, control) = (self.leases.desk(), self.leases.control());
        let labels = [("subscription", control.name())];
        let counter = |name, help| metrics.counter(name, help, &labels);
        let given = counter("yeoul_pull_given", "Events that were lent, those lent again included");
        let again = counter("yeoul_pull_given_again", "Events that were lent after an attempt");
        let acknowledged = counter("yeoul_pull_acknowledged", "Events that were acknowledged");
        let rejected = counter("yeoul_pull_rejected", "Events that were rejected");
        let ended =
            counter("yeoul_pull_leases_ended", "Leases that ended before all was answered for");
        let open = metrics.level("yeoul_pull_leases_open", "Leases that have events out", &labels);
        let waiting = metrics.level("yeoul_pull_waiting", "Requests that wait for events", &labels);
        metrics.before_scrape(move || {
            let counts: Counts = desk.counts();
            for (counter, value) in [
                (&given, counts.given),
                (&again, counts.again),
                (&acknowledged, counts.acknowledged),
                (&rejected, counts.rejected),
                (&ended, counts.ended),
            ] {
                counter.inner().store(value, Ordering::Relaxed);
            }
            open.set(counts.open as f64);
            waiting.set(counts.waiting as f64);
        });
    }
}
