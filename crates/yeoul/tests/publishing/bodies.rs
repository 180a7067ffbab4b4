//! What a body says beside its events: its coding, its trace, and how long it takes to come.

use std::io::Write;

use super::*;
use support::connect;

#[test]
fn a_body_in_a_content_coding_is_refused_before_it_is_asked_for_and_told_which_is_taken() {
    let folder = Folder::new();
    let served = Served::on(&folder);
    let event = paid(1).to_string();
    for coding in ["gzip", "br", "identity, zstd"] {
        let call = served.call("paid").header("content-encoding", coding);
        let refused = call.content(STRUCTURED, event.as_str()).send();
        let document = refused.problem(415);
        assert_eq!(document["errors"][0]["field"], "Content-Encoding", "{document}");
        assert_eq!(refused.header("accept-encoding"), Some("identity"));
        let binary = served.call("paid").header("content-encoding", coding);
        let binary = binary.header("ce-specversion", "1.0").header("ce-id", "b");
        let binary = binary.header("ce-source", "/till/3").header("ce-type", "Paid");
        binary.content("image/png", vec![0x1f, 0x8b]).send().problem(415);
    }
    // Who waits to be told to send is told nothing but that.
    let head = "POST /events/paid HTTP/1.1\r\nhost: HOST\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\
         content-type: application/cloudevents+json\r\ncontent-encoding: gzip\r\n\r\n";
    let answer = support::raw(&served.inner, head.as_bytes());
    assert_eq!(answer.status, 415, "{}", answer.head);
    assert_eq!(served.events("paid"), [Value::Null; 0]);
    let plain = served.call("paid").header("content-encoding", "Identity");
    position(&plain.content(STRUCTURED, event).send());
}

#[test]
fn events_without_a_trace_belong_to_the_request_that_publishes_them() {
    let folder = Folder::new();
    let served = Served::on(&folder);
    let request = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let own = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let mut traced = paid("own");
    traced["traceparent"] = json!(own);
    let batch = Value::from(vec![paid("none"), traced]).to_string();
    let call = served.call("paid").header("traceparent", request).header("tracestate", "a=1");
    position(&call.content(BATCH, batch).send());
    position(&served.structured("paid", &paid("untraced")));
    let stored = served.events("paid");
    let of = |name: &str| stored.iter().map(|event| event[name].clone()).collect::<Vec<_>>();
    assert_eq!(of("traceparent"), [json!(request), json!(own), Value::Null]);
    assert_eq!(of("tracestate"), [json!("a=1"), Value::Null, Value::Null]);
}

/// Nine bodies of 8 MiB are more than there is room for, if what they say counts.
#[test]
fn clients_that_say_much_and_send_nothing_keep_nobody_out() {
    let folder = Folder::new();
    let served = Served::on(&folder);
    let idle: Vec<_> = (0..9)
        .map(|_| {
            let mut socket = connect(&served.inner);
            let head = format!(
                "POST /events/paid HTTP/1.1\r\nhost: {}\r\ncontent-length: 8388608\r\n\
                 content-type: {BATCH}\r\n\r\n[",
                served.inner.trim_start_matches("http://")
            );
            socket.write_all(head.as_bytes()).expect("a head is written");
            socket
        })
        .collect();
    // Whatever the order in which they are read, the idle ones are there by the last of these.
    for id in 0..100 {
        position(&served.structured("paid", &paid(id)));
        support::pause(std::time::Duration::from_millis(10));
    }
    drop(idle);
}
