//! The upstreams that settings name, each with its addresses.

use std::collections::BTreeMap;

use mistakes::Mistakes;

use super::Upstream;
use crate::endpoint::Endpoint;
use crate::settings::{self, KEEP_ALIVE};

/// How many addresses one upstream may have.
pub(crate) const ENDPOINTS_MAX: usize = 64;

/// Every upstream that has a name.
pub(super) fn upstreams(
    settings: &BTreeMap<String, settings::Upstream>,
    mistakes: &mut Mistakes,
) -> Vec<Upstream> {
    let mut upstreams = Vec::new();
    for (name, upstream) in settings {
        let endpoints = endpoints(&upstream.to.0, &["upstreams", name], mistakes);
        let keep_alive = upstream.keep_alive.unwrap_or(KEEP_ALIVE).0;
        let (host, setting) = (upstream.host, vec!["upstreams".to_owned(), name.clone()]);
        upstreams.push(Upstream { name: name.clone(), setting, endpoints, host, keep_alive });
    }
    upstreams
}

/// The endpoints that a list of URLs names.
pub(super) fn endpoints(urls: &[String], path: &[&str], mistakes: &mut Mistakes) -> Vec<Endpoint> {
    if !(1..=ENDPOINTS_MAX).contains(&urls.len()) {
        let count = urls.len();
        mistakes
            .at(path)
            .note(format!("an upstream has 1 to {ENDPOINTS_MAX} addresses. addresses=`{count}`"));
    }
    urls.iter().filter_map(|url| mistakes.at(path).take(Endpoint::parse(url))).collect()
}
