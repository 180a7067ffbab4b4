//! What is embedded is never older than what it is made of.

#[path = "../build.rs"]
#[expect(dead_code, clippy::print_stdout, reason = "cargo is spoken to on the standard output")]
mod build;

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// A `web` folder whose files are of `now`, but for those of `later`.
fn web(folder: &Path, later: &[&str]) {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    for name in build::sources().chain(["dist/index.html", "src/parts/Bar.svelte"]) {
        let path = folder.join(name);
        if ["src", "public", "scripts"].contains(&name) {
            fs::create_dir_all(&path).expect("made");
            continue;
        }
        fs::create_dir_all(path.parent().expect("below web")).expect("made");
        let file = File::create(&path).expect("made");
        let at = if later.contains(&name) { now + Duration::from_secs(1) } else { now };
        file.set_modified(at).expect("set");
    }
}

#[test]
fn an_app_that_is_older_than_a_source_is_refused() {
    let cases = [
        (vec![], None),
        (vec!["dist/index.html"], None),
        (vec!["src/parts/Bar.svelte"], Some("src/parts/Bar.svelte")),
        (vec!["package-lock.json"], Some("package-lock.json")),
        (vec!["dist/index.html", "index.html"], None),
    ];
    for (later, expected) in cases {
        let folder = tempfile::tempdir().expect("a folder");
        web(folder.path(), &later);
        let found = build::newer_source(folder.path()).expect("read");
        assert_eq!(found, expected.map(|name| folder.path().join(name)), "{later:?}");
    }
}
