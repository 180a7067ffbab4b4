//! Who of several readers reads which partition: a member's partitions of a topic, and which of them it owns.
//!
//! An engine that has groups divides the partitions of a topic among the members of one name, and says again
//! whenever one comes or goes. It revokes a partition of one member, waits until that one has released it, and only
//! then assigns it to another: so nobody begins what somebody else is about to finish. It waits for a while and not
//! for ever, since a member may hang. What keeps two from handling the same event is therefore not this but the
//! place, which each transaction locks and compares; an assignment saves work that would be thrown away.
//!
//! What happens to one partition that goes from one member to another:
//!
//! | engine, by the first one's [`Coordinator`] | the first member | the second member |
//! |---|---|---|
//! | [`assign`](Coordinator::assign) with it | [`take`](Member::take) gives an [`OwnedPartition`], and it reads | |
//! | | [`reached`](OwnedPartition::reached) after each batch | |
//! | `assign` without it | [`revoked`](Member::revoked) resolves: it ends its batch and drops what it owns | |
//! | [`released`](Coordinator::released) resolves, or the patience is over | | |
//! | `assign` with it, by the second one's coordinator | | `take` gives it: it reads on from the place in its database |
//!
//! A partition is *assigned* where the group says whose it is, and *owned* while its member has anything of it under
//! way: a member still owns what was revoked until it has released it. These are Kafka's words (KIP-429).
//!
//! A member that dies says nothing. Its engine has a heartbeat for that, drops the coordinator, and gives what it had to
//! others; whatever it had not committed is read again.
//!
//! Two ends and no engine: [`pair`] gives one to the reader, a [`Member`], and one to the engine, a [`Coordinator`]. An
//! engine without groups, whose readers are all in one process, gives every member all of it for ever
//! ([`Member::of_all`]).

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;

use tokio::sync::watch;

use crate::error::Error;
use crate::partition::{Partition, Partitions};

/// What a member has of its topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignment {
    /// The partitions that are his; `None` while the group has assigned none, or counts him as a member no more.
    pub partitions: Option<BTreeSet<Partition>>,
    /// Why the group says nothing, in words.
    pub trouble: Option<String>,
}

/// The partitions that a member owns, and after which place it reads on in each, as the engine counts them.
pub type OwnedPartitions = BTreeMap<Partition, u64>;

/// A reader's end. It is a member until each clone is dropped.
///
/// ```
/// # use std::collections::BTreeSet;
/// use yeoul_events::{Partition, group};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let (member, mut coordinator) = group::pair();
/// let first = Partition::default();
/// coordinator.assign(BTreeSet::from([first]));
/// let owned = member.take(first).await.expect("the coordinator is there");
/// owned.reached(7);
/// assert_eq!(coordinator.owned()[&first], 7);
///
/// // It is another one's now; this member releases it.
/// coordinator.assign(BTreeSet::new());
/// member.revoked(first).await;
/// drop(owned);
/// coordinator.released(&BTreeSet::from([first])).await;
///
/// let left = tokio::spawn(member.leave());
/// coordinator.left().await;
/// // What the engine has to do comes first; then nobody is a member any more.
/// drop(coordinator);
/// left.await.expect("it has left");
/// # }
/// ```
#[derive(Clone)]
pub struct Member {
    assignment: watch::Receiver<Assignment>,
    owned: watch::Sender<OwnedPartitions>,
}

