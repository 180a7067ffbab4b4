//! A data folder of the program before tables were called what their rows are called, opened by this
//! one.

use std::path::Path;
use std::sync::Arc;

use events::Log;
use events::store::{Database, Options};
use mall::Name;
use serde_json::{Value, json};

use crate::support::{ADMIN, CUSTOMER, Mall, components};

/// What remembered answers were kept in.
const REMEMBERED: &str = "CREATE TABLE remembered (
        number INTEGER PRIMARY KEY AUTOINCREMENT, principal TEXT NOT NULL, route TEXT NOT NULL,
        key TEXT NOT NULL, fingerprint BLOB NOT NULL, location TEXT NOT NULL,
        position TEXT NOT NULL, body TEXT NOT NULL, UNIQUE (principal, route, key)) STRICT;";
const WITH_ETAG: &str = "ALTER TABLE remembered ADD COLUMN etag TEXT NOT NULL DEFAULT '';";

const ORDER: &[&str] = &[
    "CREATE TABLE purchase (
        id INTEGER PRIMARY KEY AUTOINCREMENT, product_id INTEGER NOT NULL,
        product_name TEXT NOT NULL, image_url TEXT NOT NULL, quantity INTEGER NOT NULL,
        price INTEGER NOT NULL, customer_id TEXT NOT NULL, customer_name TEXT NOT NULL,
        customer_addr TEXT NOT NULL, state TEXT NOT NULL, reason TEXT,
        delivered INTEGER NOT NULL, sequence INTEGER NOT NULL, correlation TEXT NOT NULL) STRICT;
     CREATE INDEX purchase_by_customer ON purchase (customer_id, id);
     CREATE TABLE replica (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL, price INTEGER NOT NULL,
        stock INTEGER NOT NULL, image_url TEXT NOT NULL, stock_policy TEXT NOT NULL,
        version INTEGER NOT NULL, deleted INTEGER NOT NULL) STRICT;",
    REMEMBERED,
    WITH_ETAG,
];

/// Orders 1 and 2, and that 41 numbers were given.
const ORDERS: &str = "INSERT INTO purchase VALUES
        (1, 7, 'LAMP', '/lamp.svg', 2, 900, '1@uengine.org', '유엔진', '서울시', 'OrderPlaced',
         NULL, 1, 3, 'c-1'),
        (2, 7, 'LAMP', '/lamp.svg', 5, 900, '2@uengine.org', '여울', '부산시', 'OrderCancelled',
         'out of stock', 0, 2, 'c-2');
     UPDATE sqlite_sequence SET seq = 41 WHERE name = 'purchase';
     INSERT INTO replica VALUES (7, 'LAMP', 900, 30, '/lamp.svg', 'cancel', 4, 0);";

const PRODUCT: &[&str] = &[
    "CREATE TABLE article (
        id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, price INTEGER NOT NULL,
        stock INTEGER NOT NULL CHECK (stock >= 0), image_url TEXT NOT NULL,
        options TEXT NOT NULL, policy TEXT NOT NULL, version INTEGER NOT NULL,
        deleted INTEGER NOT NULL) STRICT;
     CREATE INDEX article_by_name ON article (name, id);
     CREATE TABLE decision (
        order_id INTEGER PRIMARY KEY, product_id INTEGER NOT NULL, quantity INTEGER NOT NULL,
        decision TEXT NOT NULL) STRICT;
     CREATE TABLE published (subject INTEGER PRIMARY KEY, sequence INTEGER NOT NULL) STRICT;
     CREATE TABLE seeded (one INTEGER PRIMARY KEY CHECK (one = 1)) STRICT;",
    REMEMBERED,
    WITH_ETAG,
];

/// Product 7, of which order 1 took two pieces.
const PRODUCTS: &str = "INSERT INTO article VALUES
        (7, 'LAMP', 900, 30, '/lamp.svg', '[]', 'cancel', 4, 0);
     INSERT INTO decision VALUES (1, 7, 2, 'taken');
     INSERT INTO published VALUES (1, 1), (7, 4);
     INSERT INTO seeded VALUES (1);";

const DELIVERY: &[&str] = &["CREATE TABLE parcel (
        id INTEGER PRIMARY KEY AUTOINCREMENT, order_id INTEGER NOT NULL UNIQUE,
        quantity INTEGER NOT NULL, product_id INTEGER NOT NULL, product_name TEXT NOT NULL,
        customer_id TEXT NOT NULL, customer_name TEXT NOT NULL, address TEXT NOT NULL,
        state TEXT NOT NULL, sequence INTEGER NOT NULL, correlation TEXT) STRICT;
     CREATE INDEX parcel_by_customer ON parcel (customer_id, id);
     CREATE TABLE tombstone (order_id INTEGER PRIMARY KEY) STRICT;"];

