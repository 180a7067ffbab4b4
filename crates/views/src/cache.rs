//! Rendered pages, kept while their owner's stamp stands.
//!
//! An entry carries the stamp that was read *before* its rows were: if the rows changed meanwhile,
//! the stamp has moved or will, and the entry is worth nothing. So nothing is ever removed in time,
//! and no order of rendering, folding and reading serves a stale page. Page and owner are part of the
//! key and of the lock that keeps two from rendering the same: one owner's page is never another's,
//! and a private page is never what a public one of the same owner shows.
//!
//! Codings are made when first asked for, once an entry. Bounded by weight; what is little read
//! goes first.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use quick_cache::sync::Cache as Entries;
use quick_cache::{DefaultHashBuilder, Equivalent, Weighter};
use tokio::sync::{Mutex, MutexGuard};

use crate::encoding::Encoding;
use crate::render::{Locale, Rendered};
use crate::stamps::Stamp;

/// Bytes of rendered pages kept, all codings counted.
pub const CACHE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Pages expected, for the tables' first size.
const PAGES_EXPECTED: usize = 4096;

/// What an entry weighs beside its bodies.
const ENTRY_BYTES: u64 = 512;

/// Locks that renderings share.
const FLIGHTS: usize = 256;

/// What a page is rendered as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Format {
    Html(Locale),
    Json,
}

/// Whose page, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PageKey<'a> {
    pub(crate) owner: &'a str,
    pub(crate) page: usize,
    pub(crate) form: Format,
}

/// Under what a page was made: it is good while both still stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Made {
    pub(crate) stamp: Stamp,
    /// When the fold came to rest, in microseconds, where the page says so.
    pub(crate) stale_since: Option<i64>,
}

/// A page in all its codings.
pub(crate) struct CachedPage {
    made: Made,
    /// The entity tag without coding and quotes.
    tag: String,
    version: u64,
    body: Bytes,
    coded: [OnceLock<Arc<Rendered>>; Encoding::ALL.len()],
}

pub(crate) struct Cache {
    entries: Entries<OwnedPageKey, Arc<CachedPage>, Weight>,
    flights: Box<[Mutex<()>]>,
    hasher: DefaultHashBuilder,
}

/// An owned [`PageKey`].
#[derive(Clone)]
struct OwnedPageKey {
    owner: Box<str>,
    page: usize,
    form: Format,
}

#[derive(Clone)]
struct Weight;

impl CachedPage {
    pub(crate) fn new(made: Made, tag: String, version: u64, body: Bytes) -> CachedPage {
        CachedPage { made, tag, version, body, coded: Default::default() }
    }

    /// The page in a coding, made if nobody asked for it before.
    pub(crate) fn coded(&self, encoding: Encoding) -> Arc<Rendered> {
        let make = || {
            Arc::new(Rendered {
                etag: format!("\"{}-{}\"", self.tag, encoding.as_str()),
                body: encoding.encode(&self.body),
                encoding,
                version: self.version,
            })
        };
        // Who comes second waits for the first: packing one page twice costs more than the wait.
        Arc::clone(self.coded[encoding as usize].get_or_init(make))
    }
}

impl Cache {
    pub(crate) fn new(bytes_max: u64) -> Cache {
        Cache {
            entries: Entries::with_weighter(PAGES_EXPECTED, bytes_max, Weight),
            flights: (0..FLIGHTS).map(|_| Mutex::default()).collect(),
            hasher: DefaultHashBuilder::default(),
        }
    }

    /// The page, if it was made under what stands now.
    pub(crate) fn get(&self, asked: &PageKey<'_>, now: Made) -> Option<Arc<CachedPage>> {
        // An entry of before stays until it is written over: to remove it here would take the lock of writers.
        self.entries.get(asked).filter(|entry| entry.made == now)
    }

    /// The page as it was made of the rows that stand now, whatever it says of their age.
    pub(crate) fn get_of_any_age(&self, asked: &PageKey<'_>, now: Made) -> Option<Arc<CachedPage>> {
        self.entries.get(asked).filter(|entry| entry.made.stamp == now.stamp)
    }

    pub(crate) fn insert(&self, asked: &PageKey<'_>, entry: Arc<CachedPage>) {
        let key = OwnedPageKey { owner: asked.owner.into(), page: asked.page, form: asked.form };
        self.entries.insert(key, entry);
    }

