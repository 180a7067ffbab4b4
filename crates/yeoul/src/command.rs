//! The commands: each reads its arguments, does its work and says how it ended.

mod ask;
mod backup;
mod check;
mod dead;
mod doctor;
mod events;
mod mall;
mod partitions;
mod serve;
mod skip;

use crate::cli::Command;
use crate::exit::Failure;

/// Runs one command to its end.
pub(crate) fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Mall(args) => mall::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Events(command) => events::run(command),
        Command::Dead(command) => dead::run(command),
        Command::Backup(args) => backup::backup(&args),
        Command::Restore(args) => backup::restore(&args),
        Command::Doctor(args) => doctor::run(&args),
    }
}
