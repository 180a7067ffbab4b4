//! What becomes of an order: the decisions, as tables.
//!
//! An order is decided upon by what its own row says and nothing else; whatever is not named as a
//! change below changes nothing, which is what makes a second delivery of an event harmless.

use crate::named::named;

/// Why an order without stock was cancelled, as its customer reads it.
pub(super) const OUT_OF_STOCK: &str = "out of stock";

/// Why an order was rejected whose product did not answer in time.
pub(super) const TOO_LATE: &str = "not confirmed in time";

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Taken; its stock is not known yet.
    Pending,
    /// Its stock is taken.
    Placed,
    /// Ended by its customer or for want of stock.
    Cancelled,
    /// Ended by the shop.
    Rejected,
}

/// What happens to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// Product took its stock.
    StockDecreased,
    /// Product has not enough.
    ProductOutOfStock,
    /// Its delivery was completed or returned.
    Delivered,
    /// Product did not answer in time.
    DeadlineReached,
    /// Somebody who may asks for its end.
    Cancel,
}

/// What is done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// PENDING becomes OrderPlaced; OrderConfirmed is published.
    Confirm,
    /// The order becomes OrderCancelled; OrderCancelled is published.
    Cancel {
        /// Why, where it was not the customer's wish.
        reason: Option<&'static str>,
    },
    /// The order becomes OrderRejected; OrderRejected is published.
    Reject {
        /// Why.
        reason: &'static str,
    },
    /// The row remembers that the goods arrived.
    RememberDelivery,
    /// It is so already, or came too late.
    Nothing,
    /// 409 with this reason.
    Refuse(&'static str),
}

/// What to do about `input` with an order in `state`, whose goods have been `delivered` or not.
pub(super) fn step(state: State, delivered: bool, input: Input) -> Step {
    use {Input as I, State as S};
    match (state, delivered, input) {
        (S::Pending, _, I::StockDecreased) => Step::Confirm,
        (_, _, I::StockDecreased) => Step::Nothing,

        (S::Pending, _, I::ProductOutOfStock) => Step::Cancel { reason: Some(OUT_OF_STOCK) },
        (_, _, I::ProductOutOfStock) => Step::Nothing,

        (S::Pending, _, I::DeadlineReached) => Step::Reject { reason: TOO_LATE },
        (_, _, I::DeadlineReached) => Step::Nothing,

        (_, false, I::Delivered) => Step::RememberDelivery,
        (_, true, I::Delivered) => Step::Nothing,

        (S::Cancelled, _, I::Cancel) => Step::Nothing,
        (S::Rejected, _, I::Cancel) => Step::Refuse("the order was rejected"),
        (S::Pending | S::Placed, true, I::Cancel) => Step::Refuse("the order has been delivered"),
        (S::Pending | S::Placed, false, I::Cancel) => Step::Cancel { reason: None },
    }
}

/// What is known of a product before an order is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProductState {
    /// The replica has no such product.
    Missing,
    /// It was deleted.
    Deleted,
    /// Its policy is `reject`: whether it has enough is asked first.
    AskFirst,
    /// Its policy leaves that to the events.
    TakeFirst,
}

/// How an order begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beginning {
    /// Product is asked through the guard.
    Ask,
    /// It is taken at once.
    Take,
    /// 404.
    Unknown,
}

/// How an order of a product in this state begins.
pub(super) fn begin(product: ProductState) -> Beginning {
    match product {
        ProductState::Missing | ProductState::AskFirst => Beginning::Ask,
        ProductState::TakeFirst => Beginning::Take,
        ProductState::Deleted => Beginning::Unknown,
    }
}

/// Whether an order of `quantity` is refused at once, now that product has answered.
pub(super) fn is_refused(asks_first: bool, stock: u64, quantity: u64) -> bool {
    asks_first && stock < quantity
}

named! {
    State {
        Pending => "PENDING",
        Placed => "OrderPlaced",
        Cancelled => "OrderCancelled",
        Rejected => "OrderRejected",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_one_step_for_each_input() {
        use {Input as I, State as S};
        let cancel = Step::Cancel { reason: None };
        let short = Step::Cancel { reason: Some(OUT_OF_STOCK) };
        let late = Step::Refuse("the order has been delivered");
        let ended = Step::Refuse("the order was rejected");
        let none = Step::Nothing;
        let keep = Step::RememberDelivery;
        let reject = Step::Reject { reason: TOO_LATE };
        let inputs =
            [I::StockDecreased, I::ProductOutOfStock, I::DeadlineReached, I::Delivered, I::Cancel];
        let table = [
            (S::Pending, false, [Step::Confirm, short, reject, keep, cancel]),
            (S::Pending, true, [Step::Confirm, short, reject, none, late]),
            (S::Placed, false, [none, none, none, keep, cancel]),
            (S::Placed, true, [none, none, none, none, late]),
            (S::Cancelled, false, [none, none, none, keep, none]),
            (S::Cancelled, true, [none, none, none, none, none]),
            (S::Rejected, false, [none, none, none, keep, ended]),
            (S::Rejected, true, [none, none, none, none, ended]),
        ];
        for (state, delivered, steps) in table {
            for (input, expected) in inputs.into_iter().zip(steps) {
                assert_eq!(
                    step(state, delivered, input),
                    expected,
                    "{state:?} {delivered} {input:?}"
                );
            }
        }
    }

    #[test]
    fn an_order_begins_by_what_is_known_of_its_product() {
        let table = [
            (ProductState::Missing, Beginning::Ask),
            (ProductState::Deleted, Beginning::Unknown),
            (ProductState::AskFirst, Beginning::Ask),
            (ProductState::TakeFirst, Beginning::Take),
        ];
        for (known, beginning) in table {
            assert_eq!(begin(known), beginning, "{known:?}");
        }
    }

    #[test]
    fn only_a_product_that_is_asked_first_refuses_and_only_past_its_stock() {
        for (asks_first, stock, quantity, refused) in
            [(true, 3, 3, false), (true, 3, 4, true), (true, 0, 1, true), (false, 0, 1, false)]
        {
            assert_eq!(is_refused(asks_first, stock, quantity), refused);
        }
    }

    #[test]
    fn a_state_reads_back_as_itself() {
        for text in ["PENDING", "OrderPlaced", "OrderCancelled", "OrderRejected"] {
            assert_eq!(State::parse(text).map(State::as_str), Some(text));
        }
        assert_eq!(State::parse("Pending"), None);
    }
}
