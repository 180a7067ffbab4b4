//! A log that grows: batches of many publishers, what an event costs at its beginning and at its end, and reading it again.
//!
//! Costs are CPU of the process, which the disk's mood does not change.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use yeoul_events::broker::READ_MAX;
use yeoul_events::{Broker, Error, Event, Log, Offset, Topic, TopicPartition};

use crate::measured::{event, now};
use crate::report;

/// Publishers, each with one batch in flight.
const PUBLISHERS: u64 = 64;
/// Events of a batch.
const BATCH: u64 = 100;
/// Events that stand before the first look, and of each look.
const STANDING: u64 = 10_000;
const LOOK: u64 = 200_000;
/// Topics of a log that has many.
const TOPICS: u64 = 1_000;
/// Events a second that are to be published so, and read again.
const BATCHES_GOAL: f64 = 600_000.0;
const REPLAY_GOAL: f64 = 2_000_000.0;
/// What the kernel counts a process's time in (`USER_HZ`).
const TICKS_A_SECOND: f64 = 100.0;

/// What publishing came to.
struct Published {
    per_second: f64,
    /// Microseconds of an event.
    cpu: f64,
}

pub(crate) async fn measure(folder: &Path, grown: u64) -> Result<(), Box<dyn std::error::Error>> {
    let log = open(&folder.join("one"), 1)?;
    let mut writers = Writers::of(Arc::clone(&log), 1);
    writers.publish(STANDING).await?;
    let first = writers.publish(LOOK).await?;
    let before = STANDING + LOOK;
    if grown > before + LOOK {
        writers.publish(grown - before - LOOK).await?;
    }
    let last = writers.publish(LOOK).await?;
    report("yeoul", "batches_per_second", first.per_second, "1/s")?;
    for (name, of) in [("cpu_us_at_10_000", &first), ("cpu_us_grown", &last)] {
        report("yeoul", name, of.cpu, "us")?;
    }
    report("yeoul", "grown_to", writers.published() as f64, "events")?;
    let read = read_again(&log, &topics(1)[0].first()).await?;
    report("yeoul", "replayed_per_second", read, "1/s")?;
    log.close().await;
    let of_many = many_topics(folder).await?;
    report("ratio", "batches_bar", first.per_second / BATCHES_GOAL, "x")?;
    report("ratio", "replay_bar", read / REPLAY_GOAL, "x")?;
    report("ratio", "flat_stored", last.cpu / first.cpu, "x")?;
    report("ratio", "flat_topics", of_many, "x")?;
    Ok(())
}

/// What an event costs among many topics over the same among one.
async fn many_topics(folder: &Path) -> Result<f64, Box<dyn std::error::Error>> {
    let mut costs = Vec::new();
    for (name, count) in [("few", 1), ("many", TOPICS)] {
        let log = open(&folder.join(name), count)?;
        let mut writers = Writers::of(Arc::clone(&log), count);
        // Each topic has been written to.
        writers.publish(TOPICS * BATCH).await?;
        let Published { cpu, .. } = writers.publish(LOOK).await?;
        report("yeoul", &format!("cpu_us_of_{count}_topics"), cpu, "us")?;
        costs.push(cpu);
        log.close().await;
    }
    Ok(costs[1] / costs[0])
}

fn topics(count: u64) -> Vec<Topic> {
    (0..count).map(|at| Topic::parse(&format!("topic-{at}")).expect("a name")).collect()
}

fn open(folder: &Path, count: u64) -> Result<Arc<Log>, Box<dyn std::error::Error>> {
    std::fs::create_dir_all(folder)?;
    Ok(Arc::new(Log::open(folder, &topics(count), Arc::new(|| Timestamp::UNIX_EPOCH))?))
}

/// Everybody who publishes.
struct Writers {
    log: Arc<Log>,
    topics: Arc<Vec<TopicPartition>>,
    /// By each, in whole batches.
    rounds: u64,
}

impl Writers {
    fn of(log: Arc<Log>, count: u64) -> Writers {
        let topics = topics(count).iter().map(Topic::first).collect();
        Writers { log, topics: Arc::new(topics), rounds: 0 }
    }

    /// All together.
    fn published(&self) -> u64 {
        self.rounds * PUBLISHERS * BATCH
    }

    /// Publishes so many more, as many of each publisher, in whole batches.
    async fn publish(&mut self, events: u64) -> Result<Published, Error> {
        let rounds = self.rounds..self.rounds + events.div_ceil(PUBLISHERS * BATCH);
        let (began, before, standing) = (now(), cpu(), self.published());
        let mut tasks = tokio::task::JoinSet::new();
        for publisher in 0..PUBLISHERS {
            let (log, topics) = (Arc::clone(&self.log), Arc::clone(&self.topics));
            let rounds = rounds.clone();
            tasks.spawn(async move {
                let template = numbered(publisher);
                for round in rounds {
                    // Who write at a time write to different topics, and each to all of its own in turn.
                    let at = &topics[(publisher + round * PUBLISHERS) as usize % topics.len()];
                    let numbers = round * BATCH + 1..=(round + 1) * BATCH;
                    let events = numbers.map(|number| of(&template, number)).collect();
                    log.publish(at, events).await?;
                }
                Ok::<(), Error>(())
            });
        }
        tasks.join_all().await.into_iter().collect::<Result<(), Error>>()?;
        self.rounds = rounds.end;
        let (took, spent) = (began.elapsed().as_secs_f64(), cpu().saturating_sub(before));
        let events = (self.published() - standing) as f64;
        Ok(Published { per_second: events / took, cpu: spent.as_secs_f64() * 1e6 / events })
    }
}

/// An event of a publisher that numbers what it publishes.
fn numbered(publisher: u64) -> Event {
    let source = format!("bench-{publisher}");
    Event { source, ..event(publisher) }
}

fn of(template: &Event, number: u64) -> Event {
    let id = format!("{}-{number}", template.source);
    Event { id, outbox_sequence: Some(number), ..template.clone() }
}

/// Events a second, each checked and decoded, from the beginning.
async fn read_again(log: &Log, at: &TopicPartition) -> Result<f64, Error> {
    let (began, mut place, mut count) = (now(), Offset::BEGINNING, 0_u64);
    loop {
        let page = log.read(at, place, READ_MAX).await?;
        let Some(last) = page.last() else { break };
        place = last.offset;
        count += page.len() as u64;
    }
    Ok(count as f64 / began.elapsed().as_secs_f64())
}

/// What the process has spent so far.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the program's name, which may have blanks: the 12th and 13th are its own time and the kernel's.
    let (_, fields) = stat.rsplit_once(')').unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|it| it.parse::<f64>().ok());
    Duration::from_secs_f64(ticks.sum::<f64>() / TICKS_A_SECOND)
}
