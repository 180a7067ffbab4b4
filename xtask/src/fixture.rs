//! `cargo xtask fixture COMMIT`: data folders as the program of a commit leaves them, for the tests that
//! open them with today's.
//!
//! The commit is checked out beside the tree and built there for development: what it writes is what
//! counts, not how fast. Each end is made twice: with all state in files, and with the services' on a PostgreSQL of its own,
//! whose tables are kept as the statements that make them again.

use std::fs;
use std::path::{Path, PathBuf};

use lab::{End, make_fixture};

use crate::failure::Failure;
use crate::servers::postgres::{self, Postgres};
use crate::servers::{Stop, free_ports};
use crate::{shell, workspace};

/// Where the tests look for them.
const FIXTURES: &str = "crates/yeoul/tests/fixtures";

/// Makes the folders of one commit: one stopped, one killed, in files and on a server.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let [commit] = arguments else { return Err(Failure::usage("which commit?")) };
    let hash =
        shell::output(shell::command(&["git", "rev-parse", "--short=7", "--verify", commit]))
            .ok_or_else(|| Failure::usage(format!("no such commit. commit=`{commit}`")))?;
    let tree = Tree::check_out(&hash)?;
    let program = tree.build()?;
    let into = workspace::root().join(FIXTURES);
    fs::create_dir_all(&into)?;
    for (end, how) in [(End::Stopped, "stopped"), (End::Killed, "killed")] {
        let name = format!("{hash}-{how}");
        make_fixture(&program, end, None, &into, &name)?;
        shell::say(&format!("{FIXTURES}/{name}"))?;
        let name = format!("{hash}-served-{how}");
        make_served(&program, end, &into, &name)?;
        shell::say(&format!("{FIXTURES}/{name}"))?;
    }
    Ok(())
}

/// Makes one whose state is on a server, and `NAME.sql` of what is there then.
fn make_served(program: &Path, end: End, into: &Path, name: &str) -> Result<(), Failure> {
    let folder = workspace::target().join("fixture").join(name);
    let [port, ..] = free_ports()?;
    let server = Postgres::start(&folder, port, postgres::OF_TESTS, &Stop::never())?;
    let settings = format!("store: \"{}\"\n", server.address());
    make_fixture(program, end, Some(&settings), into, name)?;
    fs::write(into.join(format!("{name}.sql")), server.dump()?)?;
    drop(server);
    Ok(fs::remove_dir_all(&folder)?)
}

/// A commit checked out under the target folder, gone when dropped; what was built there is kept.
struct Tree {
    path: PathBuf,
}

impl Tree {
    fn check_out(hash: &str) -> Result<Tree, Failure> {
        let path = workspace::target().join("fixture").join(hash);
        // Made before the check-out, so that one that fails half way is removed too.
        let tree = Tree { path };
        let mut add = shell::command(&["git", "worktree", "add", "--force", "--detach"]);
        add.arg(&tree.path).arg(hash);
        shell::run(add)?;
        Ok(tree)
    }

    fn build(&self) -> Result<PathBuf, Failure> {
        let target = workspace::target().join("fixture/target");
        let mut cargo = shell::command(&["cargo", "build", "--locked", "-p", "yeoul"]);
        cargo.current_dir(&self.path).env("CARGO_TARGET_DIR", &target);
        shell::run(cargo)?;
        Ok(target.join("debug/yeoul"))
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let mut remove = shell::command(&["git", "worktree", "remove", "--force"]);
        remove.arg(&self.path);
        // What cannot be removed is no reason to fail: the next run checks it out over it.
        let _ = shell::run(remove);
    }
}
