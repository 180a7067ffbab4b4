//! `yeoul asyncapi`: what the topics of a settings file are, for who publishes to them and receives from them, as an AsyncAPI
//! 3.0.0 document: other teams read it in a catalogue, compare it, and have code made of it.
//!
//! It is made of the settings alone, as `check` reads them; nothing is started, and the same settings make the same bytes. What is
//! wrong with them is said on stderr, so that no file of a document has it.

mod document;
mod message;
mod yaml;

use std::path::Path;

use mistakes::Mistake;
use serde_json::Value;

use crate::cli::AsyncapiArgs;
use crate::exit::Failure;
use crate::settings::{self, Base};

pub(super) fn run(args: &AsyncapiArgs) -> Result<(), Failure> {
    let base = if args.mall { Base::Mall } else { Base::Nothing };
    let checked = settings::load(base, Some(&args.config), None).map_err(|mistakes| {
        let lines: Vec<String> = mistakes.iter().map(Mistake::to_string).collect();
        Failure::input(lines.join("\n"), "mend the lines named above; nothing was printed")
    })?;
    let title = args.title.clone().unwrap_or_else(|| called(&args.config));
    let document = document::of(&checked, &title, &args.version);
    let text = if args.json { json(&document) } else { yaml::write(&document) };
    super::print([text.trim_end().to_owned()])
}

/// What a whole is called whose settings are in this file.
fn called(config: &Path) -> String {
    config.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn json(document: &Value) -> String {
    serde_json::to_string_pretty(document).expect("a document is JSON")
}
