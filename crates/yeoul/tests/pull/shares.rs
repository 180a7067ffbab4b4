//! Each tenant has its turn: in what is lent, after a kill, and in what an operator is shown.

use serde_json::{Value, json};

use super::support::{Folder, eventually};
use super::{Call, Served};

/// Stores events of these tenants, each of a key of its own.
fn publish(served: &Served, first: usize, tenants: &[&str]) {
    let event = |(at, tenant): (usize, &&str)| {
        let id = format!("{tenant}-{}", first + at);
        let mut event = json!({"specversion": "1.0", "id": id, "source": "/till", "type": "Paid",
            "subject": id, "data": {"won": 12000}});
        if !tenant.is_empty() {
            event["tenant"] = json!(tenant);
        }
        event
    };
    let batch: Vec<Value> = tenants.iter().enumerate().map(event).collect();
    let call = Call::new("POST", format!("{}/events/paid", served.inner));
    let batch = Value::from(batch).to_string();
    call.content("application/cloudevents-batch+json", batch).send().expect(200);
}

/// What the admin listener says of whose events wait.
fn shares(served: &Served) -> Value {
    let url = format!("{}/admin/subscriptions", served.admin);
    let all = Call::new("GET", url).send().expect(200).value();
    let bill = all.as_array().expect("a list").iter().find(|it| it["name"] == "bill.paid");
    bill.expect("it is there")["partitions"][0]["shares"].clone()
}

#[test]
fn each_tenant_has_its_turn_and_an_operator_sees_whose_events_wait() {
    let folder = Folder::new();
    let served = Served::on(&folder, ", share: tenant");
    publish(&served, 0, &["hog"; 30]);
    publish(&served, 30, &["a", "a", "", "b"]);
    let first = served.pull(6, &["hog-0", "a-30", "-32", "b-33", "hog-1", "a-31"]);
    served.ask("ack", &json!({"lease": first.token})).expect(200);
    // Of six that were handled four were ahead of the place; nobody is lent them again after a kill.
    let served = {
        drop(served);
        Served::on(&folder, ", share: tenant")
    };
    publish(&served, 34, &["b"]);
    served.pull(3, &["hog-2", "b-34", "hog-3"]);
    let report = eventually("it is shown whose events wait", || {
        let report = shares(&served);
        (report["waiting"] == 29).then_some(report)
    });
    assert_eq!((&report["count"], &report["most"][0]["share"]), (&json!(2), &json!("hog")));
    assert_eq!(report["most"][0]["waiting"], 28, "what is lent waits for its answer");
    let metrics = Call::new("GET", format!("{}/metrics", served.admin)).send().expect(200).text();
    for figure in ["yeoul_subscription_shares", "yeoul_subscription_share_waiting_max"] {
        let expected = if figure.ends_with("max") { 28 } else { 2 };
        let line = format!("{figure}{{subscription=\"bill.paid\"}} {expected}");
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
    let without = "yeoul_subscription_shares{subscription=\"every.many\"}";
    assert!(!metrics.contains(without), "where none have turns");
}
