//! What product writes and reads on the wire: its events, its bodies, and its own reading of others' events.

use chassis::wire;
use serde::{Deserialize, Serialize};

use super::model::{Choice, Product};
use crate::condition::Representation;

/// The data of ProductChanged.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProductChanged<'a> {
    product_id: u64,
    product_name: &'a str,
    product_price: u64,
    product_stock: u64,
    image_url: &'a str,
    stock_policy: &'static str,
    version: u64,
    deleted: bool,
}

/// The data of StockDecreased, StockIncreased and ProductOutOfStock.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stock {
    pub(super) product_id: u64,
    pub(super) order_id: u64,
    pub(super) quantity: u64,
}

/// The data of ProductRestocked.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProductRestocked {
    pub(super) product_id: u64,
    pub(super) stock: u64,
    pub(super) added: u64,
}

wire! {
    Camel "camelCase":
    /// A product as bodies show it.
    pub(super) struct ProductBody<'a> {
        id: u64,
        name: &'a str,
        price: u64,
        stock: u64,
        image_url: &'a str,
        options: &'a [Choice],
        stock_policy: &'static str,
        version: u64,
    }
}

/// What product reads of order's events and of DeliveryReturned.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OfOrder {
    pub(super) order_id: u64,
    pub(super) product_id: u64,
    pub(super) quantity: u64,
}

impl<'a> ProductChanged<'a> {
    pub(super) fn of(product: &'a Product) -> ProductChanged<'a> {
        ProductChanged {
            product_id: product.id,
            product_name: &product.name,
            product_price: product.price,
            product_stock: product.stock,
            image_url: &product.image_url,
            stock_policy: product.policy.as_str(),
            version: product.version,
            deleted: product.deleted,
        }
    }
}

impl<'a> ProductBody<'a> {
    pub(super) fn of(product: &'a Product) -> ProductBody<'a> {
        ProductBody {
            id: product.id,
            name: &product.name,
            price: product.price,
            stock: product.stock,
            image_url: &product.image_url,
            options: &product.options,
            stock_policy: product.policy.as_str(),
            version: product.version,
        }
    }

    /// The product with its tag.
    pub(super) fn representation(product: &'a Product) -> Representation {
        Representation::of(&ProductBody::of(product), product.version)
    }
}
