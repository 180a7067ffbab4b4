//! What is refused, and how; that a role is needed.

use support::Mall;

use super::*;

#[test]
fn whatever_is_wrong_with_what_is_asked_is_named_with_its_field() {
    let folder = Folder::new();
    let served = Served::on(&folder, "");
    for (asked, body, field) in [
        ("pull", json!({"limit": 0}), "limit"),
        ("pull", json!({"limit": 1001}), "limit"),
        ("pull", json!({"limit": "many"}), "limit"),
        ("pull", json!({"wait_s": 21}), "wait_s"),
        ("pull", json!({"wait_s": -1}), "wait_s"),
        ("pull", json!({"lease_s": 0}), "lease_s"),
        ("pull", json!({"lease_s": 3601}), "lease_s"),
        ("ack", json!({}), "lease"),
        ("ack", json!({"lease": 7}), "lease"),
        ("ack", json!({"lease": "x".repeat(65)}), "lease"),
        ("ack", json!({"lease": "x", "ids": "1"}), "ids"),
        ("ack", json!({"lease": "x", "ids": [1]}), "ids[0]"),
        ("ack", json!({"lease": "x", "ids": vec!["1"; 1001]}), "ids"),
        ("nack", json!({"ids": ["1"]}), "lease"),
        ("nack", json!({"lease": "x", "mode": "later"}), "mode"),
        ("nack", json!({"lease": "x", "delay_s": 3601}), "delay_s"),
        ("nack", json!({"lease": "x", "mode": "silent", "delay_s": 1}), "delay_s"),
        ("nack", json!({"lease": "x", "reason": 7}), "reason"),
    ] {
        served.ask(asked, &body).refuses_field(field);
    }
    for (asked, body) in [("ack", json!({"lease": "x"})), ("nack", json!({"lease": "x"}))] {
        served.ask(asked, &body).problem(409);
    }
    for (asked, body, field) in [
        ("pull", r#"{"limit":1,"limit":2}"#, "limit"),
        ("pull", r#"{"wait_s":0,"lease_s":1,"wait_s":0}"#, "wait_s"),
        ("ack", r#"{"lease":"x","ids":[],"ids":["1"]}"#, "ids"),
        ("nack", r#"{"lease":"x","\u006cease":"y"}"#, "lease"),
        ("nack", r#"{"lease":"x","mode":"fail","mode":"fatal"}"#, "mode"),
        ("nack", r#"{"lease":"x","note":1,"note":2}"#, "note"),
    ] {
        let url = format!("{}/subscriptions/bill/{asked}", served.inner);
        Call::new("POST", url).content("application/json", body).send().refuses_field(field);
    }
    served.call("nobody", "pull", &json!({})).send().problem(404);
    let url = |asked: &str| format!("{}/subscriptions/bill/{asked}", served.inner);
    Call::new("POST", url("pull")).content("text/plain", "{}").send().problem(415);
    Call::new("POST", url("pull")).content("application/json", "[]").send().problem(400);
    Call::new("GET", url("pull")).send().problem(405);
    Call::new("POST", url("peek")).json(&json!({})).send().problem(404);
}

#[test]
fn more_who_wait_than_the_limit_are_told_when_to_come_back() {
    let folder = Folder::new();
    let served = Served::on(&folder, "");
    std::thread::scope(|scope| {
        for _ in 0..256 {
            scope.spawn(|| served.lent(&json!({"wait_s": 20})));
        }
        within(SOON, "all of them wait", || {
            (served.metric("yeoul_pull_waiting") > 255.5).then_some(())
        });
        let refused = served.ask("pull", &json!({"wait_s": 0}));
        let says = refused.problem(503)["detail"].to_string();
        assert!(says.contains("256 requests that wait for events"), "{says}");
        assert!(refused.header("retry-after").is_some());
        signal("TERM", served.program.pid());
    });
}

#[test]
fn at_the_gateway_it_needs_the_role_of_who_reads_topics() {
    let Some(folder) = Folder::owned() else { return };
    let settings = "events:\n  subscriptions:\n    mail: { topic: order, pull: true }\n";
    let file = overlay(folder.path(), "pull.yaml", settings);
    let mall = Mall::on(folder, &["-c", text(&file)]);
    let call = || mall.call("POST", "/subscriptions/mail/pull").json(&json!({"wait_s": 0}));
    call().send().problem(401);
    call().bearer(&mall.customer().token).send().problem(403);
    let sold = mall.sold();
    let order = sold.placed.id.to_string();
    let token = mall.admin().to_owned();
    let lent = within(SOON, "its events are lent", || {
        lent(&call().bearer(&token).send())
            .filter(|lent| lent.events.iter().any(|event| event["subject"] == order))
    });
    let body = json!({"lease": lent.token});
    let call = mall.call("POST", "/subscriptions/mail/ack").json(&body).bearer(&token);
    assert!(call.send().expect(200).value()["acknowledged"].as_u64() > Some(0));
    mall.call("POST", "/subscriptions/nobody/pull").json(&body).bearer(&token).send().problem(404);
}

#[test]
fn what_is_wrong_with_a_subscription_that_is_fetched_is_named_with_its_line() {
    let folder = Folder::new();
    for (members, says) in [
        ("pull: true", None),
        ("pull: true, attempts: 3, backoff: 1s", None),
        ("pull: true, share: event.tenant", None),
        ("pull: true, share: \"\"", Some("mail.share: is empty: name an attribute of the event")),
        ("pull: true, share: Tenant", Some("such as `event.customer.id`. share=`Tenant`")),
        ("pull: false", Some("must have `push: URL` or `pull: true`")),
        ("pull: true, push: \"http://mail.internal/\"", Some("`pull: true`, one of the two")),
        ("pull: true, concurrency: 4", Some("mail.concurrency: is of a subscription with `push`")),
        ("pull: true, timeout: 1s", Some("mail.timeout: is of a subscription with `push`")),
        ("pull: true, secret: YEOUL_TEST_SIGNING", Some("mail.secret: is of a subscription")),
        ("pull: true, attempts: 0", Some("must be 1 to 100. attempts=`0`")),
    ] {
        let yaml = format!(
            "events:\n  topics: {{ order: {{}} }}\n  subscriptions:\n    mail: {{ topic: order, {members} }}\n"
        );
        let file = overlay(folder.path(), "check.yaml", &yaml);
        let checked = run(&["check", "-c", text(&file)]);
        match says {
            None => drop(checked.expect(0)),
            Some(says) => {
                let found = checked.expect(1).stdout;
                assert!(
                    found.contains(says) && found.contains("check.yaml:4"),
                    "{members}: {found}"
                );
            }
        }
    }
}
