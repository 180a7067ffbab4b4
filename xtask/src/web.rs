//! The web app: installed and built only when something changed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::failure::Failure;
use crate::{shell, workspace};

/// Node's releases that the build runs on, from here.
const NODE_MIN: (u32, u32) = (20, 19);
/// What the build reads: folders with all below them, and files, one a line. The program's build holds the
/// app that it embeds against the same.
const SOURCES: &str = include_str!("../../web/sources.txt");

/// Builds `web/dist`, unless it is newer than everything it is made of.
pub(crate) fn build() -> Result<(), Failure> {
    let web = workspace::root().join("web");
    let sources: Vec<PathBuf> = SOURCES.lines().map(|name| web.join(name)).collect();
    let sources = newest(&sources)?;
    // One file stands for all of `dist`, which the build empties before it writes.
    let built = modified(&web.join("dist/index.html"));
    if built.is_some_and(|built| Some(built) >= sources) {
        return Ok(());
    }
    install()?;
    eprintln!("building the web app");
    shell::run(npm(&["run", "build"]))
}

/// Installs the packages of the lock file, unless they are installed.
pub(crate) fn install() -> Result<(), Failure> {
    require_node()?;
    let web = workspace::root().join("web");
    // npm writes this one when an installation is done; one that was broken off has none.
    let installed = modified(&web.join("node_modules/.package-lock.json"));
    let wanted = newest(&["package.json", "package-lock.json"].map(|name| web.join(name)))?;
    if installed.is_some_and(|installed| Some(installed) >= wanted) {
        return Ok(());
    }
    eprintln!("installing the web app's packages");
    shell::run(npm(&["ci", "--no-audit", "--no-fund"]))
}

/// An npm command in `web`.
pub(crate) fn npm(arguments: &[&str]) -> std::process::Command {
    let mut command = shell::command(&["npm"]);
    command.args(arguments).current_dir(workspace::root().join("web"));
    command
}

fn require_node() -> Result<(), Failure> {
    let version = shell::output(shell::command(&["node", "--version"]));
    let npm = shell::output(shell::command(&["npm", "--version"]));
    match (version.as_deref().and_then(parse_version), npm) {
        (Some(version), Some(_)) if version >= NODE_MIN => Ok(()),
        (found, npm) => Err(Failure::environment(advice(found, npm.is_some(), shell::is_debian()))),
    }
}

/// What is missing, and as the last line the one command that installs it.
fn advice(found: Option<(u32, u32)>, npm: bool, debian: bool) -> String {
    let (major, minor) = NODE_MIN;
    let lacks = match found {
        Some((found, point)) if (found, point) < NODE_MIN => format!("found {found}.{point}"),
        Some(_) => "npm is missing".to_owned(),
        None => "found none".to_owned(),
    };
    // Debian's own Node may be too old; npm brings a newer one from its registry.
    let command = match (npm, debian) {
        (true, _) => "npm install --global node@22",
        (false, true) => "apt-get install -y npm && npm install --global node@22",
        (false, false) => "brew install node",
    };
    format!(
        "the web app needs Node {major}.{minor} or newer with npm; {lacks}. Install it with:\n{command}"
    )
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.strip_prefix('v')?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// When the newest of these, folders with all below them, was changed. A folder changes when a file
/// in it comes or goes.
fn newest(paths: &[PathBuf]) -> io::Result<Option<SystemTime>> {
    let mut newest = None;
    for path in paths {
        newest = newest.max(modified(path));
        if path.is_dir() {
            let below: Vec<PathBuf> =
                fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
            newest = newest.max(self::newest(&below)?);
        }
    }
    Ok(newest)
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Duration;

    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(parse_version("v20.19.0"), Some((20, 19)));
        assert_eq!(parse_version("v22.1.3"), Some((22, 1)));
        for text in ["", "20.19.0", "v20", "vx.y"] {
            assert_eq!(parse_version(text), None, "{text}");
        }
    }

    #[test]
    fn the_last_line_is_one_command_that_helps() {
        for (found, npm, debian, last) in [
            (None, false, true, "apt-get install -y npm && npm install --global node@22"),
            (None, false, false, "brew install node"),
            (Some((18, 19)), true, true, "npm install --global node@22"),
            (Some((20, 18)), true, false, "npm install --global node@22"),
        ] {
            assert_eq!(advice(found, npm, debian).lines().last(), Some(last));
        }
    }

    #[test]
    fn the_newest_file_counts_however_deep_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let touch = |path: PathBuf, seconds| {
            File::options()
                .write(true)
                .create(true)
                .truncate(true)
                .open(path)
                .unwrap()
                .set_modified(at(seconds))
                .unwrap();
        };
        fs::create_dir_all(folder.path().join("src/deep")).unwrap();
        touch(folder.path().join("package.json"), 50);
        touch(folder.path().join("src/deep/file.ts"), 4_000_000_000);
        let paths = ["package.json", "src", "absent"].map(|name| folder.path().join(name));
        assert_eq!(newest(&paths).unwrap(), Some(at(4_000_000_000)));
        assert_eq!(newest(&paths[..1]).unwrap(), Some(at(50)));
        assert_eq!(newest(&paths[2..]).unwrap(), None);
    }
}
