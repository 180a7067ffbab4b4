//! Two processes on one PostgreSQL and one Kafka have the same keys of people, and forget together.

use super::*;

/// The rows of people's keys that are as they were drawn, and not sealed by the key of the environment.
const OPEN_KEYS: &str = "SELECT count(*) FROM people.person_key WHERE length(key) <= 32";

#[test]
fn what_one_process_sealed_another_tells_and_forgets_with_it() {
    if support::is_elsewhere() {
        return;
    }
    let store = postgres::Server::shared().database("people");
    let settings = format!(
        "store: \"{store}\"\nevents:\n  broker: \"{}\"\n  prefix: \"{}\"\n  replicas: 1\n  topics:\n    \
         paid: {{ publish: TILL, pii: [{{ person: /who, fields: [/name, /at/street] }}] }}\n  \
         subscriptions:\n    told: {{ topic: paid, pull: true, attempts: 100, backoff: 10ms, unseal: true }}\n",
        kafka::shared(),
        kafka::prefix(),
    );
    let folders = [Folder::new(), Folder::new()];
    let [one, other] = [0, 1].map(|at| Served::with(&folders[at], &settings));
    one.publish(&paid("1", NAME)).expect(200);
    assert_eq!(names(&other.lent("told", 1, "ack")), [NAME]);
    other.publish(&paid("2", BY_COMMAND)).expect(200);
    assert_eq!(names(&one.lent("told", 1, "ack")), [BY_COMMAND]);
    let raw = eventually("both are on Kafka", || Some(one.stored()).filter(|it| it.len() == 2));
    assert!(names(&raw).iter().all(|it| it.starts_with("yeoul-sealed:1:t:")), "{raw:?}");
    assert_eq!(postgres::sql(&store, OPEN_KEYS).expect("the keys").trim(), "0");

    one.publish(&paid("3", SCHEDULED)).expect(200);
    assert!(one.forget("p1").starts_with("p1 is forgotten"));
    // The other one remembers the key for a moment, and says so no longer.
    eventually("the other one has forgotten it too", || {
        (names(&other.lent("told", 1, "nack")) == ["(forgotten)"]).then_some(())
    });
    assert!(other.forget("p1").starts_with("there is no key of p1"));
}
