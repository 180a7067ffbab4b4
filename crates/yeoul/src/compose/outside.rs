//! Who stores what is published from outside: the folder's own log, or an outbox of this process for each topic.
//!
//! Such an outbox is a store of the folder, or a schema on the server, where every instance has the same. Its relay is one like
//! any other; here is what else it needs: that the oldest of what it remembers is forgotten, and who else publishes is seen.

pub(super) mod left;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chassis::cores::Loop;
use chassis::health::Readiness;
use chassis::http::Stop;
use chassis::{clock, folder};
use events::store::{Host, Location};
use events::{Broker, Declared, Log, Numbered};
use gateway::Takers;
use tokio::sync::watch;
use tracing::{debug, error, warn};

use super::another_folder;
use super::store;
use crate::exit::Failure;
use crate::process;

pub(super) use events::outside::Outbox;

/// The folder of such outboxes below the data folder, a folder for each topic; what their schemas' names begin with.
const NAME: &str = "published";
/// The file in it.
const FILE: &str = "outbox.db";
/// Connections of one of them to a server: who waits for the disk needs none.
const CONNECTIONS: u32 = 5;
/// How often a broker that is away is asked what its topics have.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How often one looks whether something is to be forgotten.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Opens them, where the broker is not the folder's own log.
pub(super) async fn takers(
    data: &Path,
    host: Option<&Host>,
    log: Option<&Arc<Log>>,
    published: &[Declared],
) -> Result<Takers, Failure> {
    if let Some(log) = log {
        return Ok(Takers::Log(Arc::clone(log)));
    }
    let mut all = Vec::with_capacity(published.len());
    for declared in published {
        let location = location(data, host, declared)?;
        let opened = Outbox::open(location, declared.clone(), clock::component()).await;
        let what = format!("the outbox of `{}`", declared.topic);
        all.push(opened.map_err(|error| store::unopened(&what, host, &error))?);
    }
    Ok(Takers::Outboxes(all))
}

fn location(data: &Path, host: Option<&Host>, declared: &Declared) -> Result<Location, Failure> {
    let topic = declared.topic.as_str();
    if let Some(host) = host {
        let host = Host { connections: CONNECTIONS, ..host.clone() };
        return Ok(Location::Schema { host, name: format!("{NAME}.{topic}") });
    }
    // A store is its publisher's by the folder that it is in.
    let own = data.join(NAME).join(topic);
    for folder in [data.join(NAME), own.clone()] {
        folder::make_private(&folder)
            .map_err(|error| process::damaged("the data folder", &error))?;
    }
    Ok(Location::File(own.join(FILE)))
}

/// Outboxes that take events, and what keeps their relays from beginning.
pub(super) struct Taking {
    outboxes: Vec<Outbox>,
    held: watch::Sender<bool>,
}

impl Taking {
    /// Those that there are. Where nobody compared what the broker has with them yet, their relays rest until that was done.
    pub(super) fn of(takers: &Takers, is_compared: bool) -> Taking {
        let outboxes = match takers {
            Takers::Outboxes(all) => all.clone(),
            Takers::Nobody | Takers::Log(_) => Vec::new(),
        };
        let held = watch::Sender::new(!is_compared && !outboxes.is_empty());
        Taking { outboxes, held }
    }

    pub(super) fn outboxes(&self) -> impl Iterator<Item = &Outbox> {
        self.outboxes.iter()
    }

    /// Whether relays rest.
    pub(super) fn held(&self) -> watch::Receiver<bool> {
        self.held.subscribe()
    }

    /// To be run, where there are any.
    pub(super) fn keep(
        self,
        broker: &Arc<dyn Broker>,
        readiness: &Readiness,
        stop: &Stop,
    ) -> Option<Loop> {
        if self.outboxes.is_empty() {
            return None;
        }
        let (broker, readiness, stop) = (Arc::clone(broker), readiness.clone(), stop.clone());
        let run = async move {
            tokio::select! {
                () = self.look_after(&*broker, &readiness) => {}
                () = stop.stopped() => {}
            }
        };
        Some(Box::pin(run))
    }

    async fn look_after(&self, broker: &dyn Broker, readiness: &Readiness) {
        tokio::join!(self.let_go(broker, readiness), look_after(&self.outboxes, broker));
    }

    /// Lets the relays go once no topic has what another folder published. Where one has, all of them rest until an operator
    /// has decided: what was taken stays where it is, and no more is.
    async fn let_go(&self, broker: &dyn Broker, readiness: &Readiness) {
        if !*self.held.borrow() {
            return;
        }
        let mut is_anybodys = false;
        for outbox in &self.outboxes {
            let Numbered { number, .. } = match asked(outbox, broker).await {
                Some(found) => found,
                None => continue,
            };
            is_anybodys = true;
            let topic = outbox.topic();
            let why = another_folder::says(topic.as_str(), number);
            error!(%topic, "{why}: {}", another_folder::REMEDY);
            readiness.missing(topic.as_str(), format!("{why}: {}", another_folder::REMEDY));
            outbox.close_to_offers();
        }
        if !is_anybodys {
            self.held.send_replace(false);
        }
    }
}

/// A number of the topic that another folder gave, once the broker says.
async fn asked(outbox: &Outbox, broker: &dyn Broker) -> Option<Numbered> {
    loop {
        match outbox.number_of_another(broker).await {
            Ok(found) => return found,
            Err(error) => {
                debug!(topic = %outbox.topic(), %error, "what the topic has is not known yet");
            }
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

async fn look_after(outboxes: &[Outbox], broker: &dyn Broker) {
    loop {
        for outbox in outboxes {
            let topic = outbox.topic();
            if let Err(error) = outbox.forget_surplus().await {
                warn!(%topic, %error, "more is remembered of what was published than is to be, for now");
            }
            if let Err(error) = outbox.look_for_others(broker).await {
                warn!(%topic, %error, "it is not known whether somebody else publishes, for now");
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
