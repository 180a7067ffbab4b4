//! An order as this service keeps it, and its copy of a product.

use super::decide::{ProductState, State};

/// One order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Order {
    /// 0 until it is stored.
    pub(super) id: u64,
    pub(super) product_id: u64,
    pub(super) product_name: String,
    pub(super) image_url: String,
    pub(super) quantity: u64,
    /// Of one piece, when the order was taken.
    pub(super) price: u64,
    pub(super) customer_id: String,
    pub(super) customer_name: String,
    pub(super) customer_addr: String,
    pub(super) state: State,
    pub(super) reason: Option<String>,
    pub(super) delivered: bool,
    /// Events published of it.
    pub(super) sequence: u64,
    /// The business transaction that it began.
    pub(super) correlation: String,
}

/// What is known of a product: fed by its events, the newest version wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Replica {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) price: u64,
    pub(super) stock: u64,
    pub(super) image_url: String,
    pub(super) stock_policy: String,
    pub(super) version: u64,
    pub(super) deleted: bool,
}

impl Replica {
    /// Whether its stock is asked for before an order is taken.
    pub(super) fn asks_first(&self) -> bool {
        self.stock_policy == "reject"
    }

    /// What an order has to know of it.
    pub(super) fn state(replica: Option<&Replica>) -> ProductState {
        match replica {
            None => ProductState::Missing,
            Some(replica) if replica.deleted => ProductState::Deleted,
            Some(replica) if replica.asks_first() => ProductState::AskFirst,
            Some(_) => ProductState::TakeFirst,
        }
    }
}
