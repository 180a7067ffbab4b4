//! One slice of a collection, with the count of the whole: what a list shows a page of.

pub(crate) mod store;

/// Items of one slice, and how many there are in all.
#[derive(Debug)]
pub(crate) struct Listed<T> {
    pub(crate) items: Vec<T>,
    pub(crate) total: u64,
}

impl<T> Listed<T> {
    /// The same slice of what `make` makes of each item.
    pub(crate) fn map<'l, U>(&'l self, make: impl FnMut(&'l T) -> U) -> Listed<U> {
        Listed { items: self.items.iter().map(make).collect(), total: self.total }
    }
}
