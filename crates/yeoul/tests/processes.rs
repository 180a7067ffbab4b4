//! The mall in processes over Kafka, with a folder each or on one PostgreSQL: what goes through all of them, what a
//! sign-out ends in all of them, what is left of it when each is killed in turn, and two instances of one part.
//!
//! Against real servers: `cargo xtask services install java maven kafka postgres` puts them where they are found.

#[path = "processes/both_away.rs"]
mod both_away;
#[path = "processes/instances.rs"]
mod instances;
#[path = "processes/killed.rs"]
mod killed;
#[path = "../../events/tests/postgres/server.rs"]
#[allow(dead_code, reason = "the store's own tests use the rest")]
mod postgres;
#[path = "../../brokers/tests/kafka/server.rs"]
#[allow(dead_code, reason = "the broker's own tests use the rest")]
mod server;
#[path = "processes/signed_in.rs"]
mod signed_in;
#[path = "support/lib.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::Duration;

use serde_json::{Map, Value, json};
use server::Server;
use support::{
    Answer, Customer, Done, Folder, Mall, SOON, Sold, Started, eventually, overlay, pause, run,
    text, timed, within, yeoul,
};

/// Instances beside those of the same part, where the store is one that they share.
const TWINS: [&str; 3] = ["product-2", "delivery-2", "order-2"];
/// The same of those that show pages.
const FRONTS: [&str; 2] = ["mypage-2", "gateway-2"];
/// Ten times how long another instance may take to go on, the lease of the one before it included.
const TAKEN_OVER_BY: Duration = Duration::from_secs(100);
/// Ten times how long all may take to go on where broker and store were away.
const GONE_ON_BY: Duration = Duration::from_secs(200);
/// Orders that are placed at once.
const AT_ONCE: usize = 12;
/// In an order in which each finds those that it asks.
const PARTS: [&str; 6] = ["account", "product", "delivery", "order", "mypage", "gateway"];
/// What they know one another by.
const SECRET: &str = "a-secret-of-all-parts";
/// How long one is away.
const AWAY: Duration = Duration::from_millis(300);
/// Ten times how long it may take until a sign-out is heard of everywhere.
const HEARD_BY: Duration = Duration::from_secs(10);

/// The processes, and what they share: a broker and a settings file.
struct Cluster {
    parts: BTreeMap<&'static str, Started>,
    ready: BTreeMap<&'static str, Value>,
    folder: Folder,
    /// The broker's address, and what its topics there begin with.
    broker: String,
    prefix: String,
    /// The store, where it is not a file of each folder.
    store: Option<String>,
    /// Where the gateway serves what is for services, in the settings of all.
    inner: String,
}

impl Cluster {
    /// With a file in the folder of each.
    fn start() -> Option<Cluster> {
        Cluster::start_on(server::shared(), None, &[])
    }

