//! What Kafka keeps of what it acknowledged: the topics' own settings, and what they mean in words.
//!
//! Kafka acknowledges by default what is in the memory of machines, and removes what is old. Both are the
//! topic's settings, so they are read, not assumed, and said to whoever starts or asks.

use std::collections::BTreeMap;

use events::Error;
use rdkafka::admin::{AdminOptions, ConfigResource, OwnedResourceSpecifier, ResourceSpecifier};

use super::client::Client;
use super::topics::Topics;
use super::trouble;

/// What a record of Kafka's may have, where the topic does not say.
const MESSAGE_BYTES_DEFAULT: usize = 1_048_588;

/// The terms of every topic, by its name in Kafka.
#[derive(Default)]
pub(super) struct Terms {
    by_name: BTreeMap<String, Term>,
}

/// The terms of one topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Term {
    /// Servers that have each record.
    replicas: usize,
    /// So many of them have it when it is acknowledged.
    acknowledged_by: usize,
    /// Whether each of those has written it to its disk by then.
    synced: bool,
    removed: Removed,
    message_bytes_max: usize,
}

/// What is removed of a topic by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Removed {
    after_ms: Option<u64>,
    over_bytes: Option<u64>,
    /// Of each key only the newest is kept.
    compacted: bool,
}

/// Reads them.
pub(super) async fn read(client: &Client, topics: &Topics) -> Result<Terms, Error> {
    let admin = client.admin()?;
    let asked: Vec<ResourceSpecifier<'_>> =
        topics.iter().map(|(_, known)| ResourceSpecifier::Topic(&known.name)).collect();
    let options = AdminOptions::new().request_timeout(Some(client.patience));
    let answers = admin.describe_configs(&asked, &options).await.map_err(trouble::of)?;
    let mut by_name = BTreeMap::new();
    for answer in answers {
        let answer = answer.map_err(|code| {
            let what = format!("kafka: {code}");
            if trouble::is_refusal(code) {
                Error::Statement { what }
            } else {
                Error::environment(what)
            }
        })?;
        let OwnedResourceSpecifier::Topic(name) = &answer.specifier else { continue };
        // Kafka answers in whatever order it likes.
        let known = topics.iter().find(|(_, known)| known.name == *name);
        let replicas = known.map_or(1, |(_, known)| known.replicas);
        by_name.insert(name.clone(), Term::of(replicas, |key| value(&answer, key)));
    }
    Ok(Terms { by_name })
}

fn value<'a>(of: &'a ConfigResource, key: &str) -> Option<&'a str> {
    of.get(key).and_then(|entry| entry.value.as_deref())
}

/// Bytes that a record may have.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MessageBytes {
    /// Where most are allowed.
    pub(super) most: usize,
    /// Where fewest are.
    pub(super) fewest: usize,
}

impl Terms {
    /// Bytes that a record of this topic may have.
    pub(super) fn message_bytes_max(&self, name: &str) -> usize {
        self.by_name.get(name).map_or(MESSAGE_BYTES_DEFAULT, |term| term.message_bytes_max)
    }

    /// How many bytes a record may have, over all topics.
    pub(super) fn message_bytes(&self) -> MessageBytes {
        let all = || self.by_name.values().map(|term| term.message_bytes_max);
        MessageBytes {
            most: all().max().unwrap_or(MESSAGE_BYTES_DEFAULT),
            fewest: all().min().unwrap_or(MESSAGE_BYTES_DEFAULT),
        }
    }

    /// Whether of each key of this topic only the newest is kept.
    pub(super) fn is_compacted(&self, name: &str) -> bool {
        self.by_name.get(name).is_some_and(|term| term.removed.compacted)
    }

    /// What an acknowledgement means: one clause for all topics of the same terms.
    pub(super) fn promise(&self) -> String {
        // By what they promise, so that eight topics of one kind are one sentence.
        let mut topics: BTreeMap<&Term, Vec<&str>> = BTreeMap::new();
        for (name, term) in &self.by_name {
            topics.entry(term).or_default().push(name);
        }
        let clauses = topics.iter().map(|(term, names)| {
            format!("an acknowledged event of {} {}", names.join(", "), term.words())
        });
        clauses.collect::<Vec<_>>().join("; ")
    }
}

