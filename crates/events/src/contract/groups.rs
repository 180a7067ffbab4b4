//! Who reads what: of one member everything, of several each partition by one.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use super::Case;
use crate::broker::Broker;
use crate::group::{Assignment, Member};
use crate::partition::Partition;
use crate::topic::Topic;

/// How long a group may take: its members hear of a change a while after it.
const SETTLED_BY: Duration = Duration::from_secs(60);

/// For how long it is watched that what somebody owns is given to nobody: a broker may stop waiting for him
/// later.
const IN_HAND: Duration = Duration::from_secs(1);

/// Also under a name that somebody was a member of before, and beside a group of another name.
pub(super) async fn a_member_that_is_alone_has_every_partition(case: Case) {
    let (broker, topic) = (&*case.broker, &case.at.topic);
    let beside = join(broker, "beside", topic).await;
    for _ in 0..2 {
        let member = join(broker, "alone", topic).await;
        has_all(&member, broker, topic).await;
        member.leave().await;
    }
    has_all(&beside, broker, topic).await;
    beside.leave().await;
}

/// Disjoint, and together all; who stays has all again.
pub(super) async fn two_members_divide_the_partitions_and_who_stays_has_all(case: Case) {
    let (broker, topic) = (&*case.broker, &case.at.topic);
    let (first, second) = (join(broker, "two", topic).await, join(broker, "two", topic).await);
    divided(broker, topic, &first, &second).await;
    first.leave().await;
    has_all(&second, broker, topic).await;
    second.leave().await;
}

/// While one owns it, no other member is given what is taken from it.
pub(super) async fn nobody_is_given_what_another_has_in_hand(case: Case) {
    let (broker, topic) = (&*case.broker, &case.at.topic);
    let first = join(broker, "owned", topic).await;
    has_all(&first, broker, topic).await;
    let mut owned = Vec::new();
    for partition in all_of(broker, topic) {
        owned.push((partition, first.take(partition).await.expect("its own")));
    }
    let second = join(broker, "owned", topic).await;
    if owned.len() > 1 {
        let moved = settled("it gives one away", async {
            let given =
                |it: &Assignment| it.partitions.as_ref().is_some_and(|it| it.len() < owned.len());
            first.assignment().wait_for(given).await.expect("a group").clone()
        })
        .await;
        let moved: BTreeSet<_> =
            all_of(broker, topic).into_iter().filter(|it| !moved.has(*it)).collect();
        let mut theirs = second.assignment();
        let early = theirs.wait_for(|it| moved.iter().any(|one| it.has(*one)));
        let early = tokio::time::timeout(IN_HAND, early).await;
        assert!(early.is_err(), "given while it is owned: {moved:?}");
        owned.retain(|(partition, _)| !moved.contains(partition));
    }
    divided(broker, topic, &first, &second).await;
    drop(owned);
    first.leave().await;
    second.leave().await;
}

/// Each partition is one's, and neither is without where there are two.
async fn divided(broker: &dyn Broker, topic: &Topic, first: &Member, second: &Member) {
    let all = all_of(broker, topic);
    settled("each partition is one's", async {
        let (mut one, mut other) = (first.assignment(), second.assignment());
        loop {
            let assignments = [one.borrow_and_update().clone(), other.borrow_and_update().clone()];
            let [Some(mine), Some(theirs)] = assignments.map(|it| it.partitions) else {
                changed(&mut one, &mut other).await;
                continue;
            };
            let is_fair = all.len() == 1 || !mine.is_empty() && !theirs.is_empty();
            if is_fair && mine.is_disjoint(&theirs) && &mine | &theirs == all {
                return;
            }
            changed(&mut one, &mut other).await;
        }
    })
    .await;
}

async fn changed(
    one: &mut tokio::sync::watch::Receiver<Assignment>,
    other: &mut tokio::sync::watch::Receiver<Assignment>,
) {
    tokio::select! {
        told = one.changed() => told.expect("a group"),
        told = other.changed() => told.expect("a group"),
    }
}

async fn has_all(member: &Member, broker: &dyn Broker, topic: &Topic) {
    let all = all_of(broker, topic);
    settled("it has every partition", async {
        let has_all = |it: &Assignment| it.partitions.as_ref() == Some(&all);
        drop(member.assignment().wait_for(has_all).await.expect("a group"));
    })
    .await;
}

fn all_of(broker: &dyn Broker, topic: &Topic) -> BTreeSet<Partition> {
    broker.partitions(topic).expect("a topic").each().collect()
}

async fn join(broker: &dyn Broker, group: &str, topic: &Topic) -> Member {
    broker.join(group, topic).await.expect("a member")
}

async fn settled<T>(what: &str, done: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(SETTLED_BY, done).await;
    done.unwrap_or_else(|_| panic!("not in time: {what}"))
}
