//! `cargo xtask test`: everything that must pass before a change goes in, the quickest first.
//!
//! What the stages say is passed on as they say it, and their closing lines are added up: the last
//! line is `N passed, N failed` over all of them. The first stage that fails is the last one that
//! runs; within a stage everything runs, so that one sees all that is wrong. Each says at its end how long it took, and
//! before the last line stands how long all of them did.

mod servers;
mod shop;
mod spans;
mod tally;

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use crate::failure::Failure;
use crate::servers::now;
use crate::{services, shell, tidy, web, workspace};
use servers::Servers;
use shop::Shop;
use spans::Spans;
use tally::Tally;

/// Random inputs per property, deaths in the crash suite and of processes, seconds in which instances come and go, and
/// clients at once, of a long run.
const LONG: [(&str, &str); 5] = [
    ("PROPTEST_CASES", "20000"),
    ("YEOUL_KILLS", "200"),
    ("YEOUL_CLUSTER_KILLS", "100"),
    ("YEOUL_STORM", "60"),
    ("YEOUL_CROWD", "10000"),
];
/// Installs what checks licences and sources.
const INSTALL_DENY: [&str; 4] = ["cargo", "install", "--locked", "cargo-deny"];

/// How much is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Scope {
    fast: bool,
    long: bool,
}

/// A stage of the whole.
struct Stage {
    name: &'static str,
    run: fn(&mut Run) -> Result<(), Failure>,
}

/// In the order in which they run. The app comes before whatever builds the program, which refuses to
/// embed one that is older than its sources.
const STAGES: [Stage; 8] = [
    Stage { name: "tidy", run: |_| tidy::run() },
    Stage { name: "format", run: format },
    Stage { name: "web: check, lint, test, build", run: web_app },
    Stage { name: "clippy", run: clippy },
    Stage { name: "licences, sources, advisories", run: licences },
    Stage { name: "rust", run: rust },
    Stage { name: "scenarios on a cluster", run: cluster },
    Stage { name: "the mall in a browser", run: browser },
];
/// What `--fast` leaves out.
const SLOW: [&str; 3] =
    ["licences, sources, advisories", "scenarios on a cluster", "the mall in a browser"];

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let scope = parse(arguments)?;
    services::install_for_builds()?;
    let mut run = Run { scope, tally: Tally::default() };
    let stages = STAGES.iter().filter(|stage| !(scope.fast && SLOW.contains(&stage.name)));
    let (mut result, mut spans) = (Ok(()), Spans::default());
    for Stage { name, run: stage } in stages {
        shell::say(&format!("\n== {name}"))?;
        let begun = now();
        // The first stage that fails ends the run: later ones would fail for the same reason, or hide it.
        result = stage(&mut run);
        shell::say(&format!("\n== {}", spans.add(name, now().duration_since(begun))))?;
        if let Err(failure) = &result {
            shell::say(&format!("\n== {name} failed: {failure}"))?;
            run.tally = run.tally.with_failed_stage();
            break;
        }
    }
    shell::say(&format!("\n{spans}{}", run.tally))?;
    result
}

fn parse(arguments: &[String]) -> Result<Scope, Failure> {
    let mut scope = Scope::default();
    for argument in arguments {
        match argument.as_str() {
            "--fast" => scope.fast = true,
            "--long" => scope.long = true,
            other => return Err(Failure::usage(format!("no such argument. argument=`{other}`"))),
        }
    }
    Ok(scope)
}

fn format(run: &mut Run) -> Result<(), Failure> {
    run.command(shell::command(&["cargo", "fmt", "--all", "--check"]))
}

fn clippy(run: &mut Run) -> Result<(), Failure> {
    let line = ["cargo", "clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    run.command(shell::command(&line))
}

/// A run so far.
struct Run {
    scope: Scope,
    tally: Tally,
}

impl Run {
    /// Runs a command, passes its words on and counts what it says it tested.
    fn command(&mut self, command: Command) -> Result<(), Failure> {
        self.pass_on(command, &mut io::stdout())
    }

    fn pass_on(&mut self, mut command: Command, out: &mut impl Write) -> Result<(), Failure> {
        let shown = shell::show(&command);
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| shell::not_started(&command, &error))?;
        let mut words = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let mut line = Vec::new();
        // As bytes: what a test prints may be no text, and is passed on as it came.
        while words.read_until(b'\n', &mut line)? > 0 {
            out.write_all(&line)?;
            self.tally.add(Tally::of_line(&String::from_utf8_lossy(&line)));
            line.clear();
        }
        if child.wait()?.success() {
            Ok(())
        } else {
            Err(Failure::found(format!("failed: {shown}")))
        }
    }

    /// All tests and the examples in the documentation.
    fn cargo_test(&self) -> Command {
        let mut command = shell::command(&["cargo", "test", "--workspace", "--no-fail-fast"]);
        if self.scope.long {
            command.envs(LONG);
        }
        command
    }
}

