//! What product does about events: one decision an order, in one transaction with the stock.

use events::store::{Published, Tx};
use events::{Cause, Draft, Error, Event, Failure, Handler};

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
enum Occurrence {
    Placed,
    Ended,
    Returned,
}

impl Handler for OnOrder {
    type Batch = ();

    async fn handle(&self, (): &mut (), tx: &mut Tx<'_>, event: &Event) -> Result<(), Failure> {
        match event.kind.as_str() {
            "OrderPlaced" => on_order(tx, event, Occurrence::Placed).await,
            "OrderCancelled" | "OrderRejected" => on_order(tx, event, Occurrence::Ended).await,
            _ => Ok(()),
        }
    }
}

impl Handler for OnDelivery {
    type Batch = ();

    async fn handle(&self, (): &mut (), tx: &mut Tx<'_>, event: &Event) -> Result<(), Failure> {
        match event.kind.as_str() {
            "DeliveryReturned" => on_order(tx, event, Occurrence::Returned).await,
            _ => Ok(()),
        }
    }
}

/// Decides about an order by one occurrence.
///
/// 1. What was decided before is read: it is the one thing that makes a second delivery harmless.
/// 2. The stock is looked at only for a placement; what comes back is what the row says was taken.
/// 3. The decision's row is written before the stock changes and the events go out, all of it in the
///    transaction of the inbox: the decision, its effect and its report are one.
async fn on_order(tx: &mut Tx<'_>, event: &Event, occurrence: Occurrence) -> Result<(), Failure> {
    let order: OfOrder = event.decode()?;
    let before = store::take_decided(tx, order.order_id).await?;
    // What is given back is what was taken, whatever a later event names.
    let (product_id, quantity) =
        before.map_or((order.product_id, order.quantity), |it| (it.product_id, it.quantity));
    let mut product = store::take(tx, product_id).await?;
    let input = match occurrence {
        Occurrence::Placed => {
            Input::Placed { enough: product.as_ref().is_some_and(|it| it.has(quantity)) }
        }
        Occurrence::Ended => Input::Ended,
        Occurrence::Returned => Input::Returned,
    };
    let step = step(before.map(|it| it.decision), input);
    // Refused, so that it is parked with what follows of this order, and tried again after it.
    if step == Step::TooEarly {
        return Err(Failure::Handler(format!("not placed here yet. order=`{}`", order.order_id)));
    }
    let Some(decision) = step.decides() else { return Ok(()) };
    store::decide(tx, order.order_id, Decided { product_id, quantity, decision }).await?;
    let stock = Stock { product_id, order_id: order.order_id, quantity };
    let cause = Cause::of(event);
    Ok(apply(tx, step, product.as_mut(), &stock, &cause).await?)
}

async fn apply(
    tx: &mut Tx<'_>,
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
    let sequence = store::next_sequence(tx, stock.order_id).await?;
    tx.publish(Draft::new(kind, stock.order_id, sequence, stock, cause)).await?;
    if let Some(product) = changed {
        change(tx, product, cause).await?;
    }
    Ok(())
}

/// Stores a product as its next version and publishes it.
pub(super) async fn change(
    tx: &mut Tx<'_>,
    product: &mut Product,
    cause: &Cause,
) -> Result<Published, Error> {
    product.version += 1;
    store::update(tx, product).await?;
    publish(tx, product, cause).await
}

/// Adds pieces that arrived: the product's next version, and what was added.
pub(super) async fn restock(
    tx: &mut Tx<'_>,
    product: &mut Product,
    added: u64,
    cause: &Cause,
) -> Result<Published, Error> {
    product.stock += added;
    let restocked = ProductRestocked { product_id: product.id, stock: product.stock, added };
    let sequence = store::next_sequence(tx, product.id).await?;
    tx.publish(Draft::new("ProductRestocked", product.id, sequence, &restocked, cause)).await?;
    change(tx, product, cause).await
}

/// Publishes a product as it is.
pub(super) async fn publish(
    tx: &mut Tx<'_>,
    product: &Product,
    cause: &Cause,
) -> Result<Published, Error> {
    let sequence = store::next_sequence(tx, product.id).await?;
    let data = ProductChanged::of(product);
    tx.publish(Draft::new("ProductChanged", product.id, sequence, &data, cause)).await
}