const DELIVERIES: &str = "INSERT INTO parcel VALUES
        (4, 1, 2, 7, 'LAMP', '1@uengine.org', '유엔진', '서울시', 'DeliveryCompleted', 2, 'c-1');
     INSERT INTO tombstone VALUES (2);";

/// The services' databases as an older program left them.
fn old_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        write(folder.path(), Name::Order, ORDER, ORDERS).await;
        write(folder.path(), Name::Product, PRODUCT, PRODUCTS).await;
        write(folder.path(), Name::Delivery, DELIVERY, DELIVERIES).await;
    });
    folder
}

async fn write(data: &Path, name: Name, schema: &'static [&str], rows: &'static str) {
    let folder = data.join(name.as_str());
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("service.db");
    let clock = chassis::clock::component();
    let database = Database::open(Options { path, schema, publishes: None, clock });
    let database = database.expect("it opens");
    for statement in rows.split_terminator(';') {
        let written = database.write(statement, |statement, tx| {
            Box::pin(async move { tx.execute(statement, &[]).await })
        });
        let written: Result<u64, events::Error> = written.await;
        written.expect("written");
    }
    database.close().await;
}

fn without_links(mut body: Value, list: &str) -> Value {
    body["_embedded"][list].take()
}

#[test]
fn an_upgrade_that_fails_half_way_leaves_the_folder_as_it_was() {
    // As far as it gets whole, which is to the migration before.
    const REACHED: &[&str] = &[ORDER[0], ORDER[1], ORDER[2], sessions::TABLE];
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    // The table can be renamed, and then the index that is to be made anew is not there.
    let damage = "DROP INDEX purchase_by_customer;";
    runtime.block_on(write(folder.path(), Name::Order, ORDER, ORDERS));
    runtime.block_on(write(folder.path(), Name::Order, ORDER, damage));
    let log = Log::open(folder.path(), &[], chassis::clock::component()).expect("the log opens");
    let any = "127.0.0.1:0".parse().expect("an address");
    let components = components(folder.path(), Arc::new(log), any);
    let opened = runtime.block_on(mall::order::Service::open(components));
    opened.err().expect("it cannot be upgraded");

    let still_there =
        "INSERT INTO purchase SELECT 3, product_id, product_name, image_url, quantity, price,
        customer_id, customer_name, customer_addr, state, reason, delivered, sequence, correlation
        FROM purchase WHERE id = 2;";
    runtime.block_on(write(folder.path(), Name::Order, REACHED, still_there));
}

#[test]
fn a_folder_of_an_older_program_opens_with_all_that_is_in_it_and_goes_on() {
    let mall = Mall::start_in(old_folder());
    let order = mall.get(Name::Order, "/orders/1").send().is(200);
    let expected = json!({
        "id": 1, "productId": 7, "productName": "LAMP", "quantity": 2, "price": 900,
        "customerId": "1@uengine.org", "customerName": "유엔진", "customerAddr": "서울시",
        "state": "OrderPlaced", "reason": null,
    });
    assert_eq!(order.body, expected);
    let mine = mall.get(Name::Order, "/orders").by(CUSTOMER).send().is(200);
    assert_eq!(without_links(mine.body, "orders"), json!([expected]));

    let product = mall.get(Name::Product, "/products/search/findByName?name=LAMP").send().is(200);
    assert_eq!(
        without_links(product.body, "products"),
        json!([{
            "id": 7, "name": "LAMP", "price": 900, "stock": 30, "imageUrl": "/lamp.svg",
            "options": [], "stockPolicy": "cancel", "version": 4,
        }])
    );
    let delivery = mall.delivery_of(1).expect("the delivery of the order");
    assert_eq!(delivery["deliveryId"], 4);

    // It goes on: a number is never given again, and what was decided is not decided again.
    assert_eq!(mall.order(7, 1), 42);
    mall.settle();
    assert_eq!(mall.state(42), "OrderPlaced");
    assert_eq!(mall.stock(7), 29);
    let returned = json!({"deliveryState": "DeliveryReturned"});
    mall.patch(Name::Delivery, "/deliveries/4", &returned).by(ADMIN).send().is(200);
    mall.settle();
    assert_eq!(mall.stock(7), 31);

    let mall = mall.restart();
    assert_eq!(mall.state(1), "OrderPlaced");
    assert_eq!(mall.stock(7), 31);
}
