//! Delivery as the simulation plays it: the handler as it is, commands without HTTP.

use chassis::http::hal::Slice;
use events::store::sqlite::Write;
use events::{Cause, Database, Error};

pub(crate) use super::handlers::OnOrder;

use super::decide::{State, Wish};
use super::handlers::advance;
use super::store::sqlite;

pub(crate) const SCHEMA: &[&str] = sqlite::SCHEMA;

const ALL: Slice = Slice { page: 0, size: 100 };

pub(crate) fn wish(write: &mut Write<'_>, order: u64, state: &str) -> Result<(), Error> {
    let wanted = State::parse(state).expect("a state");
    if let Some(mut parcel) = sqlite::of_order(write.sql(), order)?
        && super::decide::wish(parcel.state, wanted) == Wish::Granted
    {
        advance(write, &mut parcel, wanted, &Cause::default())?;
    }
    Ok(())
}

/// Order and state of every delivery.
pub(crate) fn deliveries(database: &Database) -> Result<Vec<(u64, String)>, Error> {
    let (parcels, _) = database.read(|connection| sqlite::list(connection, None, ALL))?;
    Ok(parcels.into_iter().map(|it| (it.order_id, it.state.as_str().to_owned())).collect())
}
