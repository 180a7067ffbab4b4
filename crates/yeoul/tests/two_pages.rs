//! Two pages with equal ids, a public one of products (whose ids are numbers) and a private one of
//! customers (whose ids are texts): what is kept for one is never part of the other, in the feed, the
//! versions, the cache, the wait for a position and the resumed stream.
//!
//! The customer is the text of a product's number: an administrator may order for anybody. The private
//! page is read at my page's own port, which believes its machine.

#[path = "support/lib.rs"]
mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{Answer, Call, Folder, Mall, Message, Stream, eventually, overlay};

const PAGES: &str = "\
views:
  goods:
    topics: [product]
    key: productId
    owner: productId
    on:
      ProductRestocked: { create: { productId: event.productId } }
      ProductChanged: { update: { name: event.productName }, where: { productId: event.productId } }
pages:
  goods: { path: '/goods-of/{id}', view: goods, by: productId, private: false, template: page.html, live: { row: good } }
  orders: { path: '/orders-of/{id}', view: orders, by: customerId, private: true, template: page.html, live: { row: order } }
";

/// Both pages of one id, and the mall that serves them.
struct World {
    mall: Mall,
    /// The product, whose digits are the customer.
    id: u64,
}

impl World {
    fn new() -> Option<World> {
        let folder = Folder::new();
        let file = overlay(folder.path(), "pages.yaml", PAGES);
        overlay(folder.path(), "page.html", "<p>{{ page.id }}</p>");
        let settings = ["--faults", "-c", file.to_str().expect("a path")];
        let mall = Mall::owned(&settings)?;
        let id = mall.product(1_000, "cancel");
        let world = World { mall, id };
        let restock = world.mall.call("POST", &format!("/products/{id}/restock"));
        restock.bearer(world.mall.admin()).json(&json!({"quantity": 1})).send().expect(200);
        eventually("the product is on its page", || {
            let page = world.goods().send().expect(200).value();
            page["goods"].as_array().is_some_and(|rows| rows.len() == 1).then_some(())
        });
        Some(world)
    }

    fn goods(&self) -> Call {
        self.mall.get(&format!("/goods-of/{}", self.id))
    }

    /// At my page's own port.
    fn orders(&self) -> Call {
        self.mall.at("mypage", "GET", &format!("/orders-of/{}", self.id))
    }

    fn stream(&self, page: &str, after: &str) -> Stream {
        let (base, name) = match page {
            "goods" => (self.mall.base("gateway"), "goods-of"),
            _ => (self.mall.base("mypage"), "orders-of"),
        };
        let path = format!("/{name}/{}/events?after={after}", self.id);
        Stream::open(base, &path, &[])
    }

    /// Orders for the customer; the position of the order.
    fn order(&self, name: &str) -> String {
        let customer = self.id.to_string();
        let body = json!({"productId": self.id, "quantity": 1, "customerId": customer,
            "customerName": name, "customerAddr": "Somewhere 1"});
        let call = self.mall.call("POST", "/orders").bearer(self.mall.admin()).json(&body);
        call.send().expect(201).must("yeoul-position").to_owned()
    }

    /// Gives the product another name; the position of the change.
    fn rename(&self, name: &str) -> String {
        let path = format!("/products/{}", self.id);
        let call = self.mall.call("PATCH", &path).bearer(self.mall.admin());
        let answer = call.json(&json!({ "name": name })).send().expect(200);
        answer.must("yeoul-position").to_owned()
    }
}

fn at(call: Call, position: &str) -> Answer {
    call.header("yeoul-position", position).send()
}

fn kinds(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.event.as_str()).collect()
}

fn position(page: &Value) -> String {
    page["position"].as_str().expect("a position").to_owned()
}

#[test]
fn the_private_page_is_nobodys_but_its_owners_whatever_the_public_one_shows() {
    let Some(world) = World::new() else { return };
    let placed = world.order("Seven");
    let orders = at(world.orders(), &placed).expect(200).value();
    assert_eq!(orders["orders"].as_array().map(Vec::len), Some(1));
    let path = format!("/orders-of/{}", world.id);
    for path in [path.clone(), format!("{path}/events")] {
        world.mall.get(&path).send().problem(401);
        world.mall.get(&path).bearer(world.mall.admin()).send().problem(404);
        let other = world.mall.customer();
        world.mall.get(&path).bearer(&other.token).send().problem(404);
    }
    let goods = at(world.goods(), &placed).expect(200);
    assert!(!goods.text().contains("orderId"), "{}", goods.text());
}

