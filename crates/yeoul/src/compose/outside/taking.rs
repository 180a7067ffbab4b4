//! The relays of what is published from outside, and what keeps them from beginning.
//!
//! Two folders that publish under one name would give the same numbers, so after a start without the broker no relay of files
//! begins before its topic was told from another folder's. Each outbox waits for its own topic alone: a partition that has no
//! leader holds up what goes there and nothing else, and the status of that relay names it with the broker's words.
//!
//! | what was found | the topic's relay | the others |
//! |---|---|---|
//! | nothing yet | rests, and says what was answered last | as their own topics say |
//! | nothing of another folder | goes on | as their own topics say |
//! | what another folder published | rests, and nothing more is taken | rest from then on: the folder is the wrong one |
//!
//! It compares nothing itself: that is [`Outbox::number_of_another`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chassis::cores::Loop;
use chassis::health::Readiness;
use chassis::http::Stop;
use events::{Broker, Database, Topic};
use gateway::Takers;
use tokio::sync::watch;
use tracing::{debug, error};

use super::{Outbox, look_after};
use crate::compose::another_folder;
use crate::compose::outboxes;

/// How often a broker that is away is asked what a topic has.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Outboxes that take events; clones are handles.
#[derive(Clone)]
pub(in crate::compose) struct Taking {
    gates: Arc<[Gate]>,
    /// The first topic that another folder was seen to publish to.
    strange: Arc<Mutex<Option<Topic>>>,
}

/// An outbox, and whether its relay rests.
struct Gate {
    outbox: Outbox,
    rests: watch::Sender<bool>,
}

impl Taking {
    /// Those that there are. Where nobody compared what the broker has with them yet, the relay of each rests until that was done.
    pub(in crate::compose) fn of(takers: &Takers, is_compared: bool) -> Taking {
        let outboxes = match takers {
            Takers::Outboxes(all) => all.clone(),
            Takers::Nobody | Takers::Log(_) => Vec::new(),
        };
        let gate = |outbox| Gate { outbox, rests: watch::Sender::new(!is_compared) };
        Taking { gates: outboxes.into_iter().map(gate).collect(), strange: Arc::default() }
    }

    fn outboxes(&self) -> impl Iterator<Item = &Outbox> {
        self.gates.iter().map(|gate| &gate.outbox)
    }

    /// What they are in.
    pub(in crate::compose) fn databases(&self) -> impl Iterator<Item = Database> {
        self.outboxes().map(Outbox::database)
    }

    /// Their relays, to be run.
    pub(in crate::compose) fn relays(&self, broker: &Arc<dyn Broker>, stop: &Stop) -> Vec<Loop> {
        let relay = |gate: &Gate| {
            let rests = gate.rests.subscribe();
            outboxes::relay(&gate.outbox.database(), broker, Some(rests), stop)
        };
        self.gates.iter().map(relay).collect()
    }

    /// What lets the relays go and looks after the outboxes, to be run beside them.
    pub(in crate::compose) fn keep(
        &self,
        broker: &Arc<dyn Broker>,
        readiness: &Readiness,
        stop: &Stop,
    ) -> Vec<Loop> {
        let mut all = Vec::new();
        for at in (0..self.gates.len()).filter(|at| *self.gates[*at].rests.borrow()) {
            self.gates[at].rests_for("the broker was not asked yet");
            let (taking, broker, readiness) = (self.clone(), broker.clone(), readiness.clone());
            all.push(until(stop, async move { taking.look(at, &*broker, &readiness).await }));
        }
        if !self.gates.is_empty() {
            let outboxes: Vec<Outbox> = self.outboxes().cloned().collect();
            let broker = broker.clone();
            all.push(until(stop, async move { look_after(&outboxes, &*broker).await }));
        }
        all
    }

    /// Lets one go once its topic has nothing of another folder.
    async fn look(&self, at: usize, broker: &dyn Broker, readiness: &Readiness) {
        let gate = &self.gates[at];
        let found = loop {
            match gate.outbox.number_of_another(broker).await {
                Ok(found) => break found,
                Err(error) => gate.rests_for(&error.to_string()),
            }
            tokio::time::sleep(ASK_EVERY).await;
        };
        let Some(found) = found else { return self.let_go(gate) };
        let topic = gate.outbox.topic();
        let why = another_folder::says(topic.as_str(), found.number);
        error!(%topic, "{why}: {}", another_folder::REMEDY);
        readiness.missing(topic.as_str(), format!("{why}: {}", another_folder::REMEDY));
        gate.outbox.close_to_offers();
        self.hold_all(topic);
    }

    fn let_go(&self, gate: &Gate) {
        // Held while it is decided: what is found meanwhile holds this one, too.
        let strange = self.strange.lock().unwrap_or_else(PoisonError::into_inner);
        if strange.is_none() {
            gate.outbox.goes_on();
            gate.rests.send_replace(false);
        }
    }

    /// Has all of them rest until an operator has decided: what was taken stays where it is.
    fn hold_all(&self, topic: &Topic) {
        let mut strange = self.strange.lock().unwrap_or_else(PoisonError::into_inner);
        let topic = strange.get_or_insert_with(|| topic.clone());
        for gate in &*self.gates {
            gate.rests.send_replace(true);
            let why =
                format!("it rests: another folder publishes to `{topic}`, which `/readyz` names");
            gate.outbox.rests(why);
        }
    }
}

impl Gate {
    fn rests_for(&self, why: &str) {
        debug!(topic = %self.outbox.topic(), why, "what the topic has is not known yet");
        let says =
            format!("it rests until it is known whether another folder publishes there: {why}");
        self.outbox.rests_for_now(says);
    }
}

fn until(stop: &Stop, run: impl Future<Output = ()> + Send + 'static) -> Loop {
    let stop = stop.clone();
    Box::pin(async move {
        tokio::select! {
            () = run => {}
            () = stop.stopped() => {}
        }
    })
}

#[cfg(test)]
mod tests;
