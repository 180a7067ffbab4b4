//! `yeoul backup`: one moment of everything in a data folder, beside the process that runs on it or
//! while it rests; `yeoul restore`: that moment as a folder to start on.
//!
//! A backup is made under another name, checked, described (every file with its SHA-256) and only then
//! called what was asked for: one that was broken off has no description and is restored by nobody. A
//! restore is made the same way.

mod files;

use std::fs;
use std::path::{Path, PathBuf};

use chassis::clock;
use chassis::folder::Folder;
use events::store::{cut::Cut, upkeep};

use self::files::{Amount, Manifest, Unfinished};
use crate::cli::{BackupArgs, RestoreArgs};
use crate::exit::Failure;
use crate::process;
use crate::stores::{self, NUMBERS_LEFT_OUT, note};

pub(super) fn backup(args: &BackupArgs) -> Result<(), Failure> {
    let (data, target) = (&args.place.data, &args.folder);
    files::must_be_free(target)?;
    files::must_be_outside(data, target)?;
    stores::must_be_no_backup(data)?;
    stores::must_be_in_files(data)?;
    must_have_its_events(data)?;
    // Beside a running process its lock is its own; a resting folder is held meanwhile.
    let running = Folder::holder(data).is_some();
    let mut stores = stores::databases(data);
    let all = stores.len();
    stores.retain(|store| args.keys || !stores::is_of_people(data, store));
    let has_keys = stores.len() == all;
    if stores.is_empty() {
        let says = format!("there is no data to back up. folder=`{}`", data.display());
        return Err(Failure::environment(says, "name the folder of a process with --data"));
    }
    let _lock = if running { None } else { Some(process::folder(data)?) };
    let unfinished = Unfinished::beside(target)?;
    let made = clock::wall().to_string();
    copy(data, &stores, unfinished.path())?;
    check(unfinished.path(), "the copy does not hold together: nothing was kept of it")?;
    let manifest = Manifest::describe(unfinished.path(), &made).map_err(files::disk)?;
    let Amount { files: count, bytes } = manifest.amount();
    manifest.write(unfinished.path()).map_err(files::disk)?;
    unfinished.finish(target)?;
    files::say(&format!(
        "backed up {count} files, {bytes} bytes, as of {made}: {}{}",
        target.display(),
        if has_keys { "" } else { WITHOUT_KEYS }
    ))
}

/// Said where people's keys were left out.
const WITHOUT_KEYS: &str = "\nthe keys of people are not in it (--keys): restored without them, what is sealed in its events is \
     forgotten";

/// Refuses a folder whose events are with a broker in processes of its own: no moment here is one there.
fn must_have_its_events(data: &Path) -> Result<(), Failure> {
    if data.join(stores::LOG).exists() {
        return Ok(());
    }
    let says = format!(
        "the events are with a broker of their own, and a copy of the folder is no moment of both. \
         folder=`{}`",
        data.display()
    );
    let remedy = "keep topics by their broker's own means (replicas, a mirror), and what is in PostgreSQL by \
                  `pg_dump`: it covers neither the topics nor this folder";
    Err(Failure::environment(says, remedy))
}

pub(super) fn restore(args: &RestoreArgs) -> Result<(), Failure> {
    let (source, target) = (&args.folder, &args.data);
    let manifest = Manifest::read(source)?;
    manifest.verify(source)?;
    files::must_be_free(target)?;
    files::must_be_outside(source, target)?;
    let unfinished = Unfinished::beside(target)?;
    manifest.copy(source, unfinished.path()).map_err(files::disk)?;
    for store in stores::databases(unfinished.path()) {
        upkeep::jump(&store, NUMBERS_LEFT_OUT).map_err(files::hurt)?;
    }
    stores::renew_feed(unfinished.path()).map_err(files::hurt)?;
    check(unfinished.path(), "the backup does not hold together: nothing was restored")?;
    note::write(unfinished.path(), note::State::Closed).map_err(files::disk)?;
    unfinished.finish(target)?;
    let made = &manifest.made;
    files::say(&format!(
        "restored as of {made}: {}\n\
         what was written after that is gone; every number goes on {NUMBERS_LEFT_OUT} further, so that \
         none is given twice\n\
         sign-outs after that are forgotten: who signed out since is signed in again until the \
         session ends by itself",
        target.display()
    ))
}

fn copy(data: &Path, stores: &[PathBuf], to: &Path) -> Result<(), Failure> {
    let cut = Cut::take(stores).map_err(|error| {
        Failure::environment(error, "try again; see `yeoul doctor` if it stays so")
    })?;
    for store in stores {
        let place = files::place(data, store, to).map_err(files::disk)?;
        cut.copy(store, &place).map_err(files::store)?;
        fs::File::open(&place).and_then(|file| file.sync_all()).map_err(files::disk)?;
    }
    // Keys and the like are written once, when a folder is new: they have no moment.
    for file in files::beside_stores(data).map_err(files::disk)? {
        let place = files::place(data, &file, to).map_err(files::disk)?;
        files::copy_private(&file, &place).map_err(files::disk)?;
    }
    Ok(())
}

fn check(data: &Path, todo: &str) -> Result<(), Failure> {
    let checked = process::runtime()?.block_on(async {
        stores::check_pages(data).await?;
        stores::check_agreement(data).await
    });
    checked.map_err(|error| Failure::environment(error, todo))
}
