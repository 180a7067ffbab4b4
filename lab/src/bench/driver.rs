//! A small program beside a library: it drives the library in its own process and prints figures.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::{Error, environment};

/// Runs it to its end in `folder`; what `parse` reads of what it said.
///
/// # Errors
/// [`Error::Environment`]: it does not start, or gives no figures; with its own words.
pub(super) fn run<T>(
    program: &Path,
    arguments: &[&str],
    folder: &Path,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, Error> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    let output = command
        .output()
        .map_err(|error| environment(format!("the measuring program does not start: {error}")))?;
    let says = String::from_utf8_lossy(&output.stdout);
    parse(&says).ok_or_else(|| {
        let error = String::from_utf8_lossy(&output.stderr);
        environment(format!("the measuring program gave no figures. its output=`{says}{error}`"))
    })
}
