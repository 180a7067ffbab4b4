//! Pages as JSON and HTML: slices, tags, codings, the cache, and that nothing old or foreign is
//! served.

use std::collections::BTreeSet;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use events::Handler;
use serde_json::json;
use yeoul_views::{Encoding, Error, Locale, PAGE_SIZE_MAX, Rendered, Slice, SortBy};

use crate::mall::{Mall, block_on, event, order};

fn with_orders(owner: &str, count: u64) -> Mall {
    let mall = Mall::new();
    let placed: Vec<_> =
        (1..=count).map(|id| event("order", id, "OrderPlaced", order(id, owner, 1, 1))).collect();
    mall.give(&placed);
    mall
}

fn ko(mall: &Mall) -> Locale {
    mall.views.locale("ko").expect("a locale")
}

fn html(mall: &Mall, owner: &str, locale: Locale, encoding: Encoding) -> Arc<Rendered> {
    block_on(mall.views.html(&mall.my_page(), owner, locale, encoding)).expect("a page")
}

fn text(rendered: &Rendered) -> String {
    let mut text = String::new();
    match rendered.encoding {
        Encoding::Identity => text = String::from_utf8_lossy(&rendered.body).into_owned(),
        Encoding::Gzip => {
            let mut reader = flate2::read::GzDecoder::new(&rendered.body[..]);
            reader.read_to_string(&mut text).map(drop).expect("gzip");
        }
        Encoding::Br => {
            let mut out = Vec::new();
            brotli::BrotliDecompress(&mut &rendered.body[..], &mut out).expect("brotli");
            text = String::from_utf8(out).expect("text");
        }
    }
    text
}

#[test]
fn a_page_is_cut_into_slices_newest_first() {
    let mall = with_orders("a@b", 7);
    let page = mall.my_page();
    let ids = |slice| {
        let shown = block_on(mall.views.page(&page, "a@b", slice)).expect("a page");
        let rows = shown.json["orders"].as_array().expect("a list");
        let ids: Vec<u64> =
            rows.iter().map(|row| row["orderId"].as_u64().expect("an id")).collect();
        let listed = block_on(mall.views.list(&page, Some("a@b"), slice)).expect("a list");
        assert_eq!(rows, &listed.rows, "page and list");
        (ids, listed.total)
    };
    let cases = [(0, 3, vec![7, 6, 5]), (2, 3, vec![1]), (3, 3, vec![]), (usize::MAX, 100, vec![])];
    for (page, size, expected) in cases {
        assert_eq!(ids(Slice { page, size }), (expected, 7), "{page} {size}");
    }
}

#[test]
fn a_slice_is_refused_one_past_its_limit() {
    let mall = with_orders("a@b", 1);
    let read = |size| block_on(mall.views.page(&mall.my_page(), "a@b", Slice { page: 0, size }));
    assert!(read(PAGE_SIZE_MAX).is_ok());
    assert!(matches!(read(PAGE_SIZE_MAX + 1), Err(Error::Limit { field: "size", .. })));
}

#[test]
fn rows_are_listed_by_any_column_with_their_total() {
    let mall = with_orders("a@b", 3);
    let listed = |order: Option<&SortBy>| {
        let listed =
            block_on(mall.views.rows("orders", "a@b", Slice::first(2), order)).expect("rows");
        let ids = listed.rows.iter().map(|row| row["orderId"].clone());
        (ids.collect::<Vec<_>>(), listed.total)
    };
    assert_eq!(listed(None), (vec![json!(1), json!(2)], 3));
    let newest = SortBy { column: "placedAt".to_owned(), descending: true };
    assert_eq!(listed(Some(&newest)), (vec![json!(3), json!(2)], 3));
    let unknown = block_on(mall.views.rows("order", "a@b", Slice::first(2), None));
    assert!(matches!(unknown, Err(Error::Unknown(says)) if says.contains("nearest=`orders`")));
    let unknown = SortBy { column: "placed".to_owned(), descending: true };
    assert!(block_on(mall.views.rows("orders", "a@b", Slice::first(2), Some(&unknown))).is_err());
}

#[test]
fn a_row_is_found_by_its_key_as_it_stands_in_a_path() {
    let mall = with_orders("a@b", 1);
    assert!(block_on(mall.views.row("orders", "1")).expect("a read").is_some());
    for key in ["01", "+1", "2", "", "x"] {
        assert_eq!(block_on(mall.views.row("orders", key)).expect("a read"), None, "{key:?}");
    }
}

