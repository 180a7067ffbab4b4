//! Whose events wait: for an operator who looks whose turn lags, and never a series for each.

use std::collections::HashMap;

use jiff::Timestamp;

use super::ShareName;

/// Shares that are named in a [report](SharesReport) at most.
pub const SHARES_REPORTED_MAX: usize = 5;

/// Whose events wait, of those that are read ahead and not settled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SharesReport {
    /// How many shares have some.
    pub count: usize,
    /// All of these events.
    pub waiting: usize,
    /// The [few](SHARES_REPORTED_MAX) with the most, the most first.
    pub most: Vec<ShareReport>,
}

/// One share's events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareReport {
    /// Which.
    pub name: ShareName,
    /// How many.
    pub waiting: usize,
    /// The time of the first.
    pub since: Timestamp,
}

/// An event that waits.
pub(crate) struct SharedEvent<'e> {
    pub(crate) share: &'e ShareName,
    pub(crate) time: Timestamp,
}

impl SharesReport {
    /// Of these events, the first of each share before its others.
    pub(crate) fn of<'e>(events: impl Iterator<Item = SharedEvent<'e>>) -> SharesReport {
        let mut all: HashMap<&ShareName, ShareReport> = HashMap::new();
        let mut waiting = 0;
        for SharedEvent { share, time } in events {
            waiting += 1;
            let new = || ShareReport { name: share.clone(), waiting: 0, since: time };
            all.entry(share).or_insert_with(new).waiting += 1;
        }
        let count = all.len();
        let mut most: Vec<ShareReport> = all.into_values().collect();
        most.sort_by(|one, other| {
            other.waiting.cmp(&one.waiting).then_with(|| one.name.value().cmp(&other.name.value()))
        });
        most.truncate(SHARES_REPORTED_MAX);
        SharesReport { count, waiting, most }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_few_with_the_most_are_named_and_all_are_counted() {
        let names: Vec<ShareName> = (0..=SHARES_REPORTED_MAX)
            .map(|at| if at == 2 { ShareName::none() } else { ShareName::of(&at.to_string()) })
            .collect();
        // Of the first one event, of the second two, …
        let events = names.iter().enumerate().flat_map(|(at, share)| {
            (0..=at).map(move |nth| {
                let time = Timestamp::from_second((at * 10 + nth) as i64).expect("in range");
                SharedEvent { share, time }
            })
        });
        let SharesReport { count, waiting, most } = SharesReport::of(events);
        assert_eq!((count, waiting), (6, 21));
        let named = |it: &ShareReport| {
            (it.name.value().map(str::to_owned), it.waiting, it.since.as_second())
        };
        let some = |name: &str| Some(name.to_owned());
        assert_eq!(
            most.iter().map(named).collect::<Vec<_>>(),
            [
                (some("5"), 6, 50),
                (some("4"), 5, 40),
                (some("3"), 4, 30),
                (None, 3, 20),
                (some("1"), 2, 10),
            ]
        );
    }
}
