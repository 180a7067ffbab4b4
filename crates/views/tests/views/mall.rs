//! The mall's my page in small: its settings, a template, its events, and an open read side.

use std::sync::{Arc, LazyLock};

use events::subscription::Received;
use events::{Cause, Event, Handler, Numbered, Partition};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use views::{Batch, Definitions, Look, Money, Page, Settings, Slice, Views};
use yeoul_views as views;

/// What the template shows of a page.
pub(crate) const TEMPLATE: &str = "<!doctype html><html lang=\"{{ locale }}\"><head>{{ app_head }}</head>\
    <h1>{{ page.nickname }}</h1><p>{{ page.mileage }}</p>\
    {% if stale_since %}<i>{{ stale_since }}</i>{% endif %}\
    {% for order in page.orders %}<b>{{ order.orderId }} {{ order.productName }} \
    {{ order.payment | money }} {{ order.orderState }} {{ order.deliveryState }}</b>{% endfor %}\
    <script type=\"application/json\" id=\"page\">{{ island }}</script>";

/// The settings as the mall ships them.
pub(crate) fn settings() -> Value {
    let order = |state: &str| json!({"update": {"orderState": format!("'{state}'")}, "where": {"orderId": "event.orderId"}});
    let delivery = json!({
        "update": {"deliveryState": "event.deliveryState"}, "where": {"orderId": "event.orderId"}});
    json!({
        "views": {
            "orders": {
                "topics": ["order", "product", "delivery"],
                "key": "orderId",
                "owner": "customerId",
                "on": {
                    "OrderPlaced": {"create": {
                        "orderId": "event.orderId", "productId": "event.productId",
                        "productName": "event.productName", "imageUrl": "event.imageUrl",
                        "quantity": "event.quantity", "payment": "event.price * event.quantity",
                        "customerId": "event.customerId", "orderState": "'PENDING'",
                        "placedAt": "time"}},
                    "OrderConfirmed": order("OrderPlaced"),
                    "OrderCancelled": order("OrderCancelled"),
                    "OrderRejected": order("OrderRejected"),
                    "DeliveryStarted": delivery, "DeliveryCompleted": delivery,
                    "DeliveryCancelled": delivery, "DeliveryReturned": delivery,
                    "ProductChanged": {
                        "update": {"imageUrl": "event.imageUrl"},
                        "where": {"productId": "event.productId"}},
                    "OrderForgotten": {"delete": true, "where": {"orderId": "event.orderId"}},
                },
                "computed": {"mileage": "payment // 10 if orderState == 'OrderPlaced' \
                    and deliveryState != 'DeliveryReturned' else 0"},
                "hidden": ["customerId", "mileage"],
            },
            "customers": {
                "topics": ["account"],
                "key": "username",
                "owner": "username",
                "on": {
                    "UserRegistered": {"create": {"username": "event.username",
                        "nickname": "event.nickname", "address": "event.address"}},
                    "UserChanged": {
                        "update": {"nickname": "event.nickname", "address": "event.address"},
                        "where": {"username": "event.username"}},
                },
                "hidden": ["username"],
                "sums": {"mileage": {"of": "orders.mileage", "where": {"customerId": "username"}}},
            },
        },
        "pages": {
            "my-page": {
                "path": "/mypages/{customerId}", "own": "/mypage", "view": "orders",
                "by": "customerId", "head": "customers", "order": "orderId desc", "size": 20,
                "template": "mypage.html", "private": true,
                "live": {"row": "order", "head": "customer"}},
        },
    })
}

pub(crate) fn definitions(settings: &Value) -> Definitions {
    let settings: Settings = serde_json::from_value(settings.clone()).expect("settings");
    Definitions::compile(&settings, &|_| Ok(TEMPLATE.to_owned())).expect("no mistakes")
}

/// A read side in a folder of its own.
pub(crate) struct Mall {
    pub(crate) views: Views,
    pub(crate) folder: tempfile::TempDir,
}

pub(crate) fn clock() -> events::Clock {
    let time: Timestamp = "2026-11-23T00:00:00Z".parse().expect("a time");
    Arc::new(move || time)
}

impl Mall {
    pub(crate) fn new() -> Mall {
        let folder = tempfile::tempdir().expect("a folder");
        let views = open(folder.path(), &settings());
        Mall { views, folder }
    }

    pub(crate) fn my_page(&self) -> Page {
        self.views.pages().next().expect("one page").clone()
    }

