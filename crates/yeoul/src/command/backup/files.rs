//! The files of a backup: what they are, what they were, and a folder that is not there until it is
//! whole.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use chassis::folder;
use events::store::upkeep;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::exit::Failure;
use crate::stores::MANIFEST;
use crate::stores::note::NOTE;

/// The shape of the description.
const FORMAT: u32 = 1;
/// How deep folders are looked into.
const DEPTH_MAX: usize = 8;

/// The description of a backup.
#[derive(Serialize, Deserialize)]
pub(super) struct Manifest {
    format: u32,
    /// The moment of the cut.
    pub(super) made: String,
    files: Vec<Described>,
    /// The SHA-256 of all of the above: what describes the rest is checked like the rest.
    sha256: String,
}

#[derive(Serialize, Deserialize)]
struct Described {
    path: String,
    bytes: u64,
    sha256: String,
    mode: u32,
}

/// How much there is of something.
pub(super) struct Amount {
    pub(super) files: usize,
    pub(super) bytes: u64,
}

/// What a file is known again by.
#[derive(PartialEq, Eq)]
struct Fingerprint {
    bytes: u64,
    sha256: String,
}

/// A folder in the making, removed again unless it is finished.
pub(super) struct Unfinished {
    path: PathBuf,
    finished: bool,
    /// Its lock: a folder that nobody holds was left behind by a process that was killed.
    _lock: File,
}

/// Refuses a place where something is.
pub(super) fn must_be_free(target: &Path) -> Result<(), Failure> {
    let free = match fs::read_dir(target) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    if free {
        return Ok(());
    }
    let says = format!("not an absent or empty folder. folder=`{}`", target.display());
    Err(Failure::environment(says, "name another folder, or empty this one first"))
}

/// A copy inside the folder it is of would be in the next one.
pub(super) fn must_be_outside(data: &Path, target: &Path) -> Result<(), Failure> {
    let absolute = |path| std::path::absolute(path).map_err(disk);
    if !absolute(target)?.starts_with(absolute(data)?) {
        return Ok(());
    }
    let says = format!("inside the folder it would be of. folder=`{}`", target.display());
    Err(Failure::input(says, "name a folder elsewhere"))
}

