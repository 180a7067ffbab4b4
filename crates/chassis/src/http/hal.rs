//! Lists as HAL (`application/hal+json`'s members, served as JSON): one slice of a collection.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::query::Query;
use crate::schema::Schema;
use crate::wire;

/// The page size without a wish.
pub const SIZE_DEFAULT: u64 = 20;
/// The largest page.
pub const SIZE_MAX: u64 = 100;
/// The last page that can be asked for: what a row offset in an `i64` can hold.
pub const PAGE_MAX: u64 = i64::MAX as u64 / SIZE_MAX;

/// Which part of a list: `page` from 0, `size` rows each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Page number, from 0.
    pub page: u64,
    /// Rows a page, 1 to [`SIZE_MAX`].
    pub size: u64,
}

impl Slice {
    /// Reads `page` and `size`; mistakes are noted in the query.
    pub fn from_query(query: &mut Query) -> Slice {
        Slice {
            page: query.whole("page", 0..=PAGE_MAX, 0),
            size: query.whole("size", 1..=SIZE_MAX, SIZE_DEFAULT),
        }
    }

    /// How many rows come before.
    pub fn offset(&self) -> u64 {
        self.page * self.size
    }
}

wire! {
    Camel "camelCase":
    /// One slice of a collection.
    #[derive(Debug)]
    pub struct List {
        embedded as "_embedded": Embedded,
        links as "_links": Links,
        page: Page,
    }
}

/// The rows, under the collection's name.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Embedded(Map<String, Value>);

wire! {
    Camel "camelCase":
    #[derive(Debug)]
    struct Links {
        this as "self": Link,
        #[serde(skip_serializing_if = "Option::is_none")]
        next: Option<Link>,
        #[serde(skip_serializing_if = "Option::is_none")]
        prev: Option<Link>,
    }
}

wire! {
    Camel "camelCase":
    #[derive(Debug)]
    struct Link {
        href: String,
    }
}

wire! {
    Camel "camelCase":
    #[derive(Debug)]
    struct Page {
        size: u64,
        total_elements: u64,
        total_pages: u64,
        number: u64,
    }
}

impl Schema for Embedded {
    fn schema() -> Value {
        json!({ "type": "object" })
    }
}

/// The list `name` with the rows of `slice` out of `total`, found at `path`, which may end in a query.
pub fn collection(
    name: &str,
    items: &[impl Serialize],
    slice: Slice,
    total: u64,
    path: &str,
) -> List {
    let Slice { page: number, size } = slice;
    let total_pages = total.div_ceil(size);
    let mark = if path.contains('?') { '&' } else { '?' };
    let link = |page: u64| Link { href: format!("{path}{mark}page={page}&size={size}") };
    let last = total_pages.checked_sub(1);
    let links = Links {
        this: link(number),
        next: (number + 1 < total_pages).then(|| link(number + 1)),
        prev: last.filter(|_| number > 0).map(|last| link((number - 1).min(last))),
    };
    let embedded = Embedded(Map::from_iter([(name.to_owned(), json!(items))]));
    List { embedded, links, page: Page { size, total_elements: total, total_pages, number } }
}

/// The shape of the list `name` of what has the shape `item`.
pub fn shape(name: &str, item: &Value) -> Value {
    let mut list = List::schema();
    let embedded = &mut list["properties"]["_embedded"];
    embedded["properties"] = json!({ name: { "type": "array", "items": item } });
    embedded["required"] = json!([name]);
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(name: &str, items: &[u8], slice: Slice, total: u64, path: &str) -> Value {
        json!(collection(name, items, slice, total, path))
    }

    #[test]
    fn a_list_tells_its_slice_and_its_neighbours() {
        let list = written("orders", &[3, 4], Slice { page: 1, size: 2 }, 5, "/orders");
        assert_eq!(
            list,
            json!({
                "_embedded": { "orders": [3, 4] },
                "_links": {
                    "self": { "href": "/orders?page=1&size=2" },
                    "next": { "href": "/orders?page=2&size=2" },
                    "prev": { "href": "/orders?page=0&size=2" },
                },
                "page": { "size": 2, "totalElements": 5, "totalPages": 3, "number": 1 },
            })
        );
    }

    #[test]
    fn an_empty_list_has_no_pages() {
        let list = written("x", &[], Slice { page: 0, size: 20 }, 0, "/x");
        assert_eq!(list["page"]["totalPages"], 0);
        assert_eq!(list["_links"].as_object().map(Map::len), Some(1));
        let past = written("x", &[], Slice { page: 3, size: 20 }, 0, "/x");
        assert_eq!(past["_links"].as_object().map(Map::len), Some(1), "none before nothing");
    }

    #[test]
    fn a_list_has_the_shape_that_it_is_written_in() {
        let shape = shape("orders", &json!({ "type": "integer" }));
        let list = written("orders", &[3], Slice { page: 1, size: 1 }, 3, "/orders?of=a");
        assert_eq!(list["_links"]["next"]["href"], "/orders?of=a&page=2&size=1");
        let members = |value: &Value| -> Vec<String> {
            value.as_object().expect("an object").keys().cloned().collect()
        };
        for place in ["", "/_embedded", "/_links", "/page"] {
            let described = place.split('/').skip(1).fold(&shape, |at, it| &at["properties"][it]);
            let written = list.pointer(place).expect(place);
            assert_eq!(members(written), members(&described["properties"]), "{place}");
        }
        let rows = &shape["properties"]["_embedded"];
        assert_eq!(rows["properties"]["orders"]["items"], json!({ "type": "integer" }));
        assert_eq!(rows["required"], json!(["orders"]));
        assert_eq!(shape["properties"]["_links"]["required"], json!(["self"]));
    }
}
