//! Mistakes in settings: where, what, and the valid name that was most likely meant.
//!
//! One type for whoever finds one, from the reader of the file to the compiler of the last rule. All of
//! them are collected before any is reported, so that one run of `check` mends a file. Who validates
//! knows the *path* of a setting and no more ([`Mistakes`] walks along it); the tree that was read
//! knows its line and adds it last, which keeps line numbers out of every type of settings.
//!
//! It does not know what the settings mean, nor what they are written in.

use std::fmt;
use std::ops::{Deref, DerefMut};

/// One thing that is wrong in the settings. The input was wrong: exit code 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where it stands; nothing until the tree that was read has been asked.
    pub line: Option<Line>,
    /// The way to the setting from the root: `["routes", "order", "guard", "timeout"]`; empty where
    /// the file itself is wrong.
    pub path: Vec<String>,
    /// What is wrong, and where it helps, what would be right.
    pub says: String,
}

/// A line of a file of settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The file as it was named on the command line, the name of an embedded one, or the
    /// environment variable.
    pub file: String,
    /// From 1; 0 where there is no line (environment).
    pub number: usize,
}

impl Mistake {
    /// A mistake at `path`, its line still to be found. A password in an address that it repeats is masked.
    pub fn new(path: &[impl AsRef<str>], says: impl Into<String>) -> Mistake {
        let path = path.iter().map(|step| step.as_ref().to_owned()).collect();
        Mistake { line: None, path, says: masked(&says.into()) }
    }

    /// The same, in this line.
    #[must_use]
    pub fn at(self, line: Line) -> Mistake {
        Mistake { line: Some(line), ..self }
    }

    /// The setting, dotted: `routes.order.guard.timeout`.
    pub fn setting(&self) -> String {
        self.path.join(".")
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Line { file, number }) = &self.line {
            write!(f, "{file}:{number}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.setting())?;
        }
        f.write_str(&self.says)
    }
}

/// Collects mistakes under a path that is walked along.
#[derive(Debug, Default)]
pub struct Mistakes {
    path: Vec<String>,
    found: Vec<Mistake>,
}

/// [`Mistakes`] some steps further down; dropped, the walk stands where it stood before.
#[derive(Debug)]
pub struct Below<'m> {
    mistakes: &'m mut Mistakes,
    depth: usize,
}

impl Mistakes {
    /// Does `work` one step further down.
    pub fn under<T>(&mut self, step: &str, work: impl FnOnce(&mut Mistakes) -> T) -> T {
        work(&mut self.at(&[step]))
    }

    /// Some steps further down, for one word: `mistakes.at(&["app", "paths"]).note("…")`.
    pub fn at(&mut self, steps: &[&str]) -> Below<'_> {
        // Where the walk goes back to; whatever was walked below, `drop` cuts off there.
        let depth = self.path.len();
        self.path.extend(steps.iter().map(|step| (*step).to_owned()));
        Below { mistakes: self, depth }
    }

    /// Notes a mistake where the walk stands.
    pub fn note(&mut self, says: impl Into<String>) {
        self.found.push(Mistake::new(&self.path, says));
    }

    /// Notes that `name` is no `what`, naming the nearest of `valid`.
    pub fn unknown<'n>(
        &mut self,
        what: &str,
        name: &str,
        valid: impl IntoIterator<Item = &'n str>,
    ) {
        self.note(unknown(what, name, valid));
    }

    /// Notes what `checked` refused; its value otherwise.
    pub fn take<T>(&mut self, checked: Result<T, String>) -> Option<T> {
        checked.map_err(|says| self.note(says)).ok()
    }

    /// `value` if nothing was noted.
    ///
    /// # Errors
    /// Everything that was noted.
    pub fn or<T>(self, value: T) -> Result<T, Vec<Mistake>> {
        if self.found.is_empty() { Ok(value) } else { Err(self.found) }
    }

    /// Everything noted.
    pub fn found(self) -> Vec<Mistake> {
        self.found
    }
}

impl Deref for Below<'_> {
    type Target = Mistakes;

    fn deref(&self) -> &Mistakes {
        self.mistakes
    }
}

impl DerefMut for Below<'_> {
    fn deref_mut(&mut self) -> &mut Mistakes {
        self.mistakes
    }
}

impl Drop for Below<'_> {
    fn drop(&mut self) {
        self.mistakes.path.truncate(self.depth);
    }
}

/// Without the passwords of addresses in it: `scheme://user:***@host`.
fn masked(says: &str) -> String {
    const AUTHORITY: &str = "://";
    let mut parts = says.split(AUTHORITY);
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text += AUTHORITY;
        let end = part.find(|one: char| one.is_whitespace() || "/`'\"".contains(one));
        let authority = &part[..end.unwrap_or(part.len())];
        // From the right: a password may have an `@` in it, a host has none.
        match authority.rsplit_once('@').and_then(|(who, _)| who.split_once(':')) {
            Some((user, password)) => {
                let rest = &part[user.len() + 1 + password.len()..];
                text += &format!("{user}:***{rest}");
            }
            None => text += part,
        }
    }
    text
}

