//! The commands: each reads its arguments, does its work and says how it ended.

mod ask;
mod asyncapi;
mod backup;
mod check;
mod dead;
mod doctor;
mod events;
mod forget;
mod mall;
mod outbox;
mod partitions;
mod pausing;
mod publish;
mod push;
mod serve;
mod skip;
mod trace;
mod views;

use std::io::{self, Write};

use crate::cli::{Command, OutboxCommand};
use crate::exit::Failure;

/// Runs one command to its end.
pub(crate) fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Mall(args) => mall::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Asyncapi(args) => asyncapi::run(&args),
        Command::Events(command) => events::run(command),
        Command::Dead(command) => dead::run(command),
        Command::Push(command) => push::run(&command),
        Command::Outbox(OutboxCommand::Schema(args)) => outbox::schema(&args),
        Command::Views(place) => views::run(&place),
        Command::Backup(args) => backup::backup(&args),
        Command::Restore(args) => backup::restore(&args),
        Command::Doctor(args) => doctor::run(&args),
    }
}

/// Prints what was asked for, line by line.
fn print(lines: impl IntoIterator<Item = String>) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    for line in lines {
        writeln!(out, "{line}")
            .map_err(|error| Failure::environment(error, "see where stdout goes"))?;
    }
    Ok(())
}

/// What to do next, for whoever reads along: beside what a program reads.
fn advise(line: &str) -> Result<(), Failure> {
    writeln!(io::stderr().lock(), "{line}")
        .map_err(|error| Failure::environment(error, "see where stderr goes"))
}
