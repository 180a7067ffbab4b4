//! Brokers in processes of their own, behind the contract of `yeoul-events`.
//!
//! One module for each engine, and nothing of an engine outside of it: who publishes or reads speaks of
//! `events::Broker` and does not know which it is. Each is held to `events::contract::suite` against a real
//! server that its tests start.
//!
//! It knows no views, no HTTP and no service; it reads no settings file and no environment: an engine is
//! given its settings as values.

pub mod kafka;
mod later;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use events::{Broker, Clock, Declared, Error};

/// Where a broker is, and so which engine it is: `kafka://host:port[,host:port]`.
///
/// ```
/// use yeoul_brokers::Address;
///
/// let address: Address = "kafka://10.0.0.5:9092".parse()?;
/// assert_eq!(address.to_string(), "kafka://10.0.0.5:9092");
/// assert!("nobody://10.0.0.5:9092".parse::<Address>().is_err());
/// # Ok::<(), events::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(kafka::Servers);

/// A broker, and the topics that are used there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where it is.
    pub address: Address,
    /// What the topics' names begin with there.
    pub prefix: String,
    /// On how many servers topics are made that are not there; `None` if they must be.
    pub replicas: Option<u16>,
}

/// Connects to it. The clock says how long ago something was acknowledged.
///
/// # Errors
/// As for [`kafka::connect`] and, where topics may be made, [`kafka::create`].
pub async fn connect(
    settings: Settings,
    topics: &[Declared],
    clock: Clock,
) -> Result<Arc<dyn Broker>, Error> {
    let Settings { address: Address(servers), prefix, replicas } = settings;
    let (topics, patience) = (topics.to_vec(), kafka::PATIENCE_DEFAULT);
    if let Some(replicas) = replicas {
        kafka::create(&servers, &prefix, &topics, replicas, &kafka::KEPT, patience).await?;
    }
    kafka::connect(kafka::Settings { servers, prefix, topics, patience }, clock).await
}

/// A broker that may be used from now on, whether or not it was reached.
pub struct Connected {
    /// The same from now on.
    pub broker: Arc<dyn Broker>,
    /// Whether it answered: what is there could not be looked at otherwise.
    pub is_there: bool,
}

/// As [`connect`], but for a broker that gives no answer: that one is connected to once it does, and whatever is asked of it
/// until then is refused as the environment's trouble, with [`Broker::away`] saying why. Needs a runtime that goes on.
///
/// # Errors
/// What waiting does not mend: as for [`connect`], but for [`Error::Environment`].
pub async fn connect_or_wait(
    settings: Settings,
    topics: &[Declared],
    clock: Clock,
) -> Result<Connected, Error> {
    match connect(settings.clone(), topics, clock.clone()).await {
        Ok(broker) => Ok(Connected { broker, is_there: true }),
        Err(away @ Error::Environment { .. }) => {
            let address = settings.address.to_string();
            let again: later::Connect = Box::new({
                let topics = topics.to_vec();
                move || {
                    let (settings, topics, clock) =
                        (settings.clone(), topics.clone(), clock.clone());
                    Box::pin(async move { connect(settings, &topics, clock).await })
                }
            });
            let broker = later::Later::new(topics, &address, &away, again);
            Ok(Connected { broker: Arc::new(broker), is_there: false })
        }
        Err(error) => Err(error),
    }
}

impl Settings {
    /// Whether the names that the topics get are names that it takes.
    ///
    /// # Errors
    /// [`Error::Decode`] with what is wrong.
    pub fn check(&self) -> Result<(), Error> {
        kafka::check_prefix(&self.prefix)
    }

    /// Whether topics can be made on so many servers.
    ///
    /// # Errors
    /// [`Error::Decode`] with what is wrong.
    pub fn check_replicas(&self) -> Result<(), Error> {
        self.replicas.map_or(Ok(()), kafka::check_replicas)
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Address, Error> {
        text.parse().map(Address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
