//! Product as the simulation plays it: the handlers as they are, commands without HTTP.

use std::collections::BTreeMap;

use events::store::{Tables, Tx};
use events::{Cause, Database, Error};

use super::decide::Decision;
use super::handlers::publish;
use super::model::{Policy, Product};
use super::store;

pub(crate) const TABLES: Tables = store::TABLES;

/// Orders the simulation never gets beyond.
const ORDERS_MAX: u64 = 100;

pub(crate) async fn register(tx: &mut Tx<'_>, stock: u64) -> Result<(), Error> {
    let mut product = Product {
        id: 0,
        name: "X".to_owned(),
        price: 1,
        stock,
        image_url: String::new(),
        options: Vec::new(),
        policy: Policy::Cancel,
        version: 1,
        deleted: false,
    };
    product.id = store::insert(tx, &product).await?;
    publish(tx, &product, &Cause::default()).await?;
    Ok(())
}

/// Goods that are taken for an order.
pub(crate) struct Reservation {
    pub(crate) order: u64,
    pub(crate) product: u64,
    pub(crate) quantity: u64,
}

/// Everything that is taken.
pub(crate) async fn taken(database: &Database) -> Result<Vec<Reservation>, Error> {
    let mut taken = Vec::new();
    for order in 1..=ORDERS_MAX {
        let decided = database.read(&order, |&it, rows| Box::pin(store::decided(rows, it)));
        if let Some(decided) = decided.await?.filter(|it| it.decision == Decision::Taken) {
            let (product, quantity) = (decided.product_id, decided.quantity);
            taken.push(Reservation { order, product, quantity });
        }
    }
    Ok(taken)
}

pub(crate) async fn stock(database: &Database) -> Result<BTreeMap<u64, u64>, Error> {
    let mut stock = BTreeMap::new();
    for id in 1.. {
        let product = database.read(&id, |&id, rows| Box::pin(store::find(rows, id)));
        let Some(product) = product.await? else { break };
        stock.insert(id, product.stock);
    }
    Ok(stock)
}
