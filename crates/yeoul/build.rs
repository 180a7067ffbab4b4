//! Embeds `web/dist` if it has been built; without it the program serves one page that says how.
//!
//! An app that is older than what it is made of is refused rather than embedded: `git pull` and
//! `cargo build` would give a program whose pages are those of before. It is not built here, because
//! who builds the program needs no Node.
//!
//! Only files are listed here; what they mean is the gateway's matter.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{env, fs, io};

/// What the app is built from, in `web`: folders with all below them, and files, one a line.
const SOURCES: &str = include_str!("../../web/sources.txt");

#[expect(clippy::disallowed_methods, reason = "cargo speaks to build scripts by the environment")]
fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let web = root.join("../../web");
    let dist = web.join("dist");
    println!("cargo::rerun-if-changed={}", dist.display());

    let mut files = Vec::new();
    if dist.is_dir() {
        if let Some(source) = newer_source(&web)? {
            let name = source.strip_prefix(&web).expect("below web").display();
            println!("cargo::error=web/dist is older than web/{name}: npm --prefix web run build");
        }
        list(&dist, &mut files)?;
        files.sort();
    }
    let mut text = String::from("&[\n");
    for file in files {
        println!("cargo::rerun-if-changed={}", file.display());
        let name = file.strip_prefix(&dist).expect("below dist").display().to_string();
        let file = file.canonicalize()?;
        writeln!(text, "    ({:?}, include_bytes!({:?}) as &[u8]),", format!("/{name}"), file)
            .expect("a String takes any text");
    }
    text.push(']');
    let out = PathBuf::from(env::var("OUT_DIR").expect("set by cargo"));
    fs::write(out.join("app_files.rs"), text)
}

/// The names of what the app is built from.
pub(crate) fn sources() -> impl Iterator<Item = &'static str> {
    SOURCES.lines()
}

/// The first source that is newer than the app that was built of it.
pub(crate) fn newer_source(web: &Path) -> io::Result<Option<PathBuf>> {
    let built = modified(&web.join("dist/index.html"))?;
    let mut files = Vec::new();
    for source in sources().map(|name| web.join(name)) {
        println!("cargo::rerun-if-changed={}", source.display());
        if source.is_dir() {
            list(&source, &mut files)?;
        } else {
            files.push(source);
        }
    }
    for source in files {
        if modified(&source)? > built {
            return Ok(Some(source));
        }
    }
    Ok(None)
}

fn modified(path: &Path) -> io::Result<SystemTime> {
    fs::metadata(path)?.modified()
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
