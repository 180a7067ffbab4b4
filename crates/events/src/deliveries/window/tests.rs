//! Every state meets every input, and whatever the answers: order per key, nothing skipped, nothing twice at once, the
//! window bounded.

use proptest::prelude::*;

use super::*;
use crate::event::Event;
use crate::fixture::stamped;

fn event(offset: u64, key: &str) -> Arc<Stored> {
    Arc::new(Stored { offset: Offset(offset), event: stamped("order", key, offset) })
}

fn window(by: Option<&str>) -> Window {
    let by = by.map(|by| Arc::new(by.parse().expect("a place")));
    let order = TurnOrder { by, measure: Measure::UnderWay };
    Window::new(Offset::BEGINNING, HashMap::new(), order)
}

/// Whose turn it is gives its first.
fn give_out(window: &mut Window) -> Option<Arc<Stored>> {
    let share = window.next()?.share;
    window.give_out(&share)
}

fn empty() -> Window {
    window(None)
}

fn offsets(list: &[Arc<Stored>]) -> Vec<u64> {
    list.iter().map(|stored| stored.offset.0).collect()
}

#[test]
fn every_state_meets_every_input() {
    use EventState::{Out, Ready, Settled, Waiting};
    let inputs = [
        Input::GivenOut,
        Input::GivenBehind,
        Input::Acknowledged,
        Input::Failed,
        Input::PutBack,
        Input::PutBehind,
        Input::Turn,
    ];
    for (state, expected) in [
        (Waiting, [Waiting, Out, Waiting, Waiting, Waiting, Waiting, Ready]),
        (Ready, [Out, Ready, Ready, Ready, Ready, Ready, Ready]),
        (Out, [Out, Out, Settled, Settled, Ready, Waiting, Out]),
        (Settled, [Settled; 7]),
    ] {
        assert_eq!(inputs.map(|input| state.after(input)), expected, "{state:?}");
    }
}

#[test]
fn of_a_key_only_the_first_that_nobody_answered_for_is_given_out() {
    let mut window = empty();
    for (offset, key) in [(1, "a"), (2, "a"), (3, "b")] {
        assert_eq!(window.admit(event(offset, key)), Admitted::Queued);
    }
    let mut next = || give_out(&mut window).map(|stored| stored.offset.0);
    assert_eq!([next(), next(), next()], [Some(1), Some(3), None]);
    window.acknowledge(Offset(1));
    assert_eq!(give_out(&mut window).map(|stored| stored.offset.0), Some(2));
}

#[test]
fn what_was_put_back_lets_those_go_first_that_were_read_by_then() {
    let mut window = empty();
    for (offset, key) in [(1, "a"), (2, "b"), (3, "c")] {
        window.admit(event(offset, key));
    }
    // Each of them is put back in turn, and then the first again.
    for given in [1, 2, 3, 1] {
        assert_eq!(give_out(&mut window).map(|stored| stored.offset.0), Some(given));
        window.put_back(Offset(given));
    }
    // Nor does it wait for what is read later, for as long as there is some.
    window.admit(event(4, "d"));
    for given in [2, 3, 1, 4] {
        assert_eq!(give_out(&mut window).map(|stored| stored.offset.0), Some(given));
    }
}

#[test]
fn what_fails_is_parked_with_all_behind_it_and_so_is_what_comes() {
    let mut window = empty();
    for (offset, key) in [(1, "a"), (2, "b"), (3, "a")] {
        window.admit(event(offset, key));
    }
    give_out(&mut window);
    assert_eq!(offsets(&window.fail(Offset(1))), [1, 3]);
    assert_eq!(window.admit(event(4, "a")), Admitted::Behind);
    assert_eq!(give_out(&mut window).map(|stored| stored.offset.0), Some(2), "another key goes on");
    // Three were parked: until the last of them is gone, so is what comes.
    for parked in [true, true, false] {
        window.unparked("a");
        assert_eq!(window.parked.contains_key("a"), parked);
    }
    assert_eq!(window.admit(event(5, "a")), Admitted::Queued);
}

#[test]
fn the_place_moves_over_what_is_settled_from_the_beginning_and_the_rest_is_named() {
    let mut window = empty();
    for (offset, key) in [(1, "a"), (2, "b"), (3, "c")] {
        window.admit(event(offset, key));
        give_out(&mut window);
    }
    window.acknowledge(Offset(2));
    let Leaving { first, ahead } = window.leave();
    assert_eq!((offsets(&first), offsets(&ahead)), (Vec::new(), vec![2]));
    window.acknowledge(Offset(3));
    assert_eq!(offsets(&window.leave().ahead), [3], "the other one is named already");
    window.acknowledge(Offset(1));
    let Leaving { first, ahead } = window.leave();
    assert_eq!((offsets(&first), offsets(&ahead)), (vec![1, 2, 3], Vec::new()));
    assert_eq!((window.bytes, window.room()), (0, WINDOW_EVENTS_MAX));
}

