//! A product as this service keeps it.

use chassis::wire;
use serde::Deserialize;

use crate::named::named;

/// One product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Product {
    /// 0 until it is stored.
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) price: u64,
    pub(super) stock: u64,
    pub(super) image_url: String,
    pub(super) options: Vec<Choice>,
    pub(super) policy: Policy,
    /// Counts the changes, the first included.
    pub(super) version: u64,
    pub(super) deleted: bool,
}

wire! {
    Camel "camelCase":
    /// One way to have a product.
    #[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
    pub(super) struct Choice {
        pub(super) id: u64,
        pub(super) name: String,
        pub(super) option_name: String,
        pub(super) desc: String,
    }
}

/// What being sold out means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    /// Order asks first and refuses at once.
    Reject,
    /// The order is taken and cancelled by an event.
    Cancel,
}

impl Product {
    /// Whether an order of `quantity` can be served.
    pub(super) fn has(&self, quantity: u64) -> bool {
        !self.deleted && self.stock >= quantity
    }
}

named! {
    Policy {
        Reject => "reject",
        Cancel => "cancel",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_article_has_as_much_as_its_stock_and_nothing_once_deleted() {
        let mut product = Product {
            id: 1,
            name: "TV".into(),
            price: 10_000,
            stock: 3,
            image_url: String::new(),
            options: Vec::new(),
            policy: Policy::Cancel,
            version: 1,
            deleted: false,
        };
        assert!(product.has(3) && !product.has(4));
        product.deleted = true;
        assert!(!product.has(1));
    }
}
