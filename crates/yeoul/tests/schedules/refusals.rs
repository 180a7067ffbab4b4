//! What is refused, and how.

use super::*;

/// A schedule whose body has these members changed; `null` takes one out.
fn changed(members: &Value) -> Value {
    let mut body = reminder("10m");
    for (name, value) in members.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body
}

#[test]
fn whatever_is_wrong_with_a_schedule_is_named_with_its_field_and_nothing_is_kept() {
    let folder = Folder::new();
    let served = Served::on(&folder);
    let at = "2026-11-28T09:30:00+09:00";
    let months = "2592000";
    for (members, field, says) in [
        (json!({"in": null}), "at", "one of `at`, `in` and `cron`"),
        (json!({"at": at}), "in", "goes without `at`"),
        (json!({"cron": "0 * * * *"}), "cron", "goes without `in`"),
        (json!({"zone": "UTC"}), "zone", "goes with `cron` alone"),
        (json!({"zoen": "Asia/Seoul"}), "zoen", "is no member"),
        (json!({"key": "b"}), "key", "is no member"),
        (json!({"in": null, "at": "2026-11-28T09:30:00"}), "at", "RFC 3339"),
        (json!({"in": null, "at": "tomorrow"}), "at", "RFC 3339"),
        (json!({"in": null, "at": "2999-01-01T00:00:00Z"}), "at", months),
        (json!({"in": "10"}), "in", "with its unit"),
        (json!({"in": "-1s"}), "in", "with its unit"),
        (json!({"in": 10}), "in", "must be text"),
        (json!({"in": "31d"}), "in", months),
        (
            json!({"in": null, "cron": "61 * * * *"}),
            "cron",
            "the minute must be 0 to 59, at character 1",
        ),
        (json!({"in": null, "cron": "0 0 30 2 *"}), "cron", "never comes"),
        (json!({"in": null, "cron": "0 0 1 1 *", "zone": "Asia/Soul"}), "zone", "IANA"),
        (json!({"topic": null}), "topic", "is missing"),
        (json!({"topic": "nobody"}), "topic", "is no topic"),
        (json!({"type": null}), "type", "is missing"),
        (json!({"type": ""}), "type", ""),
        (json!({"type": "x".repeat(1025)}), "type", "1024"),
        (json!({"subject": "x".repeat(1025)}), "subject", "1024"),
        (json!({"subject": 7}), "subject", "must be text"),
        (json!({"data": "x".repeat(65 * 1024)}), "data", "65536"),
    ] {
        let refused = served.put("a", &changed(&members));
        refused.refuses_field(field);
        assert!(refused.text().contains(says), "{members}: {}", refused.text());
    }
    let twice = r#"{"in":"1s","in":"2s","topic":"paid","type":"A"}"#;
    served.call("PUT", "a").content("application/json", twice).send().refuses_field("in");
    served.call("PUT", "a").content("text/plain", "{}").send().problem(415);
    served.call("PUT", "a").content("application/json", "[]").send().problem(400);
    served.put("a", &changed(&json!({"topic": "read"}))).problem(403);
    served.call("POST", "a").json(&reminder("1s")).send().problem(405);
    served.put(&"k".repeat(256), &reminder("1s")).refuses_field("key");
    served.call("GET", "a").send().problem(404);
    served.put(&"k".repeat(255), &reminder("30d")).expect(201);
    let url = format!("{}/schedules/a", served.gateway);
    Call::new("PUT", url).json(&reminder("1s")).send().problem(401);
}

#[test]
fn past_the_limit_of_what_waits_one_is_told_when_to_come_back() {
    let folder = Folder::new();
    let served = Served::with(&folder, &SETTINGS.replace("1000", "2"));
    served.put("a", &reminder("1h")).expect(201);
    served.put("b", &reminder("1h")).expect(201);
    let full = served.put("c", &reminder("1h"));
    let says = full.problem(503)["detail"].to_string();
    assert!(says.contains("2 schedules wait already (`max_pending`)"), "{says}");
    assert!(full.header("retry-after").is_some());
    served.put("b", &reminder("2h")).expect(200);
    served.call("DELETE", "a").send().expect(204);
    served.put("c", &reminder("1h")).expect(201);
}

#[test]
fn what_is_wrong_in_the_settings_of_schedules_is_named_with_its_line() {
    let folder = Folder::new();
    for (topic, members, says) in [
        ("{ publish: TILL }", "{}", None),
        ("{ publish: TILL }", "{ max_ahead: 1s, max_pending: 10000000 }", None),
        ("{}", "{}", Some("set `events.topics.NAME.publish`")),
        ("{ publish: TILL }", "{ max_pending: 0 }", Some("must be 1 to 10000000. value=`0`")),
        ("{ publish: TILL }", "{ max_pending: 10000001 }", Some("must be 1 to 10000000")),
        ("{ publish: TILL }", "{ max_ahead: 500ms }", Some("max_ahead")),
        ("{ publish: TILL }", "{ max_late: 1s }", Some("max_late")),
    ] {
        let yaml = format!("events:\n  topics: {{ paid: {topic} }}\n  schedules: {members}\n");
        let file = overlay(folder.path(), "check.yaml", &yaml);
        let checked = run(&["check", "-c", text(&file)]);
        match says {
            None => drop(checked.expect(0)),
            Some(says) => {
                let found = checked.expect(1).stdout;
                assert!(found.contains(says) && found.contains("check.yaml:3"), "{found}");
            }
        }
    }
}
