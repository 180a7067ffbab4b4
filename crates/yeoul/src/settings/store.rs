//! Where databases are: a file for each in the data folder, or a schema for each on a server.

use events::Error;
use events::store::{Address, Host};
use mistakes::Mistake;

/// A file for each.
const FILES: &str = "sqlite";
/// The variable that has what a server asks for; no file has.
const PASSWORD: &str = "YEOUL_STORE_PASSWORD";
/// Connections of one database: six of a whole mall's are open at once, and a server takes a hundred by itself.
const CONNECTIONS: u32 = 8;

/// The server that `store` names, if it names one.
///
/// # Errors
/// It names neither.
pub(super) fn host(store: Option<&str>) -> Result<Option<Host>, Vec<Mistake>> {
    let Some(text) = store.filter(|text| *text != FILES) else { return Ok(None) };
    let address: Address = text.parse().map_err(|error| {
        let form = form(&error);
        let says = format!(
            "must be `{FILES}` or an address: {form}; a password is given by the variable `{PASSWORD}`"
        );
        vec![Mistake::new(&["store"], says)]
    })?;
    Ok(Some(Host { address, password: password(PASSWORD), connections: CONNECTIONS }))
}

/// What an address or a name has to look like, as whoever reads it says.
pub(super) fn form(error: &Error) -> String {
    match error {
        Error::Decode { what } => what.clone(),
        other => other.to_string(),
    }
}

/// What the environment has in this variable.
pub(super) fn password(variable: &str) -> Option<String> {
    let mut variables = chassis::settings::environment();
    let (_, password) = variables.find(|(name, _)| name == variable)?;
    Some(password).filter(|password| !password.is_empty())
}
