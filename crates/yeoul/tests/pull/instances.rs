//! Two processes on one PostgreSQL and one Kafka: either lends and takes answers, whichever is killed, and no key is two
//! workers' at a time.

use std::collections::BTreeSet;
use std::sync::Mutex;

use super::*;

const EVENTS: u64 = 300;
const KEYS: u64 = 9;
const LEASE: Duration = Duration::from_secs(3);

/// What all workers together did.
#[derive(Default)]
struct Books {
    /// Keys that somebody has, with until when.
    held: BTreeMap<String, std::time::Instant>,
    /// Of each key what was handled, in the order of that.
    handled: BTreeMap<String, Vec<u64>>,
}

/// One process, with its own folder.
struct Instance {
    folder: Folder,
    running: Mutex<Option<Served>>,
}

impl Instance {
    fn start(settings: &str) -> Instance {
        let folder = Folder::new();
        let running = Mutex::new(Some(Served::with(&folder, settings)));
        Instance { folder, running }
    }

    /// Where it is asked, while it runs.
    fn address(&self) -> Option<String> {
        self.running.lock().expect("no panic").as_ref().map(|it| it.inner.clone())
    }

    /// As a crash, and a new one on the same folder.
    fn kill(&self, settings: &str) {
        drop(self.running.lock().expect("no panic").take());
        let again = Served::with(&self.folder, settings);
        *self.running.lock().expect("no panic") = Some(again);
    }
}

/// Asks whoever is there, each time another one, until all was handled.
fn work(instances: &[Instance], at: usize, books: &Mutex<Books>) {
    for turn in at.. {
        if is_over(books) {
            return;
        }
        let ask = |turn: usize, asked: &str, body: &Value| {
            let url = format!("{}/subscriptions/bill/{asked}", instances[turn % 2].address()?);
            let answer = Call::new("POST", url).json(body).try_send().ok()?;
            (answer.status == 200).then_some(answer)
        };
        let asked = support::now();
        let pull = json!({"limit": 7, "wait_s": 1, "lease_s": LEASE.as_secs()});
        let Some(lent) = ask(turn, "pull", &pull).and_then(|answer| lent(&answer)) else {
            pause(Duration::from_millis(5));
            continue;
        };
        let keys: BTreeSet<String> = lent.events.iter().map(key).collect();
        take(&mut books.lock().expect("no panic"), &keys, asked + LEASE);
        pause(Duration::from_millis(10));
        put_down(&mut books.lock().expect("no panic"), &keys, &lent);
        // It is acknowledged where it was not lent.
        ask(turn + 1, "ack", &json!({"lease": lent.token}));
    }
}

/// Nobody else has any of these, until then at least: the lease began after it was asked for.
fn take(books: &mut Books, keys: &BTreeSet<String>, until: std::time::Instant) {
    for key in keys {
        let before = books.held.insert(key.clone(), until);
        assert!(before.is_none_or(|before| before <= support::now()), "{key} is another worker's");
    }
}

/// They are handled; from when that is said on, anybody may have what follows.
fn put_down(books: &mut Books, keys: &BTreeSet<String>, lent: &Lent) {
    for event in &lent.events {
        let number = event["data"]["number"].as_u64().expect("a number");
        books.handled.entry(key(event)).or_default().push(number);
    }
    books.held.retain(|key, _| !keys.contains(key));
}

fn key(event: &Value) -> String {
    event["subject"].as_str().expect("a key").to_owned()
}

fn is_over(books: &Mutex<Books>) -> bool {
    let books = books.lock().expect("no panic");
    once(&books.handled).values().map(Vec::len).sum::<usize>() as u64 == EVENTS
}

#[test]
fn any_of_two_processes_lends_and_takes_answers_whichever_is_killed() {
    if support::is_elsewhere() {
        return;
    }
    let store = postgres::Server::shared().database("pull");
    let make = ["outbox", "schema", "--postgres", "--topic", "order", "--partitions", "4"];
    postgres::sql(&store, &run(&make).expect(0).stdout).expect("an outbox");
    let settings = format!(
        "store: \"{store}\"\nevents:\n  broker: \"{}\"\n  prefix: \"{}\"\n  replicas: 1\n  topics: {{ order: {{ partitions: 4 }} }}\n  \
         outboxes:\n    shop: {{ database: \"{store}\", topics: [order] }}\n  \
         subscriptions:\n    bill: {{ topic: order, pull: true, attempts: 100 }}\n",
        kafka::shared(),
        kafka::prefix(),
    );
    let instances = [Instance::start(&settings), Instance::start(&settings)];
    let insert = format!(
        "INSERT INTO yeoul_outbox (topic, key, type, subject, data) SELECT 'order', number % {KEYS}, 'Placed',
        number % {KEYS}, jsonb_build_object('number', number) FROM generate_series(1, {EVENTS}) number"
    );
    postgres::sql(&store, &insert).expect("rows");
    let books = Mutex::new(Books::default());
    std::thread::scope(|scope| {
        for at in 0..4 {
            let (instances, books) = (&instances, &books);
            scope.spawn(move || work(instances, at, books));
        }
        for killed in [0, 1] {
            let is_under_way = || !books.lock().expect("no panic").handled.is_empty();
            within(3 * SOON, "something is handled", || is_under_way().then_some(()));
            instances[killed].kill(&settings);
        }
    });
    let books = books.into_inner().expect("no panic");
    for (key, numbers) in once(&books.handled) {
        assert!(numbers.is_sorted(), "of {key} in order: {numbers:?}");
    }
    assert_eq!(books.handled.len() as u64, KEYS);
    let served = instances[0].running.lock().expect("no panic").take().expect("it runs");
    let lag = || served.metric_of("yeoul_subscription_lag_events", "bill.order");
    within(3 * SOON, "nothing is behind", || {
        // What was acknowledged in a moment when somebody died comes once more.
        if let Some(lent) = served.lent(&json!({"limit": 1000, "wait_s": 1})) {
            served.acknowledge(&lent);
        }
        (lag() < 0.5).then_some(())
    });
}
