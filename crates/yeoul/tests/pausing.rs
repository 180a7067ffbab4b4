//! A subscription that an operator pauses takes nothing: seen by everybody who looks, over restarts, and until it is
//! resumed.

#[path = "support/lib.rs"]
mod support;

use std::path::Path;

use serde_json::{Value, json};
use support::{Call, Folder, Mall, Outcome, SOON, eventually_is, is_elsewhere, run, text};

fn pause(name: &str, more: &[&str], data: &Path) -> Outcome {
    run(&[&["events", "pause", name, "--data", text(data)], more].concat())
}

fn resume(name: &str, data: &Path) -> Outcome {
    run(&["events", "resume", name, "--data", text(data)])
}

/// What the status says of it.
fn status(mall: &Mall, name: &str) -> Value {
    let all = mall.subscriptions();
    all.into_iter().find(|one| one["name"] == name).expect("a subscription")
}

/// It is named by readiness, metrics and `doctor`, and is no failure.
#[track_caller]
fn is_seen(mall: &Mall, name: &str, data: &Path) {
    let ready = mall.at("admin", "GET", "/readyz").send().expect(200).value();
    assert_eq!(ready["ready"], true, "{ready}");
    assert!(ready["paused"][name]["since"].is_string(), "{ready}");
    let metrics = mall.at("admin", "GET", "/metrics").send().expect(200).text();
    let line = format!("yeoul_subscription_paused{{subscription=\"{name}\"}} 1");
    assert!(metrics.contains(&line), "{metrics}");
    let report = run(&["doctor", "--data", text(data)]).expect(0).stdout;
    let expected = format!("RISK  {name}: takes nothing");
    assert!(report.contains(&expected) && report.contains("events resume"), "{report}");
}

#[test]
fn a_paused_service_takes_nothing_after_a_kill_either_and_goes_on_where_it_was() {
    let Some(mall) = Mall::owned(&[]) else { return };
    let (who, product) = (mall.customer(), mall.product(10, "cancel"));
    mall.settle();
    let data = mall.folder().data();
    let said = pause("product.order", &[], &data).expect(0).stdout;
    assert_eq!(said, "product.order takes nothing until it is resumed\n");
    let first = mall.order(&who, product, 1);
    eventually_is("it is behind", &json!(1), || status(&mall, "product.order")["lag"].clone());
    is_seen(&mall, "product.order", &data);

    let mall = Mall::on(mall.kill(), &[]);
    let second = mall.order(&who, product, 2);
    eventually_is("it is behind by both", &json!(2), || {
        status(&mall, "product.order")["lag"].clone()
    });
    is_seen(&mall, "product.order", &data);
    assert_eq!(
        (mall.order_now(first.id)["state"].clone(), mall.stock(product)),
        (json!("PENDING"), 10)
    );
    let old = || {
        let text = mall.at("admin", "GET", "/metrics").send().expect(200).text();
        let begins = "yeoul_subscription_lag_seconds{subscription=\"product.order\"} ";
        let line = text.lines().find_map(|line| line.strip_prefix(begins));
        line.expect("its age").parse::<f64>().expect("a number")
    };
    assert!(old() > 0.0, "what waits is older by the moment");
    resume("product.order", &data).expect(0);
    eventually_is("nothing is missing", &0.0, old);
    for order in [first, second] {
        mall.await_order(order.id, "OrderPlaced");
    }
    mall.await_stock(product, 7);
    assert_eq!(status(&mall, "product.order")["paused"], Value::Null);
    let ready = mall.at("admin", "GET", "/readyz").send().expect(200).value();
    assert_eq!(ready["paused"], Value::Null);
}

#[test]
fn a_folder_at_rest_is_told_too_and_a_view_that_is_paused_keeps_no_start_waiting() {
    let Some(mall) = Mall::owned(&[]) else { return };
    let (who, product) = (mall.customer(), mall.product(10, "cancel"));
    mall.settle();
    let (code, folder) = mall.stop_by("TERM", 2 * SOON);
    assert_eq!(code, 0);
    let data = folder.data();
    let unknown = pause("mail.order", &[], &data).expect(1);
    assert!(unknown.stderr.contains("no subscription called `mail.order`"), "{unknown:?}");
    pause("mypage.order", &["--until", "1h"], &data).expect(0);
    let report = run(&["doctor", "--data", text(&data)]).expect(0).stdout;
    assert!(report.contains("RISK  mypage.order: takes nothing until 20"), "{report}");

    let mall = Mall::on(folder, &[]);
    let placed = mall.order(&who, product, 1);
    mall.await_order(placed.id, "OrderPlaced");
    assert!(mall.row(&who, placed.id).is_none(), "nobody folds");
    assert!(status(&mall, "mypage.order")["paused"]["until"].is_string());
    // What is lag only because somebody wished it keeps no process from being ready, the next one's start neither.
    let mall = Mall::on(mall.kill(), &[]);
    is_seen(&mall, "mypage.order", &data);
    resume("mypage.order", &data).expect(0);
    mall.await_row(&who, placed.id, ("OrderPlaced", Some("DeliveryStarted")));
}

#[test]
fn who_pauses_over_http_is_told_what_is_wrong_with_it() {
    if is_elsewhere() {
        return;
    }
    let mall = Mall::on(Folder::new(), &[]);
    let ask = |name: &str, verb: &str| -> Call {
        mall.at("admin", "POST", &format!("/admin/subscriptions/{name}/{verb}"))
    };
    for until in ["soon", "2020-01-01T00:00:00Z", "0s", "99999d"] {
        ask("product.order", "pause")
            .json(&json!({ "until": until }))
            .send()
            .refuses_field("until");
    }
    ask("product.order", "pause").json(&json!({"until": 7})).send().refuses_field("until");
    ask("product.order", "pause").json(&json!({"untill": "1h"})).send().refuses_field("untill");
    ask("nosuch.order", "pause").send().problem(404);
    ask("nosuch.order", "resume").send().problem(404);
    assert_eq!(status(&mall, "product.order")["paused"], Value::Null, "nothing was done");
    let until = "2999-01-01T00:00:00Z";
    ask("product.order", "pause").send().expect(204);
    ask("product.order", "pause").json(&json!({ "until": until })).send().expect(204);
    assert_eq!(status(&mall, "product.order")["paused"]["until"], until);
    for _ in 0..2 {
        ask("product.order", "resume").send().expect(204);
    }
    assert_eq!(status(&mall, "product.order")["paused"], Value::Null);
    let data = mall.folder().data();
    for wrong in [&["--until", "soon"][..], &["--until", "2020-01-01T00:00:00Z"]] {
        let refused = pause("product.order", wrong, &data).expect(1);
        assert!(refused.stderr.contains("--until must be"), "{refused:?}");
    }
    pause("nosuch.order", &[], &data).expect(1);
    // Its own time over, it goes on by itself.
    pause("product.order", &["--until", "2s"], &data).expect(0);
    let placed = mall.order(&mall.customer(), mall.product(1, "cancel"), 1);
    mall.await_order(placed.id, "OrderPlaced");
}
