//! One business transaction as it went: its events wherever they were published, in a tree of what led to what.
//!
//! Nothing is kept for this. An index of correlations would be written with every event of every topic, to be asked once in
//! a while by somebody who looks for one; so the topics are read instead, within a window that is said beforehand, and the
//! answer says of each partition what was read of it (record 0086). Who reads pays: publishing costs what it cost.
//!
//! An event belongs to a correlation if it names it, or if it is the one that the correlation is called after
//! ([`Event::name`]). Whoever knows an event and not its correlation asks by its name: that is found out by a first look. Its place in the tree is behind its cause; one whose cause was not found stands behind a gap. What
//! subscriptions have parked of it is marked.
//!
//! It does not read data, and not what an outbox has that no broker took.

#[cfg(test)]
mod tests;
mod tree;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::broker::{Broker, Offset, READ_MAX, Stored};
use crate::error::Error;
use crate::event::Event;
use crate::partition::Numbered;
use crate::store::parked::shown::ParkedMark;
use crate::subscription::control::Control;
use crate::topic::TopicPartition;

pub use crate::parking::Wait;
pub use tree::{Branch, Step};

/// Events that one look reads at most, of all topics together.
pub const LIMIT_MAX: u64 = 1_000_000;

/// Events that one look reads where nobody says.
pub const LIMIT_DEFAULT: u64 = 100_000;

/// Events of one transaction that are shown at most, the first that were found.
pub const EVENTS_MAX: usize = 1_000;

/// By how much clocks of publishers may differ: so much earlier a window begins than it is asked for.
pub const CLOCKS_DIFFER: Duration = Duration::from_secs(60);

/// What is looked for, and where.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// A correlation, or the name of one of its events.
    pub correlation: String,
    /// Events that are read at most.
    pub limit: u64,
    /// From when on; without it the newest are read.
    pub since: Option<Timestamp>,
}

/// What was found.
#[derive(Debug)]
pub struct Trace {
    /// What its events name.
    pub correlation: String,
    /// The tree from its first step on, each behind its cause.
    pub branches: Vec<Branch>,
    /// Whether there were more events than are shown.
    pub is_cut: bool,
    /// What was read, partition by partition.
    pub looks: Vec<Look>,
}

/// What was read of a partition.
#[derive(Clone, Debug)]
pub struct Look {
    /// Which.
    pub at: TopicPartition,
    /// After this place,
    pub after: Offset,
    /// up to this one,
    pub to: Offset,
    /// of which the newest there is this.
    pub end: Offset,
    /// How many events that were.
    pub events: u64,
    /// When the first of them happened.
    pub since: Option<Timestamp>,
    /// Whether that is all that was ever published there.
    pub is_whole: bool,
    /// Why it was not read on.
    pub trouble: Option<String>,
}

/// An event of the transaction: all but its data.
#[derive(Clone, Debug)]
pub struct Hop {
    /// Where it is.
    pub at: TopicPartition,
    /// Its place there.
    pub offset: Offset,
    /// [`Event::id`].
    pub id: String,
    /// [`Event::source`].
    pub source: String,
    /// [`Event::kind`].
    pub kind: String,
    /// [`Event::subject`].
    pub subject: String,
    /// When it happened, by its publisher's clock.
    pub time: Timestamp,
    /// What it says that caused it.
    pub causation_id: Option<String>,
    /// What others call it.
    name: String,
    /// Who has it parked.
    pub parked: Vec<ParkedHop>,
    /// Which subscriptions passed it because its deadline had come, as far as that is kept.
    pub expired: Vec<String>,
}

/// That a subscription does not get past an event.
#[derive(Clone, Debug)]
pub struct ParkedHop {
    /// Whose.
    pub subscription: String,
    /// What it waits for.
    pub wait: Wait,
    /// How often it was tried.
    pub attempts: u32,
    /// Why the last attempt failed; empty for one that waits behind another of its key.
    pub reason: String,
}

