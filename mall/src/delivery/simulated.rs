//! Delivery as the simulation plays it: the handler as it is, commands without HTTP.

use chassis::http::hal::Slice;
use events::store::Write;
use events::{Cause, Database, Error};

use super::decide::{State, Transition, transition};
use super::handlers::advance;
use super::store;

pub(crate) const SCHEMA: &[&str] = store::SCHEMA;

const ALL: Slice = Slice { page: 0, size: 100 };

pub(crate) fn change(write: &mut Write<'_>, order: u64, state: &str) -> Result<(), Error> {
    let wanted = State::parse(state).expect("a state");
    if let Some(mut delivery) = store::of_order(write.sql(), order)?
        && transition(delivery.state, wanted) == Transition::Allowed
    {
        advance(write, &mut delivery, wanted, &Cause::default())?;
    }
    Ok(())
}

/// Order and state of every delivery.
pub(crate) fn deliveries(database: &Database) -> Result<Vec<(u64, String)>, Error> {
    let deliveries = database.read(|rows| store::list(rows, None, ALL))?;
    Ok(deliveries.items.into_iter().map(|it| (it.order_id, it.state.as_str().to_owned())).collect())
}
