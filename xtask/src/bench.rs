//! `cargo xtask bench`: builds what is measured as users get it, then leaves it to the lab.

use std::io;
use std::path::PathBuf;

use lab::{Bench, Built, Name, SECONDS, Settings};

use crate::failure::Failure;
use crate::{services, shell, web, workspace};

/// Runs one bench. That a bar does not hold is a figure, not a failure.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let settings = parse(arguments)?;
    let bench = Bench::new(&settings)?;
    let built = build(settings.name)?;
    lab::run(&bench, &built, &mut io::stdout())?;
    Ok(())
}

/// `NAME [--peer P...] [--seconds N]`
fn parse(arguments: &[String]) -> Result<Settings, Failure> {
    let names = Name::ALL.map(Name::as_str).join(", ");
    let (name, rest) = arguments
        .split_first()
        .ok_or_else(|| Failure::usage(format!("which bench? names=`{names}`")))?;
    let name = Name::parse(name)
        .ok_or_else(|| Failure::usage(format!("no such bench. name=`{name}`, names=`{names}`")))?;
    let mut settings = Settings { name, peers: Vec::new(), seconds: SECONDS };
    let mut rest = rest.iter().peekable();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--peer" => {
                let before = settings.peers.len();
                // Peers may stand as words of their own or with commas; the next option ends them.
                while let Some(peer) = rest.next_if(|next| !next.starts_with('-')) {
                    settings.peers.extend(peer.split(',').map(str::to_owned));
                }
                if settings.peers.len() == before {
                    return Err(Failure::usage("which peer? argument=`--peer`"));
                }
            }
            "--seconds" => {
                let given = rest.next().and_then(|text| text.parse().ok());
                settings.seconds = given
                    .ok_or_else(|| Failure::usage("how many seconds? argument=`--seconds`"))?;
            }
            other => return Err(Failure::usage(format!("no such argument. argument=`{other}`"))),
        }
    }
    Ok(settings)
}

/// Builds the program for release, unless `YEOUL_BIN` names one that is built.
fn build(name: Name) -> Result<Built, Failure> {
    let target = workspace::target();
    let program = target.join("release/yeoul");
    // The bench of the cluster starts this very program again, with `cluster` as its word.
    let chores = std::env::current_exe()?;
    let mut built = Built { program, driver: PathBuf::new(), chores, target };
    if let Some(package) = name.driven_by() {
        built.driver = build_driver(package, name.as_str())?;
    } else if let Some(given) = workspace::variable("YEOUL_BIN") {
        built.program = PathBuf::from(given);
    } else {
        services::install_for_builds()?;
        web::build()?;
        shell::run(shell::command(&["cargo", "build", "--release", "--package", "yeoul"]))?;
    }
    Ok(built)
}

/// Builds a package's bench and asks cargo where it is: a bench's file has a hash in its name.
fn build_driver(package: &str, bench: &str) -> Result<PathBuf, Failure> {
    let package = ["--package", package, "--bench", bench];
    let mut command = shell::command(&["cargo", "build", "--release"]);
    command.args(package);
    shell::run(command)?;
    // Built twice: the first says what a compiler has to say to whoever waits, the second, which has nothing left
    // to do, says where the file is.
    let mut command = shell::command(&["cargo", "build", "--release", "--message-format=json"]);
    command.args(package);
    let says = shell::output(command).unwrap_or_default();
    let missing = || Failure::found(format!("cargo built no bench. bench=`{bench}`"));
    executable(&says, bench).ok_or_else(missing)
}

/// Where the executable of this target is, of what cargo says about a build, a document a line.
fn executable(says: &str, target: &str) -> Option<PathBuf> {
    let documents = says.lines().filter_map(|line| serde_json::from_str(line).ok());
    documents.into_iter().find_map(|document: serde_json::Value| {
        let ours = document["target"]["name"] == target && document["target"]["kind"][0] == "bench";
        ours.then(|| document["executable"].as_str().map(PathBuf::from)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bench_among_what_cargo_built_is_found() {
        let line = |kind: &str, file: &str| {
            serde_json::json!({
                "reason": "compiler-artifact",
                "target": { "kind": [kind], "name": "publish" },
                "executable": file,
            })
            .to_string()
        };
        let says = [line("example", "/t/publish"), "no document".into(), line("bench", "/t/p-1f")];
        assert_eq!(executable(&says.join("\n"), "publish"), Some(PathBuf::from("/t/p-1f")));
        for says in ["", "{}", &line("example", "/t/publish")] {
            assert_eq!(executable(says, "publish"), None, "{says}");
        }
    }

    fn parsed(line: &str) -> Option<(Name, Vec<String>, u64)> {
        let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&arguments).ok().map(|settings| (settings.name, settings.peers, settings.seconds))
    }

    #[test]
    fn peers_may_be_given_in_one_go_or_one_by_one() {
        let both = Some((Name::Proxy, vec!["nginx".to_owned(), "envoy".to_owned()], SECONDS));
        assert_eq!(parsed("proxy --peer nginx envoy"), both);
        assert_eq!(parsed("proxy --peer nginx --peer envoy"), both);
        assert_eq!(parsed("proxy --peer nginx,envoy"), both);
    }

    #[test]
    fn seconds_follow_peers() {
        let wanted = Some((Name::Page, vec!["varnish".to_owned()], 20));
        assert_eq!(parsed("page --peer varnish --seconds 20"), wanted);
        assert_eq!(parsed("page --seconds 20 --peer varnish"), wanted);
    }

    #[test]
    fn anything_else_is_usage() {
        for line in [
            "",
            "guards",
            "page 20",
            "page --seconds",
            "page --seconds -1",
            "page --peer --seconds 1",
        ] {
            assert_eq!(parsed(line), None, "{line}");
        }
    }
}
