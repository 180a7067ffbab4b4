//! `yeoul events partitions`: gives a topic of a resting folder more partitions.
//!
//! A key's events go to the partition that its hash has among so many; with more of them it goes to another
//! one. Order per key holds over the change because nothing is under way: every event is relayed, and every
//! subscription has taken and handled it, so that what comes for a key in its new partition comes after all
//! that was in its old one. Positions that clients have stay true: numbers are never given anew.
//!
//! Two files change, one after the other; after a crash between them the same command does the rest.

use std::io::{self, Write};
use std::path::Path;

use chassis::clock;
use events::store::upkeep;
use events::{Error, Partitions, Topic};

use crate::exit::Failure;
use crate::process;
use crate::stores::{self, LOG, Resting, note};

pub(super) fn run(topic: &str, count: u16, data: &Path) -> Result<(), Failure> {
    let topic = Topic::parse(topic).map_err(|_| unknown(topic))?;
    let partitions = Partitions::new(count)
        .map_err(|error| Failure::input(error, "name a count from 1 to the most there can be"))?;
    if !data.join(LOG).is_dir() {
        let says = format!("no data is kept there. folder=`{}`", data.display());
        return Err(Failure::environment(says, "name the folder with --data"));
    }
    stores::must_be_no_backup(data)?;
    stores::must_be_in_files(data)?;
    let _lock = process::folder(data)?;
    let left = note::state(data).filter(|_| !note::is_doubtful(data));
    process::runtime()?.block_on(must_rest(data, &topic))?;
    grow(data, &topic, partitions)?;
    if let Some(state) = left {
        // The same files still: they do not become doubtful by this.
        note::write(data, state).map_err(|error| Failure::environment(error, "make room"))?;
    }
    let written = writeln!(
        io::stdout(),
        "{topic} has {count} partitions; set `events.topics.{topic}.partitions: {count}`"
    );
    written.map_err(|error| Failure::environment(error, "give it a standard output"))
}

/// Nothing of this topic is under way in this folder.
async fn must_rest(data: &Path, topic: &Topic) -> Result<(), Failure> {
    let resting = match Resting::open(data) {
        // It was broken off between the two files: what is under way of it was looked at then.
        Err(Error::Partitions { topic: of, .. }) if of == topic.as_str() => return Ok(()),
        Err(ref error @ Error::Partitions { topic: ref of, has, asked }) => {
            return Err(stores::broken_off(of, has.max(asked), error));
        }
        other => other.map_err(disk)?,
    };
    let busy = busy(&resting, topic).await;
    resting.close().await;
    match busy.map_err(disk)? {
        None => Ok(()),
        Some(what) => Err(Failure::environment(
            format!("something of the topic is still under way: {what}"),
            "start it, wait until `yeoul doctor` finds nothing, stop it and try again",
        )),
    }
}

/// What is not done yet, if anything.
async fn busy(resting: &Resting, topic: &Topic) -> Result<Option<String>, Error> {
    for relay in &resting.relays {
        let of_it = relay.status().topic == *topic;
        if of_it && (relay.unrelayed().await? > 0 || !relay.dead(1).await?.is_empty()) {
            return Ok(Some(format!("`{}` has events to relay", relay.name())));
        }
    }
    for subscription in resting.subscriptions.iter().filter(|it| it.topic() == topic) {
        let (status, parked) = (subscription.status().await?, subscription.parked().await?);
        if status.lag > 0 || parked > 0 {
            let (name, lag) = (status.name, status.lag);
            return Ok(Some(format!("`{name}` is {lag} events behind, {parked} are parked")));
        }
    }
    Ok(None)
}

fn grow(data: &Path, topic: &Topic, to: Partitions) -> Result<(), Failure> {
    let grown = upkeep::grow_topic(&data.join(LOG).join("log.db"), topic, to, clock::wall());
    grown.map_err(|error| match error {
        Error::UnknownTopic => unknown(topic.as_str()),
        Error::Partitions { .. } => Failure::input(error, "a topic keeps the partitions it has"),
        other => disk(other),
    })?;
    let Some(outbox) = stores::of_service(data, topic.as_str()) else { return Ok(()) };
    if upkeep::publishes(&outbox).map_err(disk)? {
        upkeep::grow_outbox(&outbox, topic, to).map_err(disk)?;
    }
    Ok(())
}

fn unknown(topic: &str) -> Failure {
    Failure::input(format!("no topic is called `{topic}`"), "see `yeoul doctor` for what there is")
}

fn disk(error: Error) -> Failure {
    Failure::environment(error, "see `yeoul doctor --data DIR`")
}
