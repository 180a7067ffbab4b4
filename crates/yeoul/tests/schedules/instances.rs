//! Two processes on one PostgreSQL and one Kafka: one publishes what is due, the other once that was killed, each event once.

use super::*;

/// More than ten times how long another instance takes to notice.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(50);

#[test]
fn of_two_processes_the_other_publishes_what_is_due_once_the_one_was_killed() {
    if support::is_elsewhere() {
        return;
    }
    let store = postgres::Server::shared().database("schedules");
    let settings = format!(
        "store: \"{store}\"\nevents:\n  broker: \"{}\"\n  prefix: \"{}\"\n  replicas: 1\n  \
         topics: {{ paid: {{ partitions: 3, publish: TILL }} }}\n  schedules: {{}}\n",
        kafka::shared(),
        kafka::prefix(),
    );
    let folders = [Folder::new(), Folder::new()];
    let mut instances: Vec<Served> = folders.iter().map(|it| Served::with(it, &settings)).collect();
    let holder = within(3 * SOON, "one publishes what is due", || {
        instances.iter().position(|it| it.metric("yeoul_schedules_holder") > 0.5)
    });
    let killed = instances.remove(holder);
    let other = instances.remove(0);
    let put = |served: &Served, from: u64, after: u64| {
        for at in from..from + 40 {
            let body = reminder(&format!("{}ms", after + at * 10));
            served.put(&format!("k{at}"), &body).expect(201);
        }
    };
    // What one was asked the other publishes.
    put(&other, 0, 100);
    within(3 * SOON, "what is due is published", || (other.events().len() > 20).then_some(()));
    put(&killed, 40, 0);
    signal("KILL", killed.program.pid());
    put(&other, 80, 0);
    let events = within(FOLLOWED_WITHIN, "the other publishes what is left", || {
        let events = by_source(&once(other.events()));
        (events.len() >= 120).then_some(events)
    });
    assert!(events.len() == 120 && events.values().all(|count| *count == 1), "{events:?}");
    assert!(other.metric("yeoul_schedules_holder") > 0.5);
}

/// Each number of the outbox once: what a relay published that was killed, the next one publishes again, and every reader
/// takes for a second copy.
fn once(mut events: Vec<Value>) -> Vec<Value> {
    let number = |event: &Value| event["outboxsequence"].as_str().map(str::to_owned);
    let mut known = std::collections::BTreeSet::new();
    events.retain(|event| known.insert(number(event).expect("a number")));
    events
}
