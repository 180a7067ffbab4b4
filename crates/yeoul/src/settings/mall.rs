//! The mall's part of the settings: the file that it is shipped with, its section, what it brings along.

use chassis::settings::Tree;
use mistakes::Mistake;
use serde::Deserialize;

use super::composition::Composition;

/// How mistakes name the mall's own file.
const EMBEDDED: &str = "mall/yeoul.yaml";
/// The section that is the mall's.
const SECTION: &str = "mall";

/// The file that a settings file of the mall is laid over.
///
/// # Errors
/// None but of a program that is wrong.
pub(super) fn embedded() -> Result<Tree, Vec<Mistake>> {
    Tree::parse(EMBEDDED, mall::SETTINGS)
}

/// What is there wherever the settings have the mall's section.
pub(super) fn composition() -> Composition {
    // Account, which signs tokens, is one of its services.
    Composition {
        section: SECTION,
        topics: &mall::TOPICS,
        services: mall::Name::ALL.map(mall::Name::as_str).to_vec(),
        templates: mall::templates::ALL,
        has_keys: true,
    }
}

/// The section `mall`.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct Section(mall::Settings);

impl Section {
    /// What it says.
    pub(crate) fn settings(&self) -> &mall::Settings {
        &self.0
    }

    /// Port 0 for every service.
    pub(super) fn free_every_port(&mut self) {
        self.0.services.values_mut().for_each(|service| service.listen.set_port(0));
    }
}
