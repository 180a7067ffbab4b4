//! Other programs: found, run in the project's root, their words passed on.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::Failure;
use crate::workspace;

/// Prints a line on stdout.
pub(crate) fn say(line: &str) -> Result<(), Failure> {
    Ok(writeln!(io::stdout(), "{line}")?)
}

/// A command in the project's root.
pub(crate) fn command(line: &[&str]) -> Command {
    let (program, arguments) = line.split_first().expect("a command has a program");
    let mut command = Command::new(program);
    command.args(arguments).current_dir(workspace::root()).stdin(Stdio::null());
    command
}

/// Runs a command whose words go to stderr, so that stdout stays the chore's own.
pub(crate) fn run(mut command: Command) -> Result<(), Failure> {
    let status =
        command.stdout(io::stderr()).status().map_err(|error| not_started(&command, &error))?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::found(format!("failed: {}", show(&command))))
    }
}

/// What a command prints on stdout, if it succeeds.
pub(crate) fn output(mut command: Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

pub(crate) fn not_started(command: &Command, error: &io::Error) -> Failure {
    Failure::environment(format!("cannot run `{}`: {error}", show(command)))
}

/// A command as one would type it.
pub(crate) fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Where a program of this name is.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = workspace::variable("PATH")?;
    let system = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    let mut folders = std::env::split_paths(&path).chain(system);
    folders.find_map(|folder| Some(folder.join(name)).filter(|file| file.is_file()))
}

/// Whether commands may install packages: root on Debian or one of its children.
pub(crate) fn may_install() -> bool {
    is_debian() && output(command(&["id", "-u"])).as_deref() == Some("0")
}

/// Whether packages are Debian's.
pub(crate) fn is_debian() -> bool {
    Path::new("/etc/debian_version").exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_typed() {
        assert_eq!(show(&command(&["npm", "run", "build"])), "npm run build");
    }

    #[test]
    fn failing_and_missing_programs_are_told_apart() {
        assert!(run(command(&["true"])).is_ok());
        assert!(matches!(run(command(&["false"])), Err(Failure::Found(_))));
        assert!(matches!(run(command(&["no-such-program"])), Err(Failure::Environment(_))));
    }

    #[test]
    fn output_is_that_of_a_success_alone() {
        assert_eq!(output(command(&["echo", "12"])).as_deref(), Some("12"));
        assert_eq!(output(command(&["false"])), None);
    }
}