/// Looks through the topics of a broker, and at what these subscriptions have parked of what is found.
///
/// # Errors
/// [`Error::Environment`]: a store cannot say what is parked; ask again later. What a topic cannot say is in its
/// [`Look`].
pub async fn trace(
    broker: &dyn Broker,
    subscriptions: &[Control],
    wanted: &Wanted,
) -> Result<Trace, Error> {
    let mut looks = windows(broker, wanted).await;
    let mut scan = Scan::of(wanted.correlation.clone());
    scan.read_all(broker, &mut looks).await;
    if let Some(correlation) = scan.another.take() {
        scan = Scan::of(correlation);
        looks.iter_mut().for_each(|look| *look = Look { events: 0, ..look.clone() });
        scan.read_all(broker, &mut looks).await;
    }
    let Scan { correlation, mut hops, is_cut, .. } = scan;
    mark_parked(&mut hops, subscriptions).await?;
    Ok(Trace { correlation, branches: tree::of(&hops), is_cut, looks })
}

/// What is to be read of each partition: all where it fits, else the newest, or what comes from a time on.
async fn windows(broker: &dyn Broker, wanted: &Wanted) -> Vec<Look> {
    let mut looks = Vec::new();
    for topic in broker.topics() {
        let partitions = broker.partitions(&topic).ok();
        for partition in partitions.iter().flat_map(|all| all.each()) {
            let at = topic.at(partition);
            looks.push(match ends(broker, &at, wanted.since).await {
                Ok((after, to)) => Look::of(at, after, to),
                Err(error) => {
                    let trouble = Some(error.to_string());
                    Look { trouble, ..Look::of(at, Offset::BEGINNING, Offset::BEGINNING) }
                }
            });
        }
    }
    let sizes: Vec<u64> = looks.iter().map(|look| look.to.0 - look.after.0).collect();
    for (look, share) in looks.iter_mut().zip(shares(&sizes, wanted.limit)) {
        if wanted.since.is_some() {
            look.to = Offset(look.after.0 + share);
        } else {
            look.after = Offset(look.to.0 - share);
        }
    }
    looks
}

/// After which place the window begins at the earliest, and the partition's end.
async fn ends(
    broker: &dyn Broker,
    at: &TopicPartition,
    since: Option<Timestamp>,
) -> Result<(Offset, Offset), Error> {
    let end = broker.end(at).await?;
    let Some(since) = since.map(|since| since.checked_sub(CLOCKS_DIFFER).unwrap_or(since)) else {
        return Ok((Offset::BEGINNING, end));
    };
    // Events are stored about in the order of their times: halving it costs a few reads, and reading all of it many.
    let (mut low, mut high) = (0, end.0);
    while low < high {
        let middle = low + (high - low) / 2;
        match broker.read(at, Offset(middle), 1).await {
            Ok(page) => match page.first() {
                Some(stored) if stored.event.time < since => low = stored.offset.0,
                _ => high = middle,
            },
            Err(Error::Gone { .. }) => low = middle + 1,
            Err(error) => return Err(error),
        }
    }
    Ok((Offset(low.min(end.0)), end))
}

/// What each of so many gets of a limit: none more than it has, and what one does not need the others get.
fn shares(sizes: &[u64], limit: u64) -> Vec<u64> {
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|&at| sizes[at]);
    let (mut left, mut shares) = (limit, vec![0; sizes.len()]);
    for (done, &at) in order.iter().enumerate() {
        let others = (sizes.len() - done) as u64;
        shares[at] = sizes[at].min(left / others);
        left -= shares[at];
    }
    shares
}

impl Look {
    fn of(at: TopicPartition, after: Offset, to: Offset) -> Look {
        Look { at, after, to, end: to, events: 0, since: None, is_whole: false, trouble: None }
    }
}

/// What is found on the way.
struct Scan {
    correlation: String,
    /// What an event that is called so belongs to.
    another: Option<String>,
    /// Names of what was found: a broker may have an event twice.
    known: HashSet<String>,
    hops: Vec<Hop>,
    is_cut: bool,
}

