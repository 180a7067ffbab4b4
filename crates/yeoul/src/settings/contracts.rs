//! The schemas of a topic's events: a folder beside the settings, a file for each type; and whether views read what is there.
//!
//! `schemas: schemas/paid` has the type `Paid` where `schemas/paid/Paid.json` is. A type with letters that no file name takes
//! is percent-encoded (`com.example%2Fpaid.json`). A folder and no map in the settings: a schema is what other teams look at,
//! change and review, and their tools read files.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use contracts::{Break, Contract, Fault, SCHEMA_BYTES_MAX, Schema, Side, TYPES_MAX};
use events::Topic;
use gateway::Contracts;
use mistakes::Mistake;
use percent_encoding::percent_decode_str;
use views::settings::{Reading, Settings};

/// How the name of a schema's file ends.
const SUFFIX: &str = ".json";

/// Entries that a folder may have, whatever they are called.
const ENTRIES_MAX: usize = 4 * TYPES_MAX;

/// The contract of a folder.
///
/// # Errors
/// Everything that is wrong with any of its schemas, each with the file.
pub(super) fn read(folder: &Path) -> Result<Contract, Vec<String>> {
    let unread =
        |path: &Path, error: io::Error| format!("{}: cannot be read: {error}", path.display());
    let files = files(folder).map_err(|error| vec![unread(folder, error)])?;
    if files.is_empty() || files.len() > TYPES_MAX {
        let says = format!(
            "must have 1 to {TYPES_MAX} files `TYPE{SUFFIX}`. folder=`{}`, files=`{}`",
            folder.display(),
            files.len()
        );
        return Err(vec![says]);
    }
    let (mut types, mut wrong) = (BTreeMap::new(), Vec::new());
    for (kind, path) in files {
        match text(&path).map(|text| Schema::parse(&text)) {
            Ok(Ok(schema)) => drop(types.insert(kind, schema)),
            Ok(Err(faults)) => wrong.extend(faults.iter().map(|fault| said(&path, fault))),
            Err(error) => wrong.push(unread(&path, error)),
        }
    }
    if wrong.is_empty() { Ok(Contract::new(types)) } else { Err(wrong) }
}

fn said(path: &Path, Fault { pointer, says }: &Fault) -> String {
    let at = if pointer.is_empty() { String::new() } else { format!("{pointer}: ") };
    format!("{}: {at}{says}", path.display())
}

/// The files that are schemas, by their types; a type has one.
fn files(folder: &Path) -> io::Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    for (number, entry) in std::fs::read_dir(folder)?.enumerate() {
        if number == ENTRIES_MAX {
            return Err(io::Error::other(format!("it has more than {ENTRIES_MAX} entries")));
        }
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_str().filter(|name| !name.starts_with('.'));
        let kind = name.and_then(|name| name.strip_suffix(SUFFIX));
        if let Some(kind) = kind.and_then(|it| percent_decode_str(it).decode_utf8().ok()) {
            let says = format!("two files are of the type `{kind}`");
            if found.insert(kind.into_owned(), entry.path()).is_some() {
                return Err(io::Error::other(says));
            }
        }
    }
    Ok(found)
}

/// A file's text; of one that is too large a byte more than it may have, which is refused as such.
fn text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(SCHEMA_BYTES_MAX as u64 + 1).read_to_string(&mut text)?;
    Ok(text)
}

/// What views read that no schema of the type has.
pub(super) fn misread(views: &Settings, contracts: &Contracts) -> Vec<Mistake> {
    let read = views.readings();
    let says =
        |reading: &Reading<'_>| Some(Mistake::new(&reading.place, wrong(reading, contracts)?));
    read.iter().filter_map(says).collect()
}

/// A type may come by any of a view's topics: it is unknown where each of them says what it has, and a field where one
/// that has the type does not have the field.
fn wrong(reading: &Reading<'_>, contracts: &Contracts) -> Option<String> {
    let of = |name: &String| contracts.iter().find(|(topic, _)| topic.as_str() == name);
    let known: Vec<&Contract> =
        reading.topics.iter().filter_map(of).map(|(_, it)| it.as_ref()).collect();
    let mut schemas = known.iter().filter_map(|it| it.of(reading.kind).ok()).peekable();
    let is_unknown = schemas.peek().is_none() && known.len() == reading.topics.len();
    // Once, where the type is named, and not again for each of its fields.
    if is_unknown && reading.field.is_empty() {
        let types = known.iter().flat_map(|it| it.types().keys().map(String::as_str));
        return Some(mistakes::unknown("type", reading.kind, types));
    }
    let field: Vec<&str> = reading.field.split('.').filter(|step| !step.is_empty()).collect();
    schemas.find_map(|schema| schema.has(&field).err())
}

/// What breaks who relies on the old contracts. A topic that had none broke no promise by having one.
pub(super) fn broken(old: &Contracts, new: &Contracts) -> Vec<Mistake> {
    let of_topic = |(topic, was): (&Topic, &Arc<Contract>)| {
        let path = ["events", "topics", topic.as_str(), "schemas"];
        let says = new.get(topic).map_or_else(
            || vec!["is gone: nobody promises what its events are any more".to_owned()],
            |is| changed(was, is),
        );
        says.into_iter().map(move |says| Mistake::new(&path, says)).collect::<Vec<_>>()
    };
    old.iter().flat_map(of_topic).collect()
}

/// The same of one topic, in words.
fn changed(old: &Contract, new: &Contract) -> Vec<String> {
    let of_type = |(kind, was): (&String, &Schema)| match new.of(kind) {
        Err(_) => vec![format!(
            "{kind}: is gone: who publishes it is refused, and what is stored is of no type"
        )],
        Ok(is) => contracts::breaking(was, is).iter().map(|it| said_of(kind, it)).collect(),
    };
    old.types().iter().flat_map(of_type).collect()
}

fn said_of(kind: &str, Break { pointer, side, says }: &Break) -> String {
    let whom = match side {
        Side::Readers => "readers",
        Side::Publishers => "publishers, and what is stored",
    };
    format!("{kind}: {pointer}: {says}; breaks {whom}")
}
