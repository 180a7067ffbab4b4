//! Lists as HAL (`application/hal+json`'s members, served as JSON): one slice of a collection.

use serde::Serialize;
use serde_json::{Value, json};

use super::query::Query;

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

/// The list `name` with the rows of `slice` out of `total`, found at `path`.
pub fn collection(
    name: &str,
    items: &[impl Serialize],
    slice: Slice,
    total: u64,
    path: &str,
) -> Value {
    let pages = total.div_ceil(slice.size);
    let link = |page: u64| json!({ "href": format!("{path}?page={page}&size={}", slice.size) });
    let mut links = serde_json::Map::from_iter([("self".to_owned(), link(slice.page))]);
    if slice.page + 1 < pages {
        links.insert("next".to_owned(), link(slice.page + 1));
    }
    if slice.page > 0 && pages > 0 {
        links.insert("prev".to_owned(), link((slice.page - 1).min(pages - 1)));
    }
    json!({
        "_embedded": { name: items },
        "_links": links,
        "page": {
            "size": slice.size,
            "totalElements": total,
            "totalPages": pages,
            "number": slice.page,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_tells_its_slice_and_its_neighbours() {
        let list = collection("orders", &[3, 4], Slice { page: 1, size: 2 }, 5, "/orders");
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
        let list = collection("x", &[0u8; 0], Slice { page: 0, size: 20 }, 0, "/x");
        assert_eq!(list["page"]["totalPages"], 0);
        assert_eq!(list["_links"].as_object().map(serde_json::Map::len), Some(1));
    }
}
