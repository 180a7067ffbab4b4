//! `yeoul check`: every mistake of a settings file with its line; nothing is started.

use std::io::{self, Write};

use crate::cli::CheckArgs;
use crate::exit::Failure;
use crate::settings::{self, Base};

pub(super) fn run(args: &CheckArgs) -> Result<(), Failure> {
    let base = if args.mall { Base::Mall } else { Base::Nothing };
    let mut out = io::stdout().lock();
    let written = match settings::load(base, Some(&args.config)) {
        Ok(_) => return Ok(()),
        Err(mistakes) => mistakes.iter().try_for_each(|mistake| writeln!(out, "{mistake}")),
    };
    written.map_err(|error| Failure::environment(error, "see where stdout goes"))?;
    Err(Failure::input("the settings have mistakes", "mend the lines named above"))
}
