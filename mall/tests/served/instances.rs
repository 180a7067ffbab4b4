//! Two instances of each service on one store: neither sells what the other has sold.

use std::collections::BTreeSet;
use std::time::Duration;

use mall::Name;
use serde_json::json;

use crate::support::{Answer, CUSTOMER, Mall};

/// Orders that are placed at once, half of them at each instance.
const AT_ONCE: usize = 12;

#[test]
fn two_instances_race_for_the_last_piece_and_one_order_has_it() {
    let mall = Mall::start();
    let twins = mall.twins();
    let body = json!({"name": "LAST", "price": 1, "stock": 1, "stockPolicy": "cancel"});
    let created = mall.post(Name::Product, "/products", &body).send().is(201);
    let product = created.body["id"].as_u64().expect("an id");
    mall.settle();
    let body = json!({"productId": product, "quantity": 1, "customerId": CUSTOMER});
    let orders = at_once(|number| {
        let at = if number % 2 == 0 { &mall } else { &twins };
        at.post(Name::Order, "/orders", &body).send().is(201).body["id"].as_u64().expect("an id")
    });
    mall.settle();
    assert_eq!(orders.iter().collect::<BTreeSet<_>>().len(), AT_ONCE, "each has an id of its own");
    let placed = orders.iter().filter(|order| mall.state(**order) == "OrderPlaced").count();
    let over = orders.iter().filter(|order| mall.state(**order) == "OrderCancelled").count();
    assert_eq!((placed, over, mall.stock(product)), (1, AT_ONCE - 1, 0));
    assert_eq!(twins.stock(product), 0);
    let delivered = orders.iter().filter(|order| mall.delivery_of(**order).is_some()).count();
    assert_eq!(delivered, 1);
}

#[test]
fn a_key_is_good_for_one_order_at_whichever_instance() {
    let mall = Mall::start();
    let twins = mall.twins();
    let body = json!({"productId": 1, "quantity": 1, "customerId": CUSTOMER});
    for round in 0..5 {
        let key = format!("round {round}");
        let answers = at_once(|number| {
            let at = if number % 2 == 0 { &mall } else { &twins };
            at.post(Name::Order, "/orders", &body).header("idempotency-key", &key).send()
        });
        // Whoever comes while the first is on its way is told so, whoever comes later has its answer.
        assert!(answers.iter().all(|it| [201, 409].contains(&it.status)), "{answers:?}");
        let made = answers.iter().filter(|it| it.status == 201).map(|it| it.text.clone());
        assert_eq!(made.collect::<BTreeSet<_>>().len(), 1, "one order and one answer");
        let again = twins.post(Name::Order, "/orders", &body).header("idempotency-key", &key);
        again.send().is(201);
    }
    mall.settle();
    let list = mall.get(Name::Order, "/orders").send().is(200);
    assert_eq!(list.body["page"]["totalElements"], 5);
    assert_eq!(mall.stock(1), 10 - 5);
}

#[test]
fn pieces_that_arrive_at_both_are_all_there() {
    let mall = Mall::start();
    let twins = mall.twins();
    let before = mall.stock(1);
    at_once(|number| {
        let at = if number % 2 == 0 { &mall } else { &twins };
        let restock = json!({"quantity": number + 1});
        at.post(Name::Product, "/products/1/restock", &restock).send().is(200);
    });
    let arrived: u64 = (1..=AT_ONCE as u64).sum();
    assert_eq!((mall.stock(1), twins.stock(1)), (before + arrived, before + arrived));
    mall.settle();
    assert_eq!(mall.stock_at(Name::Order, 1), before + arrived);
}

/// A request to account's token endpoint.
fn token(mall: &Mall, form: &str) -> Answer {
    mall.ask(Name::Account, "POST", "/oauth/token").form(form).send()
}

fn renewed(mall: &Mall, refresh: &str) -> Answer {
    token(mall, &format!("grant_type=refresh_token&refresh_token={refresh}"))
}

fn signed_in(mall: &Mall) -> String {
    let form = "grant_type=password&username=1%40uengine.org&password=1";
    refresh_of(&token(mall, form).is(200))
}

fn refresh_of(answer: &Answer) -> String {
    answer.body["refresh_token"].as_str().expect("a token").to_owned()
}

#[test]
fn accounts_sign_with_one_key_and_renew_one_chain_whichever_is_asked() {
    let mall = Mall::start();
    let twins = mall.twins_later(Duration::ZERO);
    let keys = |mall: &Mall| mall.get(Name::Account, "/.well-known/jwks.json").send().is(200).body;
    assert_eq!(keys(&mall), keys(&twins));

    // The same token at both at once, again and again: all who hold it get the one that follows.
    let mut refresh = signed_in(&mall);
    for round in 0..4 {
        let answers =
            at_once(|number| renewed(if number % 2 == 0 { &mall } else { &twins }, &refresh));
        let next: BTreeSet<String> =
            answers.into_iter().map(|it| refresh_of(&it.is(200))).collect();
        assert_eq!(next.len(), 1, "round {round}");
        refresh = next.into_iter().next().expect("one");
    }
    // An access token of either opens the other.
    let access = renewed(&twins, &refresh).is(200).body["access_token"].clone();
    let bearer = format!("Bearer {}", access.as_str().expect("a token"));
    mall.get(Name::Account, "/oauth/me").header("authorization", &bearer).send().is(200);
}

#[test]
fn a_sign_in_that_ends_at_one_account_is_renewed_at_none() {
    let mall = Mall::start();
    let later = mall.twins_later(Duration::from_secs(31));
    for (here, there) in [(&mall, &later), (&later, &mall)] {
        let first = signed_in(here);
        let second = refresh_of(&renewed(there, &first).is(200));
        here.ask(Name::Account, "POST", "/oauth/revoke")
            .form(&format!("token={first}"))
            .send()
            .is(200);
        for at in [here, there] {
            assert_eq!(renewed(at, &second).is(400).body["error"], "invalid_grant");
        }
    }
    // A token that was used longer ago than other tabs may take is somebody else's: at whichever it is shown.
    let first = signed_in(&mall);
    let second = refresh_of(&renewed(&mall, &first).is(200));
    assert_eq!(refresh_of(&renewed(&mall, &first).is(200)), second, "within the time of grace");
    renewed(&later, &first).is(400);
    renewed(&mall, &second).is(400);
}

/// What each of so many threads came to.
fn at_once<T: Send>(act: impl Fn(usize) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let started: Vec<_> = (0..AT_ONCE)
            .map(|number| {
                scope.spawn({
                    let act = &act;
                    move || act(number)
                })
            })
            .collect();
        started.into_iter().map(|it| it.join().expect("it ends")).collect()
    })
}
