//! Which topics there are, and what they are called in Kafka.
//!
//! Only what was declared is known: a topic is looked for when one connects, with its partitions, and never
//! made by being used. Whoever wants it made calls [`create`].

use std::collections::BTreeMap;
use std::time::Duration;

use events::{Declared, Error, Partitions, Topic, TopicPartition};
use rdkafka::admin::{AdminOptions, NewTopic, TopicReplication};
use rdkafka::types::RDKafkaErrorCode as Code;

use super::address::Servers;
use super::client::{Asker, Client};
use super::trouble;

/// Servers that one topic is on at most, where topics are made: each of them has every event.
pub const REPLICAS_MAX: u16 = 16;
/// Characters that a prefix has at most.
pub const PREFIX_CHARS_MAX: usize = 64;

/// How often it is looked whether a topic that was made is there.
const FOUND_LOOKED_EVERY: Duration = Duration::from_millis(20);

/// The topics that are used.
pub(super) struct Topics(BTreeMap<Topic, Known>);

/// One of them.
pub(super) struct Known {
    /// What Kafka calls it.
    pub(super) name: String,
    partitions: Partitions,
    /// On how many servers each record is to be.
    pub(super) replicas: usize,
}

impl Topics {
    /// Looks for them.
    pub(super) async fn find(
        asker: &Asker,
        prefix: &str,
        declared: Vec<Declared>,
    ) -> Result<Topics, Error> {
        check_prefix(prefix)?;
        let mut known = BTreeMap::new();
        for Declared { topic, partitions } in declared {
            let name = format!("{prefix}{topic}");
            let found = find(asker, &topic, name, partitions).await?;
            known.insert(topic, found);
        }
        Ok(Topics(known))
    }

    /// What Kafka calls the topic of this partition.
    pub(super) fn name(&self, at: &TopicPartition) -> Result<&str, Error> {
        let known = self.0.get(&at.topic).filter(|known| known.partitions.has(at.partition));
        known.map(|known| known.name.as_str()).ok_or(Error::UnknownTopic)
    }

    pub(super) fn all(&self) -> Vec<Topic> {
        self.0.keys().cloned().collect()
    }

    pub(super) fn partitions(&self, topic: &Topic) -> Result<Partitions, Error> {
        self.0.get(topic).map(|known| known.partitions).ok_or(Error::UnknownTopic)
    }

    /// How many partitions all of them have.
    pub(super) fn all_partitions(&self) -> usize {
        self.0.values().map(|known| usize::from(known.partitions.count())).sum()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Topic, &Known)> {
        self.0.iter()
    }
}

async fn find(
    asker: &Asker,
    topic: &Topic,
    name: String,
    asked: Partitions,
) -> Result<Known, Error> {
    let metadata = asker.metadata(name.clone()).await?;
    let found = metadata.topics().iter().find(|found| found.name() == name);
    let found = found.filter(|found| !found.partitions().is_empty()).ok_or(Error::UnknownTopic)?;
    let has = u16::try_from(found.partitions().len()).unwrap_or(u16::MAX);
    if has != asked.count() {
        return Err(Error::Partitions { topic: topic.to_string(), has, asked: asked.count() });
    }
    // The partition with the fewest: what is promised of a topic holds for all of it.
    let replicas = found.partitions().iter().map(|one| one.replicas().len()).min().unwrap_or(0);
    Ok(Known { name, partitions: asked, replicas })
}

