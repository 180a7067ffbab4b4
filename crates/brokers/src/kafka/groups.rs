//! Members of Kafka's consumer groups: a consumer that keeps a membership and fetches nothing.
//!
//! Its partitions are paused as they are assigned; what is read, from which place, the readers do
//! ([`readers`](super::readers)). So it takes a connection to the group's coordinator and a heartbeat, and a
//! rebalance moves no data.
//!
//! Kafka's protocol waits for an answer to each assignment and each revocation. A revocation is answered once
//! the member has released what is revoked (or hangs: after [`RELEASED_WITHIN`]), and only then is it given to another;
//! with `cooperative-sticky` all others go on meanwhile. Heartbeats are the client's own and do not wait for that. Who
//! is silent for [`SESSION`] is a member no more.
//!
//! Where a member reads on is committed as the group's offset from time to time: for Kafka's tools to show, and
//! read by nobody here.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use events::group::{self, Coordinator, Member, OwnedPartitions};
use events::{Error, Partition};
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{
    BaseConsumer, CommitMode, Consumer, ConsumerContext, RebalanceProtocol, StreamConsumer,
};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr as Response;
use tokio::sync::mpsc;
use tokio::time::Interval;

use super::client::{Client, ClientLog, offset_after};
use super::trouble;

/// How long a member may be silent.
const SESSION: Duration = Duration::from_secs(6);
/// How often it says that it is there, and hears that partitions are divided anew.
const HEARTBEAT: Duration = Duration::from_millis(500);
/// How long it is waited for a member to release what was revoked: it may hang.
const RELEASED_WITHIN: Duration = Duration::from_secs(3);
/// How often Kafka is told where a member reads on.
const HINTED_EVERY: Duration = Duration::from_secs(5);
/// How long a group may say nothing before that is trouble.
const ASSIGNED_WITHIN: Duration = Duration::from_secs(10);
/// The pause after trouble of the client's.
const PAUSE: Duration = Duration::from_millis(100);
/// Partitions that wait to be given or taken: the protocol waits for each answer, so there is one.
const UNANSWERED_MAX: usize = 4;

/// What Kafka asks of a member.
enum Rebalanced {
    Assign(TopicPartitionList),
    Revoke(TopicPartitionList),
}

/// Hands on what Kafka asks to whoever answers it.
struct Relayed {
    asked: mpsc::Sender<Rebalanced>,
    /// Nobody answers any more.
    leaving: AtomicBool,
}

/// A membership.
struct Membership {
    consumer: StreamConsumer<Relayed>,
    coordinator: Coordinator,
    group: String,
    /// Kafka's name of the topic.
    name: String,
    assigned: BTreeSet<Partition>,
    hinted: OwnedPartitions,
    /// When it counts as trouble that the group says nothing.
    silence: Interval,
}

/// Settings of a member.
fn config(client: &Client, group: &str) -> ClientConfig {
    let millis = |span: Duration| span.as_millis().to_string();
    let mut config = client.config();
    config
        .set("group.id", group)
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", millis(SESSION))
        .set("heartbeat.interval.ms", millis(HEARTBEAT))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "latest");
    config
}

/// Joins a group of Kafka's among the readers of a topic, both by Kafka's names.
pub(super) fn join(client: &Client, group: &str, name: &str) -> Result<Member, Error> {
    let (asked, asking) = mpsc::channel(UNANSWERED_MAX);
    let context = Relayed { asked, leaving: AtomicBool::new(false) };
    let consumer = config(client, group).create_with_context(context);
    let consumer: StreamConsumer<_> = consumer.map_err(trouble::of)?;
    // Kafka asks through `context` from here on; what it asks before `keep` runs waits in the channel.
    consumer.subscribe(&[name]).map_err(trouble::of)?;
    let (member, coordinator) = group::pair();
    let mut silence = tokio::time::interval(ASSIGNED_WITHIN);
    silence.reset();
    let membership = Membership {
        consumer,
        coordinator,
        group: group.to_owned(),
        name: name.to_owned(),
        assigned: BTreeSet::new(),
        hinted: OwnedPartitions::new(),
        silence,
    };
    tokio::spawn(membership.keep(asking));
    Ok(member)
}

impl Membership {
    /// Answers Kafka until the member leaves, and has the others take over then.
    async fn keep(mut self, mut asking: mpsc::Receiver<Rebalanced>) {
        let mut hint = tokio::time::interval(HINTED_EVERY);
        loop {
            // Polled in whatever order: each branch is one step, and none of them loses anything where another
            // one is taken. Only `answer` takes long, and while it waits for a partition to be released the
            // client's own thread keeps the membership alive.
            tokio::select! {
                () = self.coordinator.left() => break,
                Some(asked) = asking.recv() => self.answer(asked).await,
                () = attended(&self.consumer) => tokio::time::sleep(PAUSE).await,
                _ = hint.tick() => self.hint(),
                _ = self.silence.tick(), if !self.coordinator.is_assigned() => self.complain(),
            }
        }
        self.hint();
        let Membership { consumer, coordinator, .. } = self;
        // Before the channel is emptied: what is asked from now on the client answers itself, and nothing is put
        // where nobody looks.
        consumer.context().leaving.store(true, Ordering::Release);
        // Kafka's client waits for the answer to each, also at its end.
        while let Ok(asked) = asking.try_recv() {
            let answered = match asked {
                Rebalanced::Assign(list) => assign(&consumer, &list),
                Rebalanced::Revoke(list) => unassign(&consumer, &list),
            };
            answered.unwrap_or_else(|error| tracing::debug!(%error, "a member that leaves"));
        }
        // It says goodbye and waits for the answer.
        _ = tokio::task::spawn_blocking(move || drop(consumer)).await;
        drop(coordinator);
    }

