//! How many events per second the local log acknowledges durably.
//!
//! Sixty-four publishers, one 256-byte event in flight each, every acknowledgement after the sync;
//! beside it one publisher alone, and what a bare sync of the same disk takes. Run it with
//! `cargo bench -p yeoul-events --bench publish -- [seconds] [publishers] [MiB]`; `cargo xtask bench publish`
//! runs it beside the peers and reads what it prints, `what: figure unit`, line by line. With the last figure the topic keeps so
//! much, and what goes goes beside it.

#[path = "shared/measured.rs"]
mod measured;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use measured::{event, now, sync_micros};
use yeoul_events::{Broker, Declared, Log, Partitions, Retention, Topic};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // `cargo bench` says `--bench` before anything else; figures are the only arguments there are.
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let seconds: u64 = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let publishers: usize = arguments.next().map_or(Ok(64), |text| text.parse())?;
    let kept: Option<u64> = arguments.next().map(|text| text.parse()).transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let folder = tempfile::tempdir_in(".")?;
    report("bare sync", sync_micros(&folder.path().join("bare"))?, "us")?;
    for publishers in [1, publishers] {
        let Measured { per_second, median_micros } =
            runtime.block_on(measure(folder.path(), publishers, seconds, kept))?;
        report(&format!("{publishers} publishers"), per_second, "events/s")?;
        report(&format!("{publishers} publishers, median"), median_micros, "us")?;
    }
    Ok(())
}

fn report(what: &str, figure: f64, unit: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{what}: {figure:.0} {unit}")
}

struct Measured {
    per_second: f64,
    median_micros: f64,
}

async fn measure(
    folder: &std::path::Path,
    publishers: usize,
    seconds: u64,
    kept: Option<u64>,
) -> Result<Measured, yeoul_events::Error> {
    let topic = Topic::parse("order")?;
    let clock = Arc::new(|| Timestamp::UNIX_EPOCH);
    let retention = Retention { bytes: kept.map(|it| it << 20), ..Retention::default() };
    let retained = BTreeMap::from([(topic.clone(), retention)]);
    let declared = [Declared { topic: topic.clone(), partitions: Partitions::ONE }];
    let log = Arc::new(Log::open_retaining(folder, &declared, &retained, clock)?);
    // As the program does it: a slice, and as long a rest.
    let removing = tokio::spawn({
        let log = Arc::clone(&log);
        async move {
            loop {
                let began = now();
                log.remove_expired().await.expect("removed");
                tokio::time::sleep(began.elapsed()).await;
            }
        }
    });
    let count = Arc::new(AtomicU64::new(0));
    let began = now();
    let until = began + Duration::from_secs(seconds);
    let mut tasks = tokio::task::JoinSet::new();
    for publisher in 0..publishers {
        let log = Arc::clone(&log);
        let at = topic.first();
        let count = Arc::clone(&count);
        tasks.spawn(async move {
            let mut taken = Vec::new();
            let template = event(publisher as u64);
            while now() < until {
                let sent = now();
                let published = log.publish(&at, vec![template.clone()]).await;
                published.expect("an acknowledgement");
                taken.push(sent.elapsed());
                count.fetch_add(1, Ordering::Relaxed);
            }
            taken
        });
    }
    let mut taken: Vec<Duration> = tasks.join_all().await.into_iter().flatten().collect();
    taken.sort_unstable();
    let per_second = count.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64();
    removing.abort();
    log.close().await;
    let median_micros = taken[taken.len() / 2].as_secs_f64() * 1e6;
    Ok(Measured { per_second, median_micros })
}
