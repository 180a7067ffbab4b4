//! Order as the simulation plays it: the handlers as they are, commands without HTTP.

use std::collections::BTreeMap;

use chassis::http::hal::Slice;
use events::store::Write;
use events::{Cause, Database, Error};

use super::decide::{Input, State};
use super::handlers::{advance, publish};
use super::model::Order;
use super::store;

pub(crate) const SCHEMA: &[&str] = store::SCHEMA;

const ALL: Slice = Slice { page: 0, size: 100 };

pub(crate) fn place(write: &mut Write<'_>, product: u64, quantity: u64) -> Result<(), Error> {
    let mut order = Order {
        id: 0,
        product_id: product,
        product_name: String::new(),
        image_url: String::new(),
        quantity,
        price: 1,
        customer_id: "c1".to_owned(),
        customer_name: String::new(),
        customer_addr: String::new(),
        state: State::Pending,
        reason: None,
        delivered: false,
        sequence: 1,
        correlation: String::new(),
    };
    order.id = store::insert(write.sql(), &order)?;
    publish(write, "OrderPlaced", &order, &Cause::default())?;
    Ok(())
}

pub(crate) fn cancel(write: &mut Write<'_>, id: u64) -> Result<(), Error> {
    if let Some(mut order) = store::find(write.sql(), id)? {
        advance(write, &mut order, Input::Cancel, &Cause::default())?;
    }
    Ok(())
}

pub(crate) fn count(database: &Database) -> Result<u64, Error> {
    database.read(|rows| Ok(store::list(rows, None, ALL)?.total))
}

pub(crate) fn orders(database: &Database) -> Result<Vec<(u64, String)>, Error> {
    let orders = database.read(|rows| store::list(rows, None, ALL))?;
    Ok(orders.items.into_iter().map(|it| (it.id, it.state.as_str().to_owned())).collect())
}

pub(crate) fn replica(database: &Database) -> Result<BTreeMap<u64, u64>, Error> {
    database.read(|rows| {
        let products = (1..).map_while(|id| store::replica(rows, id).transpose());
        products.map(|it| it.map(|it| (it.id, it.stock))).collect()
    })
}
