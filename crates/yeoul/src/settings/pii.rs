//! What is personal in topics' events: `events.topics.NAME.pii`, compiled to rules.
//!
//! It holds where this process seals: for what comes from outside. A service of the composition, or a writer by SQL, has
//! committed an event before anybody looks at it, so a topic of theirs has none.

use std::collections::BTreeMap;

use events::Topic;
use mistakes::{Mistake, Mistakes};
use privacy::{Rule, RuleEntry};

/// Rules of topics that have some.
pub(crate) type Rules = BTreeMap<Topic, Vec<Rule>>;

/// A topic that says what is personal, and who else publishes to it.
pub(super) struct Written<'w> {
    pub(super) topic: &'w str,
    pub(super) entries: &'w [RuleEntry],
    /// A table that others insert into, by its setting.
    pub(super) outbox: Option<String>,
}

/// The rules of all of them.
///
/// # Errors
/// Every mistake.
pub(super) fn compile<'w>(
    all: impl Iterator<Item = Written<'w>>,
    is_layer: bool,
) -> Result<Rules, Vec<Mistake>> {
    let (mut rules, mut mistakes) = (Rules::new(), Mistakes::default());
    for Written { topic, entries, outbox } in all {
        let mut place = mistakes.at(&["events", "topics", topic, "pii"]);
        if !is_layer {
            place.note("is sealed by `yeoul serve` alone");
        } else if let Some(outbox) = outbox {
            let says = format!(
                "what `{outbox}` publishes cannot be sealed: a row is committed before it is read"
            );
            place.note(says);
        }
        let compiled = Rule::compile(entries, &mut place);
        // A name that is none is a mistake elsewhere.
        if let Ok(topic) = Topic::parse(topic) {
            rules.insert(topic, compiled);
        }
    }
    mistakes.or(rules)
}
