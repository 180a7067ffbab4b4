//! What product says and hears: its events, its bodies, and its own reading of others' events.

use serde::{Deserialize, Serialize};

use super::article::{Article, Choice};
use crate::condition::Shown;

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

/// A product as bodies show it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Product<'a> {
    id: u64,
    name: &'a str,
    price: u64,
    stock: u64,
    image_url: &'a str,
    options: &'a [Choice],
    stock_policy: &'static str,
    version: u64,
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
    pub(super) fn of(article: &'a Article) -> ProductChanged<'a> {
        ProductChanged {
            product_id: article.id,
            product_name: &article.name,
            product_price: article.price,
            product_stock: article.stock,
            image_url: &article.image_url,
            stock_policy: article.policy.as_str(),
            version: article.version,
            deleted: article.deleted,
        }
    }
}

impl<'a> Product<'a> {
    pub(super) fn of(article: &'a Article) -> Product<'a> {
        Product {
            id: article.id,
            name: &article.name,
            price: article.price,
            stock: article.stock,
            image_url: &article.image_url,
            options: &article.options,
            stock_policy: article.policy.as_str(),
            version: article.version,
        }
    }

    /// The product with its tag.
    pub(super) fn shown(article: &'a Article) -> Shown {
        Shown::of(&Product::of(article), article.version)
    }
}
