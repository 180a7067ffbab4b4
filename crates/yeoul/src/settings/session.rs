//! Where sign-in is when the settings have a session and do not say.

use chassis::settings::Tree;
use mistakes::Mistake;

/// How mistakes name what is laid below a file that has a session.
const NAME: &str = "the session's usual paths";
/// The protocol's name (RFC 6749), as most services that speak it begin their paths.
const PROTOCOL: &str = "/oauth";

/// The settings over the session's usual paths, where they have a session.
///
/// # Errors
/// None but of a program that is wrong.
pub(super) fn over_usual(settings: Tree) -> Result<Tree, Vec<Mistake>> {
    if !settings.has("session") {
        return Ok(settings);
    }
    let usual = format!(
        "session: {{ path: {PROTOCOL}/session, token: {PROTOCOL}/token, revoke: {PROTOCOL}/revoke }}"
    );
    Ok(Tree::parse(NAME, &usual)?.overlay(settings))
}
