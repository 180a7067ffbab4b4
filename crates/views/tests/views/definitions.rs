//! Settings that hold, and every mistake with its path and the nearest valid name.

use mistakes::{Mistake, unknown};
use serde_json::{Value, json};
use yeoul_views::{COLUMNS_MAX, Definitions, PAGE_SIZE_MAX, Settings};

use crate::mall;

fn compile(settings: Value) -> Result<Definitions, Vec<Mistake>> {
    let settings: Settings = serde_json::from_value(settings).expect("well-formed settings");
    Definitions::compile(&settings, &|name| match name {
        "mypage.html" => Ok(mall::TEMPLATE.to_owned()),
        "broken.html" => Ok("{% for %}".to_owned()),
        "filter.html" => Ok("{{ page.mileage | mony }}".to_owned()),
        _ => Err(unknown("template", name, ["mypage.html"])),
    })
}

/// The mistakes of the mall's settings with one member replaced (or removed, by null).
fn mistakes(pointer: &str, value: &Value) -> Vec<String> {
    let mut settings = mall::settings();
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    let parent = settings.pointer_mut(parent).expect("a place").as_object_mut().expect("a map");
    if value.is_null() {
        parent.remove(name);
    } else {
        parent.insert(name.to_owned(), value.clone());
    }
    let found = compile(settings).err().unwrap_or_default();
    found.iter().map(|mistake| format!("{}: {}", mistake.path.join("."), mistake.says)).collect()
}

#[test]
fn the_malls_settings_hold() {
    let definitions = compile(mall::settings()).expect("no mistakes");
    let topics: Vec<String> = definitions.topics().into_iter().collect();
    assert_eq!(topics, ["account", "delivery", "order", "product"]);
    let page = definitions.pages().next().expect("a page");
    let texts = (page.name.as_str(), page.path.as_str(), page.owner.as_str(), page.list.as_str());
    assert_eq!(texts, ("my-page", "/mypages/{customerId}", "customerId", "orders"));
    assert_eq!((page.own.as_deref(), page.private, page.size), (Some("/mypage"), true, 20));
}

#[test]
fn no_settings_at_all_hold() {
    let definitions = compile(json!({})).expect("no mistakes");
    assert!(definitions.topics().is_empty());
    assert_eq!(definitions.pages().count(), 0);
}

