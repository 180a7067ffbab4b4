//! `yeoul check`: every mistake of a settings file with its line, and what is hardly meant as a
//! warning, which is no mistake; nothing is started. Beside the settings that are in force it names what would break who
//! relies on those, before anything is deployed.

use std::io::{self, Write};
use std::path::Path;

use mistakes::Mistake;

use crate::cli::CheckArgs;
use crate::exit::Failure;
use crate::settings::{self, Base, Checked};

pub(super) fn run(args: &CheckArgs) -> Result<(), Failure> {
    let base = if args.mall { Base::Mall } else { Base::Nothing };
    let plan = match settings::load(base, Some(&args.config), None) {
        Ok(plan) => plan,
        Err(mistakes) => {
            print("", &mistakes)?;
            return Err(wrong());
        }
    };
    print("", &plan.loops)?;
    print("warning: ", &plan.warnings)?;
    if !plan.loops.is_empty() {
        return Err(wrong());
    }
    args.against.as_deref().map_or(Ok(()), |old| against(base, &args.config, old, &plan))
}

/// Names what breaks who relies on the settings of `old`.
fn against(base: Base, config: &Path, old: &Path, plan: &Checked) -> Result<(), Failure> {
    let old = settings::load(base, Some(old), None).map_err(|mistakes| {
        let lines: Vec<String> = mistakes.iter().map(Mistake::to_string).collect();
        Failure::input(lines.join("\n"), "name settings that hold with --against")
    })?;
    let broken = settings::broken(config, &old, plan);
    print("", &broken)?;
    if broken.is_empty() {
        return Ok(());
    }
    let says = "what topics promise would be broken";
    Err(Failure::input(
        says,
        "add fields and leave those that are there, or publish a new type beside the old one",
    ))
}

fn print(before: &str, list: &[Mistake]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = list.iter().try_for_each(|it| writeln!(out, "{before}{it}"));
    written.map_err(|error| Failure::environment(error, "see where stdout goes"))
}

fn wrong() -> Failure {
    Failure::input("the settings have mistakes", "mend the lines named above")
}
