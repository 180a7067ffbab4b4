//! One that is refused where others go out is named, and keeps nobody from anything.

use super::*;

/// Over Kafka, where `sent` is published to as this says.
fn settings(server: &kafka::Server, sent: &str) -> String {
    format!(
        "store: sqlite\nevents:\n  broker: {}\n  replicas: 1\n  topics:\n    paid: {{ publish: TILL }}\n    \
         sent: {{ {sent} }}\n  schedules: {{ max_ahead: 30d, max_pending: 1000 }}\n",
        server.address()
    )
}

/// More than ten times how long it takes until what was put aside is tried again.
const GOES_ON_BY: Duration = Duration::from_secs(120);

/// When both are due: after the process that took them is gone.
const AFTER_THE_KILL: &str = "15s";

fn readyz(served: &Served) -> Value {
    Call::new("GET", format!("{}/readyz", served.admin)).send().expect(200).value()
}

#[test]
fn a_topic_that_takes_nothing_any_more_puts_its_events_aside_and_the_process_does_its_work() {
    let (server, folder) = (kafka::Server::start(), Folder::new());
    let served = Served::with(&folder, &settings(&server, "publish: TILL"));
    let mut sent = reminder(AFTER_THE_KILL);
    sent["topic"] = json!("sent");
    served.put("gone", &sent).expect(201);
    served.put("there", &reminder(AFTER_THE_KILL)).expect(201);
    signal("KILL", served.program.pid());
    drop(served);

    let served = Served::with(&folder, &settings(&server, "partitions: 1"));
    within(GOES_ON_BY, "the other goes out", || (served.events().len() == 1).then_some(()));
    let says = within(GOES_ON_BY, "the one is named", || {
        readyz(&served)["degraded"]["schedules"].as_str().map(str::to_owned)
    });
    assert!(says.contains("`gone` is due and is refused: unknown topic"), "{says}");
    let doctor = run(&["doctor", "--data", text(&folder.data())]).expect(3).stdout;
    assert!(doctor.contains(&format!("WRONG schedules: {says}")), "{doctor}");
    assert!(doctor.contains("ok    process: ready"), "{doctor}");
    assert_eq!(served.call("DELETE", "gone").send().status, 204);
    within(GOES_ON_BY, "nothing is wrong any more", || {
        readyz(&served)["degraded"].is_null().then_some(())
    });
    assert_eq!(served.program.stop_by("TERM"), Some(0));
}
