//! Against a plain story, a list of who stands in the round: whatever becomes ready, is given out, comes back or is set aside,
//! whose turn it is is the story's; nobody who waits is passed over twice by another, and nobody waits for who has nothing.

use proptest::prelude::*;

use super::*;

const SHARES: u8 = 5;

fn name(share: u8) -> ShareName {
    if share == 0 { ShareName::none() } else { ShareName::of(&share.to_string()) }
}

/// What may happen, by turns.
#[derive(Clone, Debug)]
enum Step {
    Add(u8),
    /// Another one's, so that a share comes back while it has something.
    Remove(u8),
    Due(u8, bool),
    Give,
    Over(u8),
    Aside(u8),
    BringBack,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let share = 0..SHARES;
    let step = prop_oneof![
        6 => share.clone().prop_map(Step::Add),
        1 => share.clone().prop_map(Step::Remove),
        1 => (share.clone(), any::<bool>()).prop_map(|(share, is_due)| Step::Due(share, is_due)),
        6 => Just(Step::Give),
        4 => share.clone().prop_map(Step::Over),
        1 => share.prop_map(Step::Aside),
        1 => Just(Step::BringBack),
    ];
    prop::collection::vec(step, 0..300)
}

#[derive(Clone, Default)]
struct Waiting {
    ready: Vec<u64>,
    is_due: bool,
    under_way: u64,
    is_aside: bool,
    /// How often each other one was served since it waits.
    passed_by: HashMap<u8, u32>,
}

impl Waiting {
    fn has_work(&self) -> bool {
        self.is_due || !self.ready.is_empty()
    }
}

struct Story {
    turns: Turns,
    /// Who has work, in the order of the round.
    round: Vec<u8>,
    all: Vec<Waiting>,
    offset: u64,
}

impl Story {
    fn new(measure: Measure) -> Story {
        let all = vec![Waiting::default(); usize::from(SHARES)];
        Story { turns: Turns::new(measure), round: Vec::new(), all, offset: 0 }
    }

    fn of(&mut self, share: u8) -> &mut Waiting {
        &mut self.all[usize::from(share)]
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Add(share) => {
                self.offset += 1;
                let offset = self.offset;
                self.turns.add(&name(share), Rank::of(offset));
                self.of(share).ready.push(offset);
            }
            Step::Remove(share) => {
                let Some(offset) = self.of(share).ready.pop() else { return };
                self.turns.remove(&name(share), Rank::of(offset));
            }
            Step::Due(share, is_due) => {
                self.turns.set_due(&name(share), is_due);
                self.of(share).is_due = is_due;
            }
            Step::Give => self.give(),
            Step::Over(share) => {
                self.turns.over(&name(share));
                let under_way = &mut self.of(share).under_way;
                *under_way = under_way.saturating_sub(1);
            }
            Step::Aside(share) => {
                if !self.round.contains(&share) || self.of(share).is_aside {
                    return;
                }
                self.turns.set_aside(&name(share));
                self.of(share).is_aside = true;
            }
            Step::BringBack => {
                self.turns.bring_back();
                self.all.iter_mut().for_each(|waiting| waiting.is_aside = false);
            }
        }
        self.line_up();
        self.look();
    }

    /// Who has work stands in the round, whoever came now at its end.
    fn line_up(&mut self) {
        self.round.retain(|share| self.all[usize::from(*share)].has_work());
        for share in 0..SHARES {
            if self.of(share).has_work() && !self.round.contains(&share) {
                self.round.push(share);
            }
            if !self.of(share).has_work() || self.of(share).is_aside {
                self.of(share).passed_by.clear();
            }
        }
    }

    fn expected(&self) -> Option<u8> {
        let under_way = |share: &u8| match self.turns.measure {
            Measure::UnderWay => self.all[usize::from(*share)].under_way,
            Measure::Turns => 0,
        };
        let there = self.round.iter().filter(|share| !self.all[usize::from(**share)].is_aside);
        there.min_by_key(|share| under_way(share)).copied()
    }

    fn look(&self) {
        let next = self.turns.next().map(|next| next.share);
        assert_eq!(next, self.expected().map(name), "nobody waits for who has nothing");
        let is_ready = self.all.iter().any(|waiting| !waiting.ready.is_empty());
        assert_eq!(self.turns.has_fresh(), is_ready);
        let kept = |it: &&Waiting| it.has_work() || it.is_aside || it.under_way > 0;
        assert!(self.turns.len() <= self.all.iter().filter(kept).count(), "no more are known");
    }

    /// Whose turn it is gives what is due of him, else his first.
    fn give(&mut self) {
        let Some(share) = self.expected() else { return };
        let next = self.turns.next().expect("it was asked for");
        let (counts, first) =
            (self.turns.measure == Measure::UnderWay, self.of(share).ready.first().copied());
        assert_eq!((next.is_due, next.fresh.map(|it| it.offset)), (self.of(share).is_due, first));
        if next.is_due {
            self.turns.take_due(&next.share, false);
            self.of(share).is_due = false;
        } else {
            assert_eq!(self.turns.take(&next.share).map(|rank| rank.offset), first);
            self.of(share).ready.remove(0);
        }
        self.of(share).under_way += u64::from(counts);
        self.round.retain(|other| *other != share);
        self.of(share).passed_by.clear();
        self.note_passed(share);
    }

    /// By turns alone nobody is passed over twice by one other while he has work.
    fn note_passed(&mut self, by: u8) {
        let is_by_turns = self.turns.measure == Measure::Turns;
        for share in &self.round {
            let waiting = &mut self.all[usize::from(*share)];
            if waiting.is_aside {
                continue;
            }
            let times = waiting.passed_by.entry(by).or_default();
            *times += 1;
            assert!(!is_by_turns || *times <= 1, "{by} had two turns while another had none");
        }
    }
}

