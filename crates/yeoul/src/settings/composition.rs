//! What a program brings along besides the layer: nothing, or a shop with topics and templates of its own.

/// What is there without being named in the settings.
pub(super) struct Composition {
    /// The section of the settings that is its own; none of the layer alone.
    pub(super) section: &'static str,
    /// The topics that its outboxes publish to.
    pub(super) topics: &'static [&'static str],
    /// The services that it runs, each an upstream.
    pub(super) services: Vec<&'static str>,
    /// The page templates that it has embedded, by file name.
    pub(super) templates: &'static [(&'static str, &'static str)],
    /// Whether it has keys to verify tokens with.
    pub(super) has_keys: bool,
}

impl Composition {
    /// `yeoul serve`: the services are somebody's own.
    pub(super) const LAYER_ALONE: Composition = Composition {
        section: "",
        topics: &[],
        services: Vec::new(),
        templates: &[],
        has_keys: false,
    };
}
