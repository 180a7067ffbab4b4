//! The mall in processes of its parts, on Kafka and PostgreSQL, all of them on this machine.
//!
//! What each part takes when idle; then orders through the gateway, followed to the last effect, and what Kafka,
//! PostgreSQL and ours spend on each: three that share the machine's cores, so that their sum is what an order costs.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::orders::{self, Taken};
use super::{Bench, Built, folder_near};
use crate::error::{Error, environment};
use crate::mall::{self, Mall};
use crate::process;
use crate::program::Program;
use crate::report::{Report, YEOUL};
use crate::{bars, clock};

/// How long Kafka, PostgreSQL and all parts may take to be ready.
const READY_AT_MOST: Duration = Duration::from_secs(180);
/// How long they are left alone before their memory is read.
const IDLE: Duration = Duration::from_secs(3);
/// Of the seconds of a run, those kept for the start, for catching up and for the end.
const REST: u64 = 36;

/// Who spends: each of the servers, and all parts together.
struct Spenders {
    servers: [(&'static str, u32); 2],
    /// By the names of their instances.
    parts: Vec<(String, u32)>,
}

pub(super) fn run(
    bench: &Bench,
    built: &Built,
    program: &Path,
    mut report: Report<'_>,
) -> Result<bool, Error> {
    let folder = folder_near(&built.target)?;
    let over = folder.path().join("over.yaml");
    std::fs::write(&over, mall::LIMITS_ABOVE_THE_LOAD)?;
    let mut line = process::tied(&built.chores);
    line.args(["cluster", "--json", "--free-ports", "--data"]).arg(folder.path().join("data"));
    line.arg("--program").arg(program).arg("--over").arg(&over);
    // Its own deadline: a JVM, a fresh PostgreSQL and eleven processes start one after the other on the same
    // cores.
    let cluster = Program::started(line, READY_AT_MOST, folder.path())?;
    let spenders = Spenders::of(cluster.ready())?;

    // What the start allocated is given back by then; earlier the figure would be that of the start.
    clock::pause(IDLE);
    let idle = spenders.idle_megabytes();
    for (name, megabytes) in &idle {
        report.figure(name, "idle_memory_mb", *megabytes, "MB")?;
    }
    let largest = idle.iter().map(|(_, megabytes)| *megabytes).fold(0.0, f64::max);
    report.ratio("memory_bar", largest / bars::IDLE_PART_MB);

    let mall = Mall::open(&cluster.address("gateway")?)?;
    let seconds = bench.seconds.saturating_sub(REST).max(1);
    let Taken { outcome, orders, caught_up, used: [before, after] } =
        orders::take(&mall, seconds, folder.path(), || spenders.spent())?;
    report.figure(YEOUL, "orders_per_second", outcome.per_second(), "1/s")?;
    report.figure(YEOUL, "p50_ms", outcome.p50.as_secs_f64() * 1e3, "ms")?;
    report.figure(YEOUL, "p99_ms", outcome.p99.as_secs_f64() * 1e3, "ms")?;
    report.figure(YEOUL, "caught_up_ms", caught_up.as_secs_f64() * 1e3, "ms")?;
    for ((name, before), (_, after)) in before.iter().zip(&after) {
        let each = after.saturating_sub(*before).as_secs_f64() * 1e3 / orders as f64;
        report.figure(name, "cpu_ms_per_order", each, "ms")?;
    }
    Ok(report.end(bars::CLUSTER, largest > 0.0)?)
}

impl Spenders {
    /// As the ready line names them.
    fn of(ready: &Value) -> Result<Spenders, Error> {
        let missing = || environment(format!("the ready line names no processes. line=`{ready}`"));
        // A part has its number beside other things, a server is nothing but its number.
        let pid = |value: &Value| value["pid"].as_u64().or(value.as_u64());
        let pid = |value: &Value| pid(value).and_then(|pid| u32::try_from(pid).ok());
        let server = |name| pid(&ready["servers"][name]).map(|pid| (name, pid));
        let servers = [server("kafka"), server("postgres")].map(|it| it.ok_or_else(missing));
        let [kafka, postgres] = servers;
        let part = |it: &Value| Some((it["service"].as_str()?.to_owned(), pid(it)?));
        let parts = ready["processes"].as_array().ok_or_else(missing)?;
        let parts: Vec<_> = parts.iter().map(part).collect::<Option<_>>().ok_or_else(missing)?;
        Ok(Spenders { servers: [kafka?, postgres?], parts })
    }

    fn idle_megabytes(&self) -> Vec<(String, f64)> {
        let megabytes = |pid| process::usage(pid).resident_bytes as f64 / 1e6;
        self.parts.iter().map(|(name, pid)| (name.clone(), megabytes(*pid))).collect()
    }

    /// CPU so far.
    fn spent(&self) -> Vec<(&'static str, Duration)> {
        let cpu = |pid| process::usage(pid).cpu;
        let ours = self.parts.iter().map(|(_, pid)| cpu(*pid)).sum();
        let servers = self.servers.iter().map(|(name, pid)| (*name, cpu(*pid)));
        servers.chain([(YEOUL, ours)]).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_ready_line_names_who_spends() {
        let ready = json!({
            "servers": { "kafka": 11, "postgres": 12 },
            "processes": [{ "service": "order", "pid": 13 }, { "service": "order", "pid": 14 }],
        });
        let spenders = Spenders::of(&ready).unwrap();
        assert_eq!(spenders.servers, [("kafka", 11), ("postgres", 12)]);
        assert_eq!(spenders.parts, [("order".to_owned(), 13), ("order".to_owned(), 14)]);
    }

    #[test]
    fn a_line_that_lacks_one_is_an_error() {
        let processes = json!([{ "service": "order", "pid": 13 }]);
        for ready in [
            json!({}),
            json!({ "servers": { "kafka": 11 }, "processes": processes }),
            json!({ "servers": { "kafka": 11, "postgres": 12 } }),
            json!({ "servers": { "kafka": 11, "postgres": 12 }, "processes": [{ "pid": 13 }] }),
        ] {
            assert!(Spenders::of(&ready).is_err(), "{ready}");
        }
    }
}
