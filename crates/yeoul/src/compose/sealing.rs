//! What seals the keys that are in a store on a server: a key of the environment, since no file of any instance is the
//! place for it.

use chassis::sealing::SealingKey;
use events::store::Host;

use crate::exit::Failure;

/// The variable that has it.
const VARIABLE: &str = "YEOUL_STORE_KEY";

/// The key of the environment, where keys are on a server; nothing, where they are in files.
///
/// # Errors
/// There is none, or it is none: the input.
pub(crate) fn key(host: Option<&Host>) -> Result<Option<SealingKey>, Failure> {
    let Some(host) = host else { return Ok(None) };
    let mut variables = chassis::settings::environment();
    let given = variables.find(|(name, _)| name == VARIABLE).map(|(_, text)| text.parse());
    let says = match given {
        Some(Ok(key)) => return Ok(Some(key)),
        Some(Err(why)) => format!("{VARIABLE} is no key: {why}"),
        None => format!("the keys in the store are sealed, and {VARIABLE} is not set"),
    };
    let says = format!("{says}. store=`{}`", host.address);
    let todo =
        format!("set {VARIABLE} to what `openssl rand -hex 32` prints, the same for every process");
    Err(Failure::input(says, todo))
}

/// Why keys were not had that another key sealed, and what to do.
pub(crate) fn sealed(host: Option<&Host>, error: &sessions::NoKeys) -> Failure {
    let address = host.map(|host| host.address.to_string()).unwrap_or_default();
    let todo =
        format!("give {VARIABLE} what it was when this store was first used; nothing was changed");
    Failure::environment(format!("{error}. store=`{address}`"), todo)
}
