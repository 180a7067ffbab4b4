//! Where a page's template is found: beside the settings, or embedded in the program.

use std::path::Path;

/// Files of a folder that are looked at for the name that was meant.
const NAMES_MAX: usize = 1_000;

/// A template: beside the settings file if one was given, else one of those that are embedded.
///
/// # Errors
/// There is none of that name; the nearest one that there is, in words.
pub(super) fn find(
    config: Option<&Path>,
    embedded: &[(&str, &str)],
    name: &str,
) -> Result<String, String> {
    let folder = config.and_then(Path::parent);
    let written = folder.and_then(|folder| std::fs::read_to_string(folder.join(name)).ok());
    let own = || embedded.iter().find(|(own, _)| *own == name).map(|(_, text)| (*text).to_owned());
    written.or_else(own).ok_or_else(|| {
        let beside = folder.map(beside).unwrap_or_default();
        let own = embedded.iter().map(|(name, _)| *name);
        mistakes::unknown("template", name, own.chain(beside.iter().map(String::as_str)))
    })
}

/// What lies in a folder that may be a template.
fn beside(folder: &Path) -> Vec<String> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.ends_with(".html")).take(NAMES_MAX).collect()
}