proptest! {
    #[test]
    fn by_turns_each_that_has_something_is_served_within_one_round(steps in steps()) {
        let mut story = Story::new(Measure::Turns);
        steps.iter().for_each(|step| story.take(step));
    }

    #[test]
    fn by_what_is_under_way_who_has_fewest_is_served_and_of_those_by_turns(steps in steps()) {
        let mut story = Story::new(Measure::UnderWay);
        steps.iter().for_each(|step| story.take(step));
    }
}

/// Gives out until nothing is ready; whose turns these were.
fn served(turns: &mut Turns) -> Vec<String> {
    let mut served = Vec::new();
    while let Some(next) = turns.next() {
        turns.take(&next.share);
        served.push(next.share.value().unwrap_or("none").to_owned());
    }
    served
}

fn turns_of(measure: Measure, ready: &[(&str, u64)]) -> Turns {
    let mut turns = Turns::new(measure);
    for (share, count) in ready {
        (0..*count).for_each(|at| turns.add(&ShareName::of(share), Rank::of(at)));
    }
    turns
}

#[test]
fn one_with_thousands_keeps_nobody_waiting_for_more_than_a_turn() {
    let mut turns = turns_of(Measure::Turns, &[("hog", 10_000), ("a", 2), ("b", 1)]);
    let served = served(&mut turns);
    assert_eq!(&served[..7], ["hog", "a", "b", "hog", "a", "hog", "hog"]);
    assert_eq!((served.len(), turns.len()), (10_003, 0));
}

#[test]
fn one_that_is_slow_keeps_one_slot_while_others_have_work_and_all_of_them_else() {
    let mut turns = turns_of(Measure::UnderWay, &[("slow", 10), ("a", 3), ("b", 3)]);
    let [slow, a, b] = ["slow", "a", "b"].map(ShareName::of);
    let next = |turns: &mut Turns| {
        let next = turns.next().expect("some are ready");
        turns.take(&next.share);
        next.share
    };
    // Three slots: the first round.
    assert_eq!(
        [next(&mut turns), next(&mut turns), next(&mut turns)],
        [slow.clone(), a.clone(), b.clone()]
    );
    for share in [&a, &b, &a, &b] {
        turns.over(share);
        assert_eq!(next(&mut turns), *share, "the slow one has its slot already");
    }
    turns.over(&a);
    assert_eq!(next(&mut turns), slow, "nobody else has work");
}

#[test]
fn shares_keep_their_turns_where_another_goes_on() {
    let mut before = turns_of(Measure::Turns, &[("hog", 5), ("a", 5), ("b", 5)]);
    before.take(&ShareName::of("hog"));
    // The same events are ready there, found in the same order, and `c` is new.
    let mut turns = Turns::new(Measure::Turns);
    turns.go_on_from(&before);
    for share in ["hog", "a", "b", "c"] {
        turns.add(&ShareName::of(share), Rank::of(9));
    }
    assert_eq!(served(&mut turns), ["a", "b", "hog", "c"]);
}