/// Characters of a name that is compared with others at most.
const NEAREST_CHARS_MAX: usize = 100;

/// The most valid names that are listed beside the nearest one.
pub const LISTED_MAX: usize = 24;

/// `unknown column`, and the nearest there is, in one sentence.
pub fn unknown<'n>(what: &str, name: &str, valid: impl IntoIterator<Item = &'n str>) -> String {
    match nearest(name, valid) {
        Some(nearest) => format!("unknown {what}. name=`{name}`, nearest=`{nearest}`"),
        None => format!("unknown {what}. name=`{name}`"),
    }
}

/// As [`unknown`], with all the names that there are, while they are at most [`LISTED_MAX`].
pub fn unknown_of(what: &str, name: &str, valid: &[&str]) -> String {
    let says = unknown(what, name, valid.iter().copied());
    match valid.len() {
        0 => format!("{says}, known=none"),
        1..=LISTED_MAX => format!("{says}, known=`{}`", valid.join("`, `")),
        _ => says,
    }
}

/// The name that was most likely meant: the fewest letters inserted, deleted, replaced or swapped,
/// letters of either case being equal; of equals the shortest, then the first. None of a name that is longer than a
/// hundred characters, which may be anything that somebody sent: comparing takes the product of both lengths.
pub fn nearest<'n>(name: &str, valid: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    if name.chars().nth(NEAREST_CHARS_MAX).is_some() {
        return None;
    }
    let name = name.to_lowercase();
    let distance = |other: &str| strsim::damerau_levenshtein(&name, &other.to_lowercase());
    valid.into_iter().min_by_key(|other| (distance(other), other.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_nobody_typed_is_compared_with_nothing() {
        let long = "a".repeat(NEAREST_CHARS_MAX);
        assert_eq!(nearest(&long, ["b"]), Some("b"));
        assert_eq!(nearest(&(long + "a"), ["b"]), None);
    }

    #[test]
    fn the_nearest_name_is_the_one_with_the_fewest_changed_letters() {
        let names = ["productId", "orderId", "owner", "timeout"];
        let cases = [
            ("ordrId", Some("orderId")),
            ("ORDERID", Some("orderId")),
            ("onwer", Some("owner")),
            ("timeuot", Some("timeout")),
            ("product_id", Some("productId")),
        ];
        for (name, expected) in cases {
            assert_eq!(nearest(name, names), expected, "{name}");
        }
        assert_eq!(nearest("x", []), None);
    }

    #[test]
    fn a_password_in_an_address_is_not_repeated() {
        let cases = [
            (
                "is not one: `a://u:secret@h/d`, nor is x://h",
                "is not one: `a://u:***@h/d`, nor is x://h",
            ),
            ("a://u:se:cr@et@h", "a://u:***@h"),
            ("a://:secret@h:1/d?x=b://v:w@k", "a://:***@h:1/d?x=b://v:***@k"),
            ("a://u@h:5432/d at 12:00", "a://u@h:5432/d at 12:00"),
            ("a://h:80 mail u:v@w", "a://h:80 mail u:v@w"),
            ("://", "://"),
        ];
        for (says, expected) in cases {
            assert_eq!(Mistake::new(&["a"], says).says, expected);
        }
    }

    #[test]
    fn an_unknown_name_comes_with_its_nearest_neighbour() {
        let says = unknown("column", "ordrId", ["productId", "orderId", "owner"]);
        assert_eq!(says, "unknown column. name=`ordrId`, nearest=`orderId`");
        assert_eq!(unknown("view", "x", []), "unknown view. name=`x`");
        let says = unknown_of("name", "routez", &["name", "routes"]);
        assert_eq!(says, "unknown name. name=`routez`, nearest=`routes`, known=`name`, `routes`");
        assert_eq!(unknown_of("name", "x", &[]), "unknown name. name=`x`, known=none");
        let many = ["aa"; LISTED_MAX + 1];
        assert!(unknown_of("name", "a", &many[1..]).contains("known="));
        assert_eq!(unknown_of("name", "a", &many), "unknown name. name=`a`, nearest=`aa`");
    }

    #[test]
    fn a_mistake_is_shown_with_what_is_known_of_its_place() {
        let mut mistakes = Mistakes::default();
        mistakes.under("views", |it| it.at(&["orders", "key"]).note("is odd"));
        mistakes.at(&["pages"]).unknown("page", "my-pag", ["my-page"]);
        assert_eq!(mistakes.at(&["app"]).take(Err::<(), _>("is no path".to_owned())), None);
        mistakes.note("at the root");
        let found = mistakes.or(()).expect_err("four mistakes");
        let shown: Vec<String> = found.iter().map(Mistake::to_string).collect();
        assert_eq!(
            shown,
            [
                "views.orders.key: is odd",
                "pages: unknown page. name=`my-pag`, nearest=`my-page`",
                "app: is no path",
                "at the root",
            ]
        );
        let line = Line { file: "a.yaml".to_owned(), number: 7 };
        let placed = found[0].clone().at(line);
        assert_eq!(placed.to_string(), "a.yaml:7: views.orders.key: is odd");
        assert_eq!(Mistakes::default().or(3), Ok(3));
    }
}
