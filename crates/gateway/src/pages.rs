//! An owner's page, from the views to HTTP: JSON or static HTML, in the client's language and coding,
//! sent again only when it changed, never older than the write that the client names.
//!
//! The owner has been compared with the principal before anything here looks at the cache. A page
//! that is cached costs two look-ups in memory and its headers; nothing waits, nothing is parsed
//! that was not sent.

pub(crate) mod lists;
pub(crate) mod live;
pub(crate) mod wait;

use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use chassis::http::hal::PAGE_MAX;
use chassis::http::query::Query;
use chassis::http::{Body, Problem, Response, etag};
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use jiff::Timestamp;
use tracing::error;
use views::{Encoding, Locale, PAGE_SIZE_MAX, Page, Rendered, Slice, Views};

use crate::cookies;
use crate::html;
use crate::negotiation;

/// The ending that asks for HTML whatever `Accept` says.
pub(crate) const HTML_ENDING: &str = ".html";

/// `Yeoul-Stale-Since`: since when what is answered has not followed the events.
const STALE_SINCE: HeaderName = HeaderName::from_static("yeoul-stale-since");
const PRIVATE: HeaderValue = HeaderValue::from_static("private, no-cache");
const VARIES: HeaderValue =
    HeaderValue::from_static("Accept, Accept-Encoding, Accept-Language, Cookie");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The page as JSON.
///
/// # Errors
/// 400 for a wrong query, 503 where the store cannot be read just now.
pub(crate) async fn json(
    views: &Views,
    page: &Page,
    owner: &str,
    parts: &Parts,
) -> Result<Response, Problem> {
    let slice = slice(page, parts.uri.query())?;
    // What nearly everybody asks for, and the one slice that is kept rendered; any other is read for whoever
    // asks.
    if slice == Slice::first(page.size) {
        let encoding = negotiation::encoding(&parts.headers);
        let rendered = views.json(page, owner, encoding).await.map_err(|error| problem(&error))?;
        return Ok(answer(
            views.stale_since(page, Some(owner)),
            &parts.headers,
            &Representation::of(&rendered, JSON),
        ));
    }
    let shown = views.page(page, owner, slice).await.map_err(|error| problem(&error))?;
    let body = Bytes::from(shown.json.to_string());
    let mut hash = DefaultHasher::new();
    hash.write(&body);
    // By its bytes: a slice has no version of its own. The ending keeps it from being taken for the whole page's.
    let etag = format!("\"{:016x}-slice\"", hash.finish());
    let shown = Representation { etag: &etag, body, encoding: Encoding::Identity, kind: JSON };
    Ok(answer(views.stale_since(page, Some(owner)), &parts.headers, &shown))
}

/// The page as static HTML.
///
/// # Errors
/// 503 where the store cannot be read just now; 500 where the template fails.
pub(crate) async fn html(
    views: &Views,
    page: &Page,
    owner: &str,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let locale = locale(views, headers);
    let encoding = negotiation::encoding(headers);
    let rendered =
        views.html(page, owner, locale, encoding).await.map_err(|error| problem(&error))?;
    let mut response =
        answer(views.stale_since(page, Some(owner)), headers, &Representation::of(&rendered, HTML));
    let fields = response.headers_mut();
    html::guard(fields);
    if let Ok(language) = HeaderValue::from_str(views.locale_name(locale)) {
        fields.insert(CONTENT_LANGUAGE, language);
    }
    Ok(response)
}

/// Makes the app's page that of an address whose answer depends on the session.
pub(crate) fn vary_by_session(response: &mut Response) {
    response.headers_mut().insert(VARY, VARIES);
    response.headers_mut().insert(CACHE_CONTROL, PRIVATE);
}

/// A refusal of the views.
pub(crate) fn problem(refusal: &views::Error) -> Problem {
    if refusal.is_environment() {
        return Problem::unreadable();
    }
    error!(error = %refusal, "a page cannot be read");
    Problem::internal()
}

/// Says since when the page has not followed the events, if so.
pub(crate) fn say_stale(since: Option<Timestamp>, headers: &mut HeaderMap) {
    if let Some(since) = since
        && let Ok(value) = HeaderValue::try_from(since.to_string())
    {
        headers.insert(STALE_SINCE, value);
    }
}

/// Bytes and what is said of them.
struct Representation<'r> {
    etag: &'r str,
    body: Bytes,
    encoding: Encoding,
    kind: HeaderValue,
}

impl<'r> Representation<'r> {
    fn of(rendered: &'r Arc<Rendered>, kind: HeaderValue) -> Representation<'r> {
        let (etag, body) = (rendered.etag.as_str(), rendered.body.clone());
        Representation { etag, body, encoding: rendered.encoding, kind }
    }
}

fn answer(since: Option<Timestamp>, asked: &HeaderMap, shown: &Representation<'_>) -> Response {
    let known = etag::names(asked, IF_NONE_MATCH, shown.etag);
    let mut response =
        Response::new(if known { Body::empty() } else { Body::full(shown.body.clone()) });
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    // Room for these and for what the edge adds, so that the map is made once.
    headers.reserve(12);
    headers.insert(CACHE_CONTROL, PRIVATE);
    headers.insert(VARY, VARIES);
    headers.insert(ETAG, HeaderValue::from_str(shown.etag).expect("a tag is digits and letters"));
    if !known {
        headers.insert(CONTENT_TYPE, shown.kind.clone());
        if shown.encoding != Encoding::Identity {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(shown.encoding.as_str()));
        }
    }
    // With a 304 too: what the client has may have been fresh when it was sent, and is not known to be now.
    say_stale(since, headers);
    response
}

fn slice(page: &Page, query: Option<&str>) -> Result<Slice, Problem> {
    let Some(query) = query else { return Ok(Slice::first(page.size)) };
    slice_of(page, Query::parse(Some(query))?)
}

/// Which rows of a page are asked for.
pub(crate) fn slice_of(page: &Page, mut query: Query) -> Result<Slice, Problem> {
    let at = query.whole("page", 0..=PAGE_MAX, 0);
    let size = query.whole("size", 1..=PAGE_SIZE_MAX as u64, page.size as u64);
    query.finish()?;
    Ok(Slice { page: usize::try_from(at).unwrap_or(usize::MAX), size: size as usize })
}

/// The cookie's language, else the browser's, else the usual one.
fn locale(views: &Views, headers: &HeaderMap) -> Locale {
    let chosen = cookies::get(headers, cookies::LANGUAGE).and_then(|name| views.locale(name));
    chosen
        .or_else(|| negotiation::language(headers, |name| views.locale(name)))
        .unwrap_or_else(|| views.usual_locale())
}
