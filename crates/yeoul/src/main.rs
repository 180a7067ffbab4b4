//! Yeoul, the program: the mall, the layer for one's own services, and the commands around them.
//!
//! This crate is composition alone: it reads settings, opens what they name, joins the members and
//! answers on the admin listener. What a route, an event or a view is, the members know.
//!
//! Standard output carries what was asked for (the ready line, a command's result); everything else
//! goes to stderr, whose last line says what to do when a command fails.

mod admin;
mod app;
mod cli;
mod command;
mod compose;
mod exchange;
mod exit;
mod process;
mod settings;
mod stores;

use std::process::ExitCode;

use clap::Parser;
use tikv_jemallocator::Jemalloc;

/// Gives freed pages back to the system within a second or so, even when nothing is allocated any more;
/// `docs/decisions/0021-memory-that-goes-back.md` says why not the system's.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit::usage(&error),
    };
    match command::run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