#[test]
fn it_takes_no_more_events_and_no_more_bytes_than_the_limits() {
    let mut window = empty();
    for offset in 1..=WINDOW_EVENTS_MAX as u64 {
        assert!(window.room() > 0, "{offset}");
        window.admit(event(offset, "a"));
    }
    assert_eq!(window.room(), 0);
    let mut window = empty();
    let mut large = stamped("order", "a", 1);
    let text = format!("\"{}\"", "x".repeat(WINDOW_BYTES_MAX));
    large.data = serde_json::value::RawValue::from_string(text).expect("JSON");
    window.admit(Arc::new(Stored { offset: Offset(1), event: large }));
    assert_eq!(window.room(), 0);
    let mut window = empty();
    let named = Event { kind: "x".repeat(WINDOW_BYTES_MAX), ..stamped("order", "a", 1) };
    window.admit(Arc::new(Stored { offset: Offset(1), event: named }));
    assert_eq!(window.room(), 0, "its attributes count");
}

#[test]
fn where_shares_have_their_turns_a_page_more_is_read_and_all_of_it_is_theirs() {
    let mut window = window(Some("source"));
    for offset in 1..=SHARED_WINDOW_EVENTS_MAX as u64 {
        assert!(window.room() > 0, "{offset}");
        // The last is somebody else's.
        let source = if offset < WINDOW_EVENTS_MAX as u64 { "order" } else { "till" };
        let event = stamped(source, &offset.to_string(), offset);
        window.admit(Arc::new(Stored { offset: Offset(offset), event }));
    }
    assert_eq!(window.room(), 0);
    let given: Vec<u64> = std::iter::repeat_with(|| give_out(&mut window))
        .take(3)
        .flatten()
        .map(|it| it.offset.0)
        .collect();
    assert_eq!(given, [1, WINDOW_EVENTS_MAX as u64, 2]);
    let SharesReport { count, waiting, .. } = window.report();
    assert_eq!((count, waiting), (2, SHARED_WINDOW_EVENTS_MAX));
    window.acknowledge(Offset(WINDOW_EVENTS_MAX as u64));
    let SharesReport { waiting, .. } = window.report();
    assert_eq!(waiting, SHARED_WINDOW_EVENTS_MAX - 1, "what was handled ahead waits no more");
}

#[test]
fn what_is_offered_behind_is_given_to_who_has_what_is_before_it_and_else_waits() {
    let mut window = empty();
    for (offset, key) in [(1, "a"), (2, "a"), (3, "a")] {
        window.admit(event(offset, key));
    }
    let first = give_out(&mut window).expect("it is ready");
    window.offer_behind(&first);
    let second = give_out(&mut window).expect("it was offered");
    assert_eq!((first.offset.0, second.offset.0), (1, 2));
    window.offer_behind(&second);
    window.end_offers();
    assert!(give_out(&mut window).is_none(), "the third is nobody else's");
    window.acknowledge(Offset(1));
    assert!(give_out(&mut window).is_none(), "nor is it while the second is out");
    window.acknowledge(Offset(2));
    assert_eq!(give_out(&mut window).map(|it| it.offset.0), Some(3));
}

/// What may happen to a window, by turns.
#[derive(Clone, Debug)]
enum Step {
    Read(u8),
    GiveOut,
    Acknowledge(usize),
    Fail(usize),
    PutBack(usize),
    /// The first that is parked of the key is handled.
    Retried(u8),
    Leave,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..4u8).prop_map(Step::Read),
        4 => Just(Step::GiveOut),
        3 => (0..8usize).prop_map(Step::Acknowledge),
        1 => (0..8usize).prop_map(Step::Fail),
        1 => (0..8usize).prop_map(Step::PutBack),
        1 => (0..4u8).prop_map(Step::Retried),
        1 => Just(Step::Leave),
    ];
    prop::collection::vec(step, 0..200)
}

/// The plain story that a window has to tell: of each key one list, in order.
struct Model {
    window: Window,
    read: u64,
    /// Of each key what is not handled, in order, whether it is parked or not.
    waiting: HashMap<String, VecDeque<u64>>,
    /// Of each key, how many of these are parked: the first so many.
    parked: HashMap<String, usize>,
    out: Vec<Arc<Stored>>,
    handled: BTreeSet<u64>,
    left: u64,
}

impl Model {
    fn new(window: Window) -> Model {
        Model {
            window,
            read: 0,
            waiting: HashMap::new(),
            parked: HashMap::new(),
            out: Vec::new(),
            handled: BTreeSet::new(),
            left: 0,
        }
    }

