//! From one commit to the next: an event of an outbox on PostgreSQL, relayed over Kafka to a handler that commits.
//!
//! Beside it a producer and a consumer of Kafka's own with nothing between: no outbox and no inbox, but the same order
//! committed before each message is sent and the same row behind it, so that both are from one commit to the next and
//! the disk has the same to do. Both at [`PER_SECOND`] events, sent whether or not those before have arrived, over a
//! topic of the same settings, which syncs each message before it is acknowledged.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use brokers::kafka::{self as engine, Servers, Settings};
use events::store::{Database, Tx};
use events::{
    Cause, Declared, Draft, Error, Event, Failure, Handler, Partitions, Relay, Retry, Subscription,
};
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::message::Message as _;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use yeoul_brokers as brokers;

use crate::kafka::Server as Kafka;
use crate::legs::{Observed, leg};
use crate::postgres::Server as Postgres;
use crate::{clock, connect, now, report, topic};

/// Events a second.
const PER_SECOND: u32 = 1_000;
/// Of the topic.
const PARTITIONS: u16 = 8;
/// How often ours and the bare one take their turn.
const TURNS: u32 = 2;
/// Until everything that is connected for the first time is.
const WARM_UP: Duration = Duration::from_secs(1);
/// How long the last ones may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Each message is on the disk before it is acknowledged.
const DURABLE: [(&str, &str); 3] =
    [("flush.messages", "1"), ("retention.ms", "-1"), ("max.message.bytes", "2097152")];

const SOURCE: &[&str] = &["CREATE TABLE placed (id BIGINT PRIMARY KEY);"];
const SINK: &[&str] = &["CREATE TABLE arrived (id BIGINT PRIMARY KEY, data TEXT NOT NULL);"];

/// When each event was sent and when it had arrived, in microseconds since the beginning; 0 is not yet.
pub(crate) struct Times {
    began: Instant,
    sent: Vec<AtomicU64>,
    /// Given to the broker, acknowledged by it and given by it again; of ours alone.
    pub(crate) relayed: Vec<AtomicU64>,
    pub(crate) published: Vec<AtomicU64>,
    pub(crate) read: Vec<AtomicU64>,
    arrived: Vec<AtomicU64>,
}

/// In milliseconds.
struct Quantiles {
    median: f64,
    p99: f64,
}

impl Quantiles {
    /// The middle and the 99th in a hundred.
    fn of(mut took: Vec<u64>) -> Quantiles {
        took.sort_unstable();
        let at = |share: f64| took[(took.len() as f64 * share) as usize] as f64 / 1e3;
        Quantiles { median: at(0.5), p99: at(0.99) }
    }
}

impl Times {
    fn of(events: usize) -> Arc<Times> {
        let none = || (0..events).map(|_| AtomicU64::new(0)).collect();
        let (relayed, published, read) = (none(), none(), none());
        Arc::new(Times { began: now(), sent: none(), relayed, published, read, arrived: none() })
    }

    pub(crate) fn note(&self, of: &[AtomicU64], id: usize) {
        of[id].store(self.began.elapsed().as_micros() as u64, Ordering::Relaxed);
    }

    /// How long each of those past the warm-up took.
    fn took(&self) -> Vec<u64> {
        let warm = WARM_UP.as_micros() as u64;
        let both = self.sent.iter().zip(&self.arrived);
        let both = both
            .map(|(sent, arrived)| (sent.load(Ordering::Relaxed), arrived.load(Ordering::Relaxed)));
        both.filter(|(sent, _)| *sent >= warm)
            .map(|(sent, arrived)| arrived.saturating_sub(sent))
            .collect()
    }

