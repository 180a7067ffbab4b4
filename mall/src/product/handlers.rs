//! What product does about events: one decision an order, in one transaction with the stock.

use events::store::Write;
use events::{Cause, Draft, Error, Event, Failure, Handler, Numbered};

use super::decide::{Input, Step, step};
use super::model::Product;
use super::store::{self, Decided};
use super::wire::{OfOrder, ProductChanged, ProductRestocked, Stock};

/// Reads the topic `order`.
pub(crate) struct OnOrder;

/// Reads the topic `delivery`.
pub(crate) struct OnDelivery;

/// What an event reports of an order, before the stock was looked at.
#[derive(Clone, Copy)]
enum Report {
    Placed,
    Ended,
    Returned,
}

impl Handler for OnOrder {
    type Batch = ();

    fn handle(&self, (): &mut (), write: &mut Write<'_>, event: &Event) -> Result<(), Failure> {
        match event.kind.as_str() {
            "OrderPlaced" => on_order(write, event, Report::Placed),
            "OrderCancelled" | "OrderRejected" => on_order(write, event, Report::Ended),
            _ => Ok(()),
        }
    }
}

impl Handler for OnDelivery {
    type Batch = ();

    fn handle(&self, (): &mut (), write: &mut Write<'_>, event: &Event) -> Result<(), Failure> {
        match event.kind.as_str() {
            "DeliveryReturned" => on_order(write, event, Report::Returned),
            _ => Ok(()),
        }
    }
}

/// Decides about an order by one report of it.
///
/// 1. What was decided before is read: it is the one thing that makes a second delivery harmless.
/// 2. The stock is looked at only for a placement; what comes back is what the row says was taken.
/// 3. The decision's row is written before the stock changes and the events go out, all of it in the
///    transaction of the inbox: the decision, its effect and its report are one.
fn on_order(write: &mut Write<'_>, event: &Event, report: Report) -> Result<(), Failure> {
    let order: OfOrder = event.decode()?;
    let before = store::decided(write.sql(), order.order_id)?;
    // What is given back is what was taken, whatever a later event names.
    let (product_id, quantity) =
        before.map_or((order.product_id, order.quantity), |it| (it.product_id, it.quantity));
    let mut product = store::find(write.sql(), product_id)?;
    let input = match report {
        Report::Placed => {
            Input::Placed { enough: product.as_ref().is_some_and(|it| it.has(quantity)) }
        }
        Report::Ended => Input::Ended,
        Report::Returned => Input::Returned,
    };
    let step = step(before.map(|it| it.decision), input);
    // Refused, so that it is parked with what follows of this order, and tried again after it.
    if step == Step::TooEarly {
        return Err(Failure::Handler(format!("not placed here yet. order=`{}`", order.order_id)));
    }
    let Some(decision) = step.decides() else { return Ok(()) };
    store::decide(write.sql(), order.order_id, Decided { product_id, quantity, decision })?;
    let stock = Stock { product_id, order_id: order.order_id, quantity };
    let cause = Cause::of(event);
    Ok(apply(write, step, product.as_mut(), &stock, &cause)?)
}

fn apply(
    write: &mut Write<'_>,
    step: Step,
    product: Option<&mut Product>,
    stock: &Stock,
    cause: &Cause,
) -> Result<(), Error> {
    // A product that is gone from the table has no stock to change; the decision stands all the same.
    let (kind, changed) = match (step, product) {
        (Step::Take, Some(product)) => {
            product.stock -= stock.quantity;
            ("StockDecreased", Some(product))
        }
        (Step::GiveBack, Some(product)) => {
            product.stock += stock.quantity;
            ("StockIncreased", Some(product))
        }
        (Step::Refuse, _) => ("ProductOutOfStock", None),
        _ => return Ok(()),
    };
    // The order's event goes out first: whoever follows both sees the reason before its effect.
    let sequence = store::next_sequence(write, stock.order_id)?;
    write.publish(Draft::new(kind, stock.order_id, sequence, stock, cause))?;
    if let Some(product) = changed {
        change(write, product, cause)?;
    }
    Ok(())
}

/// Stores a product as its next version and publishes it; the outbox sequence.
pub(super) fn change(
    write: &mut Write<'_>,
    product: &mut Product,
    cause: &Cause,
) -> Result<Numbered, Error> {
    product.version += 1;
    store::update(write.sql(), product)?;
    publish(write, product, cause)
}

/// Adds pieces that arrived: the product's next version, and what was added.
pub(super) fn restock(
    write: &mut Write<'_>,
    product: &mut Product,
    added: u64,
    cause: &Cause,
) -> Result<Numbered, Error> {
    product.stock += added;
    let restocked = ProductRestocked { product_id: product.id, stock: product.stock, added };
    let sequence = store::next_sequence(write, product.id)?;
    write.publish(Draft::new("ProductRestocked", product.id, sequence, &restocked, cause))?;
    change(write, product, cause)
}

/// Publishes a product as it is.
pub(super) fn publish(
    write: &mut Write<'_>,
    product: &Product,
    cause: &Cause,
) -> Result<Numbered, Error> {
    let sequence = store::next_sequence(write, product.id)?;
    let data = ProductChanged::of(product);
    write.publish(Draft::new("ProductChanged", product.id, sequence, &data, cause))
}
