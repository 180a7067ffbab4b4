//! Mistakes in settings: where, what, and the valid name that was most likely meant.
//!
//! All of them are collected before any is reported, so that one run of `check` mends a file.

/// One thing that is wrong in the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The way to it from [`Settings`](crate::Settings): `["views", "orders", "key"]`.
    pub path: Vec<String>,
    /// What is wrong, and what would be right.
    pub says: String,
}

/// Collects mistakes under a path that is walked along.
#[derive(Debug, Default)]
pub(crate) struct Mistakes {
    path: Vec<String>,
    found: Vec<Mistake>,
}

impl Mistakes {
    /// Does `work` one step further down.
    pub(crate) fn under<T>(&mut self, step: &str, work: impl FnOnce(&mut Mistakes) -> T) -> T {
        self.path.push(step.to_owned());
        let done = work(self);
        self.path.pop();
        done
    }

    /// Does `work` several steps further down.
    pub(crate) fn deep<T>(&mut self, steps: &[&str], work: impl FnOnce(&mut Mistakes) -> T) -> T {
        let depth = self.path.len();
        self.path.extend(steps.iter().map(|step| (*step).to_owned()));
        let done = work(self);
        self.path.truncate(depth);
        done
    }

    /// Notes a mistake where the walk stands.
    pub(crate) fn say(&mut self, says: impl Into<String>) {
        self.found.push(Mistake { path: self.path.clone(), says: says.into() });
    }

    /// Notes that `name` is no `what`, naming the nearest of `valid`.
    pub(crate) fn unknown<'n>(
        &mut self,
        what: &str,
        name: &str,
        valid: impl IntoIterator<Item = &'n str>,
    ) {
        self.say(unknown(what, name, valid));
    }

    /// Notes what `checked` refused; its value otherwise.
    pub(crate) fn take<T>(&mut self, checked: Result<T, String>) -> Option<T> {
        checked.map_err(|says| self.say(says)).ok()
    }

    /// Everything noted.
    pub(crate) fn found(self) -> Vec<Mistake> {
        self.found
    }
}

/// `unknown column, nearest is ...`, in one sentence.
pub(crate) fn unknown<'n>(
    what: &str,
    name: &str,
    valid: impl IntoIterator<Item = &'n str>,
) -> String {
    let nearest = valid.into_iter().min_by_key(|other| (distance(name, other), other.len()));
    match nearest {
        Some(nearest) => format!("unknown {what}. name=`{name}`, nearest=`{nearest}`"),
        None => format!("unknown {what}. name=`{name}`"),
    }
}

/// Levenshtein's distance, letters of either case being equal.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().flat_map(char::to_lowercase).collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, letter) in one.chars().flat_map(char::to_lowercase).enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (at, &against) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != against);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_single_letter_changes() {
        let cases = [
            ("", "", 0),
            ("a", "", 1),
            ("orderId", "orderid", 0),
            ("ordrId", "orderId", 1),
            ("kitten", "sitting", 3),
        ];
        for (one, other, expected) in cases {
            assert_eq!(distance(one, other), expected, "{one} {other}");
            assert_eq!(distance(other, one), expected, "{other} {one}");
        }
    }

    #[test]
    fn an_unknown_name_comes_with_its_nearest_neighbour() {
        let says = unknown("column", "ordrId", ["productId", "orderId", "owner"]);
        assert_eq!(says, "unknown column. name=`ordrId`, nearest=`orderId`");
        assert_eq!(unknown("view", "x", []), "unknown view. name=`x`");
    }
}
