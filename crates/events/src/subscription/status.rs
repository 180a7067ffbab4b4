//! How a subscription is doing: what its loop met, beside what the tables and the broker have now.

use super::context::{Context, Lane, LaneWork, Ownership};
use crate::broker::Offset;
use crate::error::Error;
use crate::partition::Partition;
use crate::share::report::SharesReport;
use crate::store::paused::Pause;
use crate::topic::Topic;
use crate::trouble::Trouble;

/// How a subscription is doing, at the moment it was asked.
///
/// A lag that falls is a consumer that is catching up; one that stays, with `stuck`, needs somebody. One that grows
/// while nothing is stuck is a handler that is slower than its publisher.
#[derive(Clone, Debug)]
pub struct Status {
    /// Service and topic: `product.order`.
    pub name: String,
    /// The topic.
    pub topic: Topic,
    /// Events not taken yet, in all partitions. Parked ones are not among them: [`Control::parked`](super::Control::parked) counts
    /// those.
    pub lag: u64,
    /// That it takes nothing on an operator's word, if it does: then its lag grows, and it is not stuck.
    pub paused: Option<Pause>,
    /// Trouble, or no progress, in words; `None` while all is well, and while it is paused. The first
    /// partition's that has any, those that pass by themselves last.
    pub stuck: Option<String>,
    /// Whether all that is wrong is its broker's or its store's, which are asked again.
    pub passes: bool,
    /// Each partition of the topic, in order.
    pub partitions: Vec<PartitionStatus>,
}

/// How it is doing in one partition.
///
/// Partitions are read, retried and stuck by themselves, so this is where to look first: a lag in one of
/// them is one busy key or one hurt record, a lag in all of them is the database or the handler.
///
/// ```
/// # use yeoul_events::{Control, Error};
/// /// The partitions that do not go on, each with its reason.
/// async fn stuck(control: &Control) -> Result<Vec<String>, Error> {
///     let partitions = control.status().await?.partitions.into_iter();
///     let line = |it: yeoul_events::subscription::PartitionStatus| {
///         it.stuck.map(|why| format!("{} behind by {}: {why}", it.partition, it.lag))
///     };
///     Ok(partitions.filter_map(line).collect())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct PartitionStatus {
    /// Which.
    pub partition: Partition,
    /// Whose it is, of the instances that share the partitions.
    pub ownership: Ownership,
    /// The last offset taken: handled, parked or recognised as a second copy.
    pub position: Offset,
    /// The partition's end.
    pub end: Offset,
    /// Events between the two.
    pub lag: u64,
    /// Trouble, or no progress, in words; of one that is another instance's they say.
    pub stuck: Option<String>,
    /// Whether that is its broker's or its store's, which are asked again.
    pub passes: bool,
    /// Whose events wait, of those that are read ahead, where shares have their turns; as this instance saw it last, within
    /// seconds.
    pub shares: Option<SharesReport>,
}

impl PartitionStatus {
    fn trouble(&self) -> Option<Trouble> {
        let passes = self.passes;
        self.stuck.clone().map(|says| Trouble { says, passes })
    }
}

/// Every partition, asked one after the other.
pub(super) async fn status(context: &Context) -> Result<Status, Error> {
    let mut partitions = Vec::with_capacity(usize::from(context.partitions.count()));
    // As the store has it: another instance may have been told a moment ago, and nothing may run here.
    let pause = context.database.pause_of(&context.name).await?;
    let paused = pause.filter(|pause| pause.holds((context.clock)()));
    for lane in context.lanes() {
        partitions.push(status_of(&lane, paused.is_some()).await?);
    }
    let worst = Trouble::worst(partitions.iter().filter_map(PartitionStatus::trouble));
    Ok(Status {
        name: context.name.to_string(),
        topic: context.topic.clone(),
        paused,
        lag: partitions.iter().map(|one| one.lag).sum(),
        passes: worst.as_ref().is_some_and(|it| it.passes),
        stuck: worst.map(|it| it.says),
        partitions,
    })
}

async fn status_of(lane: &Lane, is_paused: bool) -> Result<PartitionStatus, Error> {
    let broker = &lane.context.broker;
    let position = lane.place().await?.position;
    let end = broker.end(&lane.at).await?;
    let lag = broker.between(&lane.at, position, end)?;
    let due = lane.next_due().await?;
    let stuck = lane.stuck(&LaneWork { position, lag, due, is_paused });
    let passes = stuck.as_ref().is_some_and(|it| it.passes);
    let stuck = stuck.map(|it| it.says);
    let (partition, ownership) = (lane.at.partition, lane.ownership());
    let shares = lane.shares();
    Ok(PartitionStatus { partition, ownership, position, end, lag, stuck, passes, shares })
}