#[test]
fn every_mistake_names_its_place_and_the_nearest_name() {
    let cases = [
        (
            "/views/orders/key",
            json!("ordrId"),
            "views.orders.key: unknown column. name=`ordrId`, nearest=`orderId`",
        ),
        (
            "/views/orders/owner",
            json!("customer"),
            "views.orders.owner: unknown column. name=`customer`, nearest=`customerId`",
        ),
        ("/views/orders/topics", json!([]), "views.orders.topics: a view folds at least one topic"),
        (
            "/views/orders/on/OrderPlaced/create/payment",
            json!("evnt.price * 2"),
            "views.orders.on.OrderPlaced.create.payment: unknown name. name=`evnt`, nearest=`event`",
        ),
        (
            "/views/orders/on/OrderPlaced/where",
            json!({"orderId": "event.orderId"}),
            "views.orders.on.OrderPlaced.where: a create has no where: it sets the key",
        ),
        (
            "/views/orders/on/OrderPlaced/delete",
            json!(true),
            "views.orders.on.OrderPlaced: a rule has exactly one of create, update and delete",
        ),
        (
            "/views/orders/on/OrderConfirmed/where",
            json!({"ordrId": "event.orderId"}),
            "views.orders.on.OrderConfirmed.where.ordrId: unknown column. name=`ordrId`, nearest=`orderId`",
        ),
        (
            "/views/orders/on/OrderConfirmed/where",
            json!({}),
            "views.orders.on.OrderConfirmed.where: an update says which rows",
        ),
        (
            "/views/orders/on/OrderConfirmed/where",
            json!({"orderId": "event.orderId", "productId": "event.productId"}),
            "views.orders.on.OrderConfirmed.where: the key alone says which row. key=`orderId`",
        ),
        (
            "/views/orders/on/OrderForgotten/where",
            json!({"productId": "event.productId"}),
            "views.orders.on.OrderForgotten.where: the row is named by its key. key=`orderId`",
        ),
        (
            "/views/orders/on/OrderConfirmed/update",
            json!({"orderId": 1}),
            "views.orders.on.OrderConfirmed.update: the key does not change. key=`orderId`",
        ),
        (
            "/views/orders/computed/mileage",
            json!("paymnt // 10"),
            "views.orders.computed.mileage: unknown column. name=`paymnt`, nearest=`payment`",
        ),
        (
            "/views/orders/computed/mileage",
            json!("imageUrl ~ ''"),
            "views.orders.computed.mileage: computed from a column that a join sets. column=`imageUrl`",
        ),
        (
            "/views/orders/computed/payment",
            json!("quantity"),
            "views.orders.computed.payment: the column is set elsewhere too",
        ),
        (
            "/views/orders/hidden",
            json!(["mileag"]),
            "views.orders.hidden.0: unknown column. name=`mileag`, nearest=`mileage`",
        ),
        (
            "/views/customers/sums/mileage/of",
            json!("order.mileage"),
            "views.customers.sums.mileage.of: unknown view. name=`order`, nearest=`orders`",
        ),
        (
            "/views/customers/sums/mileage/of",
            json!("orders.miles"),
            "views.customers.sums.mileage.of: unknown column. name=`miles`, nearest=`mileage`",
        ),
        (
            "/views/customers/sums/mileage/of",
            json!("mileage"),
            "views.customers.sums.mileage.of: a sum is of `VIEW.COLUMN`. of=`mileage`",
        ),
        (
            "/views/customers/sums/mileage/where",
            json!({"customer": "username"}),
            "views.customers.sums.mileage.where.customer: unknown column. name=`customer`, nearest=`customerId`",
        ),
        (
            "/views/customers/sums/mileage/where",
            json!({"customerId": "nickname"}),
            "views.customers.sums.mileage.where.customerId: unknown key. name=`nickname`, nearest=`username`",
        ),
        (
            "/pages/my-page/view",
            json!("ordrs"),
            "pages.my-page.view: unknown view. name=`ordrs`, nearest=`orders`",
        ),
        (
            "/pages/my-page/head",
            json!("customer"),
            "pages.my-page.head: unknown view. name=`customer`, nearest=`customers`",
        ),
        (
            "/pages/my-page/head",
            json!("orders"),
            "pages.my-page.head: a head has one row for each owner: its view's key is its owner",
        ),
        (
            "/pages/my-page/by",
            json!("productId"),
            "pages.my-page.by: a page is by its view's owner. owner=`customerId`",
        ),
        (
            "/pages/my-page/order",
            json!("ordrId desc"),
            "pages.my-page.order: unknown column. name=`ordrId`, nearest=`orderId`",
        ),
        (
            "/pages/my-page/order",
            json!("orderId down"),
            "pages.my-page.order: unknown direction. name=`down`, nearest=`desc`",
        ),
        (
            "/pages/my-page/path",
            json!("/mypages"),
            "pages.my-page.path: a page's path has one parameter: `/NAME/{OWNER}`. path=`/mypages`",
        ),
        ("/pages/my-page/size", json!(0), "pages.my-page.size: a page has 1 to 100 rows. size=`0`"),
        (
            "/pages/my-page/size",
            json!(PAGE_SIZE_MAX + 1),
            "pages.my-page.size: a page has 1 to 100 rows. size=`101`",
        ),
        (
            "/pages/my-page/template",
            json!("mypag.html"),
            "pages.my-page.template: unknown template. name=`mypag.html`, nearest=`mypage.html`",
        ),
    ];
    for (pointer, value, says) in cases {
        let found = mistakes(pointer, &value);
        assert!(found.contains(&says.to_owned()), "{pointer} {value}: {found:#?}");
    }
    assert_eq!(mistakes("/pages/my-page/size", &json!(PAGE_SIZE_MAX)), [""; 0]);
}

#[test]
fn a_template_that_does_not_parse_or_run_is_a_mistake_with_its_line() {
    for template in ["broken.html", "filter.html"] {
        let found = mistakes("/pages/my-page/template", &json!(template));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("pages.my-page.template: "), "{found:?}");
        assert!(found[0].contains(&format!("{template}:1")), "{found:?}");
    }
}

#[test]
fn a_create_without_its_key_is_a_mistake() {
    let found = mistakes("/views/orders/on/OrderPlaced/create/orderId", &Value::Null);
    assert!(found.iter().any(|it| it.contains("views.orders.key: unknown column")), "{found:?}");
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let mut settings = mall::settings();
    settings["views"]["orders"]["owner"] = json!("customer");
    settings["views"]["customers"]["key"] = json!("user");
    settings["pages"]["my-page"]["view"] = json!("nothing");
    let found = compile(settings).err().expect("mistakes");
    let places: Vec<String> = found.iter().map(|mistake| mistake.path.join(".")).collect();
    for place in ["views.orders.owner", "views.customers.key", "pages.my-page.view"] {
        assert!(places.contains(&place.to_owned()), "{places:?}");
    }
}

#[test]
fn columns_are_counted_and_named_within_limits() {
    let with = |columns: usize| {
        let create: serde_json::Map<String, Value> =
            (0..columns).map(|at| (format!("c{at}"), json!("event.a"))).collect();
        json!({"views": {"v": {"topics": ["t"], "key": "c0", "owner": "c0",
            "on": {"E": {"create": create}}}}})
    };
    assert!(compile(with(COLUMNS_MAX)).is_ok());
    assert!(compile(with(COLUMNS_MAX + 1)).is_err());
    for name in ["_created", "a b", "1a", "a\"b", ""] {
        let found = mistakes("/views/orders/on/OrderPlaced/create/x", &json!("time"));
        assert_eq!(found, [""; 0]);
        let pointer = format!("/views/orders/on/OrderPlaced/create/{name}");
        assert_eq!(mistakes(&pointer, &json!("time")).len(), 1, "{name:?}");
    }
}

