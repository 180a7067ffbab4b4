//! Lists the templates and pictures beside this crate, so that each is embedded under its file name.
//!
//! A folder that is not there is an empty list: the crate builds without it.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let crate_root = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(variable("OUT_DIR")?);
    for (folder, macro_name) in [("templates", "include_str"), ("pictures", "include_bytes")] {
        println!("cargo::rerun-if-changed={folder}");
        let list = list(&crate_root.join(folder), macro_name)?;
        fs::write(out.join(format!("{folder}.rs")), list)?;
    }
    Ok(())
}

fn list(folder: &Path, macro_name: &str) -> io::Result<String> {
    let mut files: Vec<PathBuf> = match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| entry.map(|it| it.path())).collect::<Result<_, _>>()?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    files.retain(|file| file.is_file());
    files.sort();
    let mut text = String::from("&[\n");
    for file in files {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        writeln!(text, "    ({name:?}, {macro_name}!({:?})),", file.display().to_string())
            .map_err(io::Error::other)?;
    }
    text.push_str("]\n");
    Ok(text)
}

fn variable(name: &str) -> io::Result<String> {
    // The environment is how cargo talks to a build script.
    #[expect(clippy::disallowed_methods, reason = "cargo's own interface to build scripts")]
    env::var(name).map_err(io::Error::other)
}
