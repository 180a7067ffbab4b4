//! Roles: every one that an entry names is one that there is, where the settings say which there are.
//!
//! It does not know what a role may do beyond the entry that names it: a service says that of its own
//! commands.

use chassis::identity::Role;
use mistakes::Mistakes;

use crate::settings::Settings;

/// Roles that the settings may name at most.
const ROLES_MAX: usize = 256;

/// Names every role that is named and not there, or is there twice.
pub(super) fn check(settings: &Settings, mistakes: &mut Mistakes) {
    let known = &settings.roles;
    if known.len() > ROLES_MAX {
        let count = known.len();
        mistakes.at(&["roles"]).note(format!("at most {ROLES_MAX} roles. roles=`{count}`"));
    }
    for (at, role) in known.iter().enumerate() {
        if known[..at].contains(role) {
            mistakes.at(&["roles"]).note(format!("a role is named twice. role=`{role}`"));
        }
    }
    if known.is_empty() {
        return;
    }
    let mut check = |role: Option<&Role>, path: &[&str]| {
        if let Some(role) = role.filter(|role| !known.contains(role)) {
            let names = known.iter().map(Role::as_str);
            mistakes.at(path).unknown("role", role.as_str(), names);
        }
    };
    for (name, route) in &settings.routes {
        check(route.role.as_ref(), &["routes", name, "role"]);
    }
    let events = settings.events.as_ref().and_then(|events| events.role.as_ref());
    check(events, &["events", "role"]);
    for (topic, role) in settings.events.iter().flat_map(|events| &events.publish) {
        check(Some(role), &["events", "topics", topic, "publish"]);
    }
}