    /// With a database on a server, and these instances beside the first of their parts.
    fn served(twins: &[&'static str]) -> Option<Cluster> {
        let store = postgres::Server::shared().database("mall");
        Cluster::start_on(server::shared(), Some(store), twins)
    }

    /// With servers that are the test's own.
    fn start_on(broker: &str, store: Option<String>, twins: &[&'static str]) -> Option<Cluster> {
        let folder = Folder::owned()?;
        let (broker, prefix) = (broker.to_owned(), server::prefix());
        let (parts, ready) = (BTreeMap::new(), BTreeMap::new());
        let inner = address_to_come_back_to();
        let mut cluster = Cluster { parts, ready, folder, broker, prefix, store, inner };
        for part in PARTS {
            cluster.run(part);
            twins.iter().filter(|twin| kind(twin) == part).for_each(|twin| cluster.run(twin));
        }
        Some(cluster)
    }

    /// Starts one: at its address if it had one, else at one that is its own while it is away.
    #[track_caller]
    fn run(&mut self, part: &'static str) {
        let had = self.url(part).map(|url| url.replace("http://", ""));
        let listen = had.unwrap_or_else(address_to_come_back_to);
        let data = self.data(part);
        let settings = self.settings(part);
        let admin = ["--admin", "127.0.0.1:0"];
        let kind = kind(part);
        let arguments = ["mall", kind, "--listen", &listen, "-c", text(&settings), "--json"];
        let arguments = [&arguments[..], &admin, &["--data", text(&data)]].concat();
        let mut command = yeoul();
        command.args(arguments).env("YEOUL_GATEWAY_SECRET", SECRET);
        let mut started = Started::of(command);
        self.ready.insert(part, started.ready());
        self.parts.insert(part, started);
    }

    /// `kill -9`.
    fn kill(&mut self, part: &str) {
        drop(self.parts.remove(part).expect("it runs"));
    }

    /// Where the parts are that run already. The gateway alone believes what a request says of its client.
    fn settings(&self, part: &str) -> std::path::PathBuf {
        let Cluster { broker, prefix, .. } = self;
        let mut file = format!(
            "events: {{ broker: \"{broker}\", prefix: {prefix}, replicas: 1, topics: {{ order: {{ partitions: 3 }} }} }}\n"
        );
        if let Some(store) = &self.store {
            file += &format!("store: \"{store}\"\n");
        }
        if let Some(account) = self.url("account") {
            file += &format!("mall: {{ keys: \"{account}/.well-known/jwks.json\" }}\n");
        }
        let upstreams = PARTS.into_iter().filter(|part| *part != "gateway");
        let known = upstreams.filter_map(|part| {
            let all = self.ready.keys().filter(|instance| kind(instance) == part);
            let urls: Vec<_> = all.filter_map(|instance| self.url(instance)).collect();
            (!urls.is_empty()).then(|| format!("{part}: [\"{}\"]", urls.join("\", \"")))
        });
        // One file may be that of all parts, with an address in it that is the first gateway's.
        if PARTS.contains(&part) {
            file += &format!("inner: {}\n", self.inner);
        }
        if part == "gateway" {
            file += "trusted: [127.0.0.0/8]\n";
        }
        file += &format!("upstreams: {{ {} }}\n", known.collect::<Vec<_>>().join(", "));
        overlay(self.folder.path(), &format!("{part}.yaml"), &file)
    }

    fn url(&self, part: &str) -> Option<&str> {
        self.ready.get(part)?[kind(part)].as_str()
    }

    fn data(&self, part: &str) -> std::path::PathBuf {
        self.folder.path().join(part)
    }

    /// What clients see of all of them.
    fn mall(&self) -> Mall {
        let urls = PARTS.map(|part| (part.to_owned(), json!(self.url(part))));
        let mut ready: Map<String, Value> = urls.into_iter().collect();
        ready.insert("ready".to_owned(), json!(true));
        Mall::of(Value::Object(ready))
    }

    /// What a part's admin listener answers.
    #[track_caller]
    fn admin(&self, part: &str, path: &str) -> Value {
        self.asked(part, path).expect(200).value()
    }

    fn asked(&self, part: &str, path: &str) -> Answer {
        let at = self.ready[part]["admin"].as_str().expect("an admin listener");
        support::Call::new("GET", format!("{at}{path}")).send()
    }
}

/// The part that an instance is of.
fn kind(instance: &str) -> &str {
    instance.split_once('-').map_or(instance, |(part, _)| part)
}

#[test]
fn an_order_and_a_sign_out_go_through_every_process() {
    let Some(cluster) = Cluster::start() else { return };
    go_through(cluster);
}

#[test]
fn an_order_and_a_sign_out_go_through_every_process_on_one_store() {
    let Some(cluster) = Cluster::served(&[]) else { return };
    go_through(cluster);
}

fn go_through(cluster: Cluster) {
    // On its folder nobody else runs: what it takes is another store, or only another folder.
    let (data, settings) = (cluster.data("order"), cluster.settings("order"));
    let second = ["mall", "order", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let second = [&second[..], &["-c", text(&settings), "--data", text(&data)]].concat();
    let code = if cluster.store.is_none() { 1 } else { 3 };
    let refused = run(&second).expect(code);
    assert!(refused.stderr.contains(&cluster.parts["order"].pid().to_string()));
    assert_eq!(refused.last_word().contains("store: postgres://"), code == 1, "{}", refused.stderr);

    let mall = cluster.mall();
    let Sold { who, product, .. } = mall.sold();
    // A read that has to include one's write does.
    let written = mall.order(&who, product, 1);
    let page = mall.page_with(&who, &written.position);
    assert_eq!(page["orders"][0]["orderId"], written.id, "{page}");
    // Stock is asked for through order's own guard.
    let asked = mall.product(3, "reject");
    mall.delivered(&who, asked, 1);
    let over = json!({"productId": asked, "quantity": 9, "customerName": "S", "customerAddr": "W"});
    let refused = mall.ordering(&who, &over).send();
    assert_eq!(refused.status, 409, "{}", refused.text());
    let guards = cluster.admin("order", "/admin/guards");
    let calls = &guards["routes"]["stock-check"]["breaker"]["calls"];
    assert!(calls.as_u64().is_some_and(|calls| calls >= 2), "{guards}");
    // Each is ready, says what an acknowledgement means there, and has nothing stuck.
    for part in PARTS {
        assert_eq!(cluster.admin(part, "/readyz")["ready"], true, "{part}");
        let found = run(&["doctor", "--data", text(&cluster.data(part))]).expect(0).stdout;
        assert!(found.contains("memory of at least 1 of 1 servers"), "{part}: {found}");
        assert!(!cluster.data(part).join("log").exists(), "{part}");
    }

    // Account counts wrong passwords by the client, whom the gateway names, and not by the gateway.
    let wrong = |from: &str| {
        let form = [("grant_type", "password"), ("username", "1@uengine.org"), ("password", "x")];
        mall.call("POST", "/oauth/token").header("x-forwarded-for", from).form(&form).send().status
    };
    (0..10).for_each(|_| assert_eq!(wrong("203.0.113.1"), 400));
    assert_eq!((wrong("203.0.113.1"), wrong("203.0.113.2")), (429, 400));

    // A sign-out ends the token wherever it opened something.
    let page = format!("/mypages/{}", who.id);
    let doors = [
        ("gateway", "/orders"),
        ("order", "/orders"),
        ("product", "/products"),
        ("delivery", "/deliveries"),
        ("account", "/oauth/me"),
        ("gateway", page.as_str()),
        ("mypage", page.as_str()),
    ];
    let ask =
        |(part, path): (&str, &str)| mall.at(part, "GET", path).bearer(&who.token).send().status;
    assert_eq!(doors.map(ask), [200; 7]);
    let form = [("token", who.token.as_str())];
    mall.call("POST", "/oauth/revoke").form(&form).send().expect(200);
    within(HEARD_BY, "it opens nothing", || (doors.map(ask) == [401; 7]).then_some(()));
    // And it stays so where a process starts anew.
    let mut cluster = cluster;
    for part in ["product", "gateway"] {
        cluster.kill(part);
        cluster.run(part);
    }
    assert_eq!(doors.map(ask), [401; 7]);
    for part in PARTS {
        let started = cluster.parts.remove(part).expect("it runs");
        assert_eq!(started.stop_by("TERM"), Some(0), "{part}");
    }
}

#[test]
fn each_is_killed_in_turn_and_the_books_balance() {
    let Some(cluster) = Cluster::start() else { return };
    balance(cluster, &PARTS);
}

#[test]
fn one_of_two_instances_is_killed_in_turn_and_the_books_balance() {
    let Some(cluster) = Cluster::served(&TWINS) else { return };
    balance(cluster, &["product", "delivery-2", "order", "order-2"]);
}

#[test]
fn two_instances_in_processes_race_for_the_last_piece_and_one_order_has_it() {
    let Some(cluster) = Cluster::served(&TWINS) else { return };
    let mall = cluster.mall();
    let (who, product) = (mall.customer(), mall.product(1, "cancel"));
    let body =
        json!({"productId": product, "quantity": 1, "customerName": "S", "customerAddr": "W"});
    eventually("order knows the product", || {
        let known = |instance| {
            let url = format!("{}/products/{product}", cluster.url(instance)?);
            (support::Call::new("GET", url).send().status == 200).then_some(())
        };
        known("order").and_then(|()| known("order-2"))
    });
    let place = |number: usize| {
        let instance = if number.is_multiple_of(2) { "order" } else { "order-2" };
        let url = format!("{}/orders", cluster.url(instance).expect("it runs"));
        let answer = support::Call::new("POST", url).bearer(&who.token).json(&body).send();
        support::Placed::of(&answer.expect(201)).id
    };
    let orders: Vec<u64> = std::thread::scope(|scope| {
        let place = &place;
        let each: Vec<_> = (0..AT_ONCE).map(|it| scope.spawn(move || place(it))).collect();
        each.into_iter().map(|order| order.join().expect("it ends")).collect()
    });
    let states = within(HEARD_BY, "each is placed or over", || {
        let state = |id: &u64| mall.order_now(*id)["state"].as_str().map(str::to_owned);
        let states: Vec<String> = orders.iter().filter_map(state).collect();
        states.iter().all(|state| state != "PENDING").then_some(states)
    });
    assert_eq!(orders.iter().collect::<BTreeSet<_>>().len(), AT_ONCE);
    let placed = states.iter().filter(|state| *state == "OrderPlaced").count();
    assert_eq!((placed, states.len()), (1, AT_ONCE), "{states:?}");
    mall.await_stock(product, 0);
}

/// A free one that no connection is given as its own end: the system takes those from higher ports, and one that is
/// killed would find its port taken.
fn address_to_come_back_to() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + (std::process::id() % 1_000) as u16 * 10;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed) % 2_000;
        let address = format!("127.0.0.1:{port}");
        if TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
}

fn balance(mut cluster: Cluster, killed: &[&'static str]) {
    const STOCK: u64 = 1_000_000;
    // The gateway is the last: its circuits are closed where it starts anew.
    let mut instances = Vec::new();
    for part in PARTS {
        instances.extend(cluster.parts.keys().copied().filter(|instance| kind(instance) == part));
    }
    let mall = cluster.mall();
    let (who, product) = (mall.customer(), mall.product(STOCK, "cancel"));
    let over = AtomicBool::new(false);
    let taken = std::thread::scope(|scope| {
        let load = scope.spawn(|| orders_until(&over, &mall, &who, product));
        let done = Done(&over);
        for instance in killed {
            cluster.kill(instance);
            pause(AWAY);
            cluster.run(instance);
        }
        drop(done);
        load.join().expect("the load")
    });
    assert!(!taken.is_empty(), "there was load");
    let last = mall.delivered(&who, product, 1);
    mall.await_row(&who, last.id, ("OrderPlaced", Some("DeliveryStarted")));

    let orders = orders_of(&mall, &who);
    let ids: BTreeSet<u64> = orders.keys().copied().collect();
    assert!(taken.is_subset(&ids), "an order that was answered is gone");
    ids.iter().for_each(|id| mall.await_order(*id, "OrderPlaced"));
    mall.await_stock(product, STOCK - orders.values().sum::<u64>());
    for id in &ids {
        eventually("a delivery", || mall.delivery_of(*id));
    }
    for door in ["gateway", "mypage"] {
        within(2 * SOON, "all of them are on my page", || {
            (on_page(&mall, door, &who) == ids).then_some(())
        });
    }
    for instance in instances {
        assert_eq!(cluster.admin(instance, "/admin/dead"), json!([]), "{instance}");
    }
}

/// Places orders whatever is away, and gives those that were taken.
fn orders_until(over: &AtomicBool, mall: &Mall, who: &Customer, product: u64) -> BTreeSet<u64> {
    let body =
        json!({"productId": product, "quantity": 2, "customerName": "S", "customerAddr": "W"});
    let mut taken = BTreeSet::new();
    while !over.load(Ordering::Relaxed) {
        let answer = mall.ordering(who, &body).try_send();
        if let Some(answer) = answer.ok().filter(|answer| answer.status == 201) {
            taken.insert(support::Placed::of(&answer).id);
        }
        pause(Duration::from_millis(20));
    }
    taken
}

/// Every order of theirs as order has it, and how much of it.
fn orders_of(mall: &Mall, who: &Customer) -> BTreeMap<u64, u64> {
    let page = |page: u64| {
        let path =
            format!("/orders/search/findByCustomerId?customerId={}&size=100&page={page}", who.id);
        let found = mall.at("order", "GET", &path).send().embedded("orders");
        let number = |order: &Value, member: &str| order[member].as_u64().expect("a number");
        let pairs = found.into_iter().map(move |it| (number(&it, "id"), number(&it, "quantity")));
        pairs.collect::<Vec<_>>()
    };
    (0..).map(page).take_while(|found| !found.is_empty()).flatten().collect()
}

/// The orders that this part's page has, each with its delivery.
fn on_page(mall: &Mall, part: &str, who: &Customer) -> BTreeSet<u64> {
    let page = |page: u64| {
        let path = format!("/mypages/{}?size=100&page={page}", who.id);
        let call = mall.at(part, "GET", &path).bearer(&who.token);
        let shown = call.header("accept", "application/json").send().expect(200).value();
        shown["orders"].as_array().expect("orders").clone()
    };
    let rows = (0..).map(page).take_while(|rows| !rows.is_empty()).flatten();
    let done = rows.filter(|row| row["deliveryState"] == "DeliveryStarted");
    done.map(|row| row["orderId"].as_u64().expect("an id")).collect()
}

#[test]
fn a_part_alone_is_refused_where_it_could_not_work() {
    let folder = Folder::new();
    let data = folder.data();
    let refused = run(&["mall", "order", "--data", text(&data)]).expect(1);
    assert!(refused.stderr.contains("events.broker=`local`"), "{}", refused.stderr);
    assert!(refused.last_word().contains("events.broker: kafka://"), "{}", refused.stderr);
    let refused = run(&["mall", "orders", "--data", text(&data)]).expect(1);
    let all = "order, product, delivery, account, mypage, gateway";
    assert!(refused.last_word().contains(all), "{}", refused.stderr);
    let wrong = overlay(folder.path(), "keys.yaml", "mall: { keys: account }\n");
    let refused = run(&["mall", "order", "--data", text(&data), "-c", text(&wrong)]).expect(1);
    assert!(refused.stderr.contains("keys.yaml:1"), "{}", refused.stderr);
    // A secret that anybody could guess is none.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let broker = format!("events: {{ broker: \"kafka://{}\" }}\n", free.local_addr().expect("one"));
    let settings = overlay(folder.path(), "kafka.yaml", &broker);
    let mut part = yeoul();
    part.args(["mall", "gateway", "--listen", "127.0.0.1:0", "--data", text(&data)]);
    part.args(["-c", text(&settings)]).env("YEOUL_GATEWAY_SECRET", "short");
    let refused = part.output().expect("the program starts");
    let says = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{says}");
    assert!(says.contains("YEOUL_GATEWAY_SECRET is 16 to 255"), "{says}");
    assert!(!data.exists(), "nothing was begun");
}

#[test]
fn two_gateways_show_what_one_of_two_mypages_folds_and_the_other_goes_on() {
    let Some(mut cluster) = Cluster::served(&FRONTS) else { return };
    let mall = cluster.mall();
    let (who, product) = (mall.customer(), mall.product(100, "cancel"));
    let newest = |cluster: &Cluster, instance: &str, position: &str| {
        let url = format!("{}/mypages/{}", cluster.url(instance).expect("it runs"), who.id);
        let page = support::Call::new("GET", url).bearer(&who.token);
        let page = page.header("accept", "application/json").header("yeoul-position", position);
        let answer = page.send();
        (answer.status == 200).then(|| answer.value()["orders"][0]["orderId"].clone())
    };
    // Whoever held the fold is the first of them; then it is the other, and then the first again.
    for killed in ["", "mypage", "mypage-2"] {
        if !killed.is_empty() {
            cluster.kill(killed);
            let written = mall.order(&who, product, 1);
            let (took, ()) = timed(|| {
                within(TAKEN_OVER_BY, "the other one folds", || {
                    let shown = newest(&cluster, "gateway", &written.position)?;
                    (shown == written.id).then_some(())
                });
            });
            eprintln!("without {killed} a write was on my page after {took:?}");
        }
        for _ in 0..5 {
            let written = mall.order(&who, product, 1);
            for instance in ["gateway", "gateway-2"] {
                let shown = within(TAKEN_OVER_BY, "the write can be seen", || {
                    newest(&cluster, instance, &written.position)
                });
                assert_eq!(shown, written.id, "{instance}");
            }
        }
        if !killed.is_empty() {
            cluster.run(killed);
        }
    }
    // Without either of them a gateway is ready, for its other routes, and says since when its pages are as they are.
    let since = |cluster: &Cluster, instance: &str| {
        let url = format!("{}/mypages/{}", cluster.url(instance).expect("it runs"), who.id);
        let answer = support::Call::new("GET", url).bearer(&who.token).send().expect(200);
        answer.header("yeoul-stale-since").map(str::to_owned)
    };
    assert_eq!(["gateway", "gateway-2"].map(|it| since(&cluster, it)), [None, None]);
    ["mypage", "mypage-2"].into_iter().for_each(|instance| cluster.kill(instance));
    for instance in ["gateway", "gateway-2"] {
        within(TAKEN_OVER_BY, "pages say since when", || since(&cluster, instance));
        let report = cluster.admin(instance, "/readyz");
        assert_eq!((&report["ready"], &report["missing"]), (&json!(true), &json!({})), "{report}");
        assert_eq!(report["stale"][0]["why"], "nobody folds the views", "{report}");
        let metrics = cluster.asked(instance, "/metrics").expect(200).text();
        let is_stale = |it: &str| it.starts_with("yeoul_views_stale") && it.ends_with(" 1.0");
        assert!(metrics.lines().any(is_stale), "{metrics}");
        let found = run(&["doctor", "--data", text(&cluster.data(instance))]).expect(3).stdout;
        assert!(found.contains("WRONG views: as of "), "{found}");
    }
    ["mypage", "mypage-2"].into_iter().for_each(|instance| cluster.run(instance));
    for instance in ["gateway", "gateway-2"] {
        within(TAKEN_OVER_BY, "they are fresh again", || {
            since(&cluster, instance).is_none().then_some(())
        });
        assert_eq!(cluster.admin(instance, "/readyz")["stale"], Value::Null, "{instance}");
    }
    for instance in ["mypage", "mypage-2"] {
        assert_eq!(cluster.admin(instance, "/readyz")["ready"], true, "{instance}");
        assert_eq!(cluster.admin(instance, "/admin/dead"), json!([]), "{instance}");
    }
}

#[test]
fn a_sign_out_is_heard_elsewhere_without_the_broker_and_what_cannot_be_told_is_refused() {
    let (kafka, mut store) = (Server::start(), postgres::Server::start());
    let address = store.database("mall");
    let Some(cluster) = Cluster::start_on(&kafka.address(), Some(address), &FRONTS) else { return };
    let mall = cluster.mall();
    let (leaver, stayer) = (mall.customer(), mall.customer());
    let ask = |cluster: &Cluster, (instance, path): (&str, &str), who: &Customer| {
        let url = format!("{}{path}", cluster.url(instance).expect("it runs"));
        support::Call::new("GET", url).bearer(&who.token).send()
    };
    let doors = [
        ("gateway", "/orders"),
        ("gateway-2", "/orders"),
        ("order", "/orders"),
        ("delivery", "/deliveries"),
        ("account", "/oauth/me"),
    ];
    let all = |cluster: &Cluster, who| doors.map(|door| ask(cluster, door, who).status);
    assert_eq!(all(&cluster, &leaver), [200; 5]);
    // A whole mall beside them, on the same store and broker, is one more instance of each.
    let (data, settings) = (cluster.data("whole"), cluster.settings("whole"));
    let whole = ["mall", "--json", "--listen", "127.0.0.1:0", "-c", text(&settings)];
    let mut whole = Started::new(&[&whole[..], &["--data", text(&data)]].concat());
    let at_whole = whole.ready()["gateway"].as_str().expect("a gateway").to_owned();
    let opens_there = |who: &Customer| {
        let call = support::Call::new("GET", format!("{at_whole}/orders"));
        call.bearer(&who.token).send().status
    };
    assert_eq!(opens_there(&leaver), 200);
    kafka.signal("-STOP");
    let form = [("token", leaver.token.as_str())];
    mall.call("POST", "/oauth/revoke").form(&form).send().expect(200);
    // The gateway only passed it on.
    assert_eq!(ask(&cluster, doors[4], &leaver).status, 401, "at once where it was asked");
    let (took, ()) = timed(|| {
        within(HEARD_BY, "it opens nothing", || (all(&cluster, &leaver) == [401; 5]).then_some(()));
        within(HEARD_BY, "it opens nothing in the whole mall", || {
            (opens_there(&leaver) == 401).then_some(())
        });
    });
    eprintln!("a sign-out was heard of by every part after {took:?}");
    assert_eq!((all(&cluster, &stayer), opens_there(&stayer)), ([200; 5], 200));
    kafka.signal("-CONT");
    // What its own gateway ends, the others hear of.
    let another = mall.customer();
    let form = [("token", another.token.as_str())];
    let revoke = support::Call::new("POST", format!("{at_whole}/oauth/revoke"));
    revoke.form(&form).send().expect(200);
    within(HEARD_BY, "it opens nothing", || (all(&cluster, &another) == [401; 5]).then_some(()));
    assert_eq!(whole.stop_by("TERM"), Some(0));

    store.kill();
    for gateway in [doors[0], doors[1]] {
        within(HEARD_BY * 2, "nobody can tell", || {
            let answer = ask(&cluster, gateway, &stayer);
            let told = answer.text().contains("which sign-ins have ended cannot be seen");
            told.then(|| answer.refusal(503))
        });
    }
    store.start_again();
    within(TAKEN_OVER_BY, "it is told again", || {
        (all(&cluster, &stayer) == [200; 5]).then_some(())
    });
    assert_eq!(all(&cluster, &leaver), [401; 5]);
}
