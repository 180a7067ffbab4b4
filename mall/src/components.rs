//! What a service is given when it is opened (its surroundings, as components), and what it gives
//! to be run.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chassis::cores::Loop;
use chassis::http::{Networks, Stop};
use chassis::identity::Verifier;
use chassis::sealing::SealingKey;
use events::store::{Host, Location, Publishes, Tables};
use events::{Broker, Clock, Control, Database, Handler, Relay, Retry, Subscription, Topic};
use sessions::OnEnded;
use tokio::sync::watch;

use crate::error::Error;
use crate::faults::Faults;
use crate::settings::{Name, SignIn, SignUp};

/// A service's surroundings.
#[derive(Clone)]
pub struct Components {
    /// The data folder; each service keeps a folder of its own name below it.
    pub data: PathBuf,
    /// The server on which services keep their state, each in a schema of its name; in a file of its folder where
    /// there is none.
    pub host: Option<Host>,
    /// What seals account's keys there; they are in files of its folder where there is none.
    pub sealing: Option<SealingKey>,
    /// Where events go and come from.
    pub broker: Arc<dyn Broker>,
    /// What time it is.
    pub clock: Clock,
    /// The fault switches, and what pauses a service.
    pub faults: Faults,
    /// The gateway's inner listener, where order asks for a product through the guard.
    pub stock_check: SocketAddr,
    /// Who a token belongs to.
    pub verifier: Verifier,
    /// How a failed event is retried.
    pub retry: Retry,
    /// Proxies that are believed about where a request comes from.
    pub trusted: Networks,
    /// What the gateway shows to be believed about it too; nobody is one where there is none.
    pub gateway: Option<String>,
    /// How often a sign-in may fail.
    pub sign_in: SignIn,
    /// How often one may sign up.
    pub sign_up: SignUp,
    /// How long an order may be PENDING; for ever without it.
    pub order_deadline: Option<Duration>,
    /// Whether an empty service is given the demo's users and products.
    pub seed: bool,
}

impl Components {
    /// The service's own database, with an outbox of its own name.
    pub(crate) async fn database(&self, name: Name, tables: Tables) -> Result<Database, Error> {
        let location = match &self.host {
            Some(host) => Location::Schema { host: host.clone(), name: name.as_str().to_owned() },
            None => Location::File(self.folder(name)?.join("service.db")),
        };
        let source = name.as_str().to_owned();
        let topic = topic(name);
        let partitions = self.broker.partitions(&topic)?;
        let publishes = Some(Publishes { source, topic, partitions });
        // Large where a server is asked, and for whoever starts alone.
        let opened = Box::pin(Database::at(location, tables, publishes, self.clock.clone()));
        Ok(opened.await?)
    }

    /// Fills the verifier's memory with the sign-ins that `database` remembers as ended.
    pub(crate) async fn remember_ended(&self, database: &Database) -> Result<(), Error> {
        Ok(sessions::load(database, self.verifier.ended(), (self.clock)()).await?)
    }

    /// What remembers them in a service's own database, whose schema has [`sessions::TABLE`].
    fn on_ended(&self) -> OnEnded {
        OnEnded::new(self.verifier.ended().clone(), self.clock.clone())
    }

    /// The service's own folder.
    pub(crate) fn folder(&self, name: Name) -> Result<PathBuf, Error> {
        let folder = self.data.join(name.as_str());
        chassis::folder::make_private(&folder).map_err(Error::folder("the service's folder"))?;
        Ok(folder)
    }
}

/// A service that remembers which sign-ins have ended: its database, and what it was given.
#[derive(Clone)]
pub(crate) struct Opened {
    pub(crate) components: Components,
    pub(crate) database: Database,
    name: Name,
}

impl Opened {
    /// Opens the database and reads from it which sign-ins have ended.
    pub(crate) async fn open(
        components: Components,
        name: Name,
        tables: Tables,
    ) -> Result<Opened, Error> {
        let database = components.database(name, tables).await?;
        components.remember_ended(&database).await?;
        Ok(Opened { components, database, name })
    }

    /// Its relay, what `compose` adds, and what hears which sign-ins end.
    pub(crate) fn loops(
        &self,
        stop: &Stop,
        compose: impl for<'s> FnOnce(Composed<'s>) -> Composed<'s>,
    ) -> Loops {
        let relay = Composed::new(&self.components, self.name, &self.database, stop);
        compose(relay).subscribe(Name::Account, self.components.on_ended()).finish()
    }
}

/// What of a service runs beside its port.
pub struct Loops {
    /// Its relay and its subscriptions, each to be run to its end.
    pub run: Vec<Loop>,
    /// The subscriptions' handles.
    pub controls: Vec<Control>,
}

/// What a loop is given that a service has beside its subscriptions.
pub(crate) struct Beside {
    pub(crate) database: Database,
    /// `true` while the service rests.
    pub(crate) paused: watch::Receiver<bool>,
    /// Resolves when it is to end.
    pub(crate) stop: Loop,
}

/// The loops of one service, while it is composed.
pub(crate) struct Composed<'s> {
    components: &'s Components,
    name: Name,
    database: Database,
    stop: Stop,
    loops: Loops,
}

impl<'s> Composed<'s> {
    /// The relay of `database`, to begin with.
    pub(crate) fn new(
        components: &'s Components,
        name: Name,
        database: &Database,
        stop: &Stop,
    ) -> Composed<'s> {
        let relay = Relay::new(database.clone(), components.broker.clone())
            .paused(components.faults.pause(name).relay());
        let (database, stopped) = (database.clone(), stop.clone());
        let relay: Loop = Box::pin(relay.run(async move { stopped.stopped().await }));
        let loops = Loops { run: vec![relay], controls: Vec::new() };
        Composed { components, name, database, stop: stop.clone(), loops }
    }

    /// One more: what `handler` does with the events of the service `from`.
    pub(crate) fn subscribe<H: Handler>(mut self, from: Name, handler: H) -> Composed<'s> {
        let Components { broker, clock, retry, faults, .. } = self.components;
        let subscription = Subscription::new(
            &format!("{}.{from}", self.name),
            topic(from),
            self.database.clone(),
            broker.clone(),
            handler,
            *retry,
            clock.clone(),
        )
        .shared()
        .paused(faults.pause(self.name).handlers())
        .fault(faults.events(self.name));
        self.loops.controls.push(subscription.control());
        let stopped = self.stop.clone();
        self.loops.run.push(Box::pin(subscription.run(async move { stopped.stopped().await })));
        self
    }

    /// One more loop, of what is to be done beside events.
    pub(crate) fn beside<F>(mut self, make: impl FnOnce(Beside) -> F) -> Composed<'s>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let paused = self.components.faults.pause(self.name).handlers();
        let (database, stopped) = (self.database.clone(), self.stop.clone());
        let stop = Box::pin(async move { stopped.stopped().await });
        self.loops.run.push(Box::pin(make(Beside { database, paused, stop })));
        self
    }

    /// What is to be run.
    pub(crate) fn finish(self) -> Loops {
        self.loops
    }
}

/// The topic that a service publishes to: its own name.
pub(crate) fn topic(name: Name) -> Topic {
    Topic::parse(name.as_str()).expect("a service's name is a topic's name")
}
