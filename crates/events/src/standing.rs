//! How an outbox stands to what a broker has of it, where that counts no numbers: whether its rows may be relayed under the
//! numbers that they have.
//!
//! A store that was put back to an earlier moment, or made anew, gives numbers again that its topic has. What was
//! numbered here meanwhile, and answered, would be taken for second copies, and its readers would never see it. So before
//! anything is relayed the newest numbers that are there are compared with the rows of those numbers:
//!
//! | of a number that is there and was not relayed from here | its row here | so |
//! |---|---|---|
//! | | the same event | it was published before a kill, and goes again: a copy |
//! | | another event, or none | it was given in another life: nothing from there on goes under its number |
//!
//! What the relay noted as published, and what is the same on both sides, is of this life; rows behind both move up.
//! Which of those were published before the store was put back, further back than one looks, is not known: they are
//! published again as new events, because lost is worse than twice.
//!
//! Pure: what was found is an argument.

use crate::partition::Numbered;

/// A number that the broker has, and what is here under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) number: u64,
    pub(crate) own: Own,
}

/// What is here under a number that the broker has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Own {
    Same,
    Another,
    /// No row: it is kept no more, or was never there.
    Nothing,
}

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The relay goes on behind what it noted.
    Fits,
    /// Rows after `after` have numbers that were given before, up to `newest`.
    GivenTwice { after: u64, newest: u64 },
}

/// Where the relay of a partition noted to be at `relayed`, by what was found of its numbers.
pub(crate) fn standing(relayed: u64, found: &[Seen]) -> Standing {
    let same = found.iter().filter(|it| it.own == Own::Same).map(|it| it.number);
    let after = same.fold(relayed, u64::max);
    let newest = found.iter().fold(0, |newest, it| newest.max(it.number));
    match newest > after {
        true => Standing::GivenTwice { after, newest },
        false => Standing::Fits,
    }
}

/// What was found of a partition.
#[derive(Clone, Debug)]
pub(crate) struct Compared {
    /// How far the relay noted to be.
    pub(crate) relayed: Numbered,
    pub(crate) found: Vec<Seen>,
}

/// A number that another store gave, at the same time as this one or before this one was made; by what was found of all
/// partitions. Whoever relayed nothing yet published nothing of what is there, unless it is the same.
pub(crate) fn strange(partitions: &[Compared]) -> Option<Numbered> {
    let has_relayed = partitions.iter().any(|it| it.relayed.number > 0);
    let is_same = |of: &Compared| of.found.iter().any(|it| it.own == Own::Same);
    let has_published = has_relayed || partitions.iter().any(is_same);
    partitions.iter().find_map(|Compared { relayed, found }| {
        let is_strange = |it: &&Seen| match it.own {
            Own::Same => false,
            Own::Another if it.number <= relayed.number => true,
            Own::Another | Own::Nothing => !has_published,
        };
        found.iter().find(is_strange).map(|it| Numbered { number: it.number, ..*relayed })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::first;

    fn found(said: &str) -> Vec<Seen> {
        let own = |letter: char| match letter {
            '=' => Own::Same,
            '/' => Own::Another,
            _ => Own::Nothing,
        };
        (1..).zip(said.chars()).map(|(number, letter)| Seen { number, own: own(letter) }).collect()
    }

    #[test]
    fn rows_move_up_from_where_the_numbers_of_another_life_begin() {
        let twice = |after, newest| Standing::GivenTwice { after, newest };
        for (relayed, said, expected) in [
            (0, "", Standing::Fits),
            (3, "===", Standing::Fits),
            // Published, and killed before it was noted.
            (1, "===", Standing::Fits),
            // Noted, and kept no more on either side.
            (5, "--", Standing::Fits),
            // Put back, and nothing numbered since; then some were; then more than are there.
            (3, "===--", twice(3, 5)),
            (3, "===/-", twice(3, 5)),
            (3, "===//", twice(3, 5)),
            // What the relay had not noted when it was put back is there already.
            (1, "===//", twice(3, 5)),
            // Made anew.
            (0, "//---", twice(0, 5)),
            (0, "-----", twice(0, 5)),
        ] {
            assert_eq!(standing(relayed, &found(said)), expected, "{relayed} {said}");
        }
    }

    #[test]
    fn numbers_of_another_store_are_told_from_those_of_one_that_was_put_back() {
        for (relayed, said, expected) in [
            (0, "", None),
            (0, "==", None),
            (0, "==//", None),
            (2, "==--", None),
            (9, "--", None),
            (0, "--", Some(1)),
            (0, "/-", Some(1)),
            (3, "==/", Some(3)),
        ] {
            let compared = Compared { relayed: first(relayed), found: found(said) };
            let number = strange(std::slice::from_ref(&compared)).map(|it| it.number);
            assert_eq!(number, expected, "{relayed} {said}");
            // Beside a partition that has published nothing is nobody else's.
            let beside = Compared { relayed: first(0), found: found("-") };
            let both = strange(&[compared, beside]).map(|it| it.number);
            let own = relayed > 0 || said.contains('=');
            assert_eq!(both, expected.or((!own).then_some(1)), "{relayed} {said}");
        }
    }
}