#[test]
fn versions_and_the_cache_of_one_page_never_move_with_the_other() {
    let Some(world) = World::new() else { return };
    let first = world.order("Seven");
    let (goods, orders) =
        (world.goods().send().expect(200), at(world.orders(), &first).expect(200));
    let tag = |answer: &Answer| answer.must("etag").to_owned();
    let (goods_tag, orders_tag) = (tag(&goods), tag(&orders));
    assert_ne!(goods_tag, orders_tag);
    // Neither page's tag is good for the other: what is kept is kept by page.
    world.goods().header("if-none-match", orders_tag.as_str()).send().expect(200);
    world.orders().header("if-none-match", goods_tag.as_str()).send().expect(200);
    let second = world.order("Seven");
    let orders = at(world.orders(), &second).expect(200);
    assert_ne!(tag(&orders), orders_tag);
    assert_eq!(orders.value()["orders"].as_array().map(Vec::len), Some(2));
    let unchanged = at(world.goods().header("if-none-match", goods_tag.as_str()), &second);
    let renamed = world.rename("Radio");
    let changed =
        at(world.goods().header("if-none-match", goods_tag.as_str()), &renamed).expect(200);
    // Stock moves with an order, but not on this page.
    assert_eq!(unchanged.status, 304, "an order changed the product's page");
    assert_eq!(changed.value()["goods"][0]["name"], "Radio");
    eventually("the customer's page is settled", || {
        let tag = tag(&world.orders().send().expect(200));
        support::pause(Duration::from_millis(300));
        (world.orders().header("if-none-match", tag).send().status == 304).then_some(())
    });
    let settled = tag(&world.orders().send().expect(200));
    let renamed = world.rename("Radio 2");
    at(world.goods(), &renamed).expect(200);
    let unchanged = world.orders().header("if-none-match", settled.as_str()).send();
    assert_eq!(unchanged.status, 304, "a name changed the customer's page");
}

#[test]
fn a_wait_for_one_pages_write_never_holds_up_the_other() {
    let Some(world) = World::new() else { return };
    world.mall.await_caught_up();
    world.mall.stop("mypage");
    let (placed, renamed) = (world.order("Seven"), world.rename("Clock"));
    let no_wait = |call: Call, position: &str| at(call.header("prefer", "wait=0"), position);
    // My page's own port is closed while it is stopped: the gateway goes on with what it knows.
    no_wait(world.goods(), &placed).expect(200);
    no_wait(world.goods(), &renamed).refusal(504);
    world.mall.start("mypage");
    at(world.goods(), &renamed).expect(200);
    at(world.orders(), &placed).expect(200);
}

#[test]
fn a_stream_resumes_on_its_own_page_from_any_position_of_either() {
    let Some(world) = World::new() else { return };
    let (first, named) = (world.order("Seven"), world.rename("Radio"));
    let orders = at(world.orders(), &first).expect(200).value();
    let goods = at(world.goods(), &named).expect(200).value();
    world.order("Seven");
    let last = world.rename("Radio 2");
    at(world.goods(), &last).expect(200);
    for after in [position(&orders), position(&goods)] {
        let mut stream = world.stream("goods", &after);
        let seen = stream.until("the last name", |it| it.data["name"] == "Radio 2");
        assert!(kinds(&seen).iter().all(|kind| *kind == "good"), "{seen:?}");
        let mut stream = world.stream("orders", &after);
        let seen = stream.until("the second order", |it| it.data["orderState"] == "OrderPlaced");
        assert!(kinds(&seen).iter().all(|kind| ["order", "reset"].contains(kind)), "{seen:?}");
        assert!(seen.iter().all(|it| it.data.get("name").is_none()), "{seen:?}");
    }
}

#[test]
fn a_stream_from_the_beginning_brings_its_own_page_and_is_woken_by_nothing_else() {
    let Some(world) = World::new() else { return };
    let start = position(&world.goods().send().expect(200).value());
    let (_, feed) = start.split_once('.').expect("a feed's name");
    let mut goods = world.stream("goods", &format!("f0.{feed}"));
    let mut orders = world.stream("orders", &format!("f0.{feed}"));
    goods.until("the product", |it| it.event == "good");
    world.mall.await_caught_up();
    world.order("Seven");
    orders.until("the order", |it| it.data["orderState"] == "OrderPlaced");
    let silent = goods.next_within(Duration::from_millis(700));
    assert!(silent.as_ref().is_none_or(|it| it.event == "alive"), "{silent:?}");
    world.rename("Radio");
    goods.until("the name", |it| it.data["name"] == "Radio");
    let silent = orders.next_within(Duration::from_millis(700));
    let own = |it: &Message| ["alive", "order"].contains(&it.event.as_str());
    assert!(silent.as_ref().is_none_or(own), "{silent:?}");
}