    /// Gives events as one batch of a subscription, told after the commit.
    pub(crate) fn give(&self, events: &[Event]) {
        let batch = self.write(events).expect("folded");
        self.views.fold().committed(batch);
        let received = events.iter().filter_map(|event| {
            let up_to = Numbered { partition: Partition::FIRST, number: event.outbox_sequence? };
            Some(Received { source: event.source.clone(), up_to })
        });
        self.views.fold().received(&received.collect::<Vec<_>>());
    }

    /// Folds events and commits, without telling anybody.
    pub(crate) fn write(&self, events: &[Event]) -> Result<Batch, String> {
        block_on(self.fold(events.to_vec()))
    }

    /// The same, in a runtime that is there.
    pub(crate) async fn fold(&self, events: Vec<Event>) -> Result<Batch, String> {
        let work =
            self.views.database().write((self.views.fold(), events), |(fold, events), tx| {
                Box::pin(async move {
                    let mut batch = Batch::default();
                    for event in events {
                        let handled = fold.handle(&mut batch, tx, event).await;
                        handled.map_err(|failure| TestFailure(format!("{failure:?}")))?;
                    }
                    fold.flush(&mut batch, tx).await?;
                    Ok::<_, TestFailure>(batch)
                })
            });
        work.await.map_err(|TestFailure(reason)| reason)
    }

    pub(crate) fn json(&self, owner: &str) -> Value {
        block_on(self.read(owner))
    }

    /// The same, in a runtime that is there.
    pub(crate) async fn read(&self, owner: &str) -> Value {
        let page = self.views.page(&self.my_page(), owner, Slice { page: 0, size: 100 }).await;
        page.expect("a page").json
    }
}

/// Why a piece of work was taken back.
struct TestFailure(String);

impl From<events::Error> for TestFailure {
    fn from(error: events::Error) -> TestFailure {
        TestFailure(error.to_string())
    }
}

pub(crate) fn open(folder: &std::path::Path, settings: &Value) -> Views {
    crate::place::open(folder, definitions(settings), look(), clock())
}

pub(crate) fn look() -> Look {
    Look {
        app_head: "<script src=\"/app.js\"></script>".to_owned(),
        locales: vec!["ko".to_owned(), "en".to_owned()],
        money: Money { sign: "₩".to_owned(), decimals: 0 },
    }
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    // One for all: connections to a server belong to the runtime that opened them.
    static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime.worker_threads(2).enable_all().build().expect("a runtime")
    });
    RUNTIME.block_on(future)
}

/// An event of a service; `sequence` is the outbox's.
#[expect(clippy::needless_pass_by_value, reason = "data is made where it is given")]
pub(crate) fn event(source: &str, sequence: u64, kind: &str, data: Value) -> Event {
    let start: Timestamp = "2026-11-23T01:00:00Z".parse().expect("a time");
    let seconds = SignedDuration::from_secs(sequence.cast_signed());
    Event {
        id: format!("{source}-{sequence}"),
        source: source.to_owned(),
        kind: kind.to_owned(),
        subject: data["orderId"].to_string(),
        time: start.checked_add(seconds).expect("a time"),
        key: data["orderId"].to_string(),
        sequence,
        outbox_sequence: Some(sequence),
        outbox_previous: None,
        outbox_source: None,
        foreign: None,
        cause: Cause::default(),
        data: serde_json::value::to_raw_value(&data).expect("JSON"),
    }
}

/// What an order's events carry.
pub(crate) fn order(id: u64, customer: &str, product: u64, quantity: u64) -> Value {
    json!({"orderId": id, "productId": product, "productName": format!("P{product}"),
        "imageUrl": format!("/goods/img/{product}-old.png"), "quantity": quantity,
        "price": product * 10_000, "customerId": customer, "customerName": "", "customerAddr": ""})
}

/// What a delivery's events carry.
pub(crate) fn delivery(order: u64, state: &str) -> Value {
    json!({"deliveryId": order, "orderId": order, "deliveryState": state})
}

/// Numbers events of one source in the order they are published.
pub(crate) struct Publisher {
    source: &'static str,
    sequence: u64,
}

impl Publisher {
    pub(crate) fn new(source: &'static str) -> Publisher {
        Publisher { source, sequence: 0 }
    }

    pub(crate) fn say(&mut self, kind: &str, data: Value) -> Event {
        self.sequence += 1;
        event(self.source, self.sequence, kind, data)
    }
}