    /// Held while a page is rendered: who comes meanwhile looks again instead.
    pub(crate) async fn flight(&self, asked: &PageKey<'_>) -> MutexGuard<'_, ()> {
        // Strangers that share a lock wait for one another now and then, and each finds its own page.
        let at = self.hasher.hash_one(asked) as usize % FLIGHTS;
        self.flights[at].lock().await
    }

    #[cfg(test)]
    fn weight(&self) -> u64 {
        self.entries.weight()
    }
}

impl OwnedPageKey {
    fn asked(&self) -> PageKey<'_> {
        PageKey { owner: &self.owner, page: self.page, form: self.form }
    }
}

impl Hash for OwnedPageKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.asked().hash(state);
    }
}

impl PartialEq for OwnedPageKey {
    fn eq(&self, other: &OwnedPageKey) -> bool {
        self.asked() == other.asked()
    }
}

impl Eq for OwnedPageKey {}

impl Equivalent<OwnedPageKey> for PageKey<'_> {
    fn equivalent(&self, key: &OwnedPageKey) -> bool {
        *self == key.asked()
    }
}

impl Weighter<OwnedPageKey, Arc<CachedPage>> for Weight {
    /// As if every coding were there and none had made the page smaller.
    fn weight(&self, key: &OwnedPageKey, entry: &Arc<CachedPage>) -> u64 {
        let codings = Encoding::ALL.len() as u64;
        entry.body.len() as u64 * codings + key.owner.len() as u64 + ENTRY_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(owner: &str, page: usize, form: Format) -> PageKey<'_> {
        PageKey { owner, page, form }
    }

    fn made(stamp: u64) -> Made {
        Made { stamp: [stamp, 0], stale_since: None }
    }

    fn entry(stamp: u64, body: &'static str) -> Arc<CachedPage> {
        Arc::new(CachedPage::new(
            made(stamp),
            format!("t{stamp}"),
            1,
            Bytes::from_static(body.as_bytes()),
        ))
    }

    #[test]
    fn an_entry_is_found_by_its_own_owner_page_and_form_alone() {
        let cache = Cache::new(CACHE_BYTES_MAX);
        let own = asked("a", 0, Format::Json);
        cache.insert(&own, entry(1, "A"));
        assert!(cache.get(&own, made(1)).is_some());
        let others = [
            asked("b", 0, Format::Json),
            asked("A", 0, Format::Json),
            asked("a", 1, Format::Json),
            asked("a", 0, Format::Html(Locale(0))),
            asked("", 0, Format::Json),
        ];
        for other in others {
            assert!(cache.get(&other, made(1)).is_none(), "{other:?}");
        }
    }

    #[test]
    fn an_entry_is_good_only_under_what_it_was_made_under() {
        let cache = Cache::new(CACHE_BYTES_MAX);
        let own = asked("a", 0, Format::Json);
        cache.insert(&own, entry(7, "A"));
        assert!(cache.get(&own, made(7)).is_some());
        assert!(cache.get(&own, made(6)).is_none());
        assert!(cache.get(&own, made(8)).is_none());
        assert!(
            cache.get(&own, Made { stamp: [7, 1], stale_since: None }).is_none(),
            "the number's"
        );
        assert!(cache.get(&own, Made { stamp: [7, 0], stale_since: Some(1) }).is_none());
    }

    #[test]
    fn a_coding_is_made_once_and_has_a_tag_of_its_own() {
        let entry = entry(1, "A page");
        let tags: Vec<String> =
            Encoding::ALL.iter().map(|&encoding| entry.coded(encoding).etag.clone()).collect();
        assert_eq!(tags, ["\"t1-br\"", "\"t1-gzip\"", "\"t1-identity\""]);
        assert!(Arc::ptr_eq(&entry.coded(Encoding::Br), &entry.coded(Encoding::Br)));
    }

    #[test]
    fn a_flood_of_owners_stays_under_the_limit() {
        let limit = 64 * 1024;
        let cache = Cache::new(limit);
        for owner in 0..10_000 {
            cache.insert(
                &asked(&owner.to_string(), 0, Format::Json),
                entry(1, "a body of some bytes"),
            );
            assert!(cache.weight() <= limit);
        }
        assert!(cache.weight() > limit / 4);
    }

    #[tokio::test]
    async fn a_flight_is_of_one_owner_page_and_form() {
        let cache = Cache::new(CACHE_BYTES_MAX);
        let own = asked("7", 0, Format::Json);
        let held = cache.flight(&own).await;
        let another = |other: PageKey<'_>| {
            // Flights share locks now and then: one of a few owners is surely not behind this one.
            let at = |asked: &PageKey<'_>| cache.hasher.hash_one(asked) as usize % FLIGHTS;
            assert_ne!(other, own);
            at(&other) != at(&own)
        };
        let pages: usize = (1..9).filter(|&page| another(asked("7", page, Format::Json))).count();
        assert!(pages > 4, "the page is part of the flight: {pages}");
        drop(held);
    }
}