impl Unfinished {
    /// A folder beside `target`, on the same disk, that only this user can read.
    pub(super) fn beside(target: &Path) -> Result<Unfinished, Failure> {
        let make = || -> io::Result<Unfinished> {
            let target = std::path::absolute(target)?;
            let name =
                target.file_name().ok_or_else(|| io::Error::other("no name for a folder"))?;
            let parent = target.parent().unwrap_or(Path::new("/"));
            fs::create_dir_all(parent)?;
            // Beside the target and not in a folder for passing things: only on one disk is the last step a
            // rename.
            let ours = format!(".{}.unfinished-", name.to_string_lossy());
            clear(parent, &ours)?;
            let path = parent.join(format!("{ours}{}", std::process::id()));
            folder::make_private(&path)?;
            // Held for as long as it is being made, and let go by the system where this process is killed: so the
            // next one can tell what is left from what is under way.
            let lock = File::open(&path)?;
            lock.lock()?;
            Ok(Unfinished { path, finished: false, _lock: lock })
        };
        make().map_err(disk)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it its name, once all of it is on disk.
    pub(super) fn finish(mut self, target: &Path) -> Result<(), Failure> {
        let name = || -> io::Result<()> {
            // Files, then the folders that name them, then the name, then the folder that has it: whoever finds
            // the name after a power cut finds everything behind it.
            let files = all(&self.path)?;
            for path in files.iter().map(PathBuf::as_path).chain(folders(&self.path, &files)) {
                File::open(path)?.sync_all()?;
            }
            let target = std::path::absolute(target)?;
            fs::rename(&self.path, &target)?;
            File::open(target.parent().unwrap_or(Path::new("/")))?.sync_all()
        };
        name().map_err(disk)?;
        self.finished = true;
        Ok(())
    }
}

/// Removes what killed processes left in the making of the same folder: it is as large as the data,
/// and holds its keys.
fn clear(parent: &Path, ours: &str) -> io::Result<()> {
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with(ours) {
            continue;
        }
        // One that is locked is being made by a process that lives.
        let left = File::open(entry.path()).is_ok_and(|folder| folder.try_lock().is_ok());
        if left {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

impl Described {
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint { bytes: self.bytes, sha256: self.sha256.clone() }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.finished {
            // What cannot be removed has no description: nobody takes it for a backup.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

impl Manifest {
    /// Describes every file there is.
    pub(super) fn describe(folder: &Path, made: &str) -> io::Result<Manifest> {
        let describe = |path: PathBuf| -> io::Result<Described> {
            let Fingerprint { bytes, sha256 } = fingerprint(&path)?;
            let mode = fs::metadata(&path)?.permissions().mode() & 0o777;
            let path = relative(folder, &path)?;
            Ok(Described { path, bytes, sha256, mode })
        };
        let files: Vec<Described> =
            all(folder)?.into_iter().map(describe).collect::<io::Result<_>>()?;
        // Over all of the above: a description that is hurt is told from one that describes hurt files.
        let sha256 = own_digest(made, &files)?;
        Ok(Manifest { format: FORMAT, made: made.to_owned(), files, sha256 })
    }

    fn is_sound(&self) -> bool {
        let own = own_digest(&self.made, &self.files);
        self.format == FORMAT && own.is_ok_and(|own| own == self.sha256)
    }

    /// How much it describes.
    pub(super) fn amount(&self) -> Amount {
        let bytes = self.files.iter().map(|file| file.bytes).sum();
        Amount { files: self.files.len(), bytes }
    }

    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        let mut file = folder::create_private(&folder.join(MANIFEST))?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.sync_all()
    }

    pub(super) fn read(folder: &Path) -> Result<Manifest, Failure> {
        let text = fs::read(folder.join(MANIFEST)).map_err(|error| {
            let says = format!("no whole backup. folder=`{}`, cause=`{error}`", folder.display());
            Failure::environment(says, "name a folder that `yeoul backup` has finished")
        })?;
        match serde_json::from_slice::<Manifest>(&text) {
            Ok(manifest) if manifest.is_sound() => Ok(manifest),
            _ => Err(unusable(&format!("`{MANIFEST}` describes no backup this program knows"))),
        }
    }

    /// Every file is there and is what it was.
    pub(super) fn verify(&self, folder: &Path) -> Result<(), Failure> {
        for file in &self.files {
            // The description may come from anywhere: what it names is read and written below the folder and
            // nowhere else.
            let inside = Path::new(&file.path)
                .components()
                .all(|part| matches!(part, std::path::Component::Normal(_)));
            if !inside {
                return Err(unusable(&format!("a path leads out of it. path=`{}`", file.path)));
            }
            let is = fingerprint(&folder.join(&file.path))
                .map_err(|error| unusable(&format!("`{}` cannot be read: {error}", file.path)))?;
            if is != file.fingerprint() {
                return Err(unusable(&format!("`{}` is not what was backed up", file.path)));
            }
        }
        Ok(())
    }

    pub(super) fn copy(&self, from: &Path, to: &Path) -> io::Result<()> {
        for file in &self.files {
            let place = to.join(&file.path);
            folder::make_private(place.parent().unwrap_or(to))?;
            copy_private(&from.join(&file.path), &place)?;
        }
        Ok(())
    }
}

/// Where a file of `data` belongs below `to`; its folder is made.
pub(super) fn place(data: &Path, file: &Path, to: &Path) -> io::Result<PathBuf> {
    let place = to.join(relative(data, file)?);
    folder::make_private(place.parent().unwrap_or(to))?;
    Ok(place)
}

/// Copies a file; the copy is its owner's alone, whatever the file was.
pub(super) fn copy_private(from: &Path, to: &Path) -> io::Result<()> {
    // Before there is anything in it, so that nobody can have opened it meanwhile.
    let mut copy = folder::create_private(to)?;
    io::copy(&mut File::open(from)?, &mut copy)?;
    Ok(())
}

/// Every file of a data folder that is no store: keys, identities. Not the lock, nor the note of the
/// stores, nor what another program has under way.
pub(super) fn beside_stores(data: &Path) -> io::Result<Vec<PathBuf>> {
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let top = path.parent() == Some(data);
        let passing = top && (name == "lock" || name.starts_with(NOTE) || name.starts_with('.'));
        !passing && !upkeep::is_of_a_store(path)
    };
    Ok(all(data)?.into_iter().filter(is_ours).collect())
}

/// Every file below a folder, in order of their paths.
fn all(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    gather(folder, DEPTH_MAX, &mut found)?;
    found.sort();
    Ok(found)
}

fn gather(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_file() {
            found.push(entry.path());
        } else if kind.is_dir() && depth > 0 {
            gather(&entry.path(), depth - 1, found)?;
        }
    }
    Ok(())
}

/// The folders that these files are in, from `folder` on down: a file's name is on disk when its folder is.
fn folders<'f>(folder: &Path, files: &'f [PathBuf]) -> BTreeSet<&'f Path> {
    let inside = |path: &&Path| path.starts_with(folder);
    files.iter().flat_map(|file| file.ancestors().skip(1).take_while(inside)).collect()
}

fn relative(folder: &Path, file: &Path) -> io::Result<String> {
    let path = file.strip_prefix(folder).map_err(io::Error::other)?;
    path.to_str().map(str::to_owned).ok_or_else(|| io::Error::other("a name that is not UTF-8"))
}

fn fingerprint(path: &Path) -> io::Result<Fingerprint> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut bytes = 0;
    let mut part = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut part)?;
        if count == 0 {
            break;
        }
        hash.update(&part[..count]);
        bytes += count as u64;
    }
    Ok(Fingerprint { bytes, sha256: hex(hash) })
}

fn own_digest(made: &str, files: &[Described]) -> io::Result<String> {
    let described = serde_json::to_vec(&(FORMAT, made, files))?;
    Ok(hex(Sha256::new_with_prefix(described)))
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn disk(error: io::Error) -> Failure {
    Failure::environment(error, "make room, or see to the folder's rights, and try again")
}

/// What a copy of a store met: a full disk is cured otherwise than a hurt file.
pub(super) fn store(error: events::Error) -> Failure {
    if error.is_environment() { disk(io::Error::other(error)) } else { hurt(error) }
}

pub(super) fn hurt(error: impl std::fmt::Display) -> Failure {
    Failure::environment(error, "see `yeoul doctor --data DIR`")
}

pub(super) fn say(line: &str) -> Result<(), Failure> {
    let written = writeln!(io::stdout().lock(), "{line}");
    written.map_err(|error| Failure::environment(error, "see where stdout goes"))
}

fn unusable(says: &str) -> Failure {
    Failure::environment(format!("the backup cannot be used: {says}"), "restore another backup")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_that_a_file_is_in_goes_to_disk_with_it() {
        let files = ["/backup/backup.json", "/backup/gateway/tls/key.pem", "/backup/log/log.db"];
        let files = files.map(PathBuf::from);
        let names = ["/backup", "/backup/gateway", "/backup/gateway/tls", "/backup/log"];
        assert!(folders(Path::new("/backup"), &files).into_iter().eq(names.map(Path::new)));
    }
}