    async fn answer(&mut self, asked: Rebalanced) {
        let answered = match asked {
            Rebalanced::Assign(list) => self.assign(list),
            Rebalanced::Revoke(list) => self.revoke(&list).await,
        };
        if let Err(error) = answered {
            let group = &self.group;
            tracing::warn!(group, %error, "partitions were not given or taken");
        }
    }

    fn assign(&mut self, mut list: TopicPartitionList) -> KafkaResult<()> {
        self.assigned.extend(partitions(&list));
        // Nothing is fetched: paused, and for the moment before that from where there is nothing yet.
        list.set_all_offsets(rdkafka::Offset::End)?;
        assign(&self.consumer, &list)?;
        self.consumer.pause(&list)?;
        tracing::debug!(group = self.group, assigned = ?self.assigned, "partitions were given");
        self.coordinator.assign(self.assigned.clone());
        Ok(())
    }

    async fn revoke(&mut self, list: &TopicPartitionList) -> KafkaResult<()> {
        let taken: BTreeSet<Partition> = partitions(list).collect();
        self.assigned.retain(|one| !taken.contains(one));
        if self.consumer.assignment_lost() {
            // Others have them already, and it joins again.
            self.silence.reset();
            self.coordinator.unassign(None);
        } else {
            self.coordinator.assign(self.assigned.clone());
        }
        tracing::debug!(group = self.group, ?taken, "partitions were taken");
        self.hint();
        // Kafka gives them to another member only once this is answered: whoever still owns one finishes
        // its batch first, and one that hangs loses it to the place that is checked in its transaction.
        let released =
            tokio::time::timeout(RELEASED_WITHIN, self.coordinator.released(&taken)).await;
        if released.is_err() {
            tracing::warn!(group = self.group, ?taken, "revoked of whoever still owns them");
        }
        self.hinted.retain(|one, _| !taken.contains(one));
        unassign(&self.consumer, list)
    }

    /// Tells Kafka where the member reads on, if that is news.
    fn hint(&mut self) {
        let owned = self.coordinator.owned();
        // Who has just taken it up does not know yet.
        let is_news = |one, place: &u64| *place > 0 && self.hinted.get(one) != Some(place);
        let news = owned.iter().filter(|(one, place)| is_news(*one, place));
        let mut list = TopicPartitionList::new();
        for (one, place) in news {
            let next = rdkafka::Offset::Offset(offset_after(events::Offset(*place)));
            // Refused only for a place that is none, which ours cannot be; and it is a hint.
            _ = list.add_partition_offset(&self.name, i32::from(one.index()), next);
        }
        if list.count() == 0 {
            return;
        }
        match self.consumer.commit(&list, CommitMode::Async) {
            Ok(()) => self.hinted = owned,
            Err(error) => tracing::debug!(%error, "Kafka is not told where a member reads on"),
        }
    }

    fn complain(&self) {
        let what = format!(
            "kafka: the group {} has not said for {} s who reads what; it is asked on",
            self.group,
            ASSIGNED_WITHIN.as_secs()
        );
        tracing::warn!("{what}");
        self.coordinator.unassign(Some(what));
    }
}

/// Has the client do its work; resolves after trouble that it logged.
async fn attended(consumer: &StreamConsumer<Relayed>) {
    loop {
        match consumer.recv().await {
            // Of the moment between being assigned and being paused; the readers have it.
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(%error, "kafka's client, a member");
                return;
            }
        }
    }
}

fn partitions(list: &TopicPartitionList) -> impl Iterator<Item = Partition> {
    let index = |it: i32| u16::try_from(it).ok().and_then(Partition::new);
    list.elements()
        .into_iter()
        .filter_map(move |it| index(it.partition()))
        .collect::<Vec<_>>()
        .into_iter()
}

fn is_cooperative(protocol: &RebalanceProtocol) -> bool {
    matches!(protocol, RebalanceProtocol::Cooperative)
}

fn assign<C: Consumer<Relayed>>(consumer: &C, list: &TopicPartitionList) -> KafkaResult<()> {
    match is_cooperative(&consumer.rebalance_protocol()) {
        true => consumer.incremental_assign(list),
        false => consumer.assign(list),
    }
}

fn unassign<C: Consumer<Relayed>>(consumer: &C, list: &TopicPartitionList) -> KafkaResult<()> {
    match is_cooperative(&consumer.rebalance_protocol()) {
        true => consumer.incremental_unassign(list),
        false => consumer.unassign(),
    }
}

impl ClientContext for Relayed {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        ClientLog.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        ClientLog.error(error, reason);
    }
}

impl ConsumerContext for Relayed {
    /// Called where the client is polled, which must not wait.
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        what: Response,
        list: &mut TopicPartitionList,
    ) {
        let is_assign = what == Response::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        let copy = list.clone();
        let asked = if is_assign { Rebalanced::Assign(copy) } else { Rebalanced::Revoke(copy) };
        if !self.leaving.load(Ordering::Acquire) && self.asked.try_send(asked).is_ok() {
            return;
        }
        // The member has released everything: there is nobody to ask.
        let answered = if is_assign { assign(consumer, list) } else { unassign(consumer, list) };
        if let Err(error) = answered {
            tracing::debug!(%error, "a member that leaves");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_silent_for_six_seconds_at_most_and_keeps_what_nobody_else_needs() {
        let servers = "kafka://127.0.0.1:1".parse().expect("an address");
        let config = config(&Client::new(&servers, Duration::from_secs(1)), "shop.product.order");
        for (name, value) in [
            ("group.id", "shop.product.order"),
            ("session.timeout.ms", "6000"),
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
        ] {
            assert_eq!(config.get(name), Some(value), "{name}");
        }
    }
}
