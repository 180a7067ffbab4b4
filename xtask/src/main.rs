//! Every chore of the project: `cargo xtask NAME`.
//!
//! A chore is a program and not a script, so that it is read, checked and tested like the rest. It
//! installs or starts what it needs, or stops with the one command that does. It holds no knowledge
//! of the program: it builds, runs and reads what others made.

mod bench;
mod cluster;
mod failure;
mod fixture;
mod servers;
mod services;
mod shell;
mod test;
mod tidy;
mod up;
mod web;
mod workspace;

use std::process::ExitCode;

use failure::Failure;

const USAGE: &str = "\
usage: cargo xtask NAME

  up [ARGUMENTS]            build what is needed, then run the mall; arguments go to `yeoul mall`
  cluster [--data DIR] [--instances N] [--accounts N] [--free-ports] [--faults] [--json]
          [--program FILE] [--over FILE]
                            the mall in processes of its own parts, on Kafka and PostgreSQL; Ctrl-C ends all
  test [--fast] [--long]    everything that must pass; --fast leaves out the browser and licences,
                            --long tries random inputs far longer
  tidy                      arrows, shapes, words and dead files
  floors                    which modules of a member stand on which, from the ground up
  bench NAME [--peer P...] [--seconds N]
                            one bar beside its peers: proxy, page, publish, orders, start, engines, events, cluster
  fixture COMMIT            data folders as that commit's program leaves them, for the tests
  services [install [NAME...]]
                            what tests and benches need beside Rust and Node";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            failure.code()
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Failure> {
    let (name, rest) = arguments.split_first().ok_or_else(|| Failure::usage(USAGE))?;
    match name.as_str() {
        "up" => up::run(rest),
        "cluster" => cluster::run(rest),
        "test" => test::run(rest),
        "tidy" if rest.is_empty() => tidy::run(),
        "floors" if rest.is_empty() => tidy::floors(),
        "bench" => bench::run(rest),
        "fixture" => fixture::run(rest),
        "services" => services::run(rest),
        "help" | "--help" | "-h" => shell::say(USAGE),
        _ => Err(Failure::usage(USAGE)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(arguments: &[&str]) -> Option<ExitCode> {
        let arguments: Vec<String> = arguments.iter().map(|one| (*one).to_owned()).collect();
        run(&arguments).err().map(|failure| failure.code())
    }

    #[test]
    fn what_is_no_chore_is_usage() {
        for arguments in [
            &[][..],
            &["run"],
            &["tidy", "all"],
            &["test", "--slow"],
            &["bench"],
            &["fixture"],
            &["cluster", "2"],
        ] {
            assert_eq!(code(arguments), Some(ExitCode::from(2)), "{arguments:?}");
        }
    }

    #[test]
    fn what_is_no_bench_is_usage() {
        for arguments in [
            &["bench", "everything"][..],
            &["bench", "proxy", "--peer"],
            &["bench", "proxy", "--peer", "traefik"],
            &["bench", "proxy", "--seconds", "soon"],
            &["bench", "proxy", "--seconds", "0"],
        ] {
            assert_eq!(code(arguments), Some(ExitCode::from(2)), "{arguments:?}");
        }
    }
}
