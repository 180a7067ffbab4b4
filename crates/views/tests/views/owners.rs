//! Two pages with equal ids: a public one of products, a private one of customers, and a public one
//! of whatever an event says. Nothing of one is ever part of another, and `7` is not `"7"`.

use std::time::Duration;

use events::{Event, FeedPosition};
use serde_json::{Value, json};
use yeoul_views::{Changes, Encoding, Listed, Page, Slice, Waited};

use crate::mall::{Mall, block_on, event, open};

/// A product page and a customer page over views of their own, and one whose owners are of any kind.
fn settings() -> Value {
    let page = |path: &str, view: &str, by: &str, private: bool| {
        json!({"path": path, "view": view, "by": by, "private": private, "template": "t",
            "list": "rows", "live": {"row": view}})
    };
    let mut numbered = page("/numbered/{id}", "things", "owner", true);
    numbered["owners"] = json!("number");
    json!({
        "views": {
            "products": {"topics": ["product"], "key": "productId", "owner": "productId", "on": {
                "ProductChanged": {"create": {"productId": "event.productId", "name": "event.name"}},
                "ProductRenamed": {"update": {"name": "event.name"},
                    "where": {"productId": "event.productId"}}}},
            "orders": {"topics": ["order"], "key": "orderId", "owner": "customerId", "on": {
                "OrderPlaced": {"create": {"orderId": "event.orderId",
                    "customerId": "event.customerId"}}}},
            "things": {"topics": ["thing"], "key": "id", "owner": "owner", "on": {
                "Made": {"create": {"id": "event.id", "owner": "event.owner"}}}},
        },
        "pages": {
            "customer": page("/mypages/{id}", "orders", "customerId", true),
            "numbered": numbered,
            "product": page("/products/{id}", "products", "productId", false),
            "thing": page("/things/{id}", "things", "owner", false),
            "thing-of-text": page("/texts/{id}", "things", "owner", true),
        },
    })
}

const NONE: [Value; 0] = [];

struct World(Mall);

impl World {
    fn new() -> World {
        let folder = tempfile::tempdir().expect("a folder");
        World(Mall { views: open(folder.path(), &settings()), folder })
    }

    fn page(&self, name: &str) -> Page {
        self.0.views.pages().find(|page| page.name == name).expect("a page").clone()
    }

    /// The ids on a page, whatever its rows are keyed by.
    fn rows(&self, name: &str, owner: &str) -> Vec<Value> {
        let shown =
            block_on(self.0.views.page(&self.page(name), owner, Slice::first(20))).expect("a page");
        let listed = block_on(self.0.views.list(&self.page(name), Some(owner), Slice::first(20)));
        let Listed { rows, total } = listed.expect("a list");
        assert_eq!(shown.json["rows"], json!(rows), "page and list");
        assert_eq!(rows.len() as u64, total);
        rows.iter().map(key).collect()
    }

    fn position(&self, name: &str, owner: &str) -> FeedPosition {
        block_on(self.0.views.page(&self.page(name), owner, Slice::first(1)))
            .expect("a page")
            .position
    }

    fn after(&self, name: &str, owner: &str, after: &FeedPosition) -> Option<Vec<(String, Value)>> {
        match block_on(self.0.views.changes(&self.page(name), owner, after, 100)).expect("a read") {
            Changes::TooOld => None,
            Changes::Some(all) => {
                Some(all.into_iter().map(|one| (one.kind, key(&one.row))).collect())
            }
        }
    }
}

fn key(row: &Value) -> Value {
    ["productId", "orderId", "id"]
        .into_iter()
        .map(|name| row[name].clone())
        .find(|value| !value.is_null())
        .expect("a key")
}

fn product(sequence: u64, id: u64, name: &str) -> Event {
    let kind = if sequence == 1 { "ProductChanged" } else { "ProductRenamed" };
    event("product", sequence, kind, json!({"productId": id, "name": name}))
}

#[expect(clippy::needless_pass_by_value, reason = "data is made where it is given")]
fn placed(id: u64, customer: Value) -> Event {
    event("order", id, "OrderPlaced", json!({"orderId": id, "customerId": customer}))
}

