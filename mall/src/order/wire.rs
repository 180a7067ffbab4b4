//! What order writes and reads on the wire: its events, its bodies, and its own reading of others' events.

use chassis::wire;
use serde::{Deserialize, Serialize};

use super::model::{Order, Replica};
use crate::condition::Representation;

/// The data of every event of order's own.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OrderEvent<'a> {
    order_id: u64,
    product_id: u64,
    product_name: &'a str,
    image_url: &'a str,
    quantity: u64,
    price: u64,
    customer_id: &'a str,
    customer_name: &'a str,
    customer_addr: &'a str,
}

wire! {
    Camel "camelCase":
    /// An order as bodies show it.
    pub(super) struct OrderBody<'a> {
        id: u64,
        product_id: u64,
        product_name: &'a str,
        quantity: u64,
        price: u64,
        customer_id: &'a str,
        customer_name: &'a str,
        customer_addr: &'a str,
        state: &'static str,
        reason: Option<&'a str>,
    }
}

wire! {
    Camel "camelCase":
    /// A product as order knows it.
    pub(super) struct ProductBody<'a> {
        id: u64,
        name: &'a str,
        price: u64,
        stock: u64,
        image_url: &'a str,
        stock_policy: &'a str,
        version: u64,
    }
}

/// What order reads of a ProductChanged.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProductChanged {
    product_id: u64,
    product_name: String,
    product_price: u64,
    product_stock: u64,
    image_url: String,
    stock_policy: String,
    version: u64,
    deleted: bool,
}

/// What order reads of product's and delivery's other events.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OfOrder {
    pub(super) order_id: u64,
}

/// The data of a DeadlineReached.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeadlineReached {
    pub(super) order_id: u64,
    pub(super) deadline: String,
}

/// What order reads of product's answer to the stock check.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProductAnswer {
    id: u64,
    name: String,
    price: u64,
    stock: u64,
    image_url: String,
    stock_policy: String,
    version: u64,
}

impl<'a> OrderEvent<'a> {
    pub(super) fn of(order: &'a Order) -> OrderEvent<'a> {
        OrderEvent {
            order_id: order.id,
            product_id: order.product_id,
            product_name: &order.product_name,
            image_url: &order.image_url,
            quantity: order.quantity,
            price: order.price,
            customer_id: &order.customer_id,
            customer_name: &order.customer_name,
            customer_addr: &order.customer_addr,
        }
    }
}

impl<'a> OrderBody<'a> {
    pub(super) fn of(order: &'a Order) -> OrderBody<'a> {
        OrderBody {
            id: order.id,
            product_id: order.product_id,
            product_name: &order.product_name,
            quantity: order.quantity,
            price: order.price,
            customer_id: &order.customer_id,
            customer_name: &order.customer_name,
            customer_addr: &order.customer_addr,
            state: order.state.as_str(),
            reason: order.reason.as_deref(),
        }
    }

    /// The order with its tag. What is shown of it changes with an event of it and in no other way.
    pub(super) fn representation(order: &'a Order) -> Representation {
        Representation::of(&OrderBody::of(order), order.sequence)
    }
}

impl<'a> ProductBody<'a> {
    pub(super) fn of(replica: &'a Replica) -> ProductBody<'a> {
        ProductBody {
            id: replica.id,
            name: &replica.name,
            price: replica.price,
            stock: replica.stock,
            image_url: &replica.image_url,
            stock_policy: &replica.stock_policy,
            version: replica.version,
        }
    }

    /// The product with its tag.
    pub(super) fn representation(replica: &'a Replica) -> Representation {
        Representation::of(&ProductBody::of(replica), replica.version)
    }
}

impl From<ProductChanged> for Replica {
    fn from(changed: ProductChanged) -> Replica {
        Replica {
            id: changed.product_id,
            name: changed.product_name,
            price: changed.product_price,
            stock: changed.product_stock,
            image_url: changed.image_url,
            stock_policy: changed.stock_policy,
            version: changed.version,
            deleted: changed.deleted,
        }
    }
}

impl From<ProductAnswer> for Replica {
    fn from(answer: ProductAnswer) -> Replica {
        Replica {
            id: answer.id,
            name: answer.name,
            price: answer.price,
            stock: answer.stock,
            image_url: answer.image_url,
            stock_policy: answer.stock_policy,
            version: answer.version,
            deleted: false,
        }
    }
}
