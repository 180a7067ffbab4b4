//! Why a loop does not go on, and whether that passes by itself.
//!
//! Whoever reports on a process tells the two apart: a broker that is away is waited for, and nothing here needs anybody, while
//! a hurt record, a lost log or a loop that ended stays as it is until somebody comes.

use crate::error::Error;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// What is wrong, in words.
    pub(crate) says: String,
    /// It is its broker's or its store's, which is asked again.
    pub(crate) passes: bool,
}

impl Trouble {
    /// Somebody has to do something about it.
    pub(crate) fn lasting(says: String) -> Trouble {
        Trouble { says, passes: false }
    }

    /// What is said of an error.
    pub(crate) fn of(error: &Error, says: String) -> Trouble {
        Trouble { says, passes: error.is_environment() }
    }

    /// Of several the first that lasts, or else the first.
    pub(crate) fn worst(all: impl Iterator<Item = Trouble>) -> Option<Trouble> {
        all.reduce(|worst, one| if worst.passes && !one.passes { one } else { worst })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_is_told_before_what_passes_and_the_first_before_the_others() {
        let trouble = |it: &str| Trouble { says: it.to_owned(), passes: it.starts_with('p') };
        for (all, expected) in [
            (vec![], None),
            (vec!["p1", "p2"], Some("p1")),
            (vec!["p1", "l1", "p2", "l2"], Some("l1")),
            (vec!["l1", "p1"], Some("l1")),
        ] {
            let worst = Trouble::worst(all.iter().map(|it| trouble(it)));
            assert_eq!(worst, expected.map(trouble), "{all:?}");
        }
    }
}