    /// Waits for the last one.
    async fn all_arrived(&self) -> Result<(), String> {
        let missing = || self.arrived.iter().filter(|it| it.load(Ordering::Relaxed) == 0).count();
        let until = now() + PATIENCE;
        while missing() > 0 {
            if now() > until {
                return Err(format!("events did not arrive. missing=`{}`", missing()));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

pub(crate) async fn measure(
    postgres: &Postgres,
    time: Duration,
) -> Result<(), Box<dyn std::error::Error>> {
    let kafka = Kafka::start();
    let servers: Servers = kafka.address().parse()?;
    let each = (time / (2 * TURNS + 1)).max(2 * WARM_UP);
    let events = (each.as_secs_f64() * f64::from(PER_SECOND)) as usize;
    // A Kafka that has just started is slow: neither of the two is to meet that.
    bare(postgres, &servers, "warm", events).await?;
    let (mut ours_took, mut bare_took) = (Vec::new(), Vec::new());
    for turn in 1..=TURNS {
        let times = ours(postgres, &servers, &format!("ours_{turn}"), events).await?;
        ours_took.extend(times.took());
        bare_took.extend(bare(postgres, &servers, &format!("bare_{turn}"), events).await?.took());
        if turn == TURNS {
            report_legs(&times)?;
        }
    }
    let (ours, bare) = (Quantiles::of(ours_took), Quantiles::of(bare_took));
    for (subject, quantiles) in [("yeoul", &ours), ("bare", &bare)] {
        report(subject, "hop_median", quantiles.median, "ms")?;
        report(subject, "hop_p99", quantiles.p99, "ms")?;
    }
    report("ratio", "hop_p99", ours.p99 / bare.p99, "x")?;
    Ok(())
}

/// The middle of each leg of ours.
fn report_legs(of: &Times) -> std::io::Result<()> {
    for (name, from, to) in [
        ("relay", &of.sent, &of.relayed),
        ("publish", &of.relayed, &of.published),
        ("read", &of.published, &of.read),
        ("handle", &of.read, &of.arrived),
    ] {
        report("yeoul", &format!("hop_{name}_median"), leg(from, to), "ms")?;
    }
    Ok(())
}

/// Has `send` begin so often, however long each takes.
async fn at_a_rate<F>(
    events: usize,
    send: impl Fn(usize) -> F,
) -> Result<(), Box<dyn std::error::Error>>
where
    F: Future<Output = Result<(), String>> + Send + 'static,
{
    let mut tick = tokio::time::interval(Duration::from_secs(1) / PER_SECOND);
    let mut tasks = tokio::task::JoinSet::new();
    for id in 0..events {
        tick.tick().await;
        tasks.spawn(send(id));
    }
    tasks.join_all().await.into_iter().collect::<Result<(), String>>()?;
    Ok(())
}

struct Arrive(Arc<Times>);

impl Handler for Arrive {
    type Batch = Vec<usize>;

    async fn handle(
        &self,
        batch: &mut Vec<usize>,
        tx: &mut Tx<'_>,
        event: &Event,
    ) -> Result<(), Failure> {
        let id: usize = event
            .subject
            .parse()
            .map_err(|_| Failure::Handler("an event of another bench".to_owned()))?;
        arrive(tx, id, event.data.get()).await?;
        batch.push(id);
        Ok(())
    }

    fn committed(&self, batch: Vec<usize>) {
        batch.into_iter().for_each(|id| self.0.note(&self.0.arrived, id));
    }
}

async fn arrive(tx: &mut Tx<'_>, id: usize, data: &str) -> Result<(), Error> {
    let insert = "INSERT INTO arrived (id, data) VALUES (?1, ?2)";
    tx.execute(insert, &[&(id as i64), &data]).await.map(drop)
}

async fn ours(
    postgres: &Postgres,
    servers: &Servers,
    name: &str,
    events: usize,
) -> Result<Arc<Times>, Box<dyn std::error::Error>> {
    let prefix = format!("{name}.");
    let declared = Declared { topic: topic(), partitions: Partitions::new(PARTITIONS)? };
    engine::create(servers, &prefix, std::slice::from_ref(&declared), 1, &DURABLE, PATIENCE)
        .await?;
    let settings = Settings {
        servers: servers.clone(),
        prefix,
        topics: vec![declared.clone()],
        patience: PATIENCE,
    };
    let broker = engine::connect(settings, clock()).await?;
    let source =
        connect(postgres, &format!("{name}_source"), SOURCE, Some(declared.partitions)).await?;
    let sink = connect(postgres, &format!("{name}_sink"), SINK, None).await?;
    let times = Times::of(events);
    let broker = Arc::new(Observed { broker, times: Arc::clone(&times) });
    let relay = tokio::spawn(Relay::new(source.clone(), broker.clone()).run(pending()));
    let retry = Retry { attempts: 3, backoff: Duration::from_millis(100) };
    let handler = Arrive(Arc::clone(&times));
    let reader =
        Subscription::new("sink.order", topic(), sink.clone(), broker, handler, retry, clock());
    let reader = tokio::spawn(reader.run(pending()));
    at_a_rate(events, |id| {
        let (times, work) =
            (Arc::clone(&times), source.write(id, |id, tx| Box::pin(place(tx, *id))));
        async move {
            work.await.map_err(|error| error.to_string())?;
            times.note(&times.sent, id);
            Ok(())
        }
    })
    .await?;
    times.all_arrived().await?;
    relay.abort();
    reader.abort();
    source.close().await;
    sink.close().await;
    Ok(times)
}

async fn insert(tx: &mut Tx<'_>, id: usize) -> Result<(), Error> {
    tx.execute("INSERT INTO placed (id) VALUES (?1)", &[&(id as i64)]).await.map(drop)
}

async fn place(tx: &mut Tx<'_>, id: usize) -> Result<(), Error> {
    insert(tx, id).await?;
    tx.publish(Draft::new("Placed", id, 1, &data(), &Cause::default())).await.map(drop)
}

/// 256 bytes.
fn data() -> String {
    "x".repeat(254)
}

async fn bare(
    postgres: &Postgres,
    servers: &Servers,
    name: &str,
    events: usize,
) -> Result<Arc<Times>, Box<dyn std::error::Error>> {
    let place = format!("{name}.order");
    let declared = Declared { topic: topic(), partitions: Partitions::new(PARTITIONS)? };
    engine::create(servers, &format!("{name}."), &[declared], 1, &DURABLE, PATIENCE).await?;
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", servers.to_string().replace("kafka://", ""));
    let producer: FutureProducer = client
        .clone()
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("linger.ms", "0")
        .create()?;
    let source = connect(postgres, &format!("{name}_source"), SOURCE, None).await?;
    let sink = connect(postgres, &format!("{name}_sink"), SINK, None).await?;
    let times = Times::of(events);
    let mut readers = tokio::task::JoinSet::new();
    for partition in 0..PARTITIONS {
        let consumer: StreamConsumer =
            client.clone().set("group.id", "bare").set("fetch.wait.max.ms", "100").create()?;
        let mut from = TopicPartitionList::new();
        from.add_partition_offset(&place, i32::from(partition), Offset::Beginning)?;
        consumer.assign(&from)?;
        readers.spawn(read(consumer, sink.clone(), Arc::clone(&times)));
    }
    at_a_rate(events, |id| {
        let (times, producer, place) = (Arc::clone(&times), producer.clone(), place.clone());
        let work = source.write(id, |id, tx| Box::pin(insert(tx, *id)));
        async move {
            work.await.map_err(|error| error.to_string())?;
            times.note(&times.sent, id);
            let (key, data) = (id.to_string(), data());
            let record = FutureRecord::to(&place).key(&key).payload(&data);
            producer.send(record, PATIENCE).await.map(drop).map_err(|(error, _)| error.to_string())
        }
    })
    .await?;
    times.all_arrived().await?;
    // While Kafka is there: a consumer that ends takes its leave of it.
    readers.shutdown().await;
    source.close().await;
    sink.close().await;
    Ok(times)
}

async fn read(consumer: StreamConsumer, sink: Database, times: Arc<Times>) -> Result<(), String> {
    loop {
        let message = consumer.recv().await.map_err(|error| error.to_string())?;
        let text =
            |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
        let id: usize = text(message.key()).parse().map_err(|_| "a key of another bench")?;
        let given = (id, text(message.payload()));
        let work = sink.write(given, |(id, data), tx| Box::pin(arrive(tx, *id, data)));
        work.await.map_err(|error| error.to_string())?;
        times.note(&times.arrived, id);
    }
}
