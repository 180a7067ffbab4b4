//! A page's rows as a HAL list, and its head alone: what other programs ask of a page.

use chassis::http::hal::{self, Slice};
use chassis::http::query::Query;
use chassis::http::{Problem, Response, json};
use http::header::{CACHE_CONTROL, VARY};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value};
use views::{Page, Views};

use super::{problem, say_stale};
use crate::plan::{List, PageHead};

const PRIVATE: HeaderValue = HeaderValue::from_static("private, no-cache");
const BY_TOKEN: HeaderValue = HeaderValue::from_static("Authorization, Cookie");

/// An owner's rows, or everybody's.
///
/// # Errors
/// 400 for a wrong query, 503 where the store cannot be read just now.
pub(crate) async fn rows(
    views: &Views,
    list: &List,
    page: &Page,
    owner: Option<&str>,
    parts: &Parts,
) -> Result<Response, Problem> {
    let slice = slice(Query::parse(parts.uri.query())?)?;
    let at = views::Slice {
        page: usize::try_from(slice.page).unwrap_or(usize::MAX),
        size: usize::try_from(slice.size).unwrap_or(usize::MAX),
    };
    let shown = views.list(page, owner, at).await.map_err(|error| problem(&error))?;
    let all = hal::collection(&list.name, &shown.rows, slice, shown.total, parts.uri.path());
    Ok(private(views.stale_since(page, owner), json(StatusCode::OK, &all)))
}

/// Which rows of a list are asked for.
pub(crate) fn slice(mut query: Query) -> Result<Slice, Problem> {
    let slice = Slice::from_query(&mut query);
    query.finish()?;
    Ok(slice)
}

/// An owner's head, the owner under the path's own name.
///
/// # Errors
/// 503 where the store cannot be read just now.
pub(crate) async fn head(
    views: &Views,
    head: &PageHead,
    page: &Page,
    owner: &str,
) -> Result<Response, Problem> {
    let shown =
        views.page(page, owner, views::Slice::first(1)).await.map_err(|error| problem(&error))?;
    let shown = head_of(head, page, owner, shown.json);
    Ok(private(views.stale_since(page, Some(owner)), json(StatusCode::OK, &shown)))
}

/// What is shown of a page's JSON: the owner under the path's own name, and the head's columns.
pub(crate) fn head_of(
    head: &PageHead,
    page: &Page,
    owner: &str,
    shown: Value,
) -> Map<String, Value> {
    let mut columns = Map::from_iter([(head.owner.clone(), Value::from(owner))]);
    let own = [page.owner.as_str(), page.list.as_str(), "version", "position"];
    if let Value::Object(members) = shown {
        let wished = |name: &String| match &head.fields {
            Some(fields) => fields.contains(name),
            None => !own.contains(&name.as_str()),
        };
        columns.extend(members.into_iter().filter(|(name, _)| wished(name)));
    }
    columns
}

fn private(since: Option<Timestamp>, mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, PRIVATE);
    headers.insert(VARY, BY_TOKEN);
    say_stale(since, headers);
    response
}