#[test]
fn two_joins_do_not_set_one_column_and_a_join_sets_nothing_others_hang_on() {
    let join = |update: Value, by: &str| json!({"update": update, "where": {by: "event.id"}});
    let cases = [
        (join(json!({"imageUrl": "event.a"}), "productName"), "two joins set the same column"),
        (join(json!({"customerId": "event.a"}), "productName"), "a join sets the owner"),
        (
            join(json!({"productId": "event.a"}), "productName"),
            "a join is on a column that a join sets",
        ),
        (join(json!({"orderState": "event.a"}), "productName"), "updated by key and by a join too"),
    ];
    for (rule, says) in cases {
        let found = mistakes("/views/orders/on/Other", &rule);
        assert!(found.iter().any(|it| it.contains(says)), "{rule}: {found:?}");
    }
    let sound = join(json!({"productNote": "event.a"}), "productId");
    assert_eq!(mistakes("/views/orders/on/Other", &sound), [""; 0]);
}

#[test]
fn names_that_differ_in_case_only_are_a_mistake() {
    let mistake_of = |change: &dyn Fn(&mut Value)| {
        let mut settings = mall::settings();
        change(&mut settings);
        let found = compile(settings).err().unwrap_or_default();
        let path = |mistake: &Mistake| (mistake.path.join("."), mistake.says.clone());
        let mut twins = found.iter().map(path).filter(|(_, says)| says.contains("in case only"));
        let first = twins.next();
        first.map(|(path, says)| format!("{path}: {says}"))
    };
    let says = |names: &str| format!("two names differ in case only. names={names}");
    type Change = Box<dyn Fn(&mut Value)>;
    let cases: Vec<(Change, String)> = vec![
        (
            Box::new(|it| {
                it["views"]["orders"]["on"]["OrderPlaced"]["create"]["orderid"] = json!("1");
            }),
            format!("views.orders.on.OrderPlaced.create.orderid: {}", says("`orderId`, `orderid`")),
        ),
        (
            Box::new(|it| {
                it["views"]["orders"]["on"]["OrderConfirmed"]["update"]["OrderState"] = json!("1");
            }),
            format!(
                "views.orders.on.OrderCancelled.update.orderState: {}",
                says("`OrderState`, `orderState`")
            ),
        ),
        (
            Box::new(|it| it["views"]["orders"]["computed"]["Payment"] = json!("payment")),
            format!("views.orders.computed.Payment: {}", says("`payment`, `Payment`")),
        ),
        (
            Box::new(|it| {
                it["views"]["customers"]["sums"]["NickName"] =
                    json!({"of": "orders.mileage", "where": {"customerId": "username"}});
            }),
            format!("views.customers.sums.NickName: {}", says("`nickname`, `NickName`")),
        ),
        (
            Box::new(|it| it["views"]["Orders"] = it["views"]["orders"].clone()),
            format!("views.orders: {}", says("`Orders`, `orders`")),
        ),
        (
            Box::new(|it| it["pages"]["My-Page"] = it["pages"]["my-page"].clone()),
            format!("pages.my-page: {}", says("`My-Page`, `my-page`")),
        ),
    ];
    for (change, expected) in cases {
        assert_eq!(mistake_of(&*change), Some(expected));
    }
    let apart: Change = Box::new(|it| it["views"]["orders_"] = it["views"]["orders"].clone());
    assert_eq!(mistake_of(&*apart), None);
}

#[test]
fn a_private_pages_owners_are_of_one_kind() {
    for (owners, fine) in [("text", true), ("number", true), ("either", false)] {
        let found = mistakes("/pages/my-page/owners", &json!(owners));
        assert_eq!(found.is_empty(), fine, "{found:?}");
        assert!(found.iter().all(|it| it.starts_with("pages.my-page.owners: ")), "{found:?}");
    }
    let mut settings = mall::settings();
    settings["pages"]["my-page"]["private"] = json!(false);
    settings["pages"]["my-page"]["owners"] = json!("either");
    assert!(compile(settings).is_ok());
}

#[test]
fn views_whose_names_read_like_anothers_index_can_be_opened() {
    let mut settings = mall::settings();
    for name in ["orders_by_orderId", "orders_join_0", "meta", "owner", "change", "joined"] {
        settings["views"][name] = settings["views"]["orders"].clone();
    }
    let folder = tempfile::tempdir().expect("a folder");
    drop(mall::open(folder.path(), &settings));
}
