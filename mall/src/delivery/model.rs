//! A delivery as this service keeps it.

use super::decide::State;

/// One delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Delivery {
    /// 0 until it is stored.
    pub(super) id: u64,
    pub(super) order_id: u64,
    pub(super) quantity: u64,
    pub(super) product_id: u64,
    pub(super) product_name: String,
    pub(super) customer_id: String,
    pub(super) customer_name: String,
    pub(super) address: String,
    pub(super) state: State,
    /// Events published of it.
    pub(super) sequence: u64,
    /// The business transaction that it belongs to.
    pub(super) correlation: Option<String>,
}
