//! How far the folds are behind their topics, looked at now and then, so that pages can say so.
//!
//! A topic is behind when its subscription is stuck with something left to fold, or when the first
//! event it has not folded is older than [`BEHIND_MAX`] for more than a moment, for a fold that went on
//! after a rest has caught up in less; its pages are as old as that event. An event
//! that was given up holds nobody up but its key: the pages of its owner are as old as it is, and
//! nobody else's. Both clear by themselves, one look after the cause has gone.
//!
//! Whose event it is, its rule says; of one that no rule gives an owner (a join's, or one that cannot
//! be read at all) nobody's page is known to miss it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use events::{Control, Event};
use jiff::Timestamp;

use crate::expression::Expression;
use crate::expression::fields::Fields;
use crate::owner::OwnersPage;
use crate::read_side::ReadSide;
use crate::rule::{Action, Rule};
use crate::stale::Owned;
use crate::value::Key;
use crate::view::{ColumnValue, View};

/// How old the first event may be that is not folded, before pages say that they are as old.
pub const BEHIND_MAX: Duration = Duration::from_secs(5);

/// How often it is looked.
pub const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Looks in a row that find a topic late before it counts.
pub const LATE_LOOKS: u32 = 4;

/// Events given up that are looked at, for each topic.
pub const DEAD_LOOKED_MAX: usize = 100;

/// What one look at one topic found.
#[derive(Clone, Copy, Debug, Default)]
struct Lag {
    /// There is something to fold.
    missing: bool,
    /// The subscription says that it makes no progress.
    stuck: bool,
    /// When the first event happened that is missing; unknown where it cannot be read.
    first: Option<Timestamp>,
}

/// What earlier looks at a topic found, as long as something was missing.
#[derive(Clone, Copy, Debug)]
struct Noticed {
    since: Timestamp,
    /// Looks in a row that found it late.
    late: u32,
}