impl Term {
    /// From what Kafka says of a topic; what it does not say is as Kafka has it by default.
    fn of<'a>(replicas: usize, setting: impl Fn(&str) -> Option<&'a str>) -> Term {
        let number = |key| setting(key).and_then(|value| value.parse::<i64>().ok());
        let positive = |key| number(key).and_then(|value| u64::try_from(value).ok());
        let policy = setting("cleanup.policy").unwrap_or("delete");
        let deletes = policy.contains("delete");
        let in_sync = positive("min.insync.replicas")
            .map_or(1, |count| usize::try_from(count).unwrap_or(usize::MAX));
        let bytes = positive("max.message.bytes").and_then(|bytes| usize::try_from(bytes).ok());
        Term {
            replicas,
            // No more than there are; a Kafka of before 4.0 acknowledges nothing then.
            acknowledged_by: in_sync.min(replicas),
            synced: number("flush.messages") == Some(1),
            removed: Removed {
                after_ms: positive("retention.ms").filter(|_| deletes),
                over_bytes: positive("retention.bytes").filter(|_| deletes),
                compacted: policy.contains("compact"),
            },
            message_bytes_max: bytes.unwrap_or(MESSAGE_BYTES_DEFAULT),
        }
    }

    fn words(&self) -> String {
        let Term { replicas, acknowledged_by, synced, removed, .. } = self;
        let words = match synced {
            true => format!("is on the disks of at least {acknowledged_by} of {replicas} servers"),
            false => format!(
                "is in the memory of at least {acknowledged_by} of {replicas} servers, and lost if all \
                 that have it lose power before they write it (flush.messages is not 1)"
            ),
        };
        words + ", " + &removed.words()
    }
}

impl Removed {
    fn words(&self) -> String {
        let after = self.after_ms.map(|ms| format!("{ms} ms after its time (retention.ms)"));
        let over = self
            .over_bytes
            .map(|bytes| format!("when its partition is over {bytes} bytes (retention.bytes)"));
        let compacted = self.compacted.then(|| {
            "when its key has a newer one (compact), so that what is missing is not noticed"
                .to_owned()
        });
        let when: Vec<String> = [after, over, compacted].into_iter().flatten().collect();
        match when.is_empty() {
            true => "and is never removed".to_owned(),
            false => format!("and is removed {}", when.join(" or ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term(replicas: usize, said: &[(&str, &'static str)]) -> Term {
        Term::of(replicas, |key| said.iter().find(|(name, _)| *name == key).map(|(_, it)| *it))
    }

    #[test]
    fn what_kafka_says_is_said_in_words() {
        let day = ("retention.ms", "86400000");
        for (replicas, said, words) in [
            (
                1,
                &[day] as &[_],
                "is in the memory of at least 1 of 1 servers, and lost if all that have it lose power \
                 before they write it (flush.messages is not 1), and is removed 86400000 ms after its \
                 time (retention.ms)",
            ),
            (
                3,
                &[
                    ("min.insync.replicas", "2"),
                    ("flush.messages", "1"),
                    ("retention.ms", "-1"),
                    ("retention.bytes", "-1"),
                ],
                "is on the disks of at least 2 of 3 servers, and is never removed",
            ),
            (
                1,
                &[("min.insync.replicas", "2"), ("cleanup.policy", "compact"), day],
                "is in the memory of at least 1 of 1 servers, and lost if all that have it lose power \
                 before they write it (flush.messages is not 1), and is removed when its key has a newer \
                 one (compact), so that what is missing is not noticed",
            ),
            (
                2,
                &[("flush.messages", "1"), ("retention.bytes", "1000"), day],
                "is on the disks of at least 1 of 2 servers, and is removed 86400000 ms after its time \
                 (retention.ms) or when its partition is over 1000 bytes (retention.bytes)",
            ),
        ] {
            assert_eq!(term(replicas, said).words(), words);
        }
    }

    #[test]
    fn topics_of_the_same_terms_are_said_together() {
        let (one, other) = (term(1, &[("flush.messages", "1")]), term(1, &[]));
        let by_name = [("a", &one), ("b", &other), ("c", &one)];
        let by_name = by_name.map(|(name, term)| (name.to_owned(), term.clone())).into();
        let promise = Terms { by_name }.promise();
        assert!(promise.contains("of a, c is on the disks"), "{promise}");
        assert!(promise.contains("of b is in the memory"), "{promise}");
    }

    #[test]
    fn a_records_bytes_are_the_topics_own_or_kafkas_default() {
        assert_eq!(term(1, &[("max.message.bytes", "1000")]).message_bytes_max, 1000);
        assert_eq!(term(1, &[]).message_bytes_max, MESSAGE_BYTES_DEFAULT);
        let terms =
            Terms { by_name: [("a".to_owned(), term(1, &[("max.message.bytes", "7")]))].into() };
        assert_eq!(terms.message_bytes(), MessageBytes { most: 7, fewest: 7 });
        assert_eq!(terms.message_bytes_max("b"), MESSAGE_BYTES_DEFAULT);
    }
}