/// An engine's end; where it is dropped, the member has left.
///
/// What an engine does with it, once it was asked to [`join`](crate::Broker::join) somebody to a group: it assigns what
/// the group gives, waits until what it revokes is released, and ends with the member:
///
/// ```
/// use std::collections::BTreeSet;
/// use yeoul_events::group::{self, Coordinator};
/// use yeoul_events::{Partition, Partitions};
///
/// /// Two members of one topic: each has every other partition, and the first has all once the second has left.
/// async fn divide(partitions: Partitions, mut coordinators: [Coordinator; 2]) {
///     let part = |at: u16| -> BTreeSet<Partition> {
///         partitions.each().filter(|one| one.index() % 2 == at).collect()
///     };
///     coordinators[0].assign(part(0));
///     coordinators[1].assign(part(1));
///     coordinators[1].left().await;
///     // Before they are given to another: what it began with them is over.
///     coordinators[1].released(&part(1)).await;
///     coordinators[0].assign(partitions.each().collect());
/// #   coordinators[0].left().await;
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), yeoul_events::Error> {
/// let partitions = Partitions::new(3)?;
/// let ((first, one), (second, other)) = (group::pair(), group::pair());
/// let engine = tokio::spawn(divide(partitions, [one, other]));
/// let owned = second.take(Partition::new(1).expect("an index")).await?;
/// // It leaves, with a batch under way.
/// let leaving = tokio::spawn(second.leave());
/// drop(owned);
/// let of_the_second = first.take(Partition::new(1).expect("an index")).await?;
/// # drop(of_the_second);
/// # drop(first);
/// # engine.await.expect("it divides");
/// # leaving.await.expect("it has left");
/// # Ok(())
/// # }
/// ```
pub struct Coordinator {
    assignment: watch::Sender<Assignment>,
    owned: watch::Receiver<OwnedPartitions>,
}

/// One partition that a member owns: dropping it releases it.
///
/// It is kept for as long as anything of the partition is under way, a transaction that was not answered included: the
/// engine gives the partition away as soon as it is dropped.
pub struct OwnedPartition {
    owned: watch::Sender<OwnedPartitions>,
    partition: Partition,
}

/// Both ends, of a member who was assigned nothing yet.
pub fn pair() -> (Member, Coordinator) {
    let (assigned, assignment) = watch::channel(Assignment::default());
    let (owned, seen) = watch::channel(OwnedPartitions::new());
    (Member { assignment, owned }, Coordinator { assignment: assigned, owned: seen })
}

impl Member {
    /// Who has every partition, whatever happens.
    pub fn of_all(partitions: Partitions) -> Member {
        let all = Assignment { partitions: Some(partitions.each().collect()), trouble: None };
        Member {
            assignment: watch::channel(all).1,
            owned: watch::channel(OwnedPartitions::new()).0,
        }
    }

    /// What it has now, and each change.
    pub fn assignment(&self) -> watch::Receiver<Assignment> {
        self.assignment.clone()
    }

    /// Resolves once the partition is assigned to this member, which owns it from then on.
    ///
    /// # Errors
    /// [`Error::Closed`]: nobody says any more.
    pub async fn take(&self, partition: Partition) -> Result<OwnedPartition, Error> {
        let mut assignment = self.assignment.clone();
        loop {
            assignment.wait_for(|it| it.has(partition)).await.map_err(|_| Error::Closed)?;
            let owned = OwnedPartition { owned: self.owned.clone(), partition };
            owned.enter();
            // In this order: the engine revokes it first and looks at who owns it then.
            if self.assignment.borrow().has(partition) {
                return Ok(owned);
            }
        }
    }

    /// Resolves once the partition is assigned to this member no more. Never where the engine is gone: then nobody else can be
    /// given it either.
    pub async fn revoked(&self, partition: Partition) {
        let mut assignment = self.assignment.clone();
        if assignment.wait_for(|it| !it.has(partition)).await.is_err() {
            pending::<()>().await;
        }
    }

    /// Leaves: resolves once the others may have what it had. Its other clones have to be gone.
    pub async fn leave(self) {
        let Member { assignment, owned } = self;
        drop(assignment);
        owned.closed().await;
    }
}

impl Coordinator {
    /// These are its partitions, and no others.
    pub fn assign(&self, partitions: BTreeSet<Partition>) {
        self.notify(&Assignment { partitions: Some(partitions), trouble: None });
    }

    /// It is not known any more which are, or not yet, with what is known of why: the words are what a subscription's
    /// status shows while it waits.
    pub fn unassign(&self, trouble: Option<String>) {
        self.notify(&Assignment { partitions: None, trouble });
    }

    fn notify(&self, assignment: &Assignment) {
        self.assignment
            .send_if_modified(|it| std::mem::replace(it, assignment.clone()) != *assignment);
    }

    /// Whether it is known which partitions are its own.
    pub fn is_assigned(&self) -> bool {
        self.assignment.borrow().partitions.is_some()
    }

    /// Resolves once it owns none of these, or is gone with all it had. It may hang: whoever gives them to
    /// another waits for this within a patience of his own.
    pub async fn released(&mut self, partitions: &BTreeSet<Partition>) {
        let is_free =
            |owned: &OwnedPartitions| !partitions.iter().any(|one| owned.contains_key(one));
        // An error is a member that is gone, with all it had.
        _ = self.owned.wait_for(is_free).await;
    }

    /// What it owns.
    pub fn owned(&self) -> OwnedPartitions {
        self.owned.borrow().clone()
    }

    /// Resolves once the member leaves.
    pub async fn left(&self) {
        self.assignment.closed().await;
    }
}

impl Assignment {
    /// Whether this partition is in it.
    pub fn has(&self, partition: Partition) -> bool {
        self.partitions.as_ref().is_some_and(|all| all.contains(&partition))
    }
}

impl OwnedPartition {
    /// It reads on after this place, as the engine counts. For an engine's own tools to show how far a group is; where a
    /// member begins, its own database says.
    pub fn reached(&self, place: u64) {
        self.owned.send_modify(|owned| _ = owned.insert(self.partition, place));
    }

    fn enter(&self) {
        self.owned.send_modify(|owned| _ = owned.entry(self.partition).or_default());
    }
}

impl Drop for OwnedPartition {
    fn drop(&mut self) {
        self.owned.send_modify(|owned| _ = owned.remove(&self.partition));
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn set(indexes: &[u16]) -> BTreeSet<Partition> {
        indexes.iter().map(|it| Partition::new(*it).unwrap()).collect()
    }

    /// Whether it cannot end now.
    fn waits(future: impl Future) -> bool {
        pin!(future).poll(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    #[tokio::test]
    async fn a_partition_that_is_revoked_is_waited_for_while_it_is_owned() {
        let (member, mut coordinator) = pair();
        let [first, second] = [0, 1].map(|it| Partition::new(it).unwrap());
        assert!(waits(member.take(first)), "nothing was said");
        coordinator.assign(set(&[0, 1]));
        let owned = [member.take(first).await.unwrap(), member.take(second).await.unwrap()];
        assert!(waits(member.revoked(first)), "it is its own");
        coordinator.assign(set(&[1]));
        member.revoked(first).await;
        assert!(waits(member.revoked(second)), "the other stays");
        let gone = set(&[0]);
        assert!(waits(coordinator.released(&gone)), "it is owned");
        drop(owned);
        coordinator.released(&gone).await;
        assert!(waits(member.take(first)), "it is another's");
    }

    #[tokio::test]
    async fn who_leaves_waits_for_the_engine_and_who_has_all_for_nobody() {
        let (member, coordinator) = pair();
        let mut leaving = pin!(member.leave());
        assert!(waits(leaving.as_mut()), "the coordinator is there");
        coordinator.left().await;
        drop(coordinator);
        leaving.await;
        let all = Member::of_all(Partitions::new(3).unwrap());
        assert_eq!(all.assignment().borrow().partitions, Some(set(&[0, 1, 2])));
        all.leave().await;
    }

    #[tokio::test]
    async fn nobody_takes_what_nobody_says() {
        let (member, coordinator) = pair();
        assert!(!coordinator.is_assigned());
        coordinator.assign(set(&[]));
        assert!(coordinator.is_assigned());
        coordinator.unassign(Some("away".to_owned()));
        assert!(!coordinator.is_assigned());
        drop(coordinator);
        assert!(matches!(member.take(Partition::default()).await, Err(Error::Closed)));
    }
}
