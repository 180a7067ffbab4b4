//! Readers that rest, and which consumer has which partition.
//!
//! Decides who gives way where there is no room for one more, and asks no server for anything: the step that it says is
//! its owner's to take.

use std::collections::BTreeSet;
use std::sync::Arc;

use events::TopicPartition;

use super::reader::{Came, Chosen, Consumer, Cursor, Reader, Used};

/// Consumers at once, and so readers of one partition; a read beyond them waits for one.
pub const CONSUMERS_MAX: usize = 16;
/// Partitions that are read or rest at once, over all consumers; a read beyond them waits.
pub const READERS_MAX: usize = 1_024;

/// Readers that rest, the one that rests longest first, and the consumers of all.
#[derive(Default)]
pub(super) struct Shelf {
    pub(super) resting: Vec<Reader>,
    pub(super) consumers: Vec<Assigned>,
    /// How many consumers there have been.
    pub(super) made: u64,
}

/// A consumer, and which partitions are its.
pub(super) struct Assigned {
    pub(super) number: u64,
    pub(super) consumer: Arc<Consumer>,
    pub(super) partitions: BTreeSet<TopicPartition>,
    pub(super) came: Came,
    pub(super) used: Used,
}

/// What is done next for whoever needs a reader of a partition.
pub(super) enum Step {
    /// There is no room for one more; this one rests longest of all.
    End(Reader),
    /// This one of the same partition gives way.
    Reassign(Reader),
    Assign(Chosen),
    Make,
    /// All that there may be of this partition are in use.
    Wait,
}

impl Shelf {
    pub(super) fn rested(&mut self, place: &Cursor) -> Option<Reader> {
        let there = self.resting.iter().position(|reader| reader.place == *place)?;
        Some(self.resting.remove(there))
    }

    /// Has it rest; it comes back where its consumer was left.
    pub(super) fn rest(&mut self, reader: Reader) -> Option<Reader> {
        if !self.consumers.iter().any(|one| one.number == reader.of.number) {
            return Some(reader);
        }
        self.resting.push(reader);
        None
    }

    /// Leaves a consumer, and what rests there.
    pub(super) fn leave(&mut self, number: u64) -> Vec<Reader> {
        self.consumers.retain(|one| one.number != number);
        self.resting.extract_if(.., |reader| reader.of.number == number).collect()
    }

    pub(super) fn step(&mut self, at: &TopicPartition, followers: usize) -> Step {
        let all: usize = self.consumers.iter().map(|one| one.partitions.len()).sum();
        if all >= READERS_MAX && !self.resting.is_empty() {
            return Step::End(self.resting.remove(0));
        }
        let rests = self.resting.iter().position(|reader| reader.place.at == *at);
        let have = self.consumers.iter().filter(|one| one.partitions.contains(at)).count();
        if let Some(rests) = rests
            && have >= followers.max(1)
        {
            return Step::Reassign(self.resting.remove(rests));
        }
        let free = self.consumers.iter_mut().find(|one| !one.partitions.contains(at));
        if let Some(free) = free {
            return Step::Assign(free.choose(at));
        }
        match rests {
            _ if self.consumers.len() < CONSUMERS_MAX => Step::Make,
            Some(rests) => Step::Reassign(self.resting.remove(rests)),
            None => Step::Wait,
        }
    }

    pub(super) fn release(&mut self, number: u64, at: &TopicPartition) {
        let Some(of) = self.consumers.iter().position(|one| one.number == number) else { return };
        let partitions = &mut self.consumers[of].partitions;
        partitions.remove(at);
        if partitions.is_empty() && self.consumers.len() > 1 {
            self.consumers.remove(of);
        }
    }
}

impl Assigned {
    fn choose(&mut self, at: &TopicPartition) -> Chosen {
        self.partitions.insert(at.clone());
        Chosen {
            number: self.number,
            consumer: Arc::clone(&self.consumer),
            came: Arc::clone(&self.came),
            _used: self.used.clone(),
        }
    }
}
