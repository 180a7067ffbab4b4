//! One of the services that keep state, whichever it is: opened, served and run by its name.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use chassis::clock;
use chassis::cores::Cores;
use chassis::http::{Networks, Stop};
use chassis::identity::Verifier;
use chassis::sealing::SealingKey;
use events::store::Host;
use events::{Broker, Database, relay};
use mall::endpoint::{Listen, serving};
use mall::{Components, Faults, Name, account, delivery, order, product};
use sessions::NoKeys;

use crate::admin::scheduling::Scheduling;
use crate::compose::loops::Loops;
use crate::compose::{sealing, store};
use crate::exit::Failure;
use crate::stores;

/// Those that keep state, in the order in which they are opened: who signs tokens is the first.
pub(super) const STATEFUL: [Name; 4] = [Name::Account, Name::Product, Name::Order, Name::Delivery];

/// What a process gives its services, beside what the settings say.
pub(super) struct Surroundings<'p> {
    pub(super) data: &'p Path,
    /// The server that they keep their state on, if it is on one.
    pub(super) host: Option<&'p Host>,
    /// What seals account's keys there.
    pub(super) sealing: Option<&'p SealingKey>,
    pub(super) broker: &'p Arc<dyn Broker>,
    pub(super) faults: &'p Faults,
    pub(super) verifier: &'p Verifier,
    /// Where order asks for a product through a guard.
    pub(super) stock_check: SocketAddr,
    pub(super) trusted: &'p Networks,
    /// What a gateway shows to be believed.
    pub(super) gateway: Option<String>,
}

impl Surroundings<'_> {
    /// Both.
    pub(super) fn components(self, settings: &mall::Settings) -> Components {
        Components {
            data: self.data.to_owned(),
            host: self.host.cloned(),
            sealing: self.sealing.cloned(),
            broker: self.broker.clone(),
            clock: clock::component(),
            faults: self.faults.clone(),
            stock_check: self.stock_check,
            verifier: self.verifier.clone(),
            retry: settings.retry(),
            trusted: self.trusted.clone(),
            gateway: self.gateway,
            sign_in: settings.sign_in,
            sign_up: settings.sign_up,
            order_deadline: settings.order_deadline.map(|it| it.0),
            seed: settings.seed,
        }
    }
}

/// A service, open.
#[derive(Clone)]
pub(super) enum Service {
    Account(account::Service),
    Product(product::Service),
    Order(order::Service),
    Delivery(delivery::Service),
}

impl Service {
    /// Opens the one of this name, which is one of [`STATEFUL`].
    pub(super) async fn open(name: Name, components: &Components) -> Result<Service, Failure> {
        let given = components.clone();
        let opened = match name {
            Name::Account => account::Service::open(given).await.map(Service::Account),
            Name::Product => product::Service::open(given).await.map(Service::Product),
            Name::Order => order::Service::open(given).await.map(Service::Order),
            Name::Delivery => delivery::Service::open(given).await.map(Service::Delivery),
            Name::Mypage => unreachable!("my page keeps nothing but views"),
        };
        opened.map_err(|error| unopened(name.as_str(), components.host.as_ref(), &error))
    }

    pub(super) fn name(&self) -> Name {
        match self {
            Service::Account(_) => Name::Account,
            Service::Product(_) => Name::Product,
            Service::Order(_) => Name::Order,
            Service::Delivery(_) => Name::Delivery,
        }
    }

    /// Where it keeps its state.
    pub(super) fn database(&self) -> &Database {
        match self {
            Service::Account(it) => it.database(),
            Service::Product(it) => it.database(),
            Service::Order(it) => it.database(),
            Service::Delivery(it) => it.database(),
        }
    }

    /// Its relay and its subscriptions, to be run.
    pub(super) fn loops(&self, stop: &Stop) -> Loops {
        let mall::Loops { run, controls } = match self {
            Service::Account(it) => it.loops(stop),
            Service::Product(it) => it.loops(stop),
            Service::Order(it) => it.loops(stop),
            Service::Delivery(it) => it.loops(stop),
        };
        Loops { run, controls }
    }

    /// How its port at `address` is served.
    pub(super) fn listen(&self, cores: Arc<Cores>, address: SocketAddr) -> Listen {
        match self.clone() {
            Service::Account(it) => serving(cores, move |_| it.server(address)),
            Service::Product(it) => serving(cores, move |_| it.server(address)),
            Service::Order(it) => serving(cores, move |_| it.server(address)),
            Service::Delivery(it) => serving(cores, move |_| it.server(address)),
        }
    }

    /// What of it is to be done at a time to come, where something is.
    pub(super) fn scheduling(&self, faults: &Faults) -> Option<Scheduling> {
        let Service::Order(order) = self else { return None };
        let rests = faults.pause(self.name()).relay();
        Some(Scheduling::of("order.deadlines", order.deadlines()?.clone()).resting(rests))
    }

    /// Its relay's handle.
    pub(super) fn relay(
        &self,
        broker: &Arc<dyn Broker>,
        faults: &Faults,
    ) -> Option<relay::Control> {
        let paused = faults.pause(self.name()).relay();
        relay::Control::of(self.database().clone(), broker.clone(), paused)
    }
}

/// Why a service's store was not opened, and what to do. The broker has as many partitions as the settings ask for, or
/// it would have refused before: where both are files of the folder, a change of them was broken off between the two.
fn unopened(what: &str, host: Option<&Host>, error: &mall::Error) -> Failure {
    match error {
        mall::Error::Store(events::Error::Partitions { topic, has, asked }) if host.is_none() => {
            stores::broken_off(topic, *has.max(asked), error)
        }
        mall::Error::Keys(error @ NoKeys::Sealed(..)) => sealing::sealed(host, error),
        mall::Error::Store(cause) => store::unopened(what, host, cause),
        _ => store::unopened(what, host, error),
    }
}
