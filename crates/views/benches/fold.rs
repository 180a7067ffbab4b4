//! Measures the fold of the mall's my page, and look-ups of cached pages, on this machine.
//!
//! `cargo bench -p yeoul-views --bench fold -- [ORDERS]`: each order is placed, confirmed,
//! delivered, and changes its product; batches as subscriptions make them, each synced to disk.
//! The time of the processor is the writer's, the clock's is of everything. Run as a test it folds
//! a few orders and looks up a few pages, so that it keeps working.
#![expect(clippy::print_stdout, reason = "what a bench prints is its purpose")]
#![expect(clippy::disallowed_methods, reason = "a bench measures with the bare clock")]

#[path = "../tests/views/mall.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod mall;
#[path = "../tests/place/embedded.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod place;

use std::time::{Duration, Instant};

use events::{Event, Handler};
use mall::{Mall, Publisher, delivery, order};
use serde_json::json;
use yeoul_views::Encoding;

const BATCH: usize = events::subscription::BATCH_MAX;
const OWNERS: u64 = 10_000;

/// Orders folded, and look-ups of a cached page.
struct Load {
    orders: u64,
    lookups: u32,
}

const BENCH: Load = Load { orders: 100_000, lookups: 2_000_000 };
const TEST: Load = Load { orders: 100, lookups: 100 };

/// The kernel's unit of processor time, 1/100 s.
const TICKS: f64 = 100.0;

fn main() {
    let Load { orders, lookups: times } = load(std::env::args().skip(1));
    let mall = Mall::new();
    for (what, first) in [("empty tables", 1), ("as many rows before", orders + 1)] {
        let batches = batches(first, first + orders - 1);
        let events: usize = batches.iter().map(Vec::len).sum();
        let before = processor();
        let spent = fold(&mall, batches);
        let each = (processor() - before) / events as f64 * 1e6;
        let rate = events as f64 / spent.as_secs_f64();
        println!("fold, {what}: {rate:.0} events/s, {each:.1} us of processor an event");
    }
    lookups(&mall, times);
}

/// `cargo bench` says `--bench` after what else it was given, `cargo test` does not.
fn load(arguments: impl Iterator<Item = String>) -> Load {
    let arguments: Vec<String> = arguments.collect();
    let usual = if arguments.iter().any(|it| it == "--bench") { BENCH } else { TEST };
    let orders = arguments.iter().find_map(|it| it.parse().ok()).unwrap_or(usual.orders);
    Load { orders, ..usual }
}

/// Topic after topic in turn, a batch of each.
fn batches(first: u64, last: u64) -> Vec<Vec<Event>> {
    let mut publishers = ["order", "delivery", "product"].map(Publisher::new);
    let mut topics: [Vec<Event>; 3] = Default::default();
    let mut batches = Vec::new();
    for id in first..=last {
        let data = order(id, &format!("c{}@uengine.org", id % OWNERS), id % 5 + 1, id % 3 + 1);
        topics[0].push(publishers[0].say("OrderPlaced", data.clone()));
        topics[0].push(publishers[0].say("OrderConfirmed", data));
        topics[1].push(publishers[1].say("DeliveryStarted", delivery(id, "DeliveryStarted")));
        let product = json!({"productId": id % 5 + 1, "imageUrl": "/goods/img/new.png"});
        topics[2].push(publishers[2].say("ProductChanged", product));
        for topic in &mut topics {
            if topic.len() >= BATCH || id == last {
                batches.push(std::mem::take(topic));
            }
        }
    }
    batches
}

fn fold(mall: &Mall, batches: Vec<Vec<Event>>) -> Duration {
    let fold = mall.views.fold();
    let start = Instant::now();
    mall::block_on(async {
        for batch in batches {
            fold.committed(mall.fold(batch).await.expect("folded"));
        }
    });
    start.elapsed()
}

fn lookups(mall: &Mall, times: u32) {
    let (page, locale) = (mall.my_page(), mall.views.locale("ko").expect("a locale"));
    mall::block_on(async {
        let get = async || {
            let page = mall.views.html(&page, "c1@uengine.org", locale, Encoding::Br).await;
            page.expect("a page")
        };
        let start = Instant::now();
        let body = get().await;
        println!("html, rendered: {:?} ({} bytes)", start.elapsed(), body.body.len());
        let start = Instant::now();
        for _ in 0..times {
            std::hint::black_box(get().await);
        }
        println!("html, cached: {:?} a look-up", start.elapsed() / times);
    });
}

/// Seconds this process has had of a processor.
fn processor() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = text.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS
}
