//! What product does about events: one decision an order, in one transaction with the stock.

use events::store::sqlite::Write;
use events::{Cause, Draft, Error, Event, Failure, Handler};

use super::article::Article;
use super::decide::{Input, Step, step};
use super::store::sqlite::{self, Decided};
use super::wire::{OfOrder, ProductChanged, ProductRestocked, Stock};

/// Reads the topic `order`.
pub(crate) struct OnOrder;

/// Reads the topic `delivery`.
pub(crate) struct OnDelivery;

/// What an event says about an order, before the stock was looked at.
#[derive(Clone, Copy)]
enum Heard {
    Placed,
    Ended,
    Returned,
}

impl Handler for OnOrder {
    type Batch = ();

    fn handle(&self, (): &mut (), write: &mut Write<'_>, event: &Event) -> Result<(), Failure> {
        match event.kind.as_str() {
            "OrderPlaced" => on_order(write, event, Heard::Placed),
            "OrderCancelled" | "OrderRejected" => on_order(write, event, Heard::Ended),
            _ => Ok(()),
        }
    }
}

impl Handler for OnDelivery {
    type Batch = ();

    fn handle(&self, (): &mut (), write: &mut Write<'_>, event: &Event) -> Result<(), Failure> {
        match event.kind.as_str() {
            "DeliveryReturned" => on_order(write, event, Heard::Returned),
            _ => Ok(()),
        }
    }
}

fn on_order(write: &mut Write<'_>, event: &Event, heard: Heard) -> Result<(), Failure> {
    let order: OfOrder = event.decode()?;
    let before = sqlite::decided(write.sql(), order.order_id)?;
    // What is given back is what was taken, whatever a later event says it was.
    let (product_id, quantity) =
        before.map_or((order.product_id, order.quantity), |it| (it.product_id, it.quantity));
    let mut article = sqlite::find(write.sql(), product_id)?;
    let input = match heard {
        Heard::Placed => {
            Input::Placed { enough: article.as_ref().is_some_and(|it| it.has(quantity)) }
        }
        Heard::Ended => Input::Ended,
        Heard::Returned => Input::Returned,
    };
    let step = step(before.map(|it| it.decision), input);
    if step == Step::TooEarly {
        return Err(Failure::Handler(format!("not placed here yet. order=`{}`", order.order_id)));
    }
    let Some(decision) = step.decides() else { return Ok(()) };
    sqlite::decide(write.sql(), order.order_id, Decided { product_id, quantity, decision })?;
    let stock = Stock { product_id, order_id: order.order_id, quantity };
    let cause = Cause::of(event);
    Ok(apply(write, step, article.as_mut(), &stock, &cause)?)
}

fn apply(
    write: &mut Write<'_>,
    step: Step,
    article: Option<&mut Article>,
    stock: &Stock,
    cause: &Cause,
) -> Result<(), Error> {
    let (kind, changed) = match (step, article) {
        (Step::Take, Some(article)) => {
            article.stock -= stock.quantity;
            ("StockDecreased", Some(article))
        }
        (Step::GiveBack, Some(article)) => {
            article.stock += stock.quantity;
            ("StockIncreased", Some(article))
        }
        (Step::Refuse, _) => ("ProductOutOfStock", None),
        _ => return Ok(()),
    };
    let sequence = sqlite::next_sequence(write.sql(), stock.order_id)?;
    write.publish(Draft::new(kind, stock.order_id, sequence, stock, cause))?;
    if let Some(article) = changed {
        change(write, article, cause)?;
    }
    Ok(())
}

/// Stores a product as its next version and publishes it; the outbox sequence.
pub(super) fn change(
    write: &mut Write<'_>,
    article: &mut Article,
    cause: &Cause,
) -> Result<u64, Error> {
    article.version += 1;
    sqlite::update(write.sql(), article)?;
    publish(write, article, cause)
}

/// Adds pieces that arrived: the product's next version, and what was added.
pub(super) fn restock(
    write: &mut Write<'_>,
    article: &mut Article,
    added: u64,
    cause: &Cause,
) -> Result<u64, Error> {
    article.stock += added;
    let restocked = ProductRestocked { product_id: article.id, stock: article.stock, added };
    let sequence = sqlite::next_sequence(write.sql(), article.id)?;
    write.publish(Draft::new("ProductRestocked", article.id, sequence, &restocked, cause))?;
    change(write, article, cause)
}

/// Publishes a product as it is.
pub(super) fn publish(
    write: &mut Write<'_>,
    article: &Article,
    cause: &Cause,
) -> Result<u64, Error> {
    let sequence = sqlite::next_sequence(write.sql(), article.id)?;
    let data = ProductChanged::of(article);
    write.publish(Draft::new("ProductChanged", article.id, sequence, &data, cause))
}
