//! `yeoul check`: every mistake of a settings file with its line, and what is hardly meant as a
//! warning, which is no mistake; nothing is started.

use std::io::{self, Write};

use crate::cli::CheckArgs;
use crate::exit::Failure;
use crate::settings::{self, Base};

pub(super) fn run(args: &CheckArgs) -> Result<(), Failure> {
    let base = if args.mall { Base::Mall } else { Base::Nothing };
    let mut out = io::stdout().lock();
    let (written, holds) = match settings::load(base, Some(&args.config), None) {
        Ok(plan) => {
            let loops = plan.loops.iter().try_for_each(|it| writeln!(out, "{it}"));
            let mut warnings = plan.warnings.iter();
            let written =
                loops.and_then(|()| warnings.try_for_each(|it| writeln!(out, "warning: {it}")));
            (written, plan.loops.is_empty())
        }
        Err(mistakes) => (mistakes.iter().try_for_each(|it| writeln!(out, "{it}")), false),
    };
    written.map_err(|error| Failure::environment(error, "see where stdout goes"))?;
    if holds {
        return Ok(());
    }
    Err(Failure::input("the settings have mistakes", "mend the lines named above"))
}
