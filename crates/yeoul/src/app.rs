//! The web app's files, embedded in the program by `build.rs`.

use std::collections::BTreeMap;

use gateway::{AppFile, AppFiles};

/// Path and content of every file of `web/dist`; empty where it was not built.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/app_files.rs"));

/// The files as the gateway serves them, and `more` beside them: `.br` and `.gz` neighbours become
/// encodings of one file.
pub(crate) fn files(more: Vec<AppFile>) -> AppFiles {
    let all: BTreeMap<&str, &'static [u8]> = FILES.iter().copied().collect();
    let encoded = |path: &str, ending: &str| all.get(format!("{path}{ending}").as_str()).copied();
    let plain = all.iter().filter(|(path, _)| !path.ends_with(".br") && !path.ends_with(".gz"));
    AppFiles::new(
        plain
            .map(|(path, identity)| AppFile {
                path: (*path).to_owned(),
                identity,
                br: encoded(path, ".br"),
                gzip: encoded(path, ".gz"),
            })
            .chain(more)
            .collect(),
    )
}
