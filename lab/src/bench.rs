//! The benches by name.

mod cluster;
mod driver;
mod engines;
mod events;
mod figures;
mod orders;
mod page;
mod proxy;
mod publish;
mod start;

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::program;
use crate::report::{Missing, Report};

/// Which bar is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// A guarded, proxied request.
    Proxy,
    /// A cached page, whole and not modified.
    Page,
    /// A durable publish.
    Publish,
    /// An order, the whole way through the mall.
    Orders,
    /// From exec to the first answer, and idle memory.
    Start,
    /// What numbering on PostgreSQL and the way over Kafka cost.
    Engines,
    /// What an event costs beside its acknowledgement.
    Events,
    /// Orders through the mall in processes of its parts, and what each of those takes when idle.
    Cluster,
}

impl Name {
    /// Every bench.
    pub const ALL: [Name; 8] = [
        Name::Proxy,
        Name::Page,
        Name::Publish,
        Name::Orders,
        Name::Start,
        Name::Engines,
        Name::Events,
        Name::Cluster,
    ];

    /// The bench of this name.
    pub fn parse(text: &str) -> Option<Name> {
        Name::ALL.into_iter().find(|name| name.as_str() == text)
    }

    /// Its name on the command line and in every line it prints.
    pub fn as_str(self) -> &'static str {
        match self {
            Name::Proxy => "proxy",
            Name::Page => "page",
            Name::Publish => "publish",
            Name::Orders => "orders",
            Name::Start => "start",
            Name::Engines => "engines",
            Name::Events => "events",
            Name::Cluster => "cluster",
        }
    }

    /// The peers it can be compared with.
    pub fn peers(self) -> &'static [&'static str] {
        match self {
            Name::Proxy => &["nginx", "haproxy", "envoy"],
            Name::Page => &["nginx", "varnish"],
            Name::Publish => &["kafka", "nats"],
            Name::Orders | Name::Start => &["spring"],
            Name::Engines | Name::Events | Name::Cluster => &[],
        }
    }

    /// The package whose bench of the same name drives what is measured, where that is a library; else it is
    /// the program.
    pub fn driven_by(self) -> Option<&'static str> {
        match self {
            Name::Publish | Name::Events => Some("yeoul-events"),
            Name::Engines => Some("yeoul-brokers"),
            Name::Proxy | Name::Page | Name::Orders | Name::Start | Name::Cluster => None,
        }
    }
}

/// How long a run takes unless it is told otherwise: everything included, once built.
pub const SECONDS: u64 = 46;
const _: () = assert!(SECONDS <= 50, "promised to outside scripts");

/// What is asked of a bench.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which.
    pub name: Name,
    /// The peers to compare with; none named means all.
    pub peers: Vec<String>,
    /// Seconds of the whole run, warm-up and peers included.
    pub seconds: u64,
}

/// A bench that is well asked for.
#[derive(Clone, Debug)]
pub struct Bench {
    name: Name,
    peers: Vec<&'static str>,
    seconds: u64,
}

impl Bench {
    /// Checks what is asked for.
    ///
    /// # Errors
    /// [`Error::Usage`]: the bench has no such peer, or there are no seconds.
    pub fn new(settings: &Settings) -> Result<Bench, Error> {
        let all = settings.name.peers();
        if let Some(unknown) = settings.peers.iter().find(|peer| !all.contains(&peer.as_str())) {
            let all = all.join(", ");
            return Err(Error::Usage(format!("no such peer. peer=`{unknown}`, peers=`{all}`")));
        }
        if settings.seconds == 0 {
            return Err(Error::Usage("a bench takes at least a second. seconds=`0`".to_owned()));
        }
        // No peer named means all of them, so that a bench without arguments compares as much as is installed.
        let wanted =
            |peer: &&str| settings.peers.is_empty() || settings.peers.iter().any(|one| one == peer);
        Ok(Bench {
            name: settings.name,
            peers: all.iter().copied().filter(wanted).collect(),
            seconds: settings.seconds,
        })
    }

    fn compares(&self, peer: &str) -> bool {
        self.peers.contains(&peer)
    }
}

/// What is measured: files that were built for it.
#[derive(Clone, Debug)]
pub struct Built {
    /// The program, `yeoul`.
    pub program: PathBuf,
    /// The bench that drives a library, see [`Name::driven_by`].
    pub driver: PathBuf,
    /// What starts the mall in processes of its parts: `cluster` is one of its words.
    pub chores: PathBuf,
    /// Where installed peers without a package are kept, and where a disk's speed counts.
    pub target: PathBuf,
}

/// Runs a bench and prints its lines; whether its bars hold.
///
/// # Errors
/// [`Error::Environment`]: this machine lacks what the bench needs, or something that was started
/// did not behave; nothing can be said of the bars.
pub fn run(bench: &Bench, built: &Built, out: &mut dyn Write) -> Result<bool, Error> {
    let report = Report::new(bench.name.as_str(), out);
    // Only where it is measured: three benches drive a library and need no program to be there.
    let program = || program::built(&built.program);
    match bench.name {
        Name::Publish => publish::run(bench, built, report),
        Name::Engines => engines::run(bench, built, report),
        Name::Events => events::run(bench, built, report),
        Name::Proxy => proxy::run(bench, &program()?, report),
        Name::Page => page::run(bench, &program()?, report),
        Name::Orders => orders::run(bench, &program()?, report),
        Name::Start => start::run(bench, &program()?, report),
        Name::Cluster => cluster::run(bench, built, &program()?, report),
    }
}

/// The shop of the curriculum is four JVMs and a Kafka; its figures were seen once and stand in the
/// bar.
fn spring_is_not_run(bench: &Bench, report: &mut Report<'_>) {
    if bench.compares("spring") {
        let remedy = "not run here: its best measured figures are the bar".to_owned();
        report.missing(Missing { peer: "spring", remedy });
    }
}

fn folder() -> Result<tempfile::TempDir, Error> {
    Ok(tempfile::Builder::new().prefix("yeoul-bench-").tempdir()?)
}

/// Like [`folder`], on the disk that `near` is on.
fn folder_near(near: &Path) -> Result<tempfile::TempDir, Error> {
    Ok(tempfile::Builder::new().prefix("bench-").tempdir_in(near)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(name: Name, peers: &[&str], seconds: u64) -> Result<Bench, Error> {
        let peers = peers.iter().map(|peer| (*peer).to_owned()).collect();
        Bench::new(&Settings { name, peers, seconds })
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for name in Name::ALL {
            assert_eq!(Name::parse(name.as_str()), Some(name));
        }
        for unknown in ["", "Proxy", "proxies", "guard "] {
            assert_eq!(Name::parse(unknown), None);
        }
    }

    #[test]
    fn no_peer_named_means_all_of_them() {
        assert_eq!(ask(Name::Proxy, &[], 1).unwrap().peers, ["nginx", "haproxy", "envoy"]);
        assert_eq!(ask(Name::Proxy, &["envoy"], 1).unwrap().peers, ["envoy"]);
    }

    #[test]
    fn an_unknown_peer_and_no_time_are_usage() {
        for refused in [ask(Name::Page, &["envoy"], 1), ask(Name::Page, &["nginx"], 0)] {
            assert!(matches!(refused, Err(Error::Usage(_))));
        }
    }
}
