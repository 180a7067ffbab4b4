//! Order as the simulation plays it: the handlers as they are, commands without HTTP.

use std::collections::BTreeMap;

use chassis::http::hal::Slice;
use events::store::sqlite::Write;
use events::{Cause, Database, Error};

pub(crate) use super::handlers::{OnDelivery, OnProduct};

use super::decide::{Input, State};
use super::handlers::{advance, publish};
use super::purchase::Purchase;
use super::store::sqlite;

pub(crate) const SCHEMA: &[&str] = sqlite::SCHEMA;

const ALL: Slice = Slice { page: 0, size: 100 };

pub(crate) fn place(write: &mut Write<'_>, product: u64, quantity: u64) -> Result<(), Error> {
    let mut purchase = Purchase {
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
    purchase.id = sqlite::insert(write.sql(), &purchase)?;
    publish(write, "OrderPlaced", &purchase, &Cause::default())?;
    Ok(())
}

pub(crate) fn cancel(write: &mut Write<'_>, id: u64) -> Result<(), Error> {
    if let Some(mut purchase) = sqlite::find(write.sql(), id)? {
        advance(write, &mut purchase, Input::Cancel, &Cause::default())?;
    }
    Ok(())
}

pub(crate) fn count(database: &Database) -> Result<u64, Error> {
    database.read(|connection| Ok(sqlite::list(connection, None, ALL)?.1))
}

pub(crate) fn orders(database: &Database) -> Result<Vec<(u64, String)>, Error> {
    let (purchases, _) = database.read(|connection| sqlite::list(connection, None, ALL))?;
    Ok(purchases.into_iter().map(|it| (it.id, it.state.as_str().to_owned())).collect())
}

pub(crate) fn replica(database: &Database) -> Result<BTreeMap<u64, u64>, Error> {
    database.read(|connection| {
        let products = (1..).map_while(|id| sqlite::replica(connection, id).transpose());
        products.map(|it| it.map(|it| (it.id, it.stock))).collect()
    })
}