#[expect(clippy::needless_pass_by_value, reason = "data is made where it is given")]
fn made(id: u64, owner: Value) -> Event {
    event("thing", id, "Made", json!({"id": id, "owner": owner}))
}

#[test]
fn a_public_pages_feed_never_tells_what_a_private_one_of_the_same_id_shows() {
    let world = World::new();
    let start = FeedPosition { sequence: 0, ..world.position("product", "7") };
    world.0.give(&[product(1, 7, "TV")]);
    world.0.give(&[placed(1, json!("7")), placed(2, json!("7"))]);
    world.0.give(&[product(2, 7, "Radio")]);
    let products = vec![("products".to_owned(), json!(7)), ("products".to_owned(), json!(7))];
    let orders = vec![("orders".to_owned(), json!(1)), ("orders".to_owned(), json!(2))];
    assert_eq!(world.after("product", "7", &start), Some(products));
    assert_eq!(world.after("customer", "7", &start), Some(orders));
}

#[test]
fn a_page_shows_and_counts_its_own_rows_alone() {
    let world = World::new();
    world.0.give(&[product(1, 7, "TV"), placed(1, json!("7")), placed(2, json!("7"))]);
    assert_eq!(world.rows("product", "7"), [json!(7)]);
    assert_eq!(world.rows("customer", "7"), [json!(1), json!(2)]);
    let version = |name: &str| {
        let page =
            block_on(world.0.views.page(&world.page(name), "7", Slice::first(1))).expect("a page");
        page.version
    };
    assert_eq!((version("product"), version("customer")), (1, 1));
    world.0.give(&[placed(3, json!("7"))]);
    assert_eq!((version("product"), version("customer")), (1, 2), "of the page that changed");
}

#[test]
fn the_cache_keeps_pages_of_one_id_apart_and_renders_again_what_changed() {
    let world = World::new();
    world.0.give(&[product(1, 7, "TV"), placed(1, json!("7"))]);
    let get = |name: &str| {
        let rendered = block_on(world.0.views.json(&world.page(name), "7", Encoding::Identity));
        rendered.expect("a page")
    };
    let (public, private) = (get("product"), get("customer"));
    assert_ne!(public.etag, private.etag);
    assert!(String::from_utf8_lossy(&public.body).contains("TV"));
    assert!(!String::from_utf8_lossy(&public.body).contains("orderId"));
    assert!(!String::from_utf8_lossy(&private.body).contains("TV"));
    world.0.give(&[placed(2, json!("7"))]);
    assert_eq!(get("product").etag, public.etag);
    assert_ne!(get("customer").etag, private.etag);
    let locale = world.0.views.locale("ko").expect("a locale");
    let html = |name: &str| {
        let rendered =
            block_on(world.0.views.html(&world.page(name), "7", locale, Encoding::Identity));
        rendered.expect("a page").etag.clone()
    };
    assert_ne!(html("product"), html("customer"));
}

#[test]
fn a_change_wakes_its_own_page_alone() {
    let world = World::new();
    let mut public = world.0.views.watch(&world.page("product"), "7");
    let mut private = world.0.views.watch(&world.page("customer"), "7");
    let woken = |watch: &mut yeoul_views::Watch| {
        block_on(async {
            tokio::time::timeout(Duration::from_millis(50), watch.changed()).await.is_ok()
        })
    };
    world.0.give(&[placed(1, json!("7"))]);
    assert!(woken(&mut private));
    assert!(!woken(&mut public), "the customer's change");
    world.0.give(&[product(1, 7, "TV")]);
    assert!(woken(&mut public));
    assert!(!woken(&mut private), "the product's change");
}

#[test]
fn a_stream_resumes_on_its_own_page_whatever_the_other_forgets() {
    let world = World::new();
    world.0.give(&[placed(1, json!("7")), product(1, 7, "TV")]);
    let start = world.position("customer", "7");
    for sequence in 2..=2 * yeoul_views::OWNER_CHANGES_KEPT + 2 {
        world.0.give(&[product(sequence, 7, &format!("TV {sequence}"))]);
    }
    world.0.give(&[placed(2, json!("7"))]);
    assert_eq!(world.after("product", "7", &start), None, "the product's own flood");
    let missed = vec![("orders".to_owned(), json!(2))];
    assert_eq!(world.after("customer", "7", &start), Some(missed));
    // A position is a place in one feed of all pages; elsewhere it tells nothing of this one.
    let elsewhere = world.position("product", "7");
    let own = Some(vec![("orders".to_owned(), json!(2))]);
    assert_eq!(world.after("customer", "7", &elsewhere), own);
}

