//! Instances that share partitions: each partition is one's, one that is killed or stands still is followed, one that
//! wakes late changes nothing, and with instances that come and go all the time nothing is lost.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::support::{
    Customer, Done, Mall, SOON, eventually, now, pause, run, setting, signal, text, within,
};
use super::{Cluster, TWINS, kind, on_page, orders_of, orders_until};

/// More than ten times how long a group takes to divide partitions anew after one of it was killed: it is missed after
/// six seconds.
const DIVIDED_BY: Duration = Duration::from_secs(100);
/// How long an instance stands still: its partitions are another's by then, and its transaction over.
const STILL: Duration = Duration::from_secs(15);
/// How long instances come and go, in seconds, and how often.
const STORM: u64 = 20;
const STORM_EVERY: Duration = Duration::from_secs(2);
/// How soon it goes on after that.
const GOES_ON_BY: Duration = Duration::from_secs(20);
/// Pieces there are: more than anybody orders.
const STOCK: u64 = 1_000_000;

/// The partitions of the topic of orders that an instance says are its own; `None` while it does not know of each.
fn own(cluster: &Cluster, instance: &str) -> Option<BTreeSet<u64>> {
    let name = format!("{}.order", kind(instance));
    let answer = cluster.asked(instance, "/admin/subscriptions");
    // One that has just woken finds the connections of before closed, and says so once.
    let all = (answer.status != 503).then(|| answer.expect(200).value())?;
    let subscription = all.as_array()?.iter().find(|one| one["name"] == name.as_str())?.clone();
    let partitions = subscription["partitions"].as_array().expect("partitions").clone();
    let is_known = partitions.iter().all(|one| one["here"].is_boolean());
    let own = partitions.iter().filter(|one| one["here"] == true);
    is_known.then(|| own.map(|one| one["partition"].as_u64().expect("an index")).collect())
}

/// Waits until each partition is one's of these, and each has one.
fn await_divided(cluster: &Cluster, instances: &[&str]) {
    within(DIVIDED_BY, "each partition is one's", || {
        let shares: Vec<_> = instances.iter().map(|it| own(cluster, it)).collect::<Option<_>>()?;
        let count: usize = shares.iter().map(BTreeSet::len).sum();
        let all: BTreeSet<u64> = shares.iter().flatten().copied().collect();
        let is_fair = shares.iter().all(|share| !share.is_empty());
        (is_fair && count == 3 && all == BTreeSet::from([0, 1, 2])).then_some(())
    });
}

#[test]
fn instances_divide_partitions_and_one_that_is_killed_or_ends_is_followed() {
    let Some(mut cluster) = Cluster::served(&["product-2"]) else { return };
    await_divided(&cluster, &["product", "product-2"]);
    let mall = cluster.mall();
    let (who, product) = (mall.customer(), mall.product(STOCK, "cancel"));
    let place = |mall: &Mall| {
        let orders: Vec<u64> = (0..12).map(|_| mall.order(&who, product, 1).id).collect();
        orders.iter().for_each(|id| mall.await_order(*id, "OrderPlaced"));
    };
    place(&mall);
    for instance in ["product", "product-2"] {
        assert_eq!(cluster.admin(instance, "/readyz")["ready"], true, "{instance}");
        let all = cluster.admin(instance, "/admin/subscriptions");
        let stuck = all.as_array().expect("a list").iter().filter(|one| !one["stuck"].is_null());
        assert_eq!(stuck.count(), 0, "{all}");
        let found = run(&["doctor", "--data", text(&cluster.data(instance))]).expect(0).stdout;
        let line = found.lines().find(|line| line.contains("product.order")).expect("a line");
        let divided = line.contains("partitions here: ") && line.contains("partitions elsewhere: ");
        assert!(divided, "{line}");
    }

    cluster.kill("product-2");
    await_divided(&cluster, &["product"]);
    place(&mall);

    cluster.run("product-2");
    await_divided(&cluster, &["product", "product-2"]);
    let ends = cluster.parts.remove("product").expect("it runs");
    assert_eq!(ends.stop_by("TERM"), Some(0));
    await_divided(&cluster, &["product-2"]);
    place(&mall);
    mall.await_stock(product, STOCK - 36);
}