/// Looks again and again; drop it to end it.
pub(crate) async fn watch(side: &ReadSide) {
    let mut noticed = HashMap::new();
    loop {
        look(side, &mut noticed).await;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// One look; `noticed` remembers what earlier ones found of each topic.
async fn look(side: &ReadSide, noticed: &mut HashMap<String, Noticed>) {
    let mut behind = BTreeMap::new();
    let mut owned = Owned::new();
    let stale = &side.generation.stale;
    if stale.rests() {
        // Who rests says so himself, and since when.
        noticed.clear();
    }
    for control in &side.progress.controls() {
        let topic = control.topic().as_str();
        // Also while the fold rests: what was given up before is missing all the same.
        given_up(side, control, &mut owned).await;
        let seen = if stale.rests() { Lag::default() } else { see(control).await };
        if !seen.missing {
            noticed.remove(topic);
            continue;
        }
        let now = side.progress.now();
        // An event that cannot be read has no time: then it counts from when it was first missed.
        let known = noticed.entry(topic.to_owned()).or_insert(Noticed { since: now, late: 0 });
        // In a row: one look that finds it in time begins anew, since a busy fold is late for a moment now and then.
        known.late = if is_late(seen, known.since, now) { known.late.saturating_add(1) } else { 0 };
        // What says itself that it is stuck needs no second look.
        if seen.stuck || known.late >= LATE_LOOKS {
            behind.insert(topic.to_owned(), seen.first.unwrap_or(known.since));
        }
    }
    // Both at once per look and whole: what is not named any more has caught up.
    stale.set_behind(behind, &side.generation.pages);
    stale.set_owned(owned);
}

async fn see(control: &Control) -> Lag {
    let Ok(status) = control.status().await else {
        return Lag { missing: true, stuck: true, first: None };
    };
    if status.lag == 0 {
        return Lag::default();
    }
    match control.first_missing().await {
        // It was taken meanwhile.
        Ok(None) => Lag::default(),
        Ok(first) => Lag { missing: true, stuck: status.stuck.is_some(), first },
        Err(_) => Lag { missing: true, stuck: true, first: None },
    }
}

/// Whether the first event that is missing is older than it may be.
fn is_late(seen: Lag, noticed: Timestamp, now: Timestamp) -> bool {
    let late = now.duration_since(seen.first.unwrap_or(noticed));
    Duration::try_from(late).is_ok_and(|late| late > BEHIND_MAX)
}

/// A row that an event given up was about, and whose it says it is.
struct Missed {
    view: usize,
    key: Option<Key>,
    named: Option<Key>,
    since: Timestamp,
}

/// Whose pages miss an event that was given up. What cannot be read now is looked at again.
async fn given_up(side: &ReadSide, control: &Control, owned: &mut Owned) {
    let mut missed = Vec::new();
    // The events are looked at one at a time and let go: they are large, what they are about is not.
    let note = |event: Event| missed.extend(about(side, &event));
    if let Err(error) = control.each_dead(DEAD_LOOKED_MAX, note).await {
        tracing::warn!(%error, "dead letters could not be read");
    }
    for Missed { view, key, named, since } in missed {
        let stored = match &key {
            Some(key) => stored(side, view, key).await,
            None => None,
        };
        let owners: BTreeSet<Key> = named.into_iter().chain(stored).collect();
        for owner in owners {
            for shows in &side.generation.views[view].shows {
                let page = OwnersPage { page: shows.page, owner: owner.clone() };
                let oldest = owned.entry(page).or_insert(since);
                *oldest = since.min(*oldest);
            }
        }
    }
}

/// What an event is about, as far as it says so.
fn about(side: &ReadSide, event: &Event) -> Vec<Missed> {
    let Some(of_type) = side.generation.rules.get(&event.kind) else { return Vec::new() };
    // What cannot be decoded names nobody; that the fold is stuck on it, all pages of the topic say.
    let Ok(fields) = Fields::decode(event, &of_type.wanted) else { return Vec::new() };
    let missed = |rule: &Rule| {
        let definition = &side.generation.views[rule.view];
        let (key, named) = match &rule.action {
            Action::Create { key, sets } | Action::Update { key, sets } => {
                (key, named(definition, key, sets, &fields))
            }
            Action::Delete { key } => (key, None),
            // A join's event names no owner: it touches rows of many, who are not looked for one by one.
            Action::Join { .. } => return None,
        };
        let key = key.eval(&fields).ok().and_then(|key| Key::from_value(&key).ok());
        Some(Missed { view: rule.view, key, named, since: event.time })
    };
    of_type.rules.iter().filter_map(missed).collect()
}

/// The owner that the event itself names.
fn named(
    view: &View,
    key: &Expression,
    sets: &[ColumnValue<Expression>],
    fields: &Fields<'_>,
) -> Option<Key> {
    let set = sets.iter().find(|set| set.column == view.owner).map(|set| &set.value);
    let named = set.or_else(|| (view.owner == view.key).then_some(key))?;
    Key::owner(&named.eval(fields).ok()?).ok().flatten()
}

/// The owner of the row of that key, where it is known.
async fn stored(side: &ReadSide, view: usize, key: &Key) -> Option<Key> {
    let list = side.generation.stored(view);
    let given = (list, key);
    let read = side.database.read(&given, |&(list, key), rows| Box::pin(list.load(rows, key)));
    let row = read.await.ok()??;
    row.owner(list.view)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_late_when_its_first_missing_event_is_old() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let limit = BEHIND_MAX.as_secs().cast_signed();
        let now = 1000;
        let cases = [
            (Some(now), now, false),
            (Some(now - limit), now, false),
            (Some(now - limit - 1), now, true),
            // Unreadable: as old as it was noticed.
            (None, now - limit, false),
            (None, now - limit - 1, true),
            // A clock that is ahead of ours makes nobody late.
            (Some(now + 100), now, false),
        ];
        for (first, noticed, expected) in cases {
            let seen = Lag { missing: true, stuck: false, first: first.map(at) };
            assert_eq!(is_late(seen, at(noticed), at(now)), expected, "{seen:?}");
        }
    }
}
