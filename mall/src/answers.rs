//! How a service answers: a row with its position, a list with its links.
//!
//! It knows no service and no request: what stands in an answer is given to it. Refusals are the
//! [edge](crate::edge)'s.

use chassis::http::hal::{self, Slice};
use chassis::http::query::Query;
use chassis::http::{Body, Problem, Response, json};
use events::store::Published;
use events::{Database, Error, Numbered, WritePosition};
use http::header::LOCATION;
use http::{HeaderName, HeaderValue, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use crate::condition::Representation;
use crate::listed::Listed;
use crate::settings::Name;

/// `Yeoul-Position`: up to where a write got.
pub(crate) const POSITION: HeaderName = HeaderName::from_static("yeoul-position");

/// What a write left in its row, and up to where it got.
pub(crate) struct Written<T> {
    pub(crate) row: T,
    pub(crate) wrote: Wrote,
}

/// Where a write got, as it is said inside of its transaction: numbers are given by the commit.
#[derive(Debug)]
pub(crate) struct Wrote {
    key: String,
    /// The event that says so; without one everything was as it is wanted before.
    published: Option<Published>,
}

/// A search's own parameter.
pub(crate) struct Filter<'f> {
    pub(crate) name: &'static str,
    pub(crate) value: &'f str,
}

impl Wrote {
    /// A write to what `key` names.
    pub(crate) fn new(key: &impl ToString, published: Option<Published>) -> Wrote {
        Wrote { key: key.to_string(), published }
    }

    /// Where it got, as its answer carries it; once it is committed.
    pub(crate) async fn position(
        &self,
        source: Name,
        database: &Database,
    ) -> Result<String, Error> {
        let number = match &self.published {
            Some(published) => published.number(),
            None => database.newest(&self.key).await?,
        };
        Ok(position(source, &self.key, number))
    }

    /// What is remembered of it: the event's id and its key, with a blank between, which a position has none of.
    pub(crate) fn remembered(&self) -> String {
        let id = self.published.as_ref().map(|published| published.id().to_string());
        id.map(|id| format!("{id} {}", self.key)).unwrap_or_default()
    }
}

/// The position of an answer that was remembered, from what [`Wrote::remembered`] kept of it. Where the event's row
/// is kept no more, it is the newest of its partition: at least as new. Answers of before kept the position itself.
pub(crate) async fn recalled(
    kept: &str,
    source: Name,
    database: &Database,
) -> Result<String, Error> {
    let Some((id, key)) = kept.split_once(' ') else { return Ok(kept.to_owned()) };
    let number = match database.number_of(id.parse()?, key).await? {
        Some(number) => number,
        None => database.newest(key).await?,
    };
    Ok(position(source, key, number))
}

fn position(source: Name, key: &str, number: Numbered) -> String {
    WritePosition::new(source.as_str(), number).for_key(key).to_string()
}

/// An answer to a write.
pub(crate) fn written(mut response: Response, position: &str) -> Response {
    let value = HeaderValue::try_from(position).expect("a token is URL-safe");
    response.headers_mut().insert(POSITION, value);
    response
}

/// 200 with a write's outcome.
pub(crate) fn changed(shown: Representation, position: &str) -> Response {
    written(shown.changed(), position)
}

/// 201 with what was made, and where it is.
pub(crate) fn created(value: &impl Serialize, location: &str, position: &str) -> Response {
    let mut response = written(json(StatusCode::CREATED, value), position);
    let location = HeaderValue::try_from(location).expect("our own paths are plain");
    response.headers_mut().insert(LOCATION, location);
    response
}

/// Which part of a list a query asks for, and nothing else.
pub(crate) fn slice(mut query: Query) -> Result<Slice, Problem> {
    let slice = Slice::from_query(&mut query);
    query.finish()?;
    Ok(slice)
}

/// What a search asks for.
pub(crate) struct Search<T> {
    /// Its own parameter.
    pub(crate) wanted: T,
    pub(crate) slice: Slice,
}

/// Reads the query of a search by `name`, which has to be there; `read` says what it may be.
pub(crate) fn search<T>(
    mut query: Query,
    name: &'static str,
    read: impl FnOnce(&mut Query) -> T,
) -> Result<Search<T>, Problem> {
    let slice = Slice::from_query(&mut query);
    if query.get(name).is_none() {
        query.note(name, "is missing");
    }
    let wanted = read(&mut query);
    query.finish()?;
    Ok(Search { wanted, slice })
}

/// A HAL list; `filter` is the search's own parameter, kept in the links.
pub(crate) fn list(
    name: &str,
    listed: &Listed<impl Serialize>,
    slice: Slice,
    path: &str,
    filter: Option<Filter<'_>>,
) -> Response {
    let path = filter.map_or_else(
        || path.to_owned(),
        |Filter { name, value }| {
            format!("{path}?{name}={}", utf8_percent_encode(value, IN_QUERIES))
        },
    );
    json(StatusCode::OK, &hal::collection(name, &listed.items, slice, listed.total, &path))
}

/// What is escaped in a value of a link's query: an address of somebody stays readable.
const IN_QUERIES: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'@');

/// An answer that must not be kept by anything on its way.
pub(crate) fn private(mut response: http::Response<Body>) -> Response {
    let value = HeaderValue::from_static("no-store");
    response.headers_mut().insert(http::header::CACHE_CONTROL, value);
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use serde_json::Value;

    use super::*;

    #[tokio::test]
    async fn the_links_of_a_search_keep_what_was_searched_for() {
        let slice = Slice { page: 0, size: 1 };
        let path = "/products/search/findByName";
        let filter = Some(Filter { name: "name", value: "T V&a" });
        let listed = Listed { items: vec!["TV"], total: 2 };
        let response = list("products", &listed, slice, path, filter);
        let body = response.into_body().collect().await.expect("a full body").to_bytes();
        let list: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(
            list["_links"]["next"]["href"],
            "/products/search/findByName?name=T%20V%26a&page=1&size=1"
        );
    }
}
