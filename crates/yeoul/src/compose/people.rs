//! People's keys, where events of some topic have personal data: their store, and what seals by them.
//!
//! The store is a file of the data folder that no backup has unless it is asked for, or a schema on the server that all
//! instances share.

use std::path::Path;

use chassis::sealing::SealingKey;
use chassis::{clock, folder};
use events::store::{Host, Location};
use privacy::{Keyring, Sealing};

use super::store;
use crate::exit::Failure;
use crate::process::damaged;
use crate::settings::pii::Rules;
use crate::stores::PEOPLE;

/// The file in its folder.
const FILE: &str = "people.db";
/// Connections to a server.
const CONNECTIONS: u32 = 5;

/// Opens them, where anything is personal; on a server `outer` seals them there.
pub(super) async fn open(
    data: &Path,
    host: Option<&Host>,
    outer: Option<&SealingKey>,
    rules: &Rules,
) -> Result<Option<Sealing>, Failure> {
    if rules.is_empty() {
        return Ok(None);
    }
    let location = match host {
        Some(host) => {
            let host = Host { connections: CONNECTIONS, ..host.clone() };
            Location::Schema { host, name: PEOPLE.to_owned() }
        }
        None => {
            let folder = data.join(PEOPLE);
            folder::make_private(&folder).map_err(|error| damaged("the data folder", &error))?;
            Location::File(folder.join(FILE))
        }
    };
    let outer = outer.filter(|_| host.is_some()).cloned();
    let opened = Box::pin(Keyring::open(location, outer, clock::component())).await;
    let keyring =
        opened.map_err(|error| store::unopened("the store of people's keys", host, &error))?;
    Ok(Some(Sealing::new(keyring, rules.clone())))
}
