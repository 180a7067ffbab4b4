//! The broker that the settings name: the log in the data folder, or a connection to one elsewhere.

use std::path::Path;
use std::sync::Arc;

use brokers::Connected;
use chassis::clock;
use chassis::folder;
use events::local::Log;
use events::{Broker, Error};

use super::another_folder;
use super::put_back;
use super::store;
use crate::exit::Failure;
use crate::process;
use crate::settings::Topics;
use crate::stores::{self, LOG, note};

/// Where events are.
pub(crate) struct Events<'e> {
    pub(crate) topics: &'e Topics,
    /// The broker, where it is not the folder's own log.
    pub(crate) broker: Option<brokers::Settings>,
    /// Who numbers what it publishes in files of the folder, called as its topic is.
    pub(crate) services: &'e [&'e str],
    /// Whether the process begins while the broker is away.
    pub(crate) may_be_away: bool,
}

impl<'e> Events<'e> {
    /// For a process that begins once its broker is there.
    pub(crate) fn there(
        topics: &'e Topics,
        broker: Option<brokers::Settings>,
        services: &'e [&'e str],
    ) -> Events<'e> {
        Events { topics, broker, services, may_be_away: false }
    }
}

/// A broker that can be used.
pub(super) struct OpenBroker {
    pub(super) broker: Arc<dyn Broker>,
    /// The same, where it is the folder's own.
    pub(super) log: Option<Arc<Log>>,
    /// Whether what it has was compared with the folder; else relays of files begin once it was.
    pub(super) is_compared: bool,
}

/// A connection to the broker that the settings name.
pub(crate) async fn connect(data: &Path, events: Events<'_>) -> Result<Arc<dyn Broker>, Failure> {
    Ok(open(data, events).await?.broker)
}

/// The folder's own log, or a connection; over one, files that were put back are made to number on above what is there.
pub(super) async fn open(
    data: &Path,
    Events { topics, broker, services, may_be_away }: Events<'_>,
) -> Result<OpenBroker, Failure> {
    let Topics { all, retained, .. } = topics;
    let log = data.join(LOG);
    let Some(settings) = broker else {
        folder::make_private(&log).map_err(|error| process::damaged("the data folder", &error))?;
        let log = Log::open_retaining(&log, all, retained, clock::component());
        let log = Arc::new(log.map_err(|error| opened(data, &error))?);
        return Ok(OpenBroker { broker: log.clone(), log: Some(log), is_compared: true });
    };
    if log.exists() {
        let says =
            "the data folder has its events in a log of its own, and the settings name a broker";
        return Err(Failure::environment(
            says,
            "set `events.broker: local`, or begin with a new folder",
        ));
    }
    let address = settings.address.to_string();
    let refused = |error: Error| not_connected(&address, &error);
    if may_be_away {
        let connected = brokers::connect_or_wait(settings, all, clock::component()).await;
        let Connected { broker, is_there } = connected.map_err(refused)?;
        if !is_there {
            must_be_vouched_for(data, &broker)?;
            return Ok(OpenBroker { broker, log: None, is_compared: false });
        }
        compare(data, &broker, services).await?;
        return Ok(OpenBroker { broker, log: None, is_compared: true });
    }
    let broker = brokers::connect(settings, all, clock::component()).await.map_err(refused)?;
    compare(data, &broker, services).await?;
    Ok(OpenBroker { broker, log: None, is_compared: true })
}

async fn compare(data: &Path, broker: &Arc<dyn Broker>, services: &[&str]) -> Result<(), Failure> {
    another_folder::refuse(data, broker, services).await?;
    put_back::left_out(data, broker).await
}

/// Files that are not those that were noted here may have been put back to an earlier moment, which the broker alone tells.
fn must_be_vouched_for(data: &Path, broker: &Arc<dyn Broker>) -> Result<(), Failure> {
    if !note::is_doubtful(data) {
        return Ok(());
    }
    let why = broker.away().unwrap_or_default();
    let says = format!(
        "these are not the files that were noted here, and whether they were put back is told by what the broker has: {why}"
    );
    Err(Failure::environment(says, "start it once the broker is there"))
}

/// Why there is no connection, and what to do.
fn not_connected(address: &str, error: &Error) -> Failure {
    let says = format!("the broker cannot be used. address=`{address}`, why=`{error}`");
    let remedy = match error {
        Error::UnknownTopic => "make the topics there, or set `events.replicas` to have them made",
        Error::Statement { .. } => "see what it refuses, and whether this user may",
        Error::Partitions { .. } => "set `events.topics.TOPIC.partitions` to what the topic has",
        _ => "see whether it runs there",
    };
    Failure::environment(says, remedy)
}

/// Why the log was not opened, and what to do.
fn opened(data: &Path, error: &Error) -> Failure {
    let Error::Partitions { topic, has, asked } = error else {
        return store::unopened("the log", None, error);
    };
    let says = format!(
        "a topic has another number of partitions. topic=`{topic}`, has=`{has}`, settings=`{asked}`"
    );
    let mut remedy = format!("set `events.topics.{topic}.partitions: {has}`");
    // Never fewer, and of what is on a server nothing: there that command is no way.
    if asked > has && stores::host(data).is_none() {
        remedy += &format!(", or give it more by `yeoul events partitions {topic} {asked}`");
    }
    Failure::environment(says, &remedy)
}
