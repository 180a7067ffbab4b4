//! Product as the simulation plays it: the handlers as they are, commands without HTTP.

use std::collections::BTreeMap;

use events::store::sqlite::Write;
use events::{Cause, Database, Error};

pub(crate) use super::handlers::{OnDelivery, OnOrder};

use super::article::{Article, Policy};
use super::decide::Decision;
use super::handlers::publish;
use super::store::sqlite;

pub(crate) const SCHEMA: &[&str] = sqlite::SCHEMA;

/// Orders the simulation never gets beyond.
const ORDERS_MAX: u64 = 100;

pub(crate) fn register(write: &mut Write<'_>, stock: u64) -> Result<(), Error> {
    let mut article = Article {
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
    article.id = sqlite::insert(write.sql(), &article)?;
    publish(write, &article, &Cause::default())?;
    Ok(())
}

/// Order, product and quantity of everything that is taken.
pub(crate) fn taken(database: &Database) -> Result<Vec<(u64, u64, u64)>, Error> {
    let mut taken = Vec::new();
    for order in 1..=ORDERS_MAX {
        let decided = database.read(|connection| sqlite::decided(connection, order))?;
        if let Some(decided) = decided.filter(|it| it.decision == Decision::Taken) {
            taken.push((order, decided.product_id, decided.quantity));
        }
    }
    Ok(taken)
}

pub(crate) fn stock(database: &Database) -> Result<BTreeMap<u64, u64>, Error> {
    database.read(|connection| {
        let products = (1..).map_while(|id| sqlite::find(connection, id).transpose());
        products.map(|it| it.map(|it| (it.id, it.stock))).collect()
    })
}
