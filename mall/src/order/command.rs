//! An order as it is asked for, read from a body.

use chassis::http::Problem;
use chassis::http::fields::Fields;
use http::StatusCode;

use super::decide::State;
use super::model::{Order, Replica};
use crate::edge::ID_MAX;

/// Pieces one order may have.
const QUANTITY_MAX: u64 = 1_000;
/// The highest price that can be expected: as much as a row can store.
const EXPECTED_PRICE_MAX: u64 = ID_MAX;
/// Characters a customer's id may have: as many as a username.
const CUSTOMER_ID_CHARS_MAX: usize = 255;
/// Characters a customer's name may have.
const CUSTOMER_NAME_CHARS_MAX: usize = 200;
/// Characters an address may have.
const CUSTOMER_ADDR_CHARS_MAX: usize = 500;

/// An order as it is asked for.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) product_id: u64,
    pub(super) quantity: u64,
    /// What its customer has been shown as the price of one piece.
    expected_price: Option<u64>,
    customer_id: String,
    customer_name: String,
    customer_addr: String,
}

impl Command {
    /// Reads the body; `whose` tells the order's owner from the customer that it names.
    pub(super) fn read(
        mut fields: Fields,
        whose: impl FnOnce(Option<String>) -> Result<String, Problem>,
    ) -> Result<Command, Problem> {
        fields.require("productId");
        let product_id = fields.whole("productId", 1..=ID_MAX);
        let quantity = quantity(&mut fields);
        let expected_price = fields.whole("expectedPrice", 0..=EXPECTED_PRICE_MAX);
        let customer_id = fields.text("customerId", CUSTOMER_ID_CHARS_MAX);
        let customer_name = fields.text("customerName", CUSTOMER_NAME_CHARS_MAX);
        let customer_addr = fields.text("customerAddr", CUSTOMER_ADDR_CHARS_MAX);
        fields.finish()?;
        let customer_id = whose(customer_id)?;
        Ok(Command {
            product_id: product_id.unwrap_or_default(),
            quantity: quantity.unwrap_or_default(),
            expected_price,
            customer_id,
            customer_name: customer_name.unwrap_or_default(),
            customer_addr: customer_addr.unwrap_or_default(),
        })
    }

    /// 409 where one piece costs another `price` than its customer knows of.
    pub(super) fn check_price(&self, price: u64) -> Result<(), Problem> {
        let Some(expected) = self.expected_price.filter(|expected| *expected != price) else {
            return Ok(());
        };
        let problem = Problem::new(StatusCode::CONFLICT, "price-changed", "The price has changed");
        let reason = format!("is {expected}, the price is {price}");
        let detail =
            format!("{expected} was expected, {price} would be charged; nothing was ordered");
        Err(problem.detail(detail).field("expectedPrice", reason, Some(price.into())))
    }

    /// The order of `product`, still to be stored.
    pub(super) fn into_order(self, product: Replica, correlation: String) -> Order {
        Order {
            id: 0,
            product_id: self.product_id,
            product_name: product.name,
            image_url: product.image_url,
            quantity: self.quantity,
            price: product.price,
            customer_id: self.customer_id,
            customer_name: self.customer_name,
            customer_addr: self.customer_addr,
            state: State::Pending,
            reason: None,
            delivered: false,
            sequence: 1,
            correlation,
        }
    }
}

/// `quantity`, or `qty` in its place; both only if they agree.
fn quantity(fields: &mut Fields) -> Option<u64> {
    let quantity = fields.whole("quantity", 1..=QUANTITY_MAX);
    let qty = fields.whole_as("qty", "quantity", 1..=QUANTITY_MAX);
    match (quantity, qty) {
        (Some(one), Some(other)) if one != other => {
            fields.note("quantity", "differs from qty", None);
        }
        _ if !fields.has("quantity") && !fields.has("qty") => {
            fields.note("quantity", "is missing", None);
        }
        _ => {}
    }
    quantity.or(qty)
}
