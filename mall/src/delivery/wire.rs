//! What delivery writes and reads on the wire: its events, its bodies, and its own reading of order's events.

use chassis::wire;
use serde::Deserialize;

use super::model::Delivery;
use crate::condition::Representation;

wire! {
    Camel "camelCase":
    /// A delivery, in bodies and as the data of every event of delivery's own.
    pub(super) struct DeliveryBody<'a> {
        delivery_id: u64,
        order_id: u64,
        quantity: u64,
        product_id: u64,
        product_name: &'a str,
        customer_id: &'a str,
        customer_name: &'a str,
        delivery_address: &'a str,
        delivery_state: &'static str,
    }
}

/// What delivery reads of OrderConfirmed, OrderCancelled and OrderRejected.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OfOrder {
    pub(super) order_id: u64,
    pub(super) product_id: u64,
    pub(super) product_name: String,
    pub(super) quantity: u64,
    pub(super) customer_id: String,
    pub(super) customer_name: String,
    pub(super) customer_addr: String,
}

impl<'a> DeliveryBody<'a> {
    pub(super) fn of(delivery: &'a Delivery) -> DeliveryBody<'a> {
        DeliveryBody {
            delivery_id: delivery.id,
            order_id: delivery.order_id,
            quantity: delivery.quantity,
            product_id: delivery.product_id,
            product_name: &delivery.product_name,
            customer_id: &delivery.customer_id,
            customer_name: &delivery.customer_name,
            delivery_address: &delivery.address,
            delivery_state: delivery.state.as_str(),
        }
    }

    /// The delivery with its tag. What is shown of it changes with an event of it and in no other
    /// way.
    pub(super) fn representation(delivery: &'a Delivery) -> Representation {
        Representation::of(&DeliveryBody::of(delivery), delivery.sequence)
    }
}
