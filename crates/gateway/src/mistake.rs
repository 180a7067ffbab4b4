//! Mistakes in settings: where and what. All of them are collected before any is reported.

/// One thing that is wrong in the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The way to it from the root of the file: `["routes", "order", "guard", "timeout"]`.
    pub path: Vec<String>,
    /// What is wrong, and what would be right.
    pub says: String,
}

/// Collects mistakes.
#[derive(Debug, Default)]
pub(crate) struct Mistakes(Vec<Mistake>);

impl Mistakes {
    /// Notes one.
    pub(crate) fn say(&mut self, path: &[&str], says: impl Into<String>) {
        let path = path.iter().map(|step| (*step).to_owned()).collect();
        self.0.push(Mistake { path, says: says.into() });
    }

    /// Notes what `checked` refused; its value otherwise.
    pub(crate) fn take<T>(&mut self, path: &[&str], checked: Result<T, String>) -> Option<T> {
        checked.map_err(|says| self.say(path, says)).ok()
    }

    /// Notes that `name` is no `what`, and what there is.
    pub(crate) fn unknown<'n>(
        &mut self,
        path: &[&str],
        what: &str,
        name: &str,
        known: impl Iterator<Item = &'n str>,
    ) {
        let known = known.collect::<Vec<_>>().join("`, `");
        self.say(path, format!("unknown {what}. name=`{name}`, known=`{known}`"));
    }

    /// `value` if nothing was noted.
    pub(crate) fn or<T>(self, value: T) -> Result<T, Vec<Mistake>> {
        if self.0.is_empty() { Ok(value) } else { Err(self.0) }
    }
}