    fn window(&mut self) -> &mut Window {
        &mut self.window
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Read(key) => self.read(&key.to_string()),
            Step::GiveOut => self.give_out(),
            Step::Acknowledge(at) => {
                let Some(stored) = self.answered(*at) else { return };
                self.window().acknowledge(stored.offset);
                self.handle(&stored.event.key, stored.offset.0);
            }
            Step::Fail(at) => {
                let Some(stored) = self.answered(*at) else { return };
                let parked = offsets(&self.window().fail(stored.offset));
                let of_key = &self.waiting[&stored.event.key];
                assert_eq!(parked, Vec::from(of_key.clone()), "all of the key, in order");
                self.parked.insert(stored.event.key.clone(), parked.len());
            }
            Step::PutBack(at) => {
                let Some(stored) = self.answered(*at) else { return };
                self.window().put_back(stored.offset);
            }
            Step::Retried(key) => self.retried(&key.to_string()),
            Step::Leave => self.leave(),
        }
    }

    fn read(&mut self, key: &str) {
        self.read += 1;
        // Every third is another one's, of one key too.
        let data = format!(r#"{{"tenant":{}}}"#, self.read % 3);
        let data = serde_json::value::RawValue::from_string(data).expect("JSON");
        let event = Event { data, ..stamped("order", key, self.read) };
        let stored = Arc::new(Stored { offset: Offset(self.read), event });
        let admitted = self.window().admit(stored);
        self.waiting.entry(key.to_owned()).or_default().push_back(self.read);
        let parked = self.parked.get_mut(key).filter(|count| **count > 0);
        assert_eq!(admitted == Admitted::Behind, parked.is_some());
        parked.into_iter().for_each(|count| *count += 1);
    }

    fn give_out(&mut self) {
        let Some(stored) = give_out(self.window()) else {
            return assert_eq!(self.first_open(), None, "nobody waits for who has nothing");
        };
        let key = &stored.event.key;
        assert_eq!(self.waiting[key].front(), Some(&stored.offset.0), "the first of its key");
        assert_eq!(self.parked.get(key).copied().unwrap_or(0), 0, "none of its key is parked");
        assert!(!self.out.iter().any(|out| out.event.key == *key), "one of its key at a time");
        self.out.push(stored);
    }

    /// A key of which something might be given out.
    fn first_open(&self) -> Option<&String> {
        let is_parked = |key: &str| self.parked.get(key).is_some_and(|count| *count > 0);
        let is_out = |key: &str| self.out.iter().any(|out| out.event.key == key);
        let mut open = self.waiting.iter().filter(|it| !it.1.is_empty()).map(|it| it.0);
        open.find(|key| !is_parked(key) && !is_out(key))
    }

    fn answered(&mut self, at: usize) -> Option<Arc<Stored>> {
        if self.out.is_empty() {
            return None;
        }
        let at = at % self.out.len();
        Some(self.out.swap_remove(at))
    }

    fn handle(&mut self, key: &str, offset: u64) {
        let first = self.waiting.get_mut(key).and_then(VecDeque::pop_front);
        assert_eq!(first, Some(offset));
        assert!(self.handled.insert(offset), "handled twice");
    }

    fn retried(&mut self, key: &str) {
        let Some(count) = self.parked.get_mut(key).filter(|count| **count > 0) else { return };
        *count -= 1;
        let first = self.waiting[key][0];
        self.window().unparked(key);
        self.handle(key, first);
    }

    /// Whatever leaves was handled or is parked, and nothing is passed over.
    fn leave(&mut self) {
        for stored in self.window().leave().first {
            assert_eq!(stored.offset.0, self.left + 1);
            self.left += 1;
            let key = &stored.event.key;
            let parked = self.parked.get(key).copied().unwrap_or(0);
            let is_parked = self.waiting[key].iter().take(parked).any(|it| *it == self.left);
            assert!(is_parked || self.handled.contains(&self.left), "{} was skipped", self.left);
        }
    }

    /// Everybody answers until nothing is left.
    fn finish(&mut self) {
        for out in std::mem::take(&mut self.out) {
            self.window().acknowledge(out.offset);
            self.handle(&out.event.key, out.offset.0);
        }
        for key in (0..4u8).map(|key| key.to_string()) {
            while self.parked.get(&key).is_some_and(|count| *count > 0) {
                self.retried(&key);
            }
        }
        while self.window().has_ready() {
            self.give_out();
            let stored = self.answered(0).expect("one is out");
            self.window().acknowledge(stored.offset);
            self.handle(&stored.event.key, stored.offset.0);
        }
        self.leave();
        assert_eq!((self.left, self.handled.len() as u64), (self.read, self.read));
    }
}

proptest! {
    #[test]
    fn whatever_is_answered_order_holds_and_nothing_is_skipped(steps in steps()) {
        let mut model = Model::new(empty());
        steps.iter().for_each(|step| model.take(step));
        model.finish();
    }

    #[test]
    fn whoever_s_turn_it_is_order_holds_and_nothing_is_skipped(steps in steps()) {
        let mut model = Model::new(window(Some("event.tenant")));
        steps.iter().for_each(|step| model.take(step));
        model.finish();
    }
}
