//! `cargo xtask fixture COMMIT`: data folders as the program of a commit leaves them, for the tests that
//! open them with today's.
//!
//! The commit is checked out beside the tree and built there for development: what it writes is what
//! counts, not how fast.

use std::fs;
use std::path::PathBuf;

use lab::{End, make_fixture};

use crate::failure::Failure;
use crate::{shell, workspace};

/// Where the tests look for them.
const FIXTURES: &str = "crates/yeoul/tests/fixtures";

/// Makes the folders of one commit: one stopped, one killed.
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
        make_fixture(&program, end, &into, &name)?;
        shell::say(&format!("{FIXTURES}/{name}"))?;
    }
    Ok(())
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