#[test]
fn a_page_waits_for_the_topics_it_shows_and_for_no_other() {
    let world = World::new();
    let (short, long) = (Duration::from_millis(50), Duration::from_secs(30));
    let position = |source: &str| events::WritePosition::new(source, 1).for_key("7");
    let wait = |name: &str, source: &str, at_most| {
        block_on(world.0.views.wait_page(&world.page(name), &position(source), at_most))
    };
    assert_eq!(wait("product", "order", long), Ok(()), "another page's topic");
    assert_eq!(wait("customer", "order", short), Err(Waited::TooLate));
    assert_eq!(wait("product", "product", short), Err(Waited::TooLate));
    world.0.give(&[product(1, 7, "TV")]);
    assert_eq!(wait("product", "product", long), Ok(()));
    assert_eq!(wait("customer", "order", short), Err(Waited::TooLate), "the same key and number");
    world.0.give(&[placed(1, json!("7"))]);
    assert_eq!(wait("customer", "order", long), Ok(()));
}

#[test]
fn a_number_and_the_text_of_its_digits_are_two_owners() {
    let world = World::new();
    world.0.give(&[made(1, json!(7)), made(2, json!(7))]);
    assert_eq!(world.rows("thing", "7"), [json!(1), json!(2)], "the only 7 there is");
    assert_eq!(world.rows("thing-of-text", "7"), NONE, "a subject is text");
    assert_eq!(world.rows("numbered", "7"), [json!(1), json!(2)]);
    for other in ["07", "+7", "7.0", " 7", "", "\"7\""] {
        for page in ["thing", "thing-of-text", "numbered"] {
            assert_eq!(world.rows(page, other), NONE, "{page} {other:?}");
        }
    }
    let (number, start) = (world.position("numbered", "7"), world.position("thing", "7"));
    let mut watch = world.0.views.watch(&world.page("numbered"), "7");
    world.0.give(&[made(3, json!("7"))]);
    assert_eq!(world.rows("thing", "7"), [json!(3)], "text first");
    assert_eq!(world.rows("thing-of-text", "7"), [json!(3)]);
    assert_eq!(world.rows("numbered", "7"), [json!(1), json!(2)]);
    assert_eq!(world.after("numbered", "7", &number), Some(vec![]), "nothing of the text's");
    assert_eq!(world.after("thing", "7", &start), None, "another owner's page from here on");
    let slept = block_on(async {
        tokio::time::timeout(Duration::from_millis(50), watch.changed()).await.is_err()
    });
    assert!(slept, "the text's change woke the number's reader");
    let get = |name: &str| {
        let rendered = block_on(world.0.views.json(&world.page(name), "7", Encoding::Identity));
        rendered.expect("a page").etag.clone()
    };
    let before = (get("numbered"), get("thing-of-text"));
    world.0.give(&[made(4, json!(7))]);
    assert_ne!(get("numbered"), before.0);
    assert_eq!(get("thing-of-text"), before.1);
}

#[test]
fn nobody_is_not_everybody() {
    let world = World::new();
    world.0.give(&[
        made(1, json!(7)),
        made(2, json!("a")),
        made(3, json!(null)),
        made(4, json!("")),
    ]);
    for name in ["a", "", "x"] {
        assert_eq!(world.rows("numbered", name), NONE, "{name:?}");
    }
    assert_eq!(world.rows("thing", ""), NONE);
    let everybody = block_on(world.0.views.list(&world.page("thing"), None, Slice::first(20)));
    assert_eq!(everybody.expect("a list").total, 4);
}

#[test]
fn what_only_looks_like_a_number_is_nobodys_row_but_a_mistake_of_its_event() {
    let world = World::new();
    for owner in [json!(7.0), json!(7.5), json!(true)] {
        let refused = world.0.write(&[made(1, owner.clone())]);
        assert!(refused.is_err_and(|reason| reason.contains("an owner is")), "{owner}");
    }
    assert_eq!(world.rows("thing", "7"), NONE);
}
