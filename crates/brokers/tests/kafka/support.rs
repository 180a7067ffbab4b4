//! Topics of a test's own, events, and a wait with a deadline.

use std::sync::Arc;
use std::time::Duration;

use brokers::kafka::{self, Servers, Settings};
use events::{
    Broker, Cause, Clock, Declared, Error, Event, Offset, Partitions, Topic, TopicPartition,
};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use yeoul_brokers as brokers;

use crate::server::{self, Server};

/// How long to wait for Kafka where it is there.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// How long a test waits for what must happen.
const DEADLINE: Duration = Duration::from_secs(120);

pub(crate) use brokers::kafka::KEPT;

pub(crate) use crate::server::prefix;

/// The server that most tests share.
pub(crate) fn shared() -> Servers {
    server::shared().parse().expect("an address")
}

pub(crate) fn servers(server: &Server) -> Servers {
    server.address().parse().expect("an address")
}

/// Topics as they are in Kafka.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) servers: Servers,
    pub(crate) prefix: String,
    pub(crate) topics: Vec<Declared>,
}

impl Place {
    /// One topic, `order`, of one partition, that does not exist yet.
    pub(crate) fn of_order(servers: Servers) -> Place {
        let order = Declared { topic: topic(), partitions: Partitions::ONE };
        Place { servers, prefix: prefix(), topics: vec![order] }
    }

    pub(crate) async fn create(&self, settings: &[(&str, &str)]) {
        self.create_on(1, settings).await.expect("topics");
    }

    pub(crate) async fn create_on(
        &self,
        servers: u16,
        settings: &[(&str, &str)],
    ) -> Result<(), Error> {
        kafka::create(&self.servers, &self.prefix, &self.topics, servers, settings, PATIENCE).await
    }

    /// The topic, with each of its partitions on these servers.
    pub(crate) async fn create_at(&self, servers: &[&[i32]]) {
        let admin: AdminClient<DefaultClientContext> =
            client(&self.servers).create().expect("a client");
        let (name, partitions) = (name(self), servers.len() as i32);
        let made = NewTopic::new(&name, partitions, TopicReplication::Variable(servers));
        let made = admin.create_topics(&[made], &AdminOptions::new()).await.expect("an answer");
        assert!(made.iter().all(Result::is_ok), "{made:?}");
    }

    pub(crate) async fn connect(&self) -> Arc<dyn Broker> {
        self.connect_for(PATIENCE).await.expect("a connection")
    }

    pub(crate) async fn connect_for(&self, patience: Duration) -> Result<Arc<dyn Broker>, Error> {
        let Place { servers, prefix, topics } = self.clone();
        kafka::connect(Settings { servers, prefix, topics, patience }, clock()).await
    }

    /// A topic of these settings, connected.
    pub(crate) async fn fresh(
        servers: Servers,
        settings: &[(&str, &str)],
    ) -> (Place, Arc<dyn Broker>) {
        let place = Place::of_order(servers);
        place.create(settings).await;
        let broker = place.connect().await;
        (place, broker)
    }
}

/// A client of Kafka's own, for what the broker does not do.
pub(crate) fn client(servers: &Servers) -> ClientConfig {
    let address = servers.to_string().replace("kafka://", "");
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address);
    config
}

/// For what an operator does.
pub(crate) fn admin(place: &Place) -> AdminClient<DefaultClientContext> {
    client(&place.servers).create().expect("a client")
}

/// What Kafka calls the topic.
pub(crate) fn name(place: &Place) -> String {
    format!("{}{}", place.prefix, topic())
}

/// Stands still: no test is about how long ago something was.
fn clock() -> Clock {
    Arc::new(|| jiff::Timestamp::UNIX_EPOCH)
}

pub(crate) fn topic() -> Topic {
    Topic::parse("order").expect("a topic")
}

pub(crate) fn at() -> TopicPartition {
    topic().first()
}

/// An event that names itself by `number`, with data of about so many bytes.
pub(crate) fn sized(number: u64, bytes: usize) -> Event {
    let text = format!(
        r#"{{"specversion":"1.0","id":"id-{number}","source":"order","type":"Numbered",
        "subject":"k","time":"2024-05-01T12:00:00Z","sequence":"{number}",
        "outboxsequence":"{number}","data":"{}"}}"#,
        "x".repeat(bytes)
    );
    let event = Event::from_json(text.as_bytes()).expect("an event");
    Event { cause: Cause::default(), ..event }
}

pub(crate) fn events(numbers: std::ops::RangeInclusive<u64>) -> Vec<Event> {
    numbers.map(|number| sized(number, 1)).collect()
}

/// What is stored after a place, by the number that each event names itself by. Who meets trouble of the
/// environment reads again.
pub(crate) async fn numbers_after(broker: &dyn Broker, place: Offset) -> Vec<u64> {
    let (mut after, mut numbers) = (place, Vec::new());
    loop {
        let page = until(async || match broker.read(&at(), after, 100).await {
            Err(error) if error.is_environment() => Err(error.to_string()),
            other => Ok(other.expect("a read")),
        });
        let page = page.await;
        let Some(last) = page.last() else { return numbers };
        after = last.offset;
        numbers.extend(page.iter().map(|one| one.event.sequence));
    }
}

/// Until they are acknowledged.
pub(crate) async fn publish(broker: &dyn Broker, numbers: std::ops::RangeInclusive<u64>) {
    until(async || {
        let published = broker.publish(&at(), events(numbers.clone())).await;
        published.map_err(|error| error.to_string())
    })
    .await;
}

/// Tries until it is done, or the test's time is over.
pub(crate) async fn until<T>(mut done: impl AsyncFnMut() -> Result<T, String>) -> T {
    let mut missing = String::new();
    let trying = async {
        loop {
            match done().await {
                Ok(value) => return value,
                Err(still) => missing = still,
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    match tokio::time::timeout(DEADLINE, trying).await {
        Ok(value) => value,
        Err(_) => panic!("not in time: {missing}"),
    }
}

/// What a reader of an inbox keeps: each number once, as its mark says.
pub(crate) fn first_copies(numbers: &[u64]) -> Vec<u64> {
    let mut mark = 0;
    let is_new = |number: &&u64| {
        let is_new = **number > mark;
        mark = mark.max(**number);
        is_new
    };
    numbers.iter().filter(is_new).copied().collect()
}