impl Scan {
    fn of(correlation: String) -> Scan {
        let (known, hops) = (HashSet::new(), Vec::new());
        Scan { correlation, another: None, known, hops, is_cut: false }
    }

    async fn read_all(&mut self, broker: &dyn Broker, looks: &mut [Look]) {
        for look in looks {
            if let Err(error) = self.read(broker, look).await {
                look.trouble = Some(error.to_string());
                look.is_whole = false;
            }
        }
    }

    /// Reads what a look is to read, page by page.
    async fn read(&mut self, broker: &dyn Broker, look: &mut Look) -> Result<(), Error> {
        let mut reached = look.after;
        let mut first = None;
        while reached < look.to {
            let limit = READ_MAX.min(usize::try_from(look.to.0 - reached.0).unwrap_or(READ_MAX));
            let page = match broker.read(&look.at, reached, limit).await {
                // Removed by now, and only from the beginning on.
                Err(Error::Gone { .. }) if first.is_none() && reached > Offset::BEGINNING => {
                    reached = Offset::BEGINNING;
                    continue;
                }
                other => other?,
            };
            let Some(last) = page.last().map(|stored| stored.offset) else { break };
            for stored in page.iter().filter(|stored| stored.offset <= look.to) {
                first.get_or_insert(stored.offset);
                look.since.get_or_insert(stored.event.time);
                look.events += 1;
                self.see(&look.at, stored);
            }
            reached = last;
            // A page is decoded without waiting for anything.
            tokio::task::yield_now().await;
        }
        look.is_whole = look.to == look.end
            && first.is_none_or(|first| first == Offset(1))
            && (first.is_some() || look.end == Offset::BEGINNING)
            && !broker.is_compacted(&look.at);
        Ok(())
    }

    fn see(&mut self, at: &TopicPartition, stored: &Stored) {
        let Stored { offset, event } = stored;
        let named = event.cause.correlation_id.as_deref();
        if named != Some(&self.correlation) {
            if !is_called(event, &self.correlation) {
                return;
            }
            self.another = self.another.take().or_else(|| named.map(str::to_owned));
        }
        if !self.known.insert(event.name()) {
            return;
        }
        if self.hops.len() == EVENTS_MAX {
            self.is_cut = true;
            return;
        }
        self.hops.push(Hop {
            at: at.clone(),
            offset: *offset,
            id: event.id.clone(),
            source: event.source.clone(),
            kind: event.kind.clone(),
            subject: event.subject.clone(),
            time: event.time,
            causation_id: event.cause.causation_id.clone(),
            name: event.name(),
            parked: Vec::new(),
            expired: Vec::new(),
        });
    }
}

/// Whether an event is called that; the name is not made for each that is read.
fn is_called(event: &Event, name: &str) -> bool {
    name.starts_with(&event.source) && event.name() == name
}

/// Marks what subscriptions have parked or passed.
async fn mark_parked(hops: &mut [Hop], subscriptions: &[Control]) -> Result<(), Error> {
    for control in subscriptions {
        let of_topic = hops.iter().enumerate().filter(|(_, hop)| hop.at.topic == *control.topic());
        let places: HashMap<Numbered, usize> = of_topic
            .map(|(index, hop)| {
                (Numbered { partition: hop.at.partition, number: hop.offset.0 }, index)
            })
            .collect();
        if places.is_empty() {
            continue;
        }
        let wanted = places.keys().copied().collect();
        for ParkedMark { at, wait, attempts, reason } in control.parked_at(&wanted).await? {
            let subscription = control.name().to_owned();
            hops[places[&at]].parked.push(ParkedHop { subscription, wait, attempts, reason });
        }
        for at in control.expired_at(&wanted).await? {
            hops[places[&at]].expired.push(control.name().to_owned());
        }
    }
    Ok(())
}
