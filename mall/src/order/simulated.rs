//! Order as the simulation plays it: the handlers as they are, commands without HTTP.

use std::collections::BTreeMap;

use chassis::http::hal::Slice;
use events::store::{Tables, Tx};
use events::{Cause, Database, Error};

use super::decide::{Input, State};
use super::handlers::{advance, publish};
use super::model::Order;
use super::store;

pub(crate) const TABLES: Tables = store::TABLES;

const ALL: Slice = Slice { page: 0, size: 100 };

pub(crate) async fn place(tx: &mut Tx<'_>, product: u64, quantity: u64) -> Result<(), Error> {
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
    order.id = store::insert(tx, &order).await?;
    publish(tx, "OrderPlaced", &order, &Cause::default()).await?;
    Ok(())
}

pub(crate) async fn cancel(tx: &mut Tx<'_>, id: u64) -> Result<(), Error> {
    if let Some(mut order) = store::take(tx, id).await? {
        advance(tx, &mut order, Input::Cancel, &Cause::default()).await?;
    }
    Ok(())
}

pub(crate) async fn count(database: &Database) -> Result<u64, Error> {
    let all = database.read(&(), |(), rows| Box::pin(store::list(rows, None, ALL)));
    Ok(all.await?.total)
}

/// An order, as far as it matters here.
pub(crate) struct Seen {
    pub(crate) id: u64,
    pub(crate) state: String,
}

pub(crate) async fn orders(database: &Database) -> Result<Vec<Seen>, Error> {
    let all = database.read(&(), |(), rows| Box::pin(store::list(rows, None, ALL)));
    let all = all.await?.items.into_iter();
    Ok(all.map(|it| Seen { id: it.id, state: it.state.as_str().to_owned() }).collect())
}

pub(crate) async fn replica(database: &Database) -> Result<BTreeMap<u64, u64>, Error> {
    let mut stock = BTreeMap::new();
    for id in 1.. {
        let replica = database.read(&id, |&id, rows| Box::pin(store::replica(rows, id)));
        let Some(replica) = replica.await? else { break };
        stock.insert(id, replica.stock);
    }
    Ok(stock)
}