#[test]
fn html_shows_the_page_and_carries_it_as_data() {
    let mall = with_orders("a@b", 2);
    let shown = text(&html(&mall, "a@b", ko(&mall), Encoding::Identity));
    assert!(shown.contains("<html lang=\"ko\">"), "{shown}");
    assert!(shown.contains("<script src=\"/app.js\"></script>"), "{shown}");
    assert!(shown.contains("<b>2 P1 ₩10,000 PENDING "), "{shown}");
    let (_, island) = shown.split_once("id=\"page\">").expect("an island");
    let island = island.split_once("</script>").expect("its end").0;
    let island: serde_json::Value = serde_json::from_str(island).expect("JSON");
    let slice =
        block_on(mall.views.page(&mall.my_page(), "a@b", Slice::first(20))).expect("a page");
    assert_eq!(island, slice.json);
}

#[test]
fn hostile_names_stay_text() {
    let mall = Mall::new();
    let mut data = order(1, "a@b", 1, 1);
    data["productName"] = json!("</script><script>alert(1)</script>");
    mall.give(&[event("order", 1, "OrderPlaced", data)]);
    let shown = text(&html(&mall, "a@b", ko(&mall), Encoding::Identity));
    assert!(!shown.contains("<script>alert"), "{shown}");
    assert_eq!(shown.matches("</script>").count(), 2, "{shown}");
}

#[test]
fn every_coding_is_the_same_page_under_a_tag_of_its_own() {
    let mall = with_orders("a@b", 20);
    let mut tags = BTreeSet::new();
    let expected = text(&html(&mall, "a@b", ko(&mall), Encoding::Identity));
    for encoding in Encoding::ALL {
        let page = html(&mall, "a@b", ko(&mall), encoding);
        assert_eq!(text(&page), expected);
        assert!(page.etag.starts_with('"') && page.etag.ends_with('"') && !page.etag.contains(' '));
        tags.insert(page.etag.clone());
        tags.insert(
            block_on(mall.views.json(&mall.my_page(), "a@b", encoding)).expect("JSON").etag.clone(),
        );
    }
    tags.insert(
        html(&mall, "a@b", mall.views.locale("en").expect("en"), Encoding::Br).etag.clone(),
    );
    assert_eq!(tags.len(), 7);
    assert_eq!(mall.views.locale("fr"), None);
}

#[test]
fn a_tag_stands_until_the_page_changes() {
    let mall = with_orders("a@b", 1);
    let tags = |mall: &Mall, owner: &str| {
        let html = html(mall, owner, ko(mall), Encoding::Br).etag.clone();
        (
            html,
            block_on(mall.views.json(&mall.my_page(), owner, Encoding::Br))
                .expect("JSON")
                .etag
                .clone(),
        )
    };
    let before = tags(&mall, "a@b");
    mall.give(&[event("order", 2, "OrderPlaced", order(2, "other@b", 1, 1))]);
    assert_eq!(tags(&mall, "a@b"), before);
    assert_ne!(tags(&mall, "c@b").0, tags(&mall, "d@b").0, "two owners without rows");
    mall.give(&[event("order", 3, "OrderConfirmed", order(1, "a@b", 1, 1))]);
    let after = tags(&mall, "a@b");
    assert!(after.0 != before.0 && after.1 != before.1);
}

#[test]
fn bytes_under_one_tag_are_the_same_after_opening_again() {
    let mall = with_orders("a@b", 3);
    mall.give(&[event("order", 9, "OrderPlaced", order(9, "other@b", 1, 1))]);
    let before = block_on(mall.views.json(&mall.my_page(), "a@b", Encoding::Br)).expect("JSON");
    let Mall { views, folder } = mall;
    drop(views);
    let views = crate::mall::open(folder.path(), &crate::mall::settings());
    let mall = Mall { views, folder };
    let after = block_on(mall.views.json(&mall.my_page(), "a@b", Encoding::Br)).expect("JSON");
    assert_eq!(*after, *before);
}