#[test]
fn an_instance_that_stood_still_while_its_partitions_moved_changes_nothing_late() {
    let Some(cluster) = Cluster::served(&TWINS) else { return };
    await_divided(&cluster, &["product", "product-2"]);
    let (mall, who, product) = shop(&cluster);
    let over = AtomicBool::new(false);
    let taken = std::thread::scope(|scope| {
        let load = scope.spawn(|| orders_until(&over, &mall, &who, product));
        let _done = Done(&over);
        let pid = cluster.parts["product-2"].pid();
        pause(Duration::from_secs(1));
        signal("STOP", pid);
        let woken = Woken(pid);
        pause(STILL);
        // The other one has all of them, and orders that came meanwhile are decided.
        await_divided(&cluster, &["product"]);
        drop(woken);
        await_divided(&cluster, &["product", "product-2"]);
        over.store(true, Ordering::SeqCst);
        load.join().expect("the load")
    });
    balances(&cluster, &mall, &who, product, &taken);
}

/// Has a process go on, also where a test fails.
struct Woken(u32);

impl Drop for Woken {
    fn drop(&mut self) {
        signal("CONT", self.0);
    }
}

#[test]
fn with_instances_that_come_and_go_nothing_is_lost_and_it_goes_on_soon_after() {
    let Some(mut cluster) = Cluster::served(&TWINS) else { return };
    let storm: u64 = setting("YEOUL_STORM")
        .map_or(STORM, |text| text.parse().expect("YEOUL_STORM is a whole number"));
    let (mall, who, product) = shop(&cluster);
    let over = AtomicBool::new(false);
    let taken = std::thread::scope(|scope| {
        let load = scope.spawn(|| orders_until(&over, &mall, &who, product));
        let _done = Done(&over);
        let end = now() + Duration::from_secs(storm);
        for (turn, twin) in TWINS.iter().cycle().enumerate() {
            if now() > end {
                break;
            }
            pause(STORM_EVERY);
            // Missed after six seconds, or leaving by itself.
            match turn % 2 {
                0 => cluster.kill(twin),
                _ => assert_eq!(
                    cluster.parts.remove(twin).expect("it runs").stop_by("TERM"),
                    Some(0)
                ),
            }
            pause(STORM_EVERY);
            cluster.run(twin);
        }
        over.store(true, Ordering::SeqCst);
        load.join().expect("the load")
    });
    let last = mall.order(&who, product, 1).id;
    within(GOES_ON_BY, "an order after it is delivered", || mall.delivery_of(last));
    await_divided(&cluster, &["product", "product-2"]);
    balances(&cluster, &mall, &who, product, &taken);
}

fn shop(cluster: &Cluster) -> (Mall, Customer, u64) {
    let mall = cluster.mall();
    let (who, product) = (mall.customer(), mall.product(STOCK, "cancel"));
    mall.delivered(&who, product, 1);
    (mall, who, product)
}

/// Each order that was taken is there, and had each effect once.
fn balances(cluster: &Cluster, mall: &Mall, who: &Customer, product: u64, taken: &BTreeSet<u64>) {
    assert!(!taken.is_empty(), "there was load");
    mall.delivered(who, product, 1);
    let orders = orders_of(mall, who);
    let ids: BTreeSet<u64> = orders.keys().copied().collect();
    assert!(taken.is_subset(&ids), "an order that was answered is gone");
    for id in &ids {
        mall.await_order(*id, "OrderPlaced");
        eventually("a delivery", || mall.delivery_of(*id));
        assert_eq!(mall.deliveries_of(*id).len(), 1, "deliveries of order {id}");
    }
    mall.await_stock(product, STOCK - orders.values().sum::<u64>());
    within(2 * SOON, "all of them are on my page", || {
        (on_page(mall, "gateway", who) == ids).then_some(())
    });
    for instance in cluster.parts.keys() {
        assert_eq!(cluster.admin(instance, "/admin/dead"), Value::Array(Vec::new()), "{instance}");
        assert_eq!(cluster.admin(instance, "/readyz")["ready"], json!(true), "{instance}");
    }
}
