//! A page from the cache, or made and put there.
//!
//! The stamp is read first, then the rows; whoever waits for the same page meanwhile finds it made.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use super::Views;
use crate::cache::{CachedPage, Format, Made, PageKey};
use crate::encoding::Encoding;
use crate::error::Error;
use crate::page::{Page, PageJson, Slice};
use crate::render::{Locale, Rendered};

/// How long a page may be in the making, its wait for others that are made included: a store that stands still holds up
/// nobody longer.
const MADE_WITHIN: Duration = Duration::from_secs(5);

pub(super) async fn html(
    views: &Views,
    page: &Page,
    owner: &str,
    locale: Locale,
    encoding: Encoding,
) -> Result<Arc<Rendered>, Error> {
    let asked = PageKey { owner, page: page.index, form: Format::Html(locale) };
    let body = |shown: &PageJson, since| {
        let (templates, look) = (&views.side.generation.templates, &views.side.look);
        let locale = views.locale_name(locale);
        let rendered = templates.render(page, shown, look, locale, since);
        let failed = |what| Error::Template { page: page.name.clone(), what };
        rendered.map(Bytes::from).map_err(failed)
    };
    Ok(find(views, page, &asked, body).await?.coded(encoding))
}

pub(super) async fn json(
    views: &Views,
    page: &Page,
    owner: &str,
    encoding: Encoding,
) -> Result<Arc<Rendered>, Error> {
    let asked = PageKey { owner, page: page.index, form: Format::Json };
    let body = |shown: &PageJson, _| Ok(Bytes::from(shown.json.to_string()));
    Ok(find(views, page, &asked, body).await?.coded(encoding))
}

async fn find(
    views: &Views,
    page: &Page,
    asked: &PageKey<'_>,
    body: impl FnOnce(&PageJson, Option<Timestamp>) -> Result<Bytes, Error> + Send,
) -> Result<Arc<CachedPage>, Error> {
    // The way of nearly all requests: two look-ups in memory and no lock that a writer holds.
    if let Some(entry) = views.side.cache.get(asked, made(views, page, asked)) {
        return Ok(entry);
    }
    // On the heap: its state would be part of every request's.
    let making = Box::pin(make(views, page, asked, body));
    let late = || Err(events::Error::environment("the store takes too long").into());
    match tokio::time::timeout(MADE_WITHIN, making).await.unwrap_or_else(|_| late()) {
        // What was shown a moment ago is still what the rows were last known to say; its answer says since when.
        Err(error) if error.is_environment() => {
            let now = made(views, page, asked);
            views.side.cache.get_of_any_age(asked, now).ok_or(error)
        }
        made => made,
    }
}

async fn make(
    views: &Views,
    page: &Page,
    asked: &PageKey<'_>,
    body: impl FnOnce(&PageJson, Option<Timestamp>) -> Result<Bytes, Error> + Send,
) -> Result<Arc<CachedPage>, Error> {
    let cache = &views.side.cache;
    let _flight = cache.flight(asked).await;
    // Read again behind the lock, and before the rows: whoever held it has made the page meanwhile, or the
    // rows have moved, and then the older stamp makes this entry worth nothing at once.
    let made = made(views, page, asked);
    if let Some(entry) = cache.get(asked, made) {
        return Ok(entry);
    }
    let shown = views.page(page, asked.owner, Slice::first(page.size)).await?;
    let tag = tag(views, page, asked, &shown, made);
    // The very moment that the tag is of: the fold may rest, or go on, since it was read.
    let since = made.stale_since.and_then(|since| Timestamp::from_microsecond(since).ok());
    let entry = Arc::new(CachedPage::new(made, tag, shown.version, body(&shown, since)?));
    cache.insert(asked, Arc::clone(&entry));
    Ok(entry)
}

/// What stands now. JSON does not say that the fold rests.
fn made(views: &Views, page: &Page, asked: &PageKey<'_>) -> Made {
    let since = views.stale_since(page, Some(asked.owner)).map(Timestamp::as_microsecond);
    let stale_since = since.filter(|_| asked.form != Format::Json);
    let stamp = views.side.stamps.read(page.index, page.owners.meant(asked.owner));
    Made { stamp, stale_since }
}

/// Tells these bytes from all others that were or will be there, without looking at them: the
/// version, and all that the bytes depend on beside it. The owner is in it, because two owners may
/// meet the same address.
fn tag(views: &Views, page: &Page, asked: &PageKey<'_>, shown: &PageJson, made: Made) -> String {
    let (generation, look) = (&views.side.generation, &views.side.look);
    let mut hash = DefaultHasher::new();
    (&generation.feed_id, &page.name, page.size, asked, made.stale_since).hash(&mut hash);
    (&page.owner, &page.list, page.owners, page.view, page.head, page.order).hash(&mut hash);
    // JSON depends on none of these, and stays the same under another template.
    if asked.form != Format::Json {
        let source = generation.templates.source(page);
        (source, &look.app_head, &look.locales, &look.money).hash(&mut hash);
    }
    format!("{:016x}-{}", hash.finish(), shown.version)
}