#[test]
fn a_resting_fold_is_said_on_the_page_and_changes_its_tag() {
    let mall = with_orders("a@b", 1);
    let fresh = html(&mall, "a@b", ko(&mall), Encoding::Identity);
    let since = "2026-11-23T00:00:00Z".parse().expect("a time");
    mall.views.set_stale(Some(since));
    assert_eq!(mall.views.stale_since(&mall.my_page(), Some("a@b")), Some(since));
    let stale = html(&mall, "a@b", ko(&mall), Encoding::Identity);
    assert!(text(&stale).contains("2026-11-23T00:00:00Z"));
    assert_ne!(stale.etag, fresh.etag);
    mall.views.set_stale(None);
    assert_eq!(mall.views.stale_since(&mall.my_page(), Some("a@b")), None);
    assert_eq!(*html(&mall, "a@b", ko(&mall), Encoding::Identity), *fresh);
}

#[test]
fn a_fold_that_comes_to_rest_while_a_page_is_made_is_said_by_its_tag_too() {
    const PAGES: usize = 2000;
    let mall = with_orders("a@b", 1);
    let since = "2026-11-23T00:00:00Z".parse().expect("a time");
    let show = || html(&mall, "a@b", ko(&mall), Encoding::Identity);
    let fresh = show().etag.clone();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            for page in (0..PAGES).map(|_| show()) {
                assert_eq!(text(&page).contains("2026-11-23T00:00:00Z"), page.etag != fresh);
            }
        });
        while !reader.is_finished() {
            mall.views.set_stale(Some(since));
            mall.views.set_stale(None);
        }
    });
}

#[test]
fn a_page_is_rendered_once_however_many_ask() {
    let mall = with_orders("a@b", 20);
    let (page, ko) = (mall.my_page(), ko(&mall));
    let asked = || block_on(mall.views.html(&page, "a@b", ko, Encoding::Br)).expect("a page");
    let pages: Vec<Arc<Rendered>> = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..8).map(|_| scope.spawn(asked)).collect();
        asking.into_iter().map(|one| one.join().expect("no panic")).collect()
    });
    assert!(pages.iter().all(|page| Arc::ptr_eq(page, &pages[0])));
}

#[test]
fn a_batch_nobody_is_told_of_still_makes_its_pages_anew() {
    let mall = with_orders("a@b", 1);
    let before = html(&mall, "a@b", ko(&mall), Encoding::Identity);
    let batch = mall.write(&[event("order", 2, "OrderConfirmed", order(1, "a@b", 1, 1))]);
    drop(batch.expect("folded"));
    let after = html(&mall, "a@b", ko(&mall), Encoding::Identity);
    assert!(after.version > before.version && after.etag != before.etag);
}

/// Ends the readers also where what they read fails.
struct Over<'f>(&'f AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Readers and the fold at once: once a commit was told, no reader sees a page from before it, and
/// nobody sees another's.
#[test]
fn under_load_no_page_is_older_than_what_was_committed() {
    let mall = Mall::new();
    let (page, ko) = (mall.my_page(), ko(&mall));
    let owners = ["a@b", "b@b", "c@b"];
    let committed: Vec<std::sync::atomic::AtomicU64> = owners.iter().map(|_| 0.into()).collect();
    let done = AtomicBool::new(false);
    let read = || {
        let mut seen = [0; 3];
        while !done.load(Ordering::Acquire) {
            for (at, owner) in owners.iter().enumerate() {
                let least = committed[at].load(Ordering::Acquire);
                let body = block_on(mall.views.html(&page, owner, ko, Encoding::Identity))
                    .expect("a page");
                let shown = text(&body);
                assert!(body.version >= least.max(seen[at]), "an older page");
                seen[at] = body.version;
                for other in owners.iter().filter(|other| *other != owner) {
                    assert!(!shown.contains(other), "another's page");
                }
            }
        }
    };
    std::thread::scope(|scope| {
        let over = Over(&done);
        let readers = [scope.spawn(read), scope.spawn(read)];
        for round in 1..=60_u64 {
            for (at, owner) in owners.iter().enumerate() {
                let id = round * 3 + at as u64;
                let placed = event("order", id, "OrderPlaced", order(id, owner, 1, 1));
                let batch = mall.write(&[placed]).expect("folded");
                mall.views.fold().committed(batch);
                committed[at].store(round, Ordering::Release);
            }
        }
        drop(over);
        for reader in readers {
            reader.join().expect("a reader's assertion");
        }
    });
}
