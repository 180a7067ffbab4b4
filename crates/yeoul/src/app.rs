//! The web app's files, embedded in the program by `build.rs`.

use std::collections::BTreeMap;

use gateway::{AppFile, AppFiles};
use hyper::body::Bytes;

/// Path and content of every file of `web/dist`; empty where it was not built.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/app_files.rs"));

/// The files as the gateway serves them: `.br` and `.gz` neighbours become encodings of one file.
pub(crate) fn files() -> AppFiles {
    let all: BTreeMap<&str, &'static [u8]> = FILES.iter().copied().collect();
    let encoded = |path: &str, ending: &str| {
        all.get(format!("{path}{ending}").as_str()).map(|&bytes| Bytes::from_static(bytes))
    };
    let plain = all.iter().filter(|(path, _)| !path.ends_with(".br") && !path.ends_with(".gz"));
    let file = |path: &str, identity: &'static [u8]| AppFile {
        path: path.to_owned(),
        identity: Bytes::from_static(identity),
        br: encoded(path, ".br"),
        gzip: encoded(path, ".gz"),
    };
    AppFiles::new(plain.map(|(path, identity)| file(path, identity)).collect())
}
