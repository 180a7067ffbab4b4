//! What delivery says and hears: its events, its bodies, and its own reading of order's events.

use serde::{Deserialize, Serialize};

use super::parcel::Parcel;
use crate::condition::Shown;

/// A delivery, in bodies and as the data of every event of delivery's own.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Delivery<'a> {
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

impl<'a> Delivery<'a> {
    pub(super) fn of(parcel: &'a Parcel) -> Delivery<'a> {
        Delivery {
            delivery_id: parcel.id,
            order_id: parcel.order_id,
            quantity: parcel.quantity,
            product_id: parcel.product_id,
            product_name: &parcel.product_name,
            customer_id: &parcel.customer_id,
            customer_name: &parcel.customer_name,
            delivery_address: &parcel.address,
            delivery_state: parcel.state.as_str(),
        }
    }

    /// The delivery with its tag. What is shown of it changes with an event of it and in no other
    /// way.
    pub(super) fn shown(parcel: &'a Parcel) -> Shown {
        Shown::of(&Delivery::of(parcel), parcel.sequence)
    }
}
