//! Delivery as the simulation plays it: the handler as it is, commands without HTTP.

use chassis::http::hal::Slice;
use events::store::{Tables, Tx};
use events::{Cause, Database, Error};

use super::decide::{State, Transition, transition};
use super::handlers::advance;
use super::store;

pub(crate) const TABLES: Tables = store::TABLES;

const ALL: Slice = Slice { page: 0, size: 100 };

pub(crate) async fn change(tx: &mut Tx<'_>, order: u64, state: &str) -> Result<(), Error> {
    let wanted = State::parse(state).expect("a state");
    if let Some(mut delivery) = store::take_of_order(tx, order).await?
        && transition(delivery.state, wanted) == Transition::Allowed
    {
        advance(tx, &mut delivery, wanted, &Cause::default()).await?;
    }
    Ok(())
}

/// A delivery, as far as it matters here.
pub(crate) struct Seen {
    pub(crate) order: u64,
    pub(crate) state: String,
}

pub(crate) async fn deliveries(database: &Database) -> Result<Vec<Seen>, Error> {
    let all = database.read(&(), |(), rows| Box::pin(store::list(rows, None, ALL)));
    let all = all.await?.items.into_iter();
    Ok(all.map(|it| Seen { order: it.order_id, state: it.state.as_str().to_owned() }).collect())
}
