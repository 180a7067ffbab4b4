//! `cargo xtask up`: from a fresh clone to a running mall, and the second time at once.

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::failure::Failure;
use crate::{services, shell, web, workspace};

/// Builds what is not built, then becomes `yeoul mall` with these arguments.
///
/// The dev profile: optimising and linking everything for release takes a newcomer's two cores
/// several minutes more, while the slow parts (the embedded store, passwords, signatures,
/// compression) are optimised in dev too.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    services::install_for_builds()?;
    web::build()?;
    shell::run(shell::command(&["cargo", "build", "--package", "yeoul"]))?;
    let mut mall = Command::new(workspace::target().join("debug/yeoul"));
    mall.arg("mall").args(arguments);
    // It takes this process's place, so that signals reach it and its exit code is ours.
    let error = mall.exec();
    Err(shell::not_started(&mall, &error))
}
