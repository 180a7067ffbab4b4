//! Product as the simulation plays it: the handlers as they are, commands without HTTP.

use std::collections::BTreeMap;

use events::store::Write;
use events::{Cause, Database, Error};

use super::decide::Decision;
use super::handlers::publish;
use super::model::{Policy, Product};
use super::store;

pub(crate) const SCHEMA: &[&str] = store::SCHEMA;

/// Orders the simulation never gets beyond.
const ORDERS_MAX: u64 = 100;

pub(crate) fn register(write: &mut Write<'_>, stock: u64) -> Result<(), Error> {
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
    product.id = store::insert(write.sql(), &product)?;
    publish(write, &product, &Cause::default())?;
    Ok(())
}

/// Goods that are taken for an order.
pub(crate) struct Taken {
    pub(crate) order: u64,
    pub(crate) product: u64,
    pub(crate) quantity: u64,
}

/// Everything that is taken.
pub(crate) fn taken(database: &Database) -> Result<Vec<Taken>, Error> {
    let mut taken = Vec::new();
    for order in 1..=ORDERS_MAX {
        let decided = database.read(|rows| store::decided(rows, order))?;
        if let Some(decided) = decided.filter(|it| it.decision == Decision::Taken) {
            let (product, quantity) = (decided.product_id, decided.quantity);
            taken.push(Taken { order, product, quantity });
        }
    }
    Ok(taken)
}

pub(crate) fn stock(database: &Database) -> Result<BTreeMap<u64, u64>, Error> {
    database.read(|rows| {
        let products = (1..).map_while(|id| store::find(rows, id).transpose());
        products.map(|it| it.map(|it| (it.id, it.stock))).collect()
    })
}