/// Makes the topics that are not there yet, each on `replicas` servers, with these of Kafka's settings;
/// resolves when all can be used.
///
/// # Errors
/// [`Error::Environment`]: no server answers; call again. [`Error::Statement`]: they refused one. [`Error::Partitions`]: one is
/// there already and has another number of partitions.
pub async fn create(
    servers: &Servers,
    prefix: &str,
    topics: &[Declared],
    replicas: u16,
    settings: &[(&str, &str)],
    patience: Duration,
) -> Result<(), Error> {
    check_prefix(prefix)?;
    let names: Vec<String> = topics.iter().map(|it| format!("{prefix}{}", it.topic)).collect();
    let made = names.iter().zip(topics).map(|(name, declared)| {
        let replication = TopicReplication::Fixed(i32::from(replicas));
        let count = i32::from(declared.partitions.count());
        let topic = NewTopic::new(name, count, replication);
        settings.iter().fold(topic, |topic, (key, value)| topic.set(key, value))
    });
    let made: Vec<NewTopic<'_>> = made.collect();
    let client = Client::new(servers, patience);
    let admin = client.admin()?;
    let options =
        AdminOptions::new().request_timeout(Some(patience)).operation_timeout(Some(patience));
    let made = admin.create_topics(&made, &options).await.map_err(trouble::of)?;
    for one in made {
        match one {
            // Two processes that start at once both try; whether what is there fits is looked at below.
            Ok(_) | Err((_, Code::TopicAlreadyExists)) => {}
            Err((name, Code::InvalidReplicationFactor)) => {
                let what = format!(
                    "kafka: topic {name} cannot be on {replicas} servers: there are not so many"
                );
                return Err(Error::Statement { what });
            }
            Err((name, code)) => {
                let what = format!("kafka: no topic {name}: {code}");
                let refused = trouble::is_refusal(code);
                return Err(if refused {
                    Error::Statement { what }
                } else {
                    Error::environment(what)
                });
            }
        }
    }
    let asker = client.asker()?;
    let found = tokio::time::timeout(patience, until_found(&asker, prefix, topics)).await;
    found.unwrap_or_else(|_| Err(Error::environment("kafka: topics were made and are not there")))
}

/// Servers hear of a topic a moment after it was made.
async fn until_found(asker: &Asker, prefix: &str, topics: &[Declared]) -> Result<(), Error> {
    loop {
        match Topics::find(asker, prefix, topics.to_vec()).await {
            Err(Error::UnknownTopic) => tokio::time::sleep(FOUND_LOOKED_EVERY).await,
            other => return other.map(drop),
        }
    }
}

/// Whether topics can be made on so many servers: at most [`REPLICAS_MAX`], and at least one.
///
/// # Errors
/// [`Error::Decode`] with what is wrong.
pub fn check_replicas(replicas: u16) -> Result<(), Error> {
    if (1..=REPLICAS_MAX).contains(&replicas) {
        return Ok(());
    }
    Err(Error::Decode { what: format!("must be 1 to {REPLICAS_MAX}. value=`{replicas}`") })
}

/// Whether it is, with a topic's name behind it, a name that Kafka takes.
///
/// # Errors
/// [`Error::Decode`] with what is wrong.
pub fn check_prefix(prefix: &str) -> Result<(), Error> {
    let is_sound = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if prefix.len() <= PREFIX_CHARS_MAX && prefix.bytes().all(is_sound) {
        return Ok(());
    }
    let what = format!("at most {PREFIX_CHARS_MAX} letters, digits and `.`, `_`, `-`");
    Err(Error::Decode { what })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_on_one_server_up_to_a_limit() {
        for (replicas, accepted) in
            [(0, false), (1, true), (REPLICAS_MAX, true), (REPLICAS_MAX + 1, false)]
        {
            assert_eq!(check_replicas(replicas).is_ok(), accepted, "{replicas}");
        }
    }

    #[test]
    fn a_prefix_is_accepted_or_refused() {
        let full = "p".repeat(PREFIX_CHARS_MAX);
        let over = format!("{full}p");
        for (prefix, accepted) in [
            ("", true),
            ("Mall-1.", true),
            (&full, true),
            (&over, false),
            ("a b", false),
            ("a/", false),
        ] {
            assert_eq!(check_prefix(prefix).is_ok(), accepted, "{prefix:?}");
        }
    }
}