fn rust(run: &mut Run) -> Result<(), Failure> {
    services::install_for_tests()?;
    let servers = Servers::start()?;
    let mut command = run.cargo_test();
    command.envs(servers.variables());
    run.command(command)
}

/// The program that the Rust tests have just built, in many processes.
fn cluster(run: &mut Run) -> Result<(), Failure> {
    let mut shop = Shop::start()?;
    run.command(shop.tests(run.scope.long))?;
    shop.stands()
}

fn licences(run: &mut Run) -> Result<(), Failure> {
    if shell::find("cargo-deny").is_none() {
        if workspace::variable("CI").is_none() {
            let command = INSTALL_DENY.join(" ");
            return shell::say(&format!(
                "passed over: cargo-deny is missing. Install it with:\n{command}"
            ));
        }
        run.command(shell::command(&INSTALL_DENY))?;
    }
    let line = ["cargo", "deny", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"];
    run.command(shell::command(&line))?;
    advisories(run)
}

/// Known faults of what is used, where their database can be had: it has no home but the network.
fn advisories(run: &mut Run) -> Result<(), Failure> {
    if shell::output(shell::command(&["cargo", "deny", "fetch", "db"])).is_none() {
        return shell::say(
            "passed over: advisories; their database cannot be had from here. Where it can, run:\n\
             cargo deny check advisories",
        );
    }
    let line =
        ["cargo", "deny", "check", "--disable-fetch", "--hide-inclusion-graph", "advisories"];
    run.command(shell::command(&line))
}

fn web_app(run: &mut Run) -> Result<(), Failure> {
    web::install()?;
    for script in ["check", "lint", "test", "build"] {
        run.command(web::npm(&["run", script]))?;
    }
    Ok(())
}

/// The program that the Rust tests have just built, in a real browser.
fn browser(run: &mut Run) -> Result<(), Failure> {
    services::install_for_browser()?;
    let mut command = web::npm(&["run", "e2e"]);
    command.env("YEOUL_BIN", workspace::target().join("debug/yeoul"));
    command.env("ARTEFACTS", workspace::root().join("test-artefacts"));
    run.command(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(arguments: &[&str]) -> Option<(bool, bool)> {
        let arguments: Vec<String> = arguments.iter().map(|one| (*one).to_owned()).collect();
        parse(&arguments).ok().map(|scope| (scope.fast, scope.long))
    }

    #[test]
    fn extents_are_read_and_others_refused() {
        assert_eq!(scope(&[]), Some((false, false)));
        assert_eq!(scope(&["--long", "--fast"]), Some((true, true)));
        assert_eq!(scope(&["--quick"]), None);
    }

    #[test]
    fn what_is_slow_is_a_part() {
        for name in SLOW {
            assert!(STAGES.iter().any(|stage| stage.name == name), "{name}");
        }
    }

    #[test]
    fn a_commands_closing_line_is_counted_whether_it_fails_or_not() {
        let mut run = Run { scope: Scope::default(), tally: Tally::default() };
        let say = |words: &str, code: u8| {
            shell::command(&["sh", "-c", &format!("echo '{words}'; exit {code}")])
        };
        let mut words = Vec::new();
        run.pass_on(say("test result: ok. 3 passed; 0 failed; 0 ignored", 0), &mut words).unwrap();
        let failing = say("test result: FAILED. 1 passed; 2 failed; 0 ignored", 101);
        assert!(run.pass_on(failing, &mut words).is_err());
        assert_eq!(words.iter().filter(|byte| **byte == b'\n').count(), 2);
        assert_eq!(run.tally.to_string(), "4 passed, 2 failed");
    }

    #[test]
    fn a_long_run_tells_the_tests_and_a_usual_one_does_not() {
        for (long, count) in [(true, LONG.len()), (false, 0)] {
            let run = Run { scope: Scope { fast: false, long }, tally: Tally::default() };
            assert_eq!(run.cargo_test().get_envs().count(), count);
        }
    }
}
